//! What those who watch cost: 500 clients of `/api/live`, with 1,000 appliances of 60 series at 10 s. Clients take everything at once and look at none of it.
//!
//! Beside it what the same hub takes while nobody watches: the difference is what watching costs. A client that was let go would make it cheaper, and is
//! an error.

use crate::{Effort, build, steady};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::{clock, measure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const APPLIANCES: usize = 1000;
const SERIES: usize = 60;
const WATCHERS: usize = 500;
/// Until everybody has everything.
const SETTLE: Duration = Duration::from_secs(15);

pub(crate) fn watched(effort: Effort) -> Result<(), String> {
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    let simulation = steady::fleet(&hub, APPLIANCES, SERIES)?;
    std::thread::sleep(SETTLE);
    println!(
        "{APPLIANCES} appliances x {SERIES} series at 10 s, over {:.0} s each\n",
        effort.lasts.as_secs_f64()
    );
    let alone = cpu(&hub, effort.lasts);
    println!(
        "{:<28} {alone:>5.1} % of one core, RSS {} KiB",
        "nobody watches",
        measure::memory(hub.id()).rss_kib
    );
    for (name, accepts) in [("compressed", "Accept-Encoding: gzip\r\n"), ("not compressed", "")] {
        let watchers = Watchers::start(hub.web(), accepts)?;
        std::thread::sleep(SETTLE);
        let before = watchers.bytes();
        let share = cpu(&hub, effort.lasts);
        let each = (watchers.bytes() - before) as f64 / WATCHERS as f64 / effort.lasts.as_secs_f64() / 1024.0;
        let there = hub.count("rackside_hub_live_watchers");
        println!(
            "{:<28} {share:>5.1} % of one core, {:.1} % more; {each:.1} KiB a second to each of {there}, RSS {} KiB",
            format!("{WATCHERS} watch, {name}"),
            share - alone,
            measure::memory(hub.id()).rss_kib
        );
        if there != WATCHERS as u64 {
            return Err(format!("{there} of {WATCHERS} are still there\n{}", hub.last_words()));
        }
        drop(watchers);
        std::thread::sleep(SETTLE);
    }
    println!("\n{}", simulation.finish());
    Ok(())
}

/// The share of one core that the hub takes, in percent.
fn cpu(hub: &Hub, lasts: Duration) -> f64 {
    let (before, start) = (measure::cpu(hub.id()), clock::now());
    std::thread::sleep(lasts);
    let spent = measure::cpu(hub.id()).saturating_sub(before);
    spent.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0
}

/// Clients that take what they are told, until they are dropped.
struct Watchers {
    bytes: Arc<AtomicU64>,
    // Ends them.
    _runtime: Runtime,
}

impl Watchers {
    fn start(hub: SocketAddr, accepts: &'static str) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let bytes = Arc::new(AtomicU64::new(0));
        for _ in 0..WATCHERS {
            runtime.spawn(watch(hub, accepts, Arc::clone(&bytes)));
        }
        Ok(Self { bytes, _runtime: runtime })
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Whoever cannot, or is let go, is missing from the hub's count of them.
async fn watch(hub: SocketAddr, accepts: &str, bytes: Arc<AtomicU64>) {
    let Ok(mut stream) = TcpStream::connect(hub).await else { return };
    let request = format!("GET /api/live HTTP/1.1\r\nHost: {hub}\r\n{accepts}\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return;
    }
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}
