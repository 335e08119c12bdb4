//! What probes cost, and what the same ones cost in Debian's prometheus-blackbox-exporter.
//!
//! Everything that is asked is on loopback. The agents are connected to a hub's listener; one without probes runs beside the others, whose
//! processor time is subtracted where it says "a probe".

use crate::{Effort, build};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::authority::Authority;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::process::Process;
use rackside_tests::{clock, measure, port, programs};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Until each probe of a usual schedule has run.
const WARM_UP: Duration = Duration::from_secs(40);
/// Until those that run each second do so evenly.
const SHORT: Duration = Duration::from_secs(8);
const PINGS: usize = 200;
const PAGES: usize = 50;
/// Connections over which the exporter is asked, as a Prometheus keeps them open.
const ASKERS: usize = 16;

pub(crate) fn cost(effort: Effort) -> Result<(), String> {
    let (name, target) = build::TARGETS[1];
    let program = build::agent(target).or_else(|error| {
        println!("{name}: {error}; the other one is measured");
        build::agent(build::TARGETS[0].1)
    })?;
    let (hub, authority) = (build::hub()?, Authority::new());
    let plain = Hub::with(Way::Listener, &hub, "");
    let encrypted = Hub::with(Way::Listener, &hub, &authority.listener_lines());
    let stage = Stage { plain, encrypted, authority, pages: Pages::start()?, program };
    stage.schedules(effort)?;
    stage.side_by_side("ping", PINGS, "icmp", effort)?;
    stage.side_by_side("http", PAGES, "http_2xx", effort)
}

struct Stage {
    plain: Hub,
    encrypted: Hub,
    authority: Authority,
    pages: Pages,
    program: PathBuf,
}

impl Stage {
    fn agent(&self, appliance: &str, is_tls: bool, probes: &str) -> Agent {
        let hub = if is_tls { &self.encrypted } else { &self.plain };
        let mut options = AgentOptions::new("bench", appliance, hub.mqtt());
        options.tick = "10s";
        options.top.push_str(probes);
        options.program = Some(self.program.clone());
        if is_tls {
            options.mqtt = self.authority.agent_lines();
        }
        Agent::start(&options)
    }

    /// One of most kinds, as a rack might have them.
    fn mixed(&self) -> String {
        let (page, hub) = (self.pages.address, self.plain.mqtt());
        let mut text = String::new();
        for at in 1..=3 {
            let _ = writeln!(text, "[[probe.ping]]\nname = \"ping-{at}\"\ntarget = \"127.0.0.{at}\"");
        }
        for at in 1..=2 {
            let _ = writeln!(text, "[[probe.tcp]]\nname = \"tcp-{at}\"\ntarget = \"{hub}\"");
            let _ = writeln!(text, "[[probe.http]]\nname = \"http-{at}\"\nurl = \"http://{page}/{at}\"");
        }
        let _ = writeln!(text, "[[probe.dns]]\nname = \"dns\"\nquery = \"localhost\"");
        let _ = writeln!(
            text,
            "[[probe.portal]]\nname = \"portal\"\nurls = [\"http://{page}/\"]\nbody = \"well\""
        );
        // Its authority is none of the system's, all of which are read to find that out.
        let _ = writeln!(text, "[[probe.tls]]\nname = \"tls\"\ntarget = \"{}\"", self.encrypted.mqtt());
        text
    }

    fn pings(every: &str) -> String {
        let one =
            |at| format!("[[probe.ping]]\nname = \"{at}\"\ntarget = \"127.0.1.{at}\"\nevery = \"{every}\"\n");
        (1..=PINGS).map(one).collect()
    }

