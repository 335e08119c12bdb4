//! What a browser has to fetch before it shows something, and when it does: our page of 1,000 appliances, and netdata's dashboard of this one machine.
//!
//! ```text
//!                                requests  KiB on the way  first paint ms  largest paint ms  loaded ms
//! rackside, 1000 appliances              7            51.8             252               252        376
//! netdata 1.37.1, this machine          29          1854.3             148               891        548
//! ```
//!
//! The first paint is the first letter of anything, a wheel that turns among them; the largest is that of the largest thing on the screen. Each is opened five times by a Chromium that has never been there, and the median is told. netdata is Debian's, by its own defaults but for its port and its
//! directories: it is asked for nothing but its front page, and what that asks of other hosts fails here at once.

use crate::{Effort, build, steady};
use rackside_tests::browser::Browser;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::process::Process;
use rackside_tests::{clock, http, port, programs};
use serde_json::Value as Json;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const APPLIANCES: usize = 1000;
const SERIES: usize = 60;
const VISITS: usize = 5;
/// Until netdata answers.
const PATIENCE: Duration = Duration::from_mins(1);
/// What is fetched after the page itself has loaded belongs to it too.
const SETTLE: Duration = Duration::from_secs(3);
/// Streams of updates never end and are not counted: the browser lists only what is complete.
const LOOK: &str = r#"(async () => {
  const [page] = performance.getEntriesByType("navigation");
  const rest = performance.getEntriesByType("resource");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const largest = await new Promise((tell) => {
    new PerformanceObserver((list) => tell(list.getEntries().at(-1).startTime)).observe({ type: "largest-contentful-paint", buffered: true });
    setTimeout(tell, 1000, -1);
  });
  const bytes = [page, ...rest].reduce((sum, one) => sum + one.transferSize, 0);
  return [1 + rest.length, bytes / 1024, paint ? paint.startTime : -1, largest, page.loadEventEnd];
})()"#;

pub(crate) fn painted(_: Effort) -> Result<(), String> {
    println!(
        "{:<30} {:>9} {:>15} {:>15} {:>17} {:>10}",
        "", "requests", "KiB on the way", "first paint ms", "largest paint ms", "loaded ms"
    );
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    let simulation = steady::fleet(&hub, APPLIANCES, SERIES)?;
    std::thread::sleep(Duration::from_secs(20));
    row(&format!("rackside, {APPLIANCES} appliances"), &format!("http://{}/", hub.web()))?;
    simulation.finish();
    drop(hub);
    match netdata() {
        Ok((process, address, version)) => {
            row(&format!("{version}, this machine"), &format!("http://{address}/"))?;
            drop(process);
        }
        Err(why) => println!("netdata: {why}"),
    }
    Ok(())
}

/// The medians of some first visits.
fn row(name: &str, url: &str) -> Result<(), String> {
    let mut visits: [Vec<f64>; 5] = Default::default();
    for _ in 0..VISITS {
        let mut browser = Browser::open(url, 1280, 800);
        std::thread::sleep(SETTLE);
        let seen = browser.evaluate(LOOK);
        let seen = seen.as_array().ok_or_else(|| format!("{url}: no figures: {seen}"))?;
        for (column, value) in visits.iter_mut().zip(seen) {
            column.push(value.as_f64().unwrap_or(f64::NAN));
        }
    }
    let [requests, size, first, largest, loaded] = visits.map(|mut column| {
        column.sort_unstable_by(f64::total_cmp);
        column[column.len() / 2]
    });
    println!("{name:<30} {requests:>9.0} {size:>15.1} {first:>15.0} {largest:>17.0} {loaded:>10.0}");
    Ok(())
}

/// Debian's netdata on a port of its own, as soon as it has something to show.
fn netdata() -> Result<(Running, SocketAddr, String), String> {
    let program =
        programs::find("netdata").ok_or("not installed (netdata-core, netdata-web), and left out")?;
    let said = Command::new(&program).arg("-V").output().map_err(|error| error.to_string())?;
    let version = String::from_utf8_lossy(&said.stdout).trim().replace("netdata v", "netdata ");
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let address = port::local(port::free());
    let file = directory.path().join("netdata.conf");
    fs::write(&file, configuration(directory.path(), address)).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["-D", "-c"]).arg(&file);
    let process = Process::start(&mut command, &directory.path().join("log"))?;
    let answers = || {
        let answer = http::get(address, "/api/v1/charts", "*/*").ok()?;
        let charts: Json = serde_json::from_str(&answer.body).ok()?;
        (charts["charts_count"].as_u64()? > 20).then_some(())
    };
    clock::eventually(PATIENCE, answers).ok_or_else(|| process.last_words())?;
    Ok((Running { _process: process, _directory: directory }, address, version))
}

/// netdata, until it is dropped, and then where it wrote.
struct Running {
    _process: Process,
    _directory: tempfile::TempDir,
}

fn configuration(directory: &Path, address: SocketAddr) -> String {
    let directory = directory.display();
    let (host, port) = (address.ip(), address.port());
    format!(
        "[global]\n run as user = root\n[directories]\n cache = {directory}\n lib = {directory}\n log = {directory}\n\
         [web]\n bind to = {host}\n default port = {port}\n"
    )
}
