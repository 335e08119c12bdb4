//! What the pages cost: how long a request takes from the first byte sent to the last one received, on this machine and one at a time, and how many bytes it is when compressed.
//!
//! ```text
//! 1000 appliances x 60 series, 200 requests each, ms          median   99 %   worst   bytes
//! /                                                             12.1   15.0    17.2   58000
//! ```

use crate::{Effort, build, steady};
use rackside_tests::clock;
use rackside_tests::http::Connection;
use rackside_tests::hub::{Hub, Way};
use std::time::Duration;

const APPLIANCES: usize = 1000;
const SERIES: usize = 60;
const REQUESTS: usize = 200;
/// Pages, what a script asks for, and the widest answer of all.
const PATHS: [&str; 6] = ["/", "/?state=trouble", "/?view=wall", "/sites/site-0", "/alerts", "/metrics"];

/// With a fleet of 1,000 that sends every 10 s meanwhile.
pub(crate) fn served(_: Effort) -> Result<(), String> {
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    let simulation = steady::fleet(&hub, APPLIANCES, SERIES)?;
    // The first request has the small curves made, once there are a few minutes of temperature to draw.
    std::thread::sleep(Duration::from_mins(4));
    let mut web = Connection::to(hub.web()).map_err(|error| format!("the hub's pages: {error}"))?;
    ask(&mut web, "/")?;
    std::thread::sleep(Duration::from_secs(5));
    println!("{APPLIANCES} appliances x {SERIES} series, {REQUESTS} requests each, times in ms\n");
    heads();
    for path in PATHS {
        row(&mut web, path, path, REQUESTS)?;
    }
    println!("\n{}", simulation.finish());
    Ok(())
}

/// What stands over the columns.
pub(crate) fn heads() {
    println!("{:<28} {:>8} {:>8} {:>8} {:>10}", "", "median", "99 %", "worst", "bytes");
}

/// A row of the table: so many requests, one at a time.
pub(crate) fn row(web: &mut Connection, name: &str, path: &str, requests: usize) -> Result<(), String> {
    let mut took = Vec::with_capacity(requests);
    let mut bytes = 0;
    for _ in 0..requests {
        let (lasted, length) = ask(web, path)?;
        took.push(lasted);
        bytes = bytes.max(length);
    }
    took.sort_unstable();
    let ms = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("{name:<28} {:>8.1} {:>8.1} {:>8.1} {bytes:>10}", ms(50), ms(99), ms(100));
    Ok(())
}

/// One request: how long it took, and how many bytes its body has on the way.
fn ask(web: &mut Connection, path: &str) -> Result<(Duration, usize), String> {
    let failed = |why: String| format!("GET {path}: {why}");
    let begun = clock::now();
    let answer = web
        .ask("GET", path, "Accept-Encoding: gzip\r\nAccept: text/html\r\n", b"")
        .map_err(|error| failed(error.to_string()))?;
    let lasted = begun.elapsed();
    let head = answer.head.to_ascii_lowercase();
    if answer.status != 200 || !head.contains("content-encoding: gzip") {
        return Err(failed(answer.head));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok());
    Ok((lasted, length.ok_or_else(|| failed("its length is not told".to_owned()))?))
}
