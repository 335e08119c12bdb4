//! What a light says to whoever sees it from outside: the rhythms of the LED's legend, with the slack of an emulator on a busy machine.
//!
//! Each finds its rhythm anywhere in what was seen, because a stall of the host's spoils a light now and then.

use crate::pins::Stretch;

/// A wink of 100 ms, light for 3,900 ms, a wink.
pub(crate) fn is_well(stretches: &[Stretch]) -> bool {
    let is_wink = |stretch: &Stretch| !stretch.lit && (60..=350).contains(&stretch.ms);
    let is_pair =
        |three: &[Stretch]| is_wink(&three[0]) && (3600..=4200).contains(&three[1].ms) && is_wink(&three[2]);
    stretches.windows(3).any(is_pair)
}

/// Between two pauses of 1,400 ms two flashes of 200 ms, 200 ms apart.
pub(crate) fn is_hub_unreachable(stretches: &[Stretch]) -> bool {
    let is_pause = |stretch: &Stretch| !stretch.lit && (1200..=1700).contains(&stretch.ms);
    let is_group = |group: &[Stretch]| {
        is_pause(&group[0])
            && group[1..4].iter().all(|stretch| (130..=330).contains(&stretch.ms))
            && is_pause(&group[4])
    };
    stretches.windows(5).any(is_group)
}

#[test]
fn each_rhythm_is_read_as_nothing_else() {
    let stretches = |ms: &[u64]| -> Vec<Stretch> {
        ms.iter().enumerate().map(|(at, &ms)| Stretch { lit: at % 2 == 0, ms }).collect()
    };
    let well = [3905, 104, 3892, 121];
    let two = [200, 200, 200, 1400, 205, 190, 200, 1420];
    let three = [200, 200, 200, 200, 200, 1400, 200, 200, 200, 200, 200, 1400];
    let (blink, flicker) = ([1000; 6], [50; 20]);
    let all = [&well[..], &two, &three, &blink, &flicker, &[3900], &[]];
    assert_eq!(all.map(|ms| is_well(&stretches(ms))), [true, false, false, false, false, false, false]);
    assert_eq!(
        all.map(|ms| is_hub_unreachable(&stretches(ms))),
        [false, true, false, false, false, false, false]
    );
}
