//! `[[probe.ping]]`: whether it answers to ICMP echo requests, how fast, and how many get lost.
//!
//! A run sends one request, and one more each second as long as none is answered, `count` at most; the first reply ends it. So a line that is
//! well costs one packet a run, and one lost packet is no outage but counts: loss, mean and jitter are those of the newest `window` requests
//! (see [`window`]). It is down when no reply came within the timeout. Where this program may not ping, that is unknown, not down.
//!
//! `gateway` as a target is the default route's next machine, at the time of the run; without such a route it is down.
//!
//! ```toml
//! [[probe.ping]]
//! name = "encoder"
//! target = "192.0.2.30"
//! count = 3
//! window = 20
//! ```

pub mod window;

use crate::probe::config::{Settings, kind};
use crate::probe::icmp::Echoes;
use crate::probe::{Context, Outcome, Probe, Running, dial};
use crate::sensor::{Roots, route};
use async_io::Timer;
use futures_lite::future;
use rackside_proto::{Scale, metric};
use std::net::IpAddr;
use std::time::Duration;
use window::Window;

/// Whom every agent pings, unless the file says otherwise: how far a fault reaches is told by the first of them that answers.
pub const EVERYBODY: [&str; 3] = [GATEWAY, "1.1.1.1", "8.8.8.8"];
/// The target that is the default route's next machine.
const GATEWAY: &str = "gateway";
/// Between a request that is not answered and the next one.
const APART: Duration = Duration::from_secs(1);
/// Times go in steps of 10 µs, shares of a thousandth.
const TIME: Scale = Scale::per(100_000);
const SHARE: Scale = Scale::per(1000);
/// The most requests of a run, and of a window.
const MOST_COUNT: u8 = 20;
const MOST_WINDOW: u16 = 1000;

kind! {
    /// What the configuration has for it.
    pub struct Ping {
        /// A name, an address, or `gateway`.
        target: String,
        /// Requests that a run sends at most.
        #[serde(default = "count")]
        count: u8,
        /// Requests of which loss, mean and jitter are told.
        #[serde(default = "window_size")]
        window: u16,
        /// 4 or 6, for a name that has addresses of both.
        #[serde(default)]
        ip: Option<u8>,
    }
}

const fn count() -> u8 {
    3
}

const fn window_size() -> u16 {
    20
}

impl Ping {
    /// One of `[probes] ping`.
    pub fn plain(target: &str) -> Self {
        Self {
            name: target.to_owned(),
            every: None,
            timeout: None,
            retries: 0,
            stream: None,
            on_failure: None,
            target: target.to_owned(),
            count: count(),
            window: window_size(),
            ip: None,
        }
    }
}

/// Whether a text can be whom to ping: a name or an address, and no port.
fn is_host(text: &str) -> bool {
    let is_name = text.len() <= 253
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_name || text.parse::<IpAddr>().is_ok()
}

impl Settings for Ping {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if !is_host(&self.target) {
            return Err((
                "target",
                format!("\"{}\" is no name, no address and not \"gateway\"", self.target),
            ));
        }
        if !(1..=MOST_COUNT).contains(&self.count) {
            return Err(("count", format!("is out of range; from 1 to {MOST_COUNT} is possible")));
        }
        if !(1..=MOST_WINDOW).contains(&self.window) {
            return Err(("window", format!("is out of range; from 1 to {MOST_WINDOW} is possible")));
        }
        match (self.ip, self.target.parse::<IpAddr>()) {
            (None, _)
            | (Some(4), Ok(IpAddr::V4(_)))
            | (Some(6), Ok(IpAddr::V6(_)))
            | (Some(4 | 6), Err(_)) => Ok(()),
            (Some(4 | 6), Ok(_)) => Err(("ip", format!("does not go with the address {}", self.target))),
            (Some(_), _) => Err(("ip", "is out of range; 4 or 6 is possible".to_owned())),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        let window = Window::new(usize::from(self.window));
        Box::new(Pinger { settings: self.clone(), window, unheard: 0 })
    }
}

