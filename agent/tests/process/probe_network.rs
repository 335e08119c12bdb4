//! Pings, names and times against what really answers them: a kernel, a bad line, dnsmasq, chronyd.
//!
//! The line needs a network namespace: the test runs itself once more in one of its own, so that nothing outside is touched. It is a pair of
//! interfaces with a host at the far end that loses and delays by rule (`line.py`), because not every kernel has netem.

use crate::support::{Agent, PATIENCE, Service};
use rackside_agent::clock::Clock;
use rackside_agent::config::Config;
use rackside_agent::probe::{Context, Probes, State};
use rackside_proto::metric::{self, Metric};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const INSIDE: &str = "RACKSIDE_TEST_IN_NAMESPACE";
/// Whose groups may ping without privilege, in this network namespace.
const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

/// The probes of a configuration, run in this process.
struct Asked(Probes);

impl Asked {
    fn new(text: &str) -> Self {
        let text = format!(
            "site = \"arena-north\"\nappliance = \"rack-1\"\nprobes.ping = []\n[mqtt]\naddress = \"hub\"\n{text}"
        );
        let config = Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error}"));
        Self(Probes::new(config.probes, Context::default(), Clock::now()))
    }

    /// Runs them until `enough`.
    fn until(&mut self, what: &str, mut enough: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.0.step(Clock::now());
            if enough(self) {
                return;
            }
            assert!(Instant::now() < end, "no {what}: {:?}", self.0.known().collect::<Vec<_>>());
            let deadline = self.0.deadline().unwrap_or(end).min(end);
            smol::block_on(smol::future::or(self.0.moved(), async {
                smol::Timer::at(deadline).await;
            }));
        }
    }

    /// Each of them has run once.
    fn once(text: &str) -> Self {
        let mut asked = Self::new(text);
        asked.until("result of each", |asked| asked.0.known().all(|known| known.latest.is_some()));
        asked
    }

    fn state(&self, name: &str) -> State {
        let known = self.0.known().find(|known| known.planned.common.name == name);
        let latest = known.and_then(|known| known.latest.cloned());
        latest.unwrap_or_else(|| panic!("{name} has not run")).outcome.state
    }

    fn why(&self, name: &str) -> String {
        self.state(name).why().unwrap_or_else(|| panic!("{name} is up")).to_owned()
    }

    fn value(&self, metric: &Metric, name: &str) -> Option<f64> {
        let series = self.0.series(Clock::now());
        let one = series.iter().find(|one| one.metric.name == metric.name && one.labels[0] == name)?;
        one.value.known().map(|number| one.scale.value(number))
    }
}

/// Whether the caller is in a network namespace of its own and goes on. Outside, runs the test of this name inside, and fails if that fails.
pub(crate) fn enter(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        return true;
    }
    let mut inside = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        inside.arg("--map-root-user");
    }
    inside
        .args(["--net", "--fork", "--kill-child"])
        .arg(std::env::current_exe().expect("this program has a path"));
    inside.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").stdin(Stdio::null());
    let output = inside.output().expect("unshare, of Debian's package util-linux, runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in a network namespace of its own, {test} failed:\n{said}{complaints}");
    assert!(said.contains("1 passed"), "no test is called {test}:\n{said}");
    false
}

pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.expect("ip, of Debian's package iproute2, runs");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A line to 10.99.0.2 and `fd99::2` that loses and delays by rule.
fn bad_line() -> Service {
    ip("link add near type veth peer name far");
    ip("address add 10.99.0.1/24 dev near");
    ip("address add fd99::1/64 dev near nodad");
    ip("link set near up");
    ip("link set far up");
    let far = fs::read_to_string("/sys/class/net/far/address");
    // Of the namespace before this one is what /sys shows, unless it was mounted anew.
    let far = far.unwrap_or_else(|_| {
        let shown = Command::new("ip").args(["-br", "link", "show", "far"]).output().expect("ip runs");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        shown.split_whitespace().nth(2).expect("a hardware address").to_owned()
    });
    for address in ["10.99.0.2", "fd99::2"] {
        ip(&format!("neigh replace {address} lladdr {} dev near nud permanent", far.trim()));
    }
    let line = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/line.py");
    let mut command = Command::new("python3");
    command.arg(line).arg("far");
    Service::start(command, "ready")
}