    /// Memory, threads and processor time at the usual schedules, plain and with TLS to the hub.
    fn schedules(&self, effort: Effort) -> Result<(), String> {
        let kinds = [
            ("no probes", "rack-1", String::new()),
            ("10 mixed probes", "rack-2", self.mixed()),
            ("200 pings", "rack-3", Self::pings("30s")),
        ];
        let mut agents = Vec::new();
        for (way, is_tls) in [("plain", false), ("TLS", true)] {
            for (name, appliance, probes) in &kinds {
                agents.push((format!("{name}, {way}"), self.agent(appliance, is_tls, probes)));
            }
        }
        std::thread::sleep(WARM_UP);
        let before: Vec<_> = agents.iter().map(|(_, agent)| measure::cpu_fine(agent.id())).collect();
        let start = clock::now();
        std::thread::sleep(effort.lasts);
        let share = 600.0 / start.elapsed().as_secs_f64();
        println!("usual schedules, tick 10 s, over {:.0} s\n", start.elapsed().as_secs_f64());
        println!(
            "{:<22} {:>8} {:>8} {:>8} {:>20}",
            "agent", "RSS KiB", "PSS KiB", "threads", "CPU s / 10 minutes"
        );
        for ((name, agent), before) in agents.iter_mut().zip(before) {
            if !agent.is_running() {
                return Err(format!("{name}: it has ended\n{}", agent.last_words()));
            }
            let (memory, threads) = (measure::memory(agent.id()), measure::threads(agent.id()));
            let cpu = measure::cpu_fine(agent.id()).saturating_sub(before).as_secs_f64() * share;
            println!("{name:<22} {:>8} {:>8} {threads:>8} {cpu:>20.3}", memory.rss_kib, memory.pss_kib);
        }
        Ok(())
    }

    /// So many probes a second by the agent, then by the exporter, which is asked for each as a Prometheus asks it.
    fn side_by_side(&self, kind: &str, number: usize, module: &str, effort: Effort) -> Result<(), String> {
        let text = if kind == "ping" { Self::pings("1s") } else { self.pages_each_second() };
        let (idle, busy) = (self.agent("rack-1", false, ""), self.agent("rack-2", false, &text));
        std::thread::sleep(SHORT);
        let spent = || (measure::cpu_fine(idle.id()), measure::cpu_fine(busy.id()));
        let (before, count) = (spent(), self.count(kind)?);
        std::thread::sleep(effort.lasts);
        let (after, asked) = (spent(), self.count(kind)? - count);
        let cpu = after.1.saturating_sub(before.1).saturating_sub(after.0.saturating_sub(before.0));
        let ours = Cost {
            asked,
            cpu,
            rss_kib: measure::memory(busy.id()).rss_kib,
            threads: measure::threads(busy.id()),
        };
        drop((idle, busy));
        let theirs = self.exporter(kind, number, module, effort)?;
        println!("\n{number} times {kind} a second, over {:.0} s\n", effort.lasts.as_secs_f64());
        println!("{:<28} {:>8} {:>16} {:>8} {:>8}", "", "probes", "CPU µs a probe", "RSS KiB", "threads");
        for (name, cost) in [("rackside-agent", &ours), ("prometheus-blackbox-exporter", &theirs)] {
            let Cost { asked, rss_kib, threads, .. } = cost;
            println!("{name:<28} {asked:>8} {:>16.1} {rss_kib:>8} {threads:>8}", cost.each());
        }
        let rss = theirs.rss_kib as f64 / ours.rss_kib as f64;
        println!(
            "{:<28} {:>8} {:>16.2} {rss:>8.2}",
            "ratio, theirs to ours",
            "",
            theirs.each() / ours.each()
        );
        Ok(())
    }

    fn pages_each_second(&self) -> String {
        let url = |at| format!("http://{}/{at}", self.pages.address);
        let one = |at| format!("[[probe.http]]\nname = \"{at}\"\nurl = \"{}\"\nevery = \"1s\"\n", url(at));
        (1..=PAGES).map(one).collect()
    }