/// A ping, and what it remembers.
struct Pinger {
    settings: Ping,
    window: Window,
    /// Requests of this run that were sent and not answered yet.
    unheard: u32,
}

/// Where to send, with an IPv6 link's number; or what that says of the target.
type Whereto = Result<(IpAddr, u32), Outcome>;

impl Pinger {
    async fn whereto(&self) -> Whereto {
        let Ping { target, ip, .. } = &self.settings;
        if target == GATEWAY {
            return gateway(&Roots::default(), *ip);
        }
        let found = dial::resolve(target, 0).await.map_err(|error| Outcome::down(error.to_string()))?;
        let mut addresses = found.into_iter().map(|address| address.ip());
        let fits = |address: &IpAddr| ip.is_none_or(|version| address.is_ipv4() == (version == 4));
        match addresses.find(fits) {
            Some(address) => Ok((address, 0)),
            None => Err(Outcome::down(format!("{target} has no address of IPv{}", ip.unwrap_or(4)))),
        }
    }

    async fn ask(&mut self, context: &Context) -> Outcome {
        let (to, scope) = match self.whereto().await {
            Ok(to) => to,
            Err(outcome) => return self.with_figures(outcome),
        };
        let mut echoes = match context.icmp.echoes(to, scope) {
            Ok(echoes) => echoes,
            Err(error) => return Outcome::unknown(error.to_string()),
        };
        for left in (0..self.settings.count).rev() {
            if let Err(why) = echoes.send().await {
                self.lose(1);
                return self.with_figures(Outcome::down(format!("cannot send to {to}: {why}")));
            }
            self.unheard += 1;
            if let Some((lost, took)) = heard(&echoes, left > 0).await {
                // Those that were sent after the one that was answered are neither lost nor answered: nobody waits for them.
                self.unheard = 0;
                self.lose(lost as u32);
                self.window.take(Some(took));
                let mut outcome = Outcome::up();
                outcome.put(&metric::PING_RTT, &[], TIME, took.as_secs_f64());
                return self.with_figures(outcome);
            }
        }
        future::pending().await
    }

    fn lose(&mut self, requests: u32) {
        for _ in 0..requests {
            self.window.take(None);
        }
    }

    fn with_figures(&self, mut outcome: Outcome) -> Outcome {
        let figures = [
            (&metric::PING_RTT_MEAN, TIME, self.window.mean()),
            (&metric::PING_LOSS, SHARE, self.window.loss()),
            (&metric::PING_JITTER, TIME, self.window.jitter()),
        ];
        for (metric, scale, figure) in figures {
            if let Some(figure) = figure {
                outcome.put(metric, &[], scale, figure);
            }
        }
        outcome
    }
}

/// The first reply; nothing if none came and the next request is due.
async fn heard(echoes: &Echoes, has_next: bool) -> Option<(usize, Duration)> {
    let next = async {
        if !has_next {
            // The runner ends it.
            future::pending::<()>().await;
        }
        Timer::after(APART).await;
        None
    };
    future::or(async { Some(echoes.heard().await) }, next).await
}

fn gateway(roots: &Roots, version: Option<u8>) -> Whereto {
    let Some(route::Gateway { interface, address }) = route::gateway(&roots.proc, version) else {
        return Err(Outcome::down("there is no default route"));
    };
    if address.is_unspecified() {
        return Err(Outcome::unknown(format!("the default route through {interface} has no gateway")));
    }
    // An IPv6 gateway has an address that holds on its link only, so the link's number goes with it.
    let index = std::fs::read_to_string(roots.sys.join("class/net").join(&interface).join("ifindex"));
    let index = index.ok().and_then(|index| index.trim().parse().ok()).unwrap_or_default();
    Ok((address, index))
}

