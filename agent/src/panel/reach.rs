//! How the way to the hub stands, as far as the site can tell: for the LED's groups of two to seven flashes.
//!
//! Pure. Nothing is said until it has lasted: a reconnect is no news. While the hub answers, all is well, whatever else is odd; when it does not,
//! the reason of the last failure says whether it is the hub, the internet or the cable.
//!
//! ```text
//! no route                                  no cable or address
//! a name that nobody resolves               no internet
//! refused, silent, not to be believed       hub not reachable
//! connected, and no ack for what waits      hub not reachable
//! turned away, and told why by the hub      refused by the hub
//! its certificate revoked, by a broker      refused by the hub
//! a certificate of nobody that is known     TLS is opened on the way
//! TLS that is none for boxes of a hub       TLS is opened on the way
//! a page in the hub's place                 a login page in the way
//! ```

use super::led::Link;
use crate::dial::{DialError, is_no_network};
use crate::tls::Objection;
use crate::transport::ConnectError;
use rustls::AlertDescription;
use std::time::{Duration, Instant};

/// The connection is made anew within this, mostly.
const GRACE: Duration = Duration::from_secs(10);
/// The hub commits within 250 ms; whoever has records waiting for this long is not heard.
const SILENT: Duration = Duration::from_secs(30);

/// What can be seen of the way.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Whether the broker has us.
    pub connected: bool,
    /// Whether records wait for an ack.
    pub waits: bool,
    /// When an ack came last, or the connection was made.
    pub heard: Option<Instant>,
    /// Whether an interface carries the default route.
    pub routed: bool,
}

/// What is remembered of it.
#[derive(Debug, Default)]
pub struct Reach {
    down: Option<Instant>,
    silent: Option<Instant>,
    heard: Option<Instant>,
    loss: Link,
    next: Option<Instant>,
}

impl Reach {
    /// A connection could not be made, or ended.
    pub const fn lost(&mut self, why: Link) {
        self.loss = why;
    }

    /// How it stands.
    pub fn step(&mut self, view: &View, now: Instant) -> Link {
        if view.connected && self.down.is_some() {
            // That the connection was made is no word of the hub's.
            self.heard = view.heard;
        }
        self.down = if view.connected { None } else { self.down.or(Some(now)) };
        if !view.waits || view.heard != self.heard {
            self.silent = None;
            self.heard = view.heard;
        }
        if view.waits {
            self.silent.get_or_insert(now);
        }
        let due = [self.down.map(|since| since + GRACE), self.silent.map(|since| since + SILENT)];
        let ended = due.map(|at| at.is_some_and(|at| now >= at));
        self.next = due.into_iter().flatten().filter(|at| *at > now).min();
        match (ended, view.routed) {
            ([false, false], _) => Link::Well,
            (_, false) => Link::NoCable,
            ([true, _], true) if self.loss != Link::Well => self.loss,
            (_, true) => Link::HubUnreachable,
        }
    }

