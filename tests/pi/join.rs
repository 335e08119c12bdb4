//! From an empty card to a green LED: the file that the hub wrote is copied to the boot partition, and nobody has a terminal.

use crate::board::Board;
use crate::card::{AGENT, Card};
use crate::light::is_well;
use crate::rack::{GREEN, NAME, RECOVERY};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::programs::programs;
use rackside_tests::{clock, joined};
use std::fs;

/// What the boot partition of Raspberry Pi OS is mounted as.
const CARD: &str = "/boot/firmware/rackside.toml";
/// What the hub's person adds to the file: what is wired to the box.
const WIRED: &str = "\n[[led]]\nname = \"rack\"\nred = 23\ngreen = 24\n";

#[test]
fn a_pi_joins_by_the_file_on_its_card_and_its_led_turns_green() {
    let (tls, lines) = joined::hub_lines();
    // The host's loopback, as the Pi sees it.
    let hub = Hub::with(
        Way::Listener,
        &programs().hub,
        &lines.replace("\"mqtts://127.0.0.1:", "\"mqtts://10.0.2.2:"),
    );
    let (site, appliance) = NAME;
    let url = format!("http://10.0.2.2:{}", hub.web().port());
    hub.command(&["join", &format!("{site}/{appliance}"), "--url", &url, "--file", "rackside.toml"], "");
    let file = fs::read_to_string(hub.directory().join("rackside.toml")).expect("the hub wrote it");
    let card = format!("tick = \"1s\"\nprobes.ping = []\n{file}{WIRED}");

    let card = Card::new(&[(CARD, card.into_bytes())]);
    let start = clock::now();
    let mut board = Board::boot(card);
    let booted = start.elapsed();
    let agent = board.console.start(format_args!("{AGENT} run"));
    let read = clock::eventually(RECOVERY, || {
        let said = hub.appliance(site, appliance)?;
        (said["reading"]["series"].as_array()?.len() > 1).then(|| start.elapsed())
    });
    let log = |board: &Board| format!("{}\n{}", hub.last_words(), board.last_words());
    let read = read.unwrap_or_else(|| panic!("no reading at {tls} within {RECOVERY:?}\n{}", log(&board)));
    let seen = board.pins.watch_until(GREEN, RECOVERY, is_well);
    let well = start.elapsed();
    assert!(is_well(&seen), "{seen:?}\n{}", log(&board));
    println!(
        "from power on: booted after {:.1} s, the hub has a reading after {:.1} s, two winks of the green LED seen after {:.1} s",
        booted.as_secs_f64(),
        read.as_secs_f64(),
        well.as_secs_f64()
    );

    let said = board.console.log(&agent).join("\n");
    assert!(said.contains(&format!("joined as {site}/{appliance}")), "{said}");
    // Used once, and blanked on the card.
    let card = board.console.order(format_args!("read {CARD}")).join("\n");
    assert!(card.contains("[[led]]") && card.contains("code = \"\""), "{card}");
    board.console.order(format_args!("kill {} 15", agent.id));
    assert_eq!(board.console.ended(&agent), "exit 0", "{}", log(&board));
}
