//! The rack's front, seen and touched from outside.

use crate::light::is_well;
use crate::rack::{BUTTON, GREEN, RED, Rack, TALLY, value};
use std::time::Duration;

/// A pin that the rack does not use.
const DIM: u8 = 25;
/// Two winks, and the slack of an emulator on a busy machine.
const WINKS: Duration = Duration::from_secs(30);
/// Longer than from one wink to the next.
const STILL: Duration = Duration::from_secs(6);
/// Until a button is noticed, and twenty changes.
const FLICKER: Duration = Duration::from_secs(10);

#[test]
fn the_led_winks_and_a_killed_agent_is_not_read_as_well() {
    let mut rack = Rack::start();
    let seen = rack.board.pins.watch_until(GREEN, WINKS, is_well);
    assert!(is_well(&seen), "{seen:?}\n{}", rack.last_words());
    assert!(!rack.board.pins.is_high(RED), "well is green alone");

    // The wink has just ended.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(rack.end(9), "signal 9");
    assert!(rack.board.pins.is_high(GREEN), "the pin stays as it was");
    assert!(rack.board.pins.is_still(GREEN, STILL), "no wink: nobody is alive behind it");

    let dark = rack.command("dark");
    assert_eq!(rack.board.console.ended(&dark), "exit 0", "{}", rack.last_words());
    assert!(!rack.board.pins.is_high(GREEN) && !rack.board.pins.is_high(RED), "{}", rack.last_words());
}

#[test]
fn a_dimmed_led_is_lit_for_its_share_of_the_time() {
    let mut rack = Rack::with(&format!("[[led]]\nname = \"dim\"\npin = {DIM}\nbrightness = 30\n"));
    let seen = rack.board.pins.watch_until(GREEN, WINKS, is_well);
    assert!(is_well(&seen), "{seen:?}\n{}", rack.last_words());
    let share = rack.board.pins.share(DIM, 1000);
    assert!((15..=45).contains(&share), "{share} % of the time\n{}", rack.last_words());
    let bright = rack.board.pins.share(GREEN, 1000);
    assert!(bright > 90, "one that is not dimmed winks and no more: {bright} %");
}

#[test]
fn contacts_driven_from_outside_are_heard_with_the_next_reading() {
    let mut rack = Rack::with("log = \"debug\"\n");
    rack.expect("the tally is off", |said| (value(said, "tally_active") == Some(0.0)).then_some(()));
    for (high, on) in [(false, 1.0), (true, 0.0)] {
        rack.board.pins.drive(TALLY, high);
        rack.expect("the tally", |said| (value(said, "tally_active") == Some(on)).then_some(()));
    }
    // The emulated pins raise no interrupts: a contact is heard as on a board whose edge was missed, when it is glanced at before a reading.
    let log = rack.board.console.log(&rack.agent);
    let glances = log.iter().filter(|line| line.contains("pin 17 moved without an edge")).count();
    assert_eq!(glances, 2, "{log:?}");

    // Pressed for longer than from one reading to the next: all LEDs flicker.
    rack.board.pins.drive(BUTTON, false);
    let seen = rack.board.pins.watch_until(RED, FLICKER, |seen| seen.len() >= 20);
    rack.board.pins.drive(BUTTON, true);
    let mut ms: Vec<u64> = seen.iter().map(|stretch| stretch.ms).collect();
    ms.sort_unstable();
    let median = ms.get(ms.len() / 2);
    assert!(
        median.is_some_and(|ms| (40..=80).contains(ms)),
        "50 ms on, 50 ms off: {seen:?}\n{}",
        rack.last_words()
    );
}
