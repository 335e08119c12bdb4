//! Places for those who watch: so many in all, and so many from one address.
//!
//! This machine's own address has no limit of its own: behind a proxy everybody comes from there.

use super::Live;
use crate::web::problem::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Most clients at once: the server's connections but a quarter, which is for whoever asks a question.
const WATCHERS: usize = 768;
/// Most from one address: every wall screen of a control room.
const OF_ONE: usize = 32;

/// Who sits.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many watch.
    All,
    /// Too many from this address.
    OfOne,
}

impl IntoResponse for Full {
    fn into_response(self) -> Response {
        let (code, what) = match self {
            Self::All => (StatusCode::SERVICE_UNAVAILABLE, "too many watch already; try again later"),
            Self::OfOne => {
                (StatusCode::TOO_MANY_REQUESTS, "too many watch from this address already; close some pages")
            }
        };
        let mut response = Problem::new(code, what).into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        response
    }
}

/// A place, as long as it lives.
#[derive(Debug)]
pub(super) struct Seat {
    live: Live,
    address: IpAddr,
}

impl Seats {
    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    fn take(&self, address: IpAddr) -> Result<(), Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= WATCHERS {
            return Err(Full::All);
        }
        let of_one = taken.by_address.entry(address).or_default();
        if *of_one >= OF_ONE && !address.is_loopback() {
            return Err(Full::OfOne);
        }
        *of_one += 1;
        taken.all += 1;
        Ok(())
    }

    fn give_back(&self, address: IpAddr) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(of_one) = taken.by_address.get_mut(&address) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

impl Seat {
    /// One for a client at this address.
    pub(super) fn take(live: &Live, address: IpAddr) -> Result<Self, Full> {
        let address = address.to_canonical();
        live.inner.seats.take(address)?;
        Ok(Self { live: live.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.live.inner.seats.give_back(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let seats = Seats::default();
        let [phone, local] = [[192, 0, 2, 1], [127, 0, 0, 1]].map(IpAddr::from);
        for _ in 0..OF_ONE {
            assert_eq!(seats.take(phone), Ok(()));
        }
        assert_eq!(seats.take(phone), Err(Full::OfOne));
        for _ in OF_ONE..WATCHERS {
            assert_eq!(seats.take(local), Ok(()), "a proxy brings everybody");
        }
        assert_eq!((seats.take(local), seats.taken()), (Err(Full::All), WATCHERS));
        seats.give_back(phone);
        assert_eq!(seats.take(phone), Ok(()));
    }
}
