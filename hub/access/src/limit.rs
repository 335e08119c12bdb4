//! How often somebody may try: logins with growing waits, everything else by a budget. Pure: time is an argument.
//!
//! A login that fails costs its address and its user. The first few are free, then each doubles the wait, up to a bound: nobody is locked out for ever.
//! Who has logged in from an address before is not kept from there by what others do to the name. An attempt counts as failed when it begins, so
//! that a hundred at once are a hundred; one that succeeds clears what its address and user had.
//!
//! Invariant: what is remembered has a bound; when it is full, who has been quiet for longest is forgotten.
//!
//! ```text
//! 192.0.2.7   5 failed, then 1 s, 2 s, 4 s, … 5 min       desk   10 failed, then 1 s, 2 s, … 30 s
//! ```

use crate::store::LONGEST_NAME;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Failures are forgotten after so long without another.
const FORGET: i64 = 60 * 60 * 1000;
/// Addresses, users or tokens that are remembered at once.
const REMEMBERED: usize = 10_000;
/// An address fails so often without a wait, and then waits at most so long.
const ADDRESS: Steps = Steps { free: 5, longest: 300 };
/// So does a user, counted over all addresses. Short, because whoever wants to can bring it about.
const USER: Steps = Steps { free: 10, longest: 30 };
/// Requests that may come at once, and then so many a second. A person with many tabs, each of which loads a page of charts, never meets it.
const BURST: f64 = 3000.0;
const RATE: f64 = 100.0;

#[derive(Debug, Clone, Copy)]
struct Steps {
    free: u32,
    /// Seconds.
    longest: u64,
}

impl Steps {
    fn wait(self, failed: u32) -> i64 {
        let Some(beyond) = failed.checked_sub(self.free) else { return 0 };
        let seconds = 1_u64.checked_shl(beyond.min(32)).unwrap_or(self.longest).min(self.longest);
        seconds as i64 * 1000
    }
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    last: i64,
}

/// Who tries to log in.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    addresses: HashMap<IpAddr, Failed>,
    users: HashMap<String, Failed>,
}

/// Who asks for much.
#[derive(Debug, Default)]
pub(crate) struct Requests(HashMap<String, Budget>);

#[derive(Debug, Clone, Copy)]
struct Budget {
    left: f64,
    last: i64,
}

/// An address as it is counted: of IPv6 the network, since one machine has as many addresses there as it likes.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        four @ IpAddr::V4(_) => four,
    }
}

/// A name as it is counted: whoever tries may send a longer one than anybody can have, and none is kept whole.
fn named(user: &str) -> String {
    user.chars().take(LONGEST_NAME).flat_map(char::to_lowercase).collect()
}

fn wait<K: Hash + Eq>(failures: &HashMap<K, Failed>, key: &K, steps: Steps, now: i64) -> i64 {
    let Some(failed) = failures.get(key) else { return 0 };
    let since = now.saturating_sub(failed.last);
    // A clock that was set back is no reason to wait.
    if (0..FORGET).contains(&since) { steps.wait(failed.times).saturating_sub(since).max(0) } else { 0 }
}

fn count<K: Hash + Eq + Clone>(failures: &mut HashMap<K, Failed>, key: K, now: i64) {
    if failures.len() >= REMEMBERED && !failures.contains_key(&key) {
        make_room(failures, |failed| failed.last);
    }
    let failed = failures.entry(key).or_insert(Failed { times: 0, last: now });
    if now.saturating_sub(failed.last) >= FORGET {
        failed.times = 0;
    }
    *failed = Failed { times: failed.times.saturating_add(1), last: now };
}

/// Forgets the tenth that was quiet for longest: so that a flood of addresses does not sort them all each time.
fn make_room<K: Hash + Eq + Clone, V>(of: &mut HashMap<K, V>, last: impl Fn(&V) -> i64) {
    let mut times: Vec<i64> = of.values().map(&last).collect();
    times.sort_unstable();
    let Some(oldest) = times.get(times.len() / 10).copied() else { return };
    let mut still_to_go = times.len() / 10 + 1;
    of.retain(|_, one| {
        let goes = still_to_go > 0 && last(one) <= oldest;
        still_to_go -= usize::from(goes);
        !goes
    });
}

impl Logins {
    /// Counts an attempt, or says how long to wait for the next one. `known` says that this user has logged in from there before.
    pub(crate) fn attempt(
        &mut self,
        from: IpAddr,
        user: &str,
        known: bool,
        now: i64,
    ) -> Result<(), Duration> {
        let (from, user) = (counted(from), named(user));
        let of_user = if known { 0 } else { wait(&self.users, &user, USER, now) };
        let longest = wait(&self.addresses, &from, ADDRESS, now).max(of_user);
        if longest > 0 {
            return Err(Duration::from_millis(longest.unsigned_abs()));
        }
        count(&mut self.addresses, from, now);
        if !known {
            count(&mut self.users, user, now);
        }
        Ok(())
    }

    /// The attempt was right.
    pub(crate) fn succeeded(&mut self, from: IpAddr, user: &str) {
        self.addresses.remove(&counted(from));
        self.users.remove(&named(user));
    }
}

