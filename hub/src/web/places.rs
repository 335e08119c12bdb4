//! Places for those who keep something busy for long (a connection, a live line, a download): so many in all, and so many from one address. No I/O, no clock.
//!
//! An address of IPv6 is its network of 64 bits, in which a machine has as many as it likes. Addresses that bring many people (this machine's own, where a proxy
//! is that may not say whom it brings, and proxies that are configured) have no limit of their own.
//!
//! ```text
//! 192.0.2.7   takes 32 of 768     the 33rd: Full::OfOne     anybody, when 768 are taken: Full::All
//! ```

use super::problem::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// This machine, by whichever of its own addresses.
pub(super) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    all: usize,
    of_one: usize,
    /// Addresses that bring many people.
    apart: Vec<IpAddr>,
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
    /// All are taken.
    All,
    /// This address has as many as one may have.
    OfOne,
}

impl Full {
    /// As it is told: `all` where too many are there, `of_one` where too many are from there; each says what to do.
    pub(super) fn told(self, all: &str, of_one: &str) -> Response {
        let (code, what) = match self {
            Self::All => (StatusCode::SERVICE_UNAVAILABLE, all),
            Self::OfOne => (StatusCode::TOO_MANY_REQUESTS, of_one),
        };
        let mut response = Problem::new(code, what).into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        response
    }
}

/// A place, as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// So many in all, `of_one` of them from one address, but from those `apart` and, if it is among them, this machine.
    pub(super) fn new(all: usize, of_one: usize, apart: &[IpAddr]) -> Arc<Self> {
        let apart = apart.iter().map(|address| counted(*address)).collect();
        Arc::new(Self { all, of_one, apart, taken: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().all
    }

    /// One for somebody at this address.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let address = counted(address);
        let mut taken = self.lock();
        if taken.all >= self.all {
            return Err(Full::All);
        }
        let of_one = taken.by_address.entry(address).or_default();
        if *of_one >= self.of_one && !self.apart.contains(&address) {
            return Err(Full::OfOne);
        }
        *of_one += 1;
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), address })
    }
}

/// What an address counts as.
fn counted(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    if address.is_loopback() {
        return HERE;
    }
    match address {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
        four @ IpAddr::V4(_) => four,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(of_one) = taken.by_address.get_mut(&self.address) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let places = Places::new(100, 4, &[HERE]);
        let of = |network: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, host]);
        let mut held: Vec<Place> = (0..4).map(|host| places.take(of(1, host)).expect("free")).collect();
        assert_eq!(places.take(of(1, 999)).map(drop), Err(Full::OfOne));
        assert_eq!(places.take(of(2, 999)).map(drop), Ok(()));
        held.pop();
        assert_eq!(places.take(of(1, 999)).map(drop), Ok(()));
        let local: Vec<Place> =
            (0..9).map(|_| places.take(Ipv6Addr::LOCALHOST.into()).expect("a proxy may be here")).collect();
        assert_eq!(places.taken(), held.len() + local.len());
    }

    #[test]
    fn one_address_does_not_take_all_places() {
        let [phone, local, proxy] = [[192, 0, 2, 1], [127, 0, 0, 1], [192, 0, 2, 9]].map(IpAddr::from);
        let places = Places::new(10, 4, &[HERE, proxy]);
        let mut phones: Vec<Place> = (0..4).map(|_| places.take(phone).expect("free")).collect();
        assert_eq!(places.take(phone).map(drop), Err(Full::OfOne));
        let rest: Vec<Place> =
            [local, proxy, local, proxy, proxy, proxy].map(|one| places.take(one).expect("apart")).into();
        assert_eq!((places.take(local).map(drop), places.taken()), (Err(Full::All), 10));
        phones.pop();
        assert_eq!(places.take(phone).map(drop), Ok(()));
        drop(rest);
        assert_eq!(places.taken(), 3);
    }

    #[test]
    fn this_machine_is_bounded_where_no_proxy_is_looked_for() {
        let places = Places::new(10, 1, &[]);
        let _one = places.take([127, 0, 0, 1].into()).expect("free");
        assert_eq!(places.take([127, 0, 0, 2].into()).map(drop), Err(Full::OfOne), "all of it is one");
    }
}