    /// When that changes if nothing else does.
    pub const fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

/// What a failure to connect says about the way.
pub fn loss(error: &ConnectError) -> Link {
    match error {
        ConnectError::Dial(DialError::Name { why, .. }) => {
            // A resolver that knows that there is no such name was reached, and getaddrinfo has no other sign for it than its words:
            // glibc's and musl's.
            let text = why.to_string();
            let is_denied =
                ["not known", "does not resolve", "no address"].iter().any(|told| text.contains(told));
            if is_denied { Link::HubUnreachable } else { Link::NoInternet }
        }
        ConnectError::Dial(DialError::Address { address, why }) => {
            if is_no_network(*address, why) {
                Link::NoInternet
            } else {
                Link::HubUnreachable
            }
        }
        ConnectError::Tls(distrust) => match distrust.objection {
            Objection::Untrusted | Objection::Alert(AlertDescription::NoApplicationProtocol) => {
                Link::Intercepted
            }
            _ => Link::HubUnreachable,
        },
        ConnectError::Web(_) => Link::HubUnreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::io;

    const UP: View = View { connected: true, waits: false, heard: None, routed: true };

    #[test]
    fn nothing_is_said_of_a_reconnect() {
        let (mut reach, start) = (Reach::default(), Clock::now());
        let down = View { connected: false, ..UP };
        assert_eq!(reach.step(&down, start), Link::Well);
        assert_eq!(reach.deadline(), Some(start + GRACE));
        assert_eq!(reach.step(&UP, start + Duration::from_secs(9)), Link::Well);
        assert_eq!(reach.step(&down, start + Duration::from_secs(11)), Link::Well, "it counts anew");
        assert_eq!(reach.step(&down, start + Duration::from_secs(21)), Link::HubUnreachable);
    }

    #[test]
    fn the_last_failure_and_the_route_say_what_it_is() {
        let (mut reach, start) = (Reach::default(), Clock::now());
        let down = View { connected: false, ..UP };
        reach.step(&down, start);
        reach.lost(Link::NoInternet);
        assert_eq!(reach.step(&down, start + GRACE), Link::NoInternet);
        assert_eq!(reach.step(&View { routed: false, ..down }, start + GRACE), Link::NoCable);
        assert_eq!(
            reach.step(&View { routed: false, ..UP }, start + GRACE),
            Link::Well,
            "the hub is near, and answers"
        );
    }

    #[test]
    fn a_hub_that_does_not_acknowledge_is_not_reached_however_good_the_broker() {
        let (mut reach, start) = (Reach::default(), Clock::now());
        let waits = View { waits: true, ..UP };
        reach.step(&waits, start);
        let heard = View { heard: Some(start), ..waits };
        assert_eq!(reach.step(&heard, start + Duration::from_secs(29)), Link::Well);
        assert_eq!(reach.step(&heard, start + Duration::from_secs(58)), Link::Well, "it was heard at 29 s");
        assert_eq!(reach.step(&heard, start + Duration::from_secs(59)), Link::HubUnreachable);
        assert_eq!(reach.step(&View { waits: false, ..heard }, start + Duration::from_mins(1)), Link::Well);
    }

    #[test]
    fn a_broker_that_throws_us_out_again_and_again_is_no_hub() {
        let (mut reach, start) = (Reach::default(), Clock::now());
        let mut heard = None;
        for seconds in (0..60).step_by(4) {
            let at = start + Duration::from_secs(seconds);
            reach.step(&View { connected: false, waits: true, heard, ..UP }, at);
            let up = at + Duration::from_secs(2);
            heard = Some(up);
            let link = reach.step(&View { waits: true, heard, ..UP }, up);
            assert_eq!(link == Link::HubUnreachable, seconds >= 28, "{seconds}");
        }
    }

    #[test]
    fn a_failure_tells_the_hub_from_the_internet() {
        let address = |ip: &str, code: i32| {
            let why = io::Error::from_raw_os_error(code);
            let address = format!("{ip}:1883").parse().expect("an address");
            loss(&ConnectError::Dial(DialError::Address { address, why }))
        };
        let (unreachable, no_route, refused) = (101, 113, 111);
        assert_eq!(address("192.0.2.1", refused), Link::HubUnreachable);
        assert_eq!(address("192.0.2.1", unreachable), Link::NoInternet);
        assert_eq!(address("192.0.2.1", no_route), Link::NoInternet);
        assert_eq!(address("192.168.1.1", no_route), Link::HubUnreachable);
        let name = |why: &str| {
            let why = io::Error::other(why.to_owned());
            loss(&ConnectError::Dial(DialError::Name { host: "hub".into(), why }))
        };
        assert_eq!(
            name("failed to lookup address information: Name or service not known"),
            Link::HubUnreachable
        );
        assert_eq!(
            name("failed to lookup address information: Temporary failure in name resolution"),
            Link::NoInternet
        );
        assert_eq!(name("no answer within 10s"), Link::NoInternet);
    }
}
