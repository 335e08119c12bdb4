//! Who is inside: how many may come in, from where, and how to reach them all when the hub stops.
//!
//! Invariant: every socket that is open holds a [`Pass`]; dropping it gives its place back.

use super::config::Limits;
use super::session::{Bell, Closing};
use super::stats::Reason;
use rackside_identity::Credential;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many sockets may be open: more than clients, so that a refused one hears why in its CONNACK.
pub(super) fn most_sockets(clients: usize) -> usize {
    clients + clients / 8 + 16
}

/// Who is inside, by connection and by address.
#[derive(Debug, Default)]
pub(super) struct Doors(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    bells: HashMap<u64, Arc<Bell>>,
    /// By which certificate those came in that have one.
    credentials: HashMap<u64, Credential>,
    addresses: HashMap<IpAddr, usize>,
    numbered: u64,
    shut: bool,
}

impl Doors {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a socket in, if there is room.
    pub(super) fn admit(doors: &Arc<Self>, limits: &Limits, peer: SocketAddr) -> Result<Pass, Reason> {
        let mut inside = doors.inside();
        if inside.shut || inside.bells.len() >= most_sockets(limits.clients) {
            return Err(Reason::TooManyClients);
        }
        let counted = household(peer.ip());
        let count = inside.addresses.entry(counted).or_default();
        if limits.clients_per_address > 0 && *count >= limits.clients_per_address {
            return Err(Reason::TooManyFromAddress);
        }
        *count += 1;
        inside.numbered += 1;
        let connection = inside.numbered;
        let bell = Arc::new(Bell::default());
        inside.bells.insert(connection, Arc::clone(&bell));
        drop(inside);
        Ok(Pass { doors: Arc::clone(doors), counted, connection, peer, bell, is_brought: false })
    }

    /// How many sockets are open.
    pub(super) fn open(&self) -> usize {
        self.inside().bells.len()
    }

    /// Ends the connections of those whose certificate is not good.
    pub(super) fn turn_out(&self, is_good: impl Fn(&Credential) -> bool) {
        let inside = self.inside();
        let ended = inside.credentials.iter().filter(|(_, credential)| !is_good(credential));
        for bell in ended.filter_map(|(connection, _)| inside.bells.get(connection)) {
            bell.close(Closing::IdentityEnded);
        }
    }

    /// Ends every connection, and lets nobody in any more.
    pub(super) fn shut(&self) {
        let mut inside = self.inside();
        inside.shut = true;
        for bell in inside.bells.values() {
            bell.close(Closing::Shutdown);
        }
    }
}

/// One socket's place.
#[derive(Debug)]
pub(super) struct Pass {
    doors: Arc<Doors>,
    /// What counts as its address.
    pub(super) counted: IpAddr,
    pub(super) connection: u64,
    pub(super) peer: SocketAddr,
    pub(super) bell: Arc<Bell>,
    /// Whether it came through the web server, which brings anybody, wherever the listener itself listens.
    pub(super) is_brought: bool,
}

impl Pass {
    /// Notes by which certificate it came in.
    pub(super) fn by(&self, credential: Credential) {
        self.doors.inside().credentials.insert(self.connection, credential);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.doors.inside();
        inside.bells.remove(&self.connection);
        inside.credentials.remove(&self.connection);
        if let Some(count) = inside.addresses.get_mut(&self.counted) {
            *count -= 1;
            if *count == 0 {
                inside.addresses.remove(&self.counted);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the IPv6 network of one household.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_household_is_one_address() {
        let same = |a: &str, b: &str| {
            let address = |text: &str| household(text.parse().expect("an address"));
            address(a) == address(b)
        };
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same("2001:db8:1:2:3::4", "2001:db8:1:2::"));
        assert!(!same("2001:db8:1:2::", "2001:db8:1:3::"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
