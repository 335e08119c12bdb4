//! Places for those who watch: so many in all, and so many from one address.
//!
//! An address of IPv6 is its network of 64 bits, in which a machine has as many as it likes. This machine's own address has no limit of its own: behind a proxy
//! that does not say whom it brings everybody comes from there.

use super::Live;
use crate::web::problem::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
    /// By what [`counted`] makes of an address.
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
        let address = counted(address);
        live.inner.seats.take(address)?;
        Ok(Self { live: live.clone(), address })
    }
}

/// What an address counts as: of IPv6 its network of 64 bits, but for this machine's own.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => {
            Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
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
    fn a_network_of_ipv6_is_one_address() {
        let seats = Seats::default();
        let of = |network: u16, host: u16| counted([0x2001, 0xdb8, 0, network, 0, 0, 0, host].into());
        for host in 0..OF_ONE as u16 {
            assert_eq!(seats.take(of(1, host)), Ok(()));
        }
        assert_eq!(seats.take(of(1, 999)), Err(Full::OfOne));
        assert_eq!(seats.take(of(2, 999)), Ok(()));
        seats.give_back(of(1, 1));
        assert_eq!(seats.take(of(1, 999)), Ok(()));
        for _ in 0..=OF_ONE {
            assert_eq!(seats.take(counted(Ipv6Addr::LOCALHOST.into())), Ok(()));
        }
    }

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
