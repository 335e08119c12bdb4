//! What stands in the way to the hub that cannot be reached: its own web address is asked, without TLS, and nobody else is. A network that wants somebody to
//! log in answers in its place, and has to say so; whoever answers also tells what time it is.
//!
//! Nothing of the answer is believed but for words to people, and an LED: it is nobody's signed word. Asked after a minute at the earliest, then ever more
//! rarely.
//!
//! ```text
//! http://hub.example.org/health/liveness  →  302 http://login.venue.example     a login page in the way
//!                                            200 date: Sat, 21 Nov 2026 …       this machine's clock is years off
//! ```

use super::App;
use crate::clock::Clock;
use crate::config::Mqtt;
use crate::join::start::day;
use crate::panel::led::Link;
use crate::probe::Context;
use crate::probe::http::{self, Answer, Request, Url};
use crate::probe::patience::of_http;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

/// Between two questions: at first, and at most. A line may cost money.
const SOON: Duration = Duration::from_mins(1);
const LATER: Duration = Duration::from_mins(10);
/// From the name to the answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Longer answers are none of the hub's.
const MOST: usize = 4096;
/// Clocks that are further apart do not mean the same date, whatever the answer's way took.
const APART: Duration = Duration::from_hours(24);
/// Of the hub's own, for whoever asks.
const PATH: &str = "/health/liveness";

/// What was seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// What answers in the hub's place.
    portal: Option<String>,
    /// What time it is there, in seconds since 1970.
    time: Option<u64>,
}

/// How looking stands.
#[derive(Default)]
pub(super) struct Look {
    asking: Option<Pin<Box<dyn Future<Output = Seen>>>>,
    is_wanted: bool,
    /// Not before this.
    next: Option<Instant>,
    pause: Option<Duration>,
    seen: Seen,
}

impl Look {
    /// What came of the question.
    pub(super) fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        let Some(asking) = &mut self.asking else { return Poll::Pending };
        asking.as_mut().poll(cx).map(|seen| (self.asking, self.seen) = (None, seen))
    }

    /// The hub could not be reached.
    pub(super) fn lost(&mut self) {
        self.is_wanted = true;
    }

    /// All is well.
    pub(super) fn well(&mut self) {
        *self = Self::default();
    }

    /// What answers in the hub's place.
    pub(super) fn portal(&self) -> Option<&str> {
        self.seen.portal.as_deref()
    }

    /// That the clocks here and there do not mean the same date.
    pub(super) fn apart(&self) -> Option<String> {
        let (here, there) = (Clock::shown().as_secs(), self.seen.time?);
        (here.abs_diff(there) > APART.as_secs()).then(|| {
            let (here, there) = (day(here), day(there));
            format!(
                "this machine's clock is wrong: it says {here}, and where the hub is it is {there}; let NTP through, or set it"
            )
        })
    }
}

impl App {
    /// Asks, if it is time.
    pub(super) fn look(&mut self, now: Instant) {
        let look = &mut self.look;
        if !look.is_wanted || look.asking.is_some() || look.next.is_some_and(|next| now < next) {
            return;
        }
        let pause = look.pause.map_or(SOON, |pause| (pause * 2).min(LATER));
        (look.is_wanted, look.pause, look.next) = (false, Some(pause), Some(now + pause));
        if let Some(url) = whom(&self.config.mqtt) {
            let context = Context::through(self.config.mqtt.proxy.clone());
            look.asking = Some(Box::pin(async move { ask(&url, &context).await }));
        }
    }

    /// Takes over what came of it.
    pub(super) fn looked(&mut self) {
        if self.renewal.refused.is_some() || self.connected().is_some() {
            return;
        }
        if let Some(portal) = self.look.portal() {
            self.reach.lost(Link::Portal);
            self.say(portal.to_owned());
        }
    }

    /// What of this network stands in the way, for whoever asks.
    pub(super) fn hindrance(&self) -> Option<String> {
        match (self.connected(), self.look.portal(), self.link) {
            (None, Some(portal), _) => Some(portal.to_owned()),
            (None, None, Link::Intercepted) => self.said.clone(),
            _ => None,
        }
    }
}