#[test]
fn a_bad_line_is_told_as_bad_as_it_is_by_either_kind_of_socket() {
    if !enter("probe_network::a_bad_line_is_told_as_bad_as_it_is_by_either_kind_of_socket") {
        return;
    }
    let _line = bad_line();
    let pings = "[[probe.ping]]\nname = \"v4\"\ntarget = \"10.99.0.2\"\nevery = \"1s\"\ntimeout = \"900ms\"\ncount = 1\nwindow = 8\n\
                 [[probe.ping]]\nname = \"v6\"\ntarget = \"fd99::2\"\nevery = \"4s\"\nretries = 0\ncount = 3\nwindow = 4\n\
                 [[probe.ping]]\nname = \"nobody\"\ntarget = \"10.99.0.7\"\nevery = \"10s\"\ntimeout = \"2500ms\"\n\
                 [[probe.ping]]\nname = \"nowhere\"\ntarget = \"192.0.2.1\"\nevery = \"10s\"\n\
                 [[probe.ping]]\nname = \"gateway\"\ntarget = \"gateway\"\nevery = \"10s\"\n";
    for groups in ["1 0", "0 2147483647"] {
        fs::write(PING_GROUPS, groups).expect("this namespace is ours");
        let mut asked = Asked::new(pings);
        let (mut runs, mut newest, mut downs) = (0, None, 0);
        asked.until("eight pings", |asked| {
            let known = asked.0.known().find(|known| known.planned.common.name == "v4");
            let at = known.and_then(|known| known.latest.map(|latest| latest.at));
            if at != newest {
                newest = at;
                runs += 1;
                downs += usize::from(matches!(asked.state("v4"), State::Down(_)));
            }
            runs >= 8
        });
        assert_eq!(asked.value(&metric::PING_LOSS, "v4"), Some(0.25), "with ping_group_range {groups}");
        assert_eq!(downs, 2, "a run with one request is down when that is lost");
        let mean = asked.value(&metric::PING_RTT_MEAN, "v4").expect("a mean");
        // 30, 50 and 30 ms; the machine may be busy.
        assert!((0.035..0.5).contains(&mean), "{mean}");
        let jitter = asked.value(&metric::PING_JITTER, "v4").expect("a jitter");
        assert!((0.000_5..0.2).contains(&jitter), "{jitter}");
        // Of two the first is lost: the run asks again, and is up.
        asked.until("two runs over IPv6", |asked| asked.value(&metric::PING_JITTER, "v6").is_some());
        assert_eq!(asked.state("v6"), State::Up);
        assert_eq!(asked.value(&metric::PING_LOSS, "v6"), Some(0.5));
        assert_eq!(asked.why("nobody"), "no answer within 2.5s to any of 3 requests");
        assert_eq!(asked.value(&metric::PING_LOSS, "nobody"), Some(1.0));
        assert_eq!(asked.value(&metric::PING_RTT, "nobody"), None);
        assert!(asked.why("nowhere").contains("Network is unreachable"), "{}", asked.why("nowhere"));
        assert_eq!(asked.why("gateway"), "there is no default route");
    }
    ip("route add default via 10.99.0.2");
    let mut asked = Asked::new("[[probe.ping]]\nname = \"gateway\"\ntarget = \"gateway\"\n");
    asked.until("answer of the gateway", |asked| asked.value(&metric::PING_RTT, "gateway").is_some());
}