impl Probe for Pinger {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        self.unheard = 0;
        Box::pin(self.ask(context))
    }

    fn late(&mut self, why: String) -> Outcome {
        let requests = std::mem::take(&mut self.unheard);
        self.lose(requests);
        let outcome = match requests {
            // The name's server is slow, and took all the time.
            0 => Outcome::down(format!("{why} from whoever should know its address")),
            1 => Outcome::down(why),
            _ => Outcome::down(format!("{why} to any of {requests} requests")),
        };
        self.with_figures(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::State;
    use rackside_proto::Value;

    fn pinger(target: &str, count: u8) -> Pinger {
        Pinger { settings: Ping { count, ..Ping::plain(target) }, window: Window::new(20), unheard: 0 }
    }

    fn figure(outcome: &Outcome, metric: &metric::Metric) -> Option<Value> {
        outcome.samples.iter().find(|sample| std::ptr::eq(sample.metric, metric)).map(|sample| sample.value)
    }

    #[test]
    fn loopback_answers_in_both_versions() {
        let context = Context::default();
        for target in ["127.0.0.1", "127.9.9.9", "::1"] {
            let outcome = smol::block_on(pinger(target, 1).run(&context));
            assert_eq!(outcome.state, State::Up, "{target}");
            let Some(Value::Known(took)) = figure(&outcome, &metric::PING_RTT) else { panic!("{outcome:?}") };
            assert!(took < 10_000, "{took} × 10 µs to {target}");
            assert_eq!(figure(&outcome, &metric::PING_LOSS), Some(Value::Known(0)));
            assert_eq!(figure(&outcome, &metric::PING_JITTER), None, "one answer is no difference");
        }
    }

    #[test]
    fn many_share_one_socket_and_each_gets_its_own_reply() {
        let context = Context::default();
        let targets: Vec<String> = (1..=100).map(|at| format!("127.0.1.{at}")).collect();
        let mut pingers: Vec<Pinger> = targets.iter().map(|target| pinger(target, 1)).collect();
        let executor = smol::LocalExecutor::new();
        let tasks: Vec<_> = pingers.iter_mut().map(|pinger| executor.spawn(pinger.run(&context))).collect();
        let states = smol::block_on(executor.run(async {
            let mut states = Vec::new();
            for task in tasks {
                states.push(task.await.state);
            }
            states
        }));
        assert!(states.iter().all(|state| *state == State::Up), "{states:?}");
    }

    #[test]
    fn what_a_run_that_was_dropped_had_sent_is_lost() {
        let context = Context::default();
        let mut silent = pinger("127.0.0.1", 1);
        silent.unheard = 3;
        let outcome = silent.late("no answer within 5s".to_owned());
        assert_eq!(outcome.state, State::Down("no answer within 5s to any of 3 requests".to_owned()));
        assert_eq!(figure(&outcome, &metric::PING_LOSS), Some(Value::Known(1000)));
        let outcome = smol::block_on(silent.run(&context));
        assert_eq!(figure(&outcome, &metric::PING_LOSS), Some(Value::Known(750)));
        assert_eq!(outcome.state, State::Up);
    }

    #[test]
    fn the_gateway_is_down_without_a_route_and_unknown_on_a_line_without_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let roots = Roots::below(dir.path());
        std::fs::create_dir_all(roots.proc.join("net")).expect("a directory");
        std::fs::create_dir_all(roots.sys.join("class/net/eth0")).expect("a directory");
        std::fs::write(roots.sys.join("class/net/eth0/ifindex"), "2\n").expect("written");
        let state = |whereto: Whereto| whereto.expect_err("nowhere").state;
        assert_eq!(state(gateway(&roots, None)), State::Down("there is no default route".to_owned()));
        let table = |gateway: &str| {
            let head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
            let line = format!("{head}eth0 00000000 {gateway} 0003 0 0 100 00000000 0 0 0\n");
            std::fs::write(roots.proc.join("net/route"), line).expect("written");
        };
        table("00000000");
        assert!(matches!(state(gateway(&roots, None)), State::Unknown(_)));
        table("01010101");
        assert_eq!(gateway(&roots, None), Ok((IpAddr::from([1, 1, 1, 1]), 2)));
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        for good in ["gateway", "encoder.example.org", "192.0.2.1", "2001:db8::1", "my_nas"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "http://x", "x:80", "[::1]", "a/b"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