impl Requests {
    /// Takes one request out of the budget of `whose`, or says how long to wait.
    pub(crate) fn spend(&mut self, whose: &str, now: i64) -> Result<(), Duration> {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(whose) {
            make_room(&mut self.0, |budget| budget.last);
        }
        let full = Budget { left: BURST, last: now };
        let budget = self.0.entry(whose.to_owned()).or_insert(full);
        let gained = now.saturating_sub(budget.last).max(0) as f64 / 1000.0 * RATE;
        *budget = Budget { left: (budget.left + gained).min(BURST), last: now };
        if budget.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - budget.left) / RATE));
        }
        budget.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn there(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0xc633_6400 + n))
    }

    #[test]
    fn waits_double_up_to_their_bound() {
        let (mut logins, mut now) = (Logins::default(), 0);
        let mut waits = Vec::new();
        for _ in 0..16 {
            // Each from a known place: only the address counts.
            assert_eq!(logins.attempt(HERE, "desk", true, now), Ok(()));
            let wait = wait(&logins.addresses, &HERE, ADDRESS, now);
            if wait > 0 {
                let said = logins.attempt(HERE, "desk", true, now + wait - 1);
                assert_eq!(said, Err(Duration::from_millis(1)), "a refusal counts for nothing");
            }
            waits.push(wait / 1000);
            now += wait;
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        now += FORGET;
        for _ in 0..5 {
            assert_eq!(logins.attempt(HERE, "desk", true, now), Ok(()), "all is forgotten");
        }
    }

    #[test]
    fn a_name_under_attack_from_everywhere_is_slowed_and_its_own_places_are_not() {
        let mut logins = Logins::default();
        let passed = (0..1000).filter(|n| logins.attempt(there(*n), "desk", false, 0).is_ok()).count();
        assert_eq!(passed, 10);
        assert!(logins.attempt(HERE, "DESK", false, 0).is_err(), "case makes no other user");
        assert_eq!(logins.attempt(HERE, "desk", true, 0), Ok(()), "from where it has logged in before");
        assert_eq!(logins.attempt(HERE, "first", false, 0), Ok(()));
        assert!(logins.attempt(there(2000), "desk", false, 30_000).is_ok(), "nobody waits for longer");
    }

    #[test]
    fn a_login_that_succeeds_clears_what_failed() {
        let mut logins = Logins::default();
        for _ in 0..5 {
            assert_eq!(logins.attempt(HERE, "desk", false, 0), Ok(()));
        }
        logins.succeeded(HERE, "Desk");
        for _ in 0..5 {
            assert_eq!(logins.attempt(HERE, "desk", false, 0), Ok(()));
        }
        assert!(logins.attempt(HERE, "desk", false, 0).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let six = |n: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + n));
        let mut logins = Logins::default();
        let passed = (0..100).filter(|n| logins.attempt(six(*n), "desk", true, 0).is_ok()).count();
        assert_eq!(passed, 5);
        assert_eq!(logins.attempt(six(1 << 64), "desk", true, 0), Ok(()), "another network");
        assert_eq!(counted("::ffff:192.0.2.7".parse().expect("an address")), HERE);
    }

    #[test]
    fn requests_have_a_burst_and_a_rate() {
        let mut requests = Requests::default();
        let at_once = (0..1000).filter(|_| requests.spend("a", 0).is_ok()).count();
        assert_eq!(at_once, 1000);
        assert_eq!((0..3000).filter(|_| requests.spend("a", 0).is_ok()).count(), 2000);
        assert!(requests.spend("a", 0).is_err_and(|wait| wait <= Duration::from_millis(10)));
        assert_eq!(requests.spend("b", 0), Ok(()));
        assert_eq!((0..1000).filter(|_| requests.spend("a", 1000).is_ok()).count(), 100);
    }

    proptest! {
        #[test]
        fn nobody_waits_for_longer_than_the_bound_and_memory_has_one(
            attempts in prop::collection::vec((0..20_000_u32, 0..400_i64, any::<bool>()), 1..400)
        ) {
            let (mut logins, mut requests, mut now, mut latest) = (Logins::default(), Requests::default(), 0, 0);
            for (n, later, known) in attempts {
                now += later * 1000 - 20_000;
                latest = latest.max(now);
                if let Err(wait) = logins.attempt(there(n % 7), &format!("user-{}", n % 3), known, now) {
                    prop_assert!(wait <= Duration::from_mins(5));
                }
                let _ = requests.spend(&n.to_string(), now);
            }
            prop_assert!(logins.attempt(HERE, "user-0", false, latest + 30_000).is_ok());
        }
    }

    #[test]
    fn a_name_is_kept_no_longer_than_one_can_be() {
        let mut logins = Logins::default();
        assert_eq!(logins.attempt(HERE, &"Ä".repeat(64 << 10), false, 0), Ok(()));
        assert_eq!(logins.users.keys().collect::<Vec<_>>(), [&"ä".repeat(LONGEST_NAME)]);
        logins.succeeded(HERE, &"ä".repeat(LONGEST_NAME));
        assert!(logins.users.is_empty());
    }

    #[test]
    fn who_is_quiet_for_longest_is_forgotten_first() {
        let mut logins = Logins::default();
        for n in 0..3 * REMEMBERED as u32 {
            let _ = logins.attempt(there(n), &n.to_string(), false, i64::from(n));
        }
        assert!(logins.addresses.len() <= REMEMBERED && logins.users.len() <= REMEMBERED);
        assert!(logins.addresses.contains_key(&there(3 * REMEMBERED as u32 - 1)));
        assert!(!logins.addresses.contains_key(&there(0)));
        let mut requests = Requests::default();
        for n in 0..3 * REMEMBERED {
            let _ = requests.spend(&n.to_string(), 0);
        }
        assert!(requests.0.len() <= REMEMBERED, "when all came at once as well");
    }
}