#[test]
fn the_log_says_once_how_pings_go_and_who_may_not_ping_knows_nothing() {
    if !enter("probe_network::the_log_says_once_how_pings_go_and_who_may_not_ping_knows_nothing") {
        return;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let two = "[[probe.ping]]\nname = \"one\"\ntarget = \"127.0.0.1\"\n[[probe.ping]]\nname = \"two\"\ntarget = \"127.0.0.2\"\n";
    let file = Agent::configure(dir.path(), 9, "", two);
    fs::write(PING_GROUPS, "1 0").expect("this namespace is ours");
    // What the unit gives, and no program that the agent starts inherits.
    let given = ["setpriv", "--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"];
    let agent = Agent::within(&given, file.clone());
    agent.logs("pings go through raw sockets");
    assert!(agent.status().contains("CapAmb:\t0000000000000000"), "{}", agent.status());
    drop(agent);
    let agent = Agent::within(&["setpriv", "--bounding-set", "-net_raw"], file.clone());
    agent.logs_each(&[
        "this program may not ping: let its group do so (sysctl net.ipv4.ping_group_range), or give it CAP_NET_RAW",
        "probe one (ping 127.0.0.1): unknown: this program may not ping",
        "probe two (ping 127.0.0.2): unknown: this program may not ping",
    ]);
    drop(agent);
    fs::write(PING_GROUPS, "0 2147483647").expect("this namespace is ours");
    let agent = Agent::within(&["setpriv", "--bounding-set", "-net_raw"], file);
    agent.logs("pings go through unprivileged ICMP sockets");
}

#[test]
fn names_resolve_at_dnsmasq_as_they_should() {
    let port = free_udp_and_tcp_port();
    let mut command = crate::support::tool("dnsmasq", "dnsmasq-base");
    let long = "x".repeat(200);
    command.args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"]);
    command.args([
        "--listen-address=127.0.0.1",
        "--local=/example/",
        "--local-ttl=77",
        &format!("--port={port}"),
    ]);
    command
        .args(["--host-record=rack.example,192.0.2.10,2001:db8::10", "--cname=alias.example,rack.example"]);
    command
        .args(["--mx-host=rack.example,mail.example,10", "--srv-host=_sip._tcp.example,rack.example,5060"]);
    command.args(["--txt-record=note.example,hello", "--ptr-record=10.2.0.192.in-addr.arpa,rack.example"]);
    command.arg(format!("--txt-record=long.example,{long},{long},{long},{long}"));
    let _server = Service::start(command, "started, version");
    let ask = |name: &str, query: &str, more: &str| {
        format!(
            "[[probe.dns]]\nname = \"{name}\"\nquery = \"{query}\"\nserver = \"127.0.0.1:{port}\"\n{more}\n"
        )
    };
    let asked = Asked::once(
        &[
            ask("a", "rack.example", "expect = [\"192.0.2.10\"]"),
            ask("aaaa", "rack.example", "record = \"AAAA\"\nexpect = [\"2001:DB8:0::10\"]"),
            ask("alias", "alias.example", "expect = [\"192.0.2.10\"]"),
            ask("cname", "alias.example", "record = \"CNAME\"\nexpect = [\"rack.example.\"]"),
            ask("mx", "rack.example", "record = \"MX\"\nexpect = [\"10 mail.example\"]"),
            ask("srv", "_sip._tcp.example", "record = \"SRV\"\nexpect = [\"0 0 5060 rack.example\"]"),
            ask("ptr", "10.2.0.192.in-addr.arpa", "record = \"PTR\"\nexpect = [\"RACK.example\"]"),
            ask("txt", "note.example", "record = \"TXT\"\nexpect = [\"hello\"]"),
            ask("tcp", "long.example", &format!("record = \"TXT\"\nexpect = [\"{}\"]", long.repeat(4))),
            ask("honest", "*.example", "rcode = \"NXDOMAIN\""),
            ask("moved", "rack.example", "expect = [\"192.0.2.11\"]"),
            ask("none", "nobody.example", ""),
            ask("refused", "elsewhere.invalid", ""),
        ]
        .concat(),
    );
    for name in ["a", "aaaa", "alias", "cname", "mx", "srv", "ptr", "txt", "tcp", "honest"] {
        assert_eq!(asked.state(name), State::Up, "{name}");
    }
    assert_eq!(asked.why("moved"), "rack.example is not 192.0.2.11 but 192.0.2.10");
    assert_eq!(asked.why("none"), "NXDOMAIN instead of NOERROR for nobody.example");
    assert_eq!(asked.why("refused"), "REFUSED instead of NOERROR for elsewhere.invalid");
    assert_eq!(asked.value(&metric::DNS_TTL, "a"), Some(77.0));
    assert_eq!(asked.value(&metric::DNS_ANSWERS, "a"), Some(1.0));
    assert_eq!(asked.value(&metric::DNS_RCODE, "refused"), Some(5.0));
    assert!(asked.value(&metric::DNS_LOOKUP, "tcp").is_some_and(|took| took < 5.0));
}

#[test]
fn chronyd_says_how_late_it_is() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let port = free_udp_and_tcp_port();
    let configuration = |more: &str| {
        let file = dir.path().join("chrony.conf");
        let pid = dir.path().join("chronyd.pid");
        let text = format!(
            "port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\ncmdport 0\nbindcmdaddress /\npidfile {}\n{more}",
            pid.display()
        );
        fs::write(&file, text).expect("written");
        let mut command = crate::support::tool("chronyd", "chrony");
        // Without control over the clock, without a check for root, in the foreground.
        command.args(["-x", "-U", "-d", "-u", &user(), "-f"]).arg(file);
        command
    };
    let probe =
        format!("[[probe.ntp]]\nname = \"time\"\nserver = \"127.0.0.1:{port}\"\ntolerance = \"1s\"\n");
    // Without a source of its own it does not know the time.
    let lost = Service::start(configuration(""), "Disabled control of system clock");
    let asked = Asked::once(&probe);
    assert_eq!(asked.why("time"), "the server does not know the time itself");
    drop(lost);
    let _server = Service::start(configuration("local stratum 10\n"), "Disabled control of system clock");
    let asked = Asked::once(&probe);
    assert_eq!(asked.state("time"), State::Up);
    assert_eq!(asked.value(&metric::NTP_STRATUM, "time"), Some(10.0));
    let offset = asked.value(&metric::NTP_OFFSET, "time").expect("an offset");
    assert!(offset.abs() < 0.05, "both have the same clock: {offset}");
    let delay = asked.value(&metric::NTP_DELAY, "time").expect("a delay");
    assert!((0.0..0.1).contains(&delay), "{delay}");
}

/// A port that was free a moment ago, for a server that cannot be asked which one it took.
fn free_udp_and_tcp_port() -> u16 {
    let free = || {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("bound").port();
        UdpSocket::bind(("127.0.0.1", port)).is_ok().then_some(port)
    };
    std::iter::repeat_with(free).take(50).flatten().next().expect("some port is free for both")
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
