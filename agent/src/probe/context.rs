//! What every run of a probe may use and know.

use super::icmp::Icmp;
use super::pace::Pace;
use super::secure::Authorities;
use crate::clock::{Clock, Moment};
use crate::proxy::Proxy;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A site stays on air for so long after its last tally went out: between two items of a show every camera is off.
const HOLD: Duration = Duration::from_mins(10);

/// What the agent knows of its site while probes run; the agent's loop keeps it up to date.
#[derive(Debug, Default)]
pub struct Surroundings {
    on_air_until: Cell<Option<Instant>>,
    is_on_air: Cell<bool>,
    is_maintained: Cell<bool>,
    is_reached: Cell<bool>,
    default_route: RefCell<Option<String>>,
    moment: Cell<Option<Moment>>,
    metered: RefCell<Vec<String>>,
}

impl Surroundings {
    /// The site as it stands at `now`: whether a tally is on program, whether there is maintenance, and which interface carries the
    /// default route.
    pub fn see(&self, tally: bool, maintenance: bool, default_route: Option<&str>, now: Instant) {
        if tally {
            self.on_air_until.set(Some(now + HOLD));
        }
        self.is_on_air.set(self.on_air_until.get().is_some_and(|until| now < until));
        self.is_maintained.set(maintenance);
        if self.default_route.borrow().as_deref() != default_route {
            *self.default_route.borrow_mut() = default_route.map(str::to_owned);
        }
    }

    /// Whether the hub is heard.
    pub fn reach(&self, is_reached: bool) {
        self.is_reached.set(is_reached);
    }

    /// Whether the hub is heard; not, before anybody has said so.
    pub const fn is_reached(&self) -> bool {
        self.is_reached.get()
    }

    /// The interfaces whose traffic costs money.
    pub fn meter(&self, interfaces: &[String]) {
        *self.metered.borrow_mut() = interfaces.to_vec();
    }

    /// The metered interface that carries the default route, if one does.
    pub fn metered(&self) -> Option<String> {
        self.default_route().filter(|route| self.metered.borrow().contains(route))
    }

    /// The clocks as they were read last.
    pub fn read(&self, moment: &Moment) {
        self.moment.set(Some(*moment));
    }

    /// Somebody vouches for this date, in milliseconds since 1970, or nobody knows one.
    #[cfg(test)]
    pub(crate) fn believe(&self, utc_ms: Option<u64>) {
        let shown = Clock::of_boot(crate::clock::Trust::Auto, [0; 16]).read();
        let (known, utc_ms) = (utc_ms.is_some(), utc_ms.unwrap_or(shown.utc_ms));
        self.read(&Moment { known, disciplined: known, utc_ms, ..shown });
    }

    /// This moment on every clock, and whether its date is to be believed; nothing before the clocks were read.
    pub fn moment(&self) -> Option<Moment> {
        let read = self.moment.get()?;
        let now = Clock::now();
        let since_ms = now.saturating_duration_since(read.now).as_millis() as u64;
        Some(Moment { now, boot_ms: read.boot_ms + since_ms, utc_ms: read.utc_ms + since_ms, ..read })
    }

    /// Whether the site is on air, as far as it can tell itself: by its tallies, and for ten minutes after the last one.
    pub const fn is_on_air(&self) -> bool {
        self.is_on_air.get()
    }

    /// Whether somebody at the rack has announced maintenance.
    pub const fn is_maintained(&self) -> bool {
        self.is_maintained.get()
    }

    /// The interface that carries the default route.
    pub fn default_route(&self) -> Option<String> {
        self.default_route.borrow().clone()
    }
}

/// What a run may use. A copy shares all of it.
#[derive(Debug, Clone)]
pub struct Context {
    /// What is known of the site.
    pub surroundings: Rc<Surroundings>,
    /// Whose signature on a certificate is believed, unless a probe has its own authority.
    pub authorities: Rc<Authorities>,
    /// The sockets for pings.
    pub icmp: Rc<Icmp>,
    /// Turns at devices that must not be asked too often.
    pub pace: Rc<Pace>,
    /// Through which HTTP goes, if through one. Probes ask by themselves.
    pub proxy: Option<Rc<Proxy>>,
    /// How long a run may take by itself: a little less than the timeout, at which the runner ends it, so that the run can say what it
    /// waited for.
    pub within: Duration,
}

impl Context {
    /// That of whoever asks the hub itself, through this proxy if there is one.
    pub(crate) fn through(proxy: Option<Proxy>) -> Self {
        Self { proxy: proxy.map(Rc::new), ..Self::default() }
    }

    /// The same for a probe with this timeout.
    pub(super) fn with_timeout(&self, timeout: Duration) -> Self {
        Self { within: timeout * 19 / 20, ..self.clone() }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self {
            surroundings: Rc::default(),
            authorities: Rc::default(),
            icmp: Rc::default(),
            pace: Rc::default(),
            proxy: None,
            within: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Trust;

    #[test]
    fn on_air_rises_at_once_and_falls_ten_minutes_after_the_last_tally() {
        let (site, start) = (Surroundings::default(), Clock::now());
        let at = |seconds, tally| {
            site.see(tally, false, None, start + Duration::from_secs(seconds));
            site.is_on_air()
        };
        assert!(!at(0, false));
        assert!(at(1, true));
        assert!(at(2, false) && at(600, false));
        assert!(!at(601, false));
    }

    #[test]
    fn what_costs_money_is_what_the_default_route_goes_over() {
        let (site, now) = (Surroundings::default(), Clock::now());
        site.meter(&["wwan0".to_owned()]);
        let over = |route| {
            site.see(false, false, route, now);
            site.metered()
        };
        assert_eq!((over(Some("eth0")), over(None)), (None, None));
        assert_eq!(over(Some("wwan0")).as_deref(), Some("wwan0"));
    }

    #[test]
    fn the_date_goes_on_from_when_the_clocks_were_read() {
        let site = Surroundings::default();
        assert_eq!(site.moment(), None);
        let read = Clock::of_boot(Trust::Trust, [0; 16]).read();
        let earlier =
            read.now.checked_sub(Duration::from_secs(5)).expect("the machine runs longer than that");
        site.read(&Moment { now: earlier, ..read });
        let moment = site.moment().expect("they were read");
        assert!(moment.known && moment.utc_ms >= read.utc_ms + 5000 && moment.utc_ms < read.utc_ms + 60_000);
    }
}
