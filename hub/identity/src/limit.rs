//! How often strangers may ask: a budget for each address, and one for all of them. Pure: time is an argument.
//!
//! A question costs the hub two signatures to check and one to make, about half a millisecond; the budgets keep that below a tenth of a core whoever
//! asks. A venue that joins its racks from behind one address has room for twenty at once.
//!
//! Invariant: what is remembered has a bound; when it is full, addresses that have a full budget again are forgotten, and if none has, nobody new is let in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// One address: so many at once, and one more each so many milliseconds.
const EACH: Rate = Rate { burst: 20.0, every: 3_000.0 };
/// All together.
const ALL: Rate = Rate { burst: 200.0, every: 20.0 };
/// Addresses that are remembered at once.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f64,
    every: f64,
}

#[derive(Debug, Clone, Copy)]
struct Budget {
    left: f64,
    last: i64,
}

impl Budget {
    fn at(self, rate: Rate, now: i64) -> Self {
        // A clock that was set back gives nothing, and takes nothing.
        let gained = now.saturating_sub(self.last).max(0) as f64 / rate.every;
        Self { left: (self.left + gained).min(rate.burst), last: now }
    }
}

/// Who has asked.
#[derive(Debug)]
pub struct Askers {
    each: HashMap<IpAddr, Budget>,
    all: Budget,
}

impl Default for Askers {
    fn default() -> Self {
        Self { each: HashMap::new(), all: Budget { left: ALL.burst, last: 0 } }
    }
}

impl Askers {
    /// Takes one question out of the budgets, or says how long to wait.
    pub fn ask(&mut self, from: IpAddr, now: i64) -> Result<(), Duration> {
        let from = counted(from);
        if self.each.len() >= REMEMBERED && !self.each.contains_key(&from) {
            self.each.retain(|_, budget| budget.at(EACH, now).left < EACH.burst);
            if self.each.len() >= REMEMBERED {
                return Err(Duration::from_millis(EACH.every as u64));
            }
        }
        let all = self.all.at(ALL, now);
        let each =
            self.each.get(&from).map_or(Budget { left: EACH.burst, last: now }, |each| each.at(EACH, now));
        for (budget, rate) in [(each, EACH), (all, ALL)] {
            if budget.left < 1.0 {
                return Err(Duration::from_secs_f64((1.0 - budget.left) * rate.every / 1000.0));
            }
        }
        self.all = Budget { left: all.left - 1.0, ..all };
        self.each.insert(from, Budget { left: each.left - 1.0, ..each });
        Ok(())
    }
}

/// An address as it is counted: of IPv6 the network, since one machine has as many addresses there as it likes.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0xc633_6400 + n))
    }

    #[test]
    fn an_address_has_its_budget_and_gets_it_back() {
        let mut askers = Askers::default();
        let passed = (0..100).filter(|_| askers.ask(there(1), 1000).is_ok()).count();
        assert_eq!(passed, 20);
        assert_eq!(askers.ask(there(1), 1000), Err(Duration::from_secs(3)));
        assert_eq!(askers.ask(there(2), 1000), Ok(()), "another one is not held up");
        assert_eq!(askers.ask(there(1), 4000), Ok(()));
        assert!(askers.ask(there(1), 4000).is_err());
        assert!(askers.ask(there(1), 0).is_err(), "a clock set back gives nothing");
    }

    #[test]
    fn a_flood_from_everywhere_is_held_to_one_rate_and_remembered_within_a_bound() {
        let mut askers = Askers::default();
        let passed = (0..50_000).filter(|n| askers.ask(there(*n), 0).is_ok()).count();
        assert_eq!(passed, 200);
        for second in 0..2000 {
            for n in 0..100 {
                let _ = askers.ask(there(second * 100 + n), i64::from(second) * 1000);
            }
        }
        assert!(askers.each.len() <= REMEMBERED, "{}", askers.each.len());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let six = |n: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + n));
        let mut askers = Askers::default();
        let passed = (0..100).filter(|n| askers.ask(six(*n), 0).is_ok()).count();
        assert_eq!(passed, 20);
    }
}