/// The hub's address without TLS: where this box joined, or where its broker is.
fn whom(mqtt: &Mqtt) -> Option<Url> {
    let joined = mqtt.identity.as_ref().and_then(|identity| Url::parse(&identity.url).ok());
    let plain = match (joined, mqtt.addresses.first()) {
        (Some(url), _) if !url.is_tls() => url.origin(),
        (Some(url), _) => format!("http://{}", bracketed(url.host())),
        (None, Some(address)) if address.path.is_some() && !address.is_tls => {
            format!("http://{}", address.authority())
        }
        (None, address) => format!("http://{}", bracketed(&address?.host)),
    };
    Url::parse(&(plain + PATH)).ok()
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

async fn ask(url: &Url, context: &Context) -> Seen {
    let request = Request { most: MOST, redirects: 0, within: WITHIN, ..Request::get(url) };
    http::fetch(context, request).await.map(|answer| read(&answer)).unwrap_or_default()
}

fn read(answer: &Answer) -> Seen {
    let (status, origin) = (answer.status, answer.url.origin());
    let leads_to = answer.header("location").and_then(|to| answer.url.join(to).ok());
    let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let what = match (status, leads_to) {
        // RFC 6585: Network Authentication Required.
        (511, _) => Some(String::new()),
        (300..=399, Some(to)) if !is_of_one_house(to.host(), answer.url.host()) => {
            Some(format!(" leads to {}", to.origin()))
        }
        (200..=299, _) if is_page => Some(" is answered with another page".to_owned()),
        _ => None,
    };
    let portal = what.map(|what| {
        format!(
            "this network wants somebody to log in on a page (captive portal): {origin}{what}; have this box let through"
        )
    });
    Seen { portal, time: answer.header("date").and_then(of_http) }
}

/// Whether two names have the same owner, as far as names tell: a web server that sends to another name of its own is no portal.
fn is_of_one_house(one: &str, other: &str) -> bool {
    let house = |name: &str| name.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let is_address = |name: &str| name.parse::<std::net::IpAddr>().is_ok();
    one == other || (!is_address(one) && !is_address(other) && house(one) == house(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::probe::http::server::Server;

    fn seen(answer: &str) -> Seen {
        let server = Server::saying(answer.to_owned());
        let url = Url::parse(&server.url(PATH)).expect("good");
        smol::block_on(ask(&url, &Context::default()))
    }

    #[test]
    fn a_page_in_the_hubs_place_is_a_portal() {
        for (answer, words) in [
            (
                "HTTP/1.1 302 Found\r\nlocation: http://login.venue.example/?s=1\r\ncontent-length: 0\r\n\r\n",
                " leads to http://login.venue.example;",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",
                " is answered with another page;",
            ),
            ("HTTP/1.1 511 Network Authentication Required\r\ncontent-length: 0\r\n\r\n", "captive portal"),
        ] {
            let portal = seen(answer).portal.expect(answer);
            assert!(portal.contains(words), "{portal}");
        }
    }

    #[test]
    fn what_the_hub_or_a_web_server_before_it_says_is_none() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 301 Moved\r\nlocation: https://127.0.0.1/health/liveness\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nno",
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert_eq!(seen(answer).portal, None, "{answer}");
        }
        assert!(is_of_one_house("www.example.org", "hub.example.org"));
        assert!(!is_of_one_house("192.0.2.1", "198.51.2.1") && !is_of_one_house("a.example", "b.org"));
    }

    #[test]
    fn the_answers_date_tells_a_clock_that_is_years_off() {
        let answer = "HTTP/1.1 204 No Content\r\ndate: Fri, 21 Nov 2031 07:52:09 GMT\r\n\r\n";
        let look = Look { seen: seen(answer), ..Look::default() };
        let told = look.apart().expect("years");
        assert!(told.contains("it is 2031-11-21; let NTP through"), "{told}");
        assert_eq!(Look::default().apart(), None);
    }

    #[test]
    fn nobody_is_asked_but_the_hub() {
        for (address, asked) in [
            ("hub.example.org:8883", "http://hub.example.org/health/liveness"),
            ("wss://hub.example.org/mqtt", "http://hub.example.org/health/liveness"),
            ("ws://hub.example.org:8080/mqtt", "http://hub.example.org:8080/health/liveness"),
            ("[2001:db8::1]:1883", "http://[2001:db8::1]/health/liveness"),
        ] {
            let text = format!("site = \"s\"\nappliance = \"a\"\n[mqtt]\naddress = \"{address}\"\n");
            let mqtt = Config::parse(&text, "agent.toml").expect("good").mqtt;
            let url = whom(&mqtt).expect("an address");
            assert_eq!(url.origin() + url.target(), asked);
        }
    }
}
