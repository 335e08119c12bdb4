//! Schedules that failed once, as small as they got; each is a fact now.

use crate::schedule::Op::{
    CutCable, CutPowerInStep, DropAfterPuback, Events, FillDisk, MendCable, RotCard, StepHubClock, Wait,
};
use crate::schedule::{Op, Schedule, Setup};
use crate::search::quietly;

fn holds(seed: u64, setup: Setup, ops: &[Op]) {
    let schedule = Schedule { setup, seed, ops: ops.to_vec() };
    if let Err(why) = quietly(&schedule) {
        panic!("{why}\n{schedule:?}");
    }
}

/// After a write has failed, batches are small, and losses go along with the first.
#[test]
fn an_account_never_covers_records_that_wait_for_a_later_batch() {
    let setup = Setup { memory_kib: 64, disk_kib: 1024, start_ms: 1_795_233_847_259, ..Setup::PLAIN };
    let outage = [Wait(19_207), CutCable(0), Wait(544_087), RotCard(0), Wait(581_875), MendCable(0)];
    holds(29, setup, &[&outage[..], &[Wait(23_713), FillDisk(1), Wait(12_134)]].concat());
}

/// Most of a burst is acked, the rest moves on by resends of which some are lost again; then the power goes.
#[test]
fn acks_that_crawl_do_not_keep_records_from_the_disk() {
    let setup = Setup {
        listener: true,
        tick_s: 60,
        memory_kib: 64,
        disk_kib: 1024,
        start_ms: 1_795_200_337_692,
        ntp: false,
        ..Setup::PLAIN
    };
    let ops = [CutPowerInStep(0, 0), DropAfterPuback(1), Wait(1_882_311), Events(0, 248), Wait(1_143_678)];
    holds(426, setup, &ops);
}

/// The hub takes the first live record's coming for the boot's beginning, and learns better: records that came late before
/// it got the date of records after it.
#[test]
fn a_boot_without_a_clock_gives_each_sample_a_date_of_its_own_in_order() {
    let setup = Setup {
        listener: true,
        tick_s: 1,
        memory_kib: 64,
        disk_kib: 1024,
        start_ms: 1_795_224_178_455,
        ntp: false,
        ..Setup::PLAIN
    };
    holds(20, setup, &[CutCable(0), Wait(80_711)]);
}

/// A hub that booted without a clock of its own, below agents that have one.
#[test]
fn a_date_from_ntp_outlasts_a_hub_that_believes_to_be_in_1994() {
    let setup = Setup { disk_kib: 0, start_ms: 1_795_219_804_362, ..Setup::PLAIN };
    holds(1, setup, &[StepHubClock(-1_029_470_608), Wait(102_456)]);
}
