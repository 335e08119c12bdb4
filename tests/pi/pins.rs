//! The emulated board's header, seen and driven from outside by QEMU's test protocol: what the registers of the SoC's GPIO say.
//!
//! ```text
//! readl 0x3f200034              →  OK 0x0000000001000000     pin 24 is high
//! writel 0x3f20001c 0x20000     →  OK                        pin 17 goes high
//! ```

use rackside_tests::clock;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// BCM2837 peripherals: set pins 0 to 31, clear them, read them.
const SET: u32 = 0x3f20_001c;
const CLEAR: u32 = 0x3f20_0028;
const LEVELS: u32 = 0x3f20_0034;

/// How often a pin is looked at: short beside the shortest light, 50 ms.
const LOOK: Duration = Duration::from_millis(3);

/// The header.
#[derive(Debug)]
pub(crate) struct Pins {
    test: BufReader<UnixStream>,
}

/// For so long a pin was high, or low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// High.
    pub(crate) lit: bool,
    /// In milliseconds.
    pub(crate) ms: u64,
}

impl Pins {
    pub(crate) fn new(test: UnixStream) -> Self {
        Self { test: BufReader::new(test) }
    }

    /// Whether a pin is high.
    pub(crate) fn is_high(&mut self, pin: u8) -> bool {
        let answer = self.ask(&format!("readl {LEVELS:#x}"));
        let levels =
            answer.trim().strip_prefix("OK 0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let levels = levels.unwrap_or_else(|| panic!("QEMU says {answer:?} of the pins"));
        levels >> pin & 1 == 1
    }

    /// Drives a pin from outside, as whoever is wired to it would.
    pub(crate) fn drive(&mut self, pin: u8, high: bool) {
        let register = if high { SET } else { CLEAR };
        let answer = self.ask(&format!("writel {register:#x} {:#x}", 1_u32 << pin));
        assert_eq!(answer.trim(), "OK", "pin {pin}");
    }

    /// Watches a pin until `enough` of it was seen, or `within` is over: the stretches from one change to the next, so neither the one that was
    /// under way nor the one that is not over.
    pub(crate) fn watch_until(
        &mut self,
        pin: u8,
        within: Duration,
        enough: impl Fn(&[Stretch]) -> bool,
    ) -> Vec<Stretch> {
        let (mut stretches, mut since, end) = (Vec::new(), None::<Instant>, clock::now() + within);
        let mut lit = self.is_high(pin);
        while clock::now() < end && !enough(&stretches) {
            thread::sleep(LOOK);
            let now = clock::now();
            if self.is_high(pin) != lit {
                if let Some(since) = since.replace(now) {
                    stretches.push(Stretch { lit, ms: (now - since).as_millis() as u64 });
                }
                lit = !lit;
            }
        }
        stretches
    }

    /// How much of the time a pin is high, in per cent, by so many looks: 7 ms apart they fall on every part of a period of 10.
    pub(crate) fn share(&mut self, pin: u8, looks: u32) -> u32 {
        let mut high = 0;
        for _ in 0..looks {
            thread::sleep(Duration::from_millis(7));
            high += u32::from(self.is_high(pin));
        }
        high * 100 / looks
    }

    /// Whether a pin stays as it is for so long.
    pub(crate) fn is_still(&mut self, pin: u8, time: Duration) -> bool {
        let (was, end) = (self.is_high(pin), clock::now() + time);
        while clock::now() < end {
            thread::sleep(LOOK);
            if self.is_high(pin) != was {
                return false;
            }
        }
        true
    }

    fn ask(&mut self, what: &str) -> String {
        self.test.get_mut().write_all(format!("{what}\n").as_bytes()).expect("QEMU listens");
        let mut answer = String::new();
        self.test.read_line(&mut answer).expect("QEMU answers");
        answer
    }
}