    fn exporter(&self, kind: &str, number: usize, module: &str, effort: Effort) -> Result<Cost, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let config = directory.path().join("blackbox.yml");
        let text = "modules:\n  icmp:\n    prober: icmp\n    icmp: {preferred_ip_protocol: ip4}\n  \
                    http_2xx:\n    prober: http\n    http: {preferred_ip_protocol: ip4}\n";
        std::fs::write(&config, text).map_err(|error| error.to_string())?;
        let address = port::local(port::free());
        let mut command = Command::new(programs::installed("prometheus-blackbox-exporter"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=error");
        let mut process = Process::start(&mut command, &directory.path().join("log"))?;
        let up = clock::eventually(Duration::from_secs(10), || {
            let ended = process.ended().is_some();
            (ended || TcpStream::connect(address).is_ok()).then_some(!ended)
        });
        if up != Some(true) {
            return Err(format!("prometheus-blackbox-exporter does not start\n{}", process.last_words()));
        }
        let target = |at: usize| match kind {
            "ping" => format!("127.0.1.{at}"),
            _ => format!("http://{}/{at}", self.pages.address),
        };
        let paths: Vec<String> =
            (1..=number).map(|at| format!("/probe?module={module}&target={}", target(at))).collect();
        let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let askers: Vec<_> = paths
            .chunks(number.div_ceil(ASKERS))
            .map(|paths| {
                let (paths, stop, failed) = (paths.to_vec(), Arc::clone(&stop), Arc::clone(&failed));
                std::thread::spawn(move || ask(address, &paths, &stop, &failed))
            })
            .collect();
        std::thread::sleep(SHORT);
        let (before, count) = (measure::cpu(process.id()), self.count(kind)?);
        std::thread::sleep(effort.lasts);
        let (cpu, asked) = (measure::cpu(process.id()).saturating_sub(before), self.count(kind)? - count);
        let cost = Cost {
            asked,
            cpu,
            rss_kib: measure::memory(process.id()).rss_kib,
            threads: measure::threads(process.id()),
        };
        stop.store(true, Ordering::SeqCst);
        for asker in askers {
            asker.join().map_err(|_| "an asker panicked".to_owned())??;
        }
        match failed.load(Ordering::SeqCst) {
            0 => Ok(cost),
            failed => Err(format!("{failed} of the exporter's probes failed; does it have CAP_NET_RAW?")),
        }
    }

    /// How many have been asked so far: echo requests by the kernel's count, pages by our own.
    fn count(&self, kind: &str) -> Result<u64, String> {
        if kind != "ping" {
            return Ok(self.pages.asked.load(Ordering::SeqCst));
        }
        let text = std::fs::read_to_string("/proc/net/snmp").map_err(|error| error.to_string())?;
        let mut lines = text.lines().filter(|line| line.starts_with("Icmp:")).map(str::split_whitespace);
        let (names, values) = (lines.next().into_iter().flatten(), lines.next().into_iter().flatten());
        let count =
            names.zip(values).find(|(name, _)| *name == "InEchos").and_then(|(_, value)| value.parse().ok());
        count.ok_or_else(|| "the kernel does not count echo requests".to_owned())
    }
}

struct Cost {
    asked: u64,
    cpu: Duration,
    rss_kib: u64,
    threads: u64,
}

impl Cost {
    /// Microseconds of a processor.
    fn each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.asked.max(1) as f64
    }
}

/// Asks for each once a second, over one connection.
fn ask(exporter: SocketAddr, paths: &[String], stop: &AtomicBool, failed: &AtomicU64) -> Result<(), String> {
    let told = |error: std::io::Error| format!("the exporter: {error}");
    let stream = TcpStream::connect(exporter).map_err(told)?;
    let mut reader = BufReader::new(stream.try_clone().map_err(told)?);
    let mut stream = stream;
    while !stop.load(Ordering::SeqCst) {
        let begun = clock::now();
        for path in paths {
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {exporter}\r\n\r\n").map_err(told)?;
            if !answer(&mut reader).map_err(told)?.lines().any(|line| line == "probe_success 1") {
                failed.fetch_add(1, Ordering::SeqCst);
            }
        }
        std::thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// The body of an answer, which comes whole or in chunks.
fn answer(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    let (mut length, mut is_chunked) = (0, false);
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        is_chunked |= lower.starts_with("transfer-encoding: chunked");
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    let mut take = |reader: &mut BufReader<TcpStream>, length: usize| {
        let begin = body.len();
        body.resize(begin + length, 0);
        reader.read_exact(body.get_mut(begin..).unwrap_or_default())
    };
    if is_chunked {
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            take(reader, length)?;
            reader.read_exact(&mut [0; 2])?;
            if length == 0 {
                break;
            }
        }
    } else {
        take(reader, length)?;
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// A server with one small page, in this process, whose cost is nobody's.
struct Pages {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
}

impl Pages {
    fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                std::thread::spawn(move || {
                    let mut room = [0; 2048];
                    if matches!(stream.read(&mut room), Ok(1..)) {
                        count.fetch_add(1, Ordering::SeqCst);
                        let _ = stream.write_all(
                            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell",
                        );
                    }
                });
            }
        });
        Ok(Self { address, asked })
    }
}
