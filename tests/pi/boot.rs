//! What a Pi says of itself, from the first second on, without a clock.

use crate::card::{Card, REVISION};
use crate::rack::{Rack, value};

/// What QEMU's SoC always has: 25.178 °C, in tenths.
const TEMPERATURE: f64 = 25.2;
/// Seconds of 2020-01-01: whatever is before did not happen.
const YEAR_2020: u64 = 1_577_836_800;

#[test]
fn a_pi_that_boots_in_1970_is_recognised_and_read() {
    let mut rack = Rack::start();
    let stat = rack.read("/proc/stat");
    let booted = stat.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<u64>().ok());
    assert!(booted.is_some_and(|seconds| seconds < YEAR_2020), "the emulated Pi has no clock: {booted:?}");

    let said = rack.expect("the hub's date", |said| {
        (said["agent"]["clock_source"] == "hub" && said["reading"]["time"].is_string()).then(|| said.clone())
    });
    let agent = &said["agent"];
    let model = agent["model"].as_str().unwrap_or_default();
    assert!(model.starts_with("Raspberry Pi 3 Model B"), "{agent}");
    assert_eq!(agent["board"]["revision"], REVISION, "{agent}");
    assert_eq!(
        (agent["arch"].as_str(), agent["kernel"].as_str()),
        (Some("aarch64"), Some(Card::release().as_str()))
    );
    assert_eq!(value(&said, "soc_temperature_celsius"), Some(TEMPERATURE), "{said}");
    // The same from the kernel itself.
    assert_eq!(rack.read("/sys/class/thermal/thermal_zone0/temp").trim(), "25178");
    // Not yet valid in 1970, and nothing else wrong with it. What it says to no terminal begins with its syslog level: 3 is an error, 4 a warning.
    // There is no disk here, and an emulator may be late.
    let expected = ["records are kept in memory only", "readings were skipped"];
    let log = rack.board.console.log(&rack.agent);
    let complaint = log.iter().find(|line| {
        ["<3>", "<4>"].iter().any(|level| line.starts_with(level))
            && !expected.iter().any(|complaint| line.contains(complaint))
    });
    assert_eq!(complaint, None, "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("<6>connected to the broker")), "{log:?}");
    for path in ["/api/sites", "/", "/metrics"] {
        assert!(!rack.hub.body(path).contains("1970-"), "{path} shows 1970");
    }
    assert_eq!(rack.end(15), "exit 0", "{}", rack.last_words());
    let status = rack.board.off();
    assert!(status.success(), "{status}");
}
