//! The voltages that tell an operator something: of the SoC's core, of the power supply, of the clock's battery.
//!
//! | rail | where it comes from |
//! |---|---|
//! | `core` | chip `rpi_volt`, the input labelled `core` (kernels of 2026), else the firmware |
//! | `input` | the firmware of a Pi 5, `EXT5V_V` of its power supply's converter; below 4.75 V the supply is weak |
//! | `battery` | the same, `BATT_V`; where a battery is fitted |
//!
//! The converter's answer is text, a line for each rail (raspberrypi/utils, `vcgencmd`):
//!
//! ```text
//!    3V3_SYS_A current(1)=0.09758000A
//!      EXT5V_V volt(24)=5.05716000V
//! ```
//!
//! Left out are the memory's supplies and the converter's other 20 rails, which stay put until the board is dead, and the inputs of the chip
//! `rp1_adc`, which have no names. A voltage is asked for once a minute; what dips for less shows in the throttle flags.

use super::chips::Chips;
use super::firmware::{Answer, Firmware, VOLTAGE};
use super::kept::{Kept, number, word};
use super::{Machine, Report, Roots, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::path::Path;

/// Hundredths of a volt.
const SCALE: Scale = Scale::per(100);

/// The firmware's number for the core's voltage.
const CORE: u32 = 1;

/// What is fitted has more, in volts.
const NO_BATTERY: f64 = 0.1;

/// A rail and its voltage.
type Rail = (&'static str, Value);

pub(super) type State = Kept<Vec<Rail>>;

#[expect(clippy::unnecessary_wraps, reason = "every sensor may fail, and this one happens not to")]
pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let Machine { roots, firmware, chips, voltage, .. } = machine;
    let chips = chips.at(moment.now, || Chips::find(&roots.sys));
    for (rail, volts) in voltage.at(moment.now, || ask(roots, firmware, chips)) {
        report.put_value(&metric::VOLTAGE, &[rail], SCALE, *volts);
    }
    Ok(())
}

fn ask(roots: &Roots, firmware: &mut Firmware, chips: &Chips) -> Vec<Rail> {
    let core = chips.named("rpi_volt").and_then(core_of_chip).or_else(|| core_of_firmware(roots, firmware));
    let mut rails: Vec<Rail> = core.map(|volts| ("core", volts)).into_iter().collect();
    let converter = firmware.command(&roots.dev, "pmic_read_adc").unwrap_or_default();
    rails.extend(parse(&converter, "EXT5V_V").map(|volts| ("input", convert(volts))));
    let battery = parse(&converter, "BATT_V").filter(|volts| *volts > NO_BATTERY);
    rails.extend(battery.map(|volts| ("battery", convert(volts))));
    rails
}

/// Of the chip's input that calls itself `core`, in thousandths of a volt.
fn core_of_chip(chip: &Path) -> Option<Value> {
    let is_core =
        |input: &u32| word(&chip.join(format!("in{input}_label"))).ok().flatten().as_deref() == Some("core");
    let input = (0..4).find(is_core)?;
    let value = number(&chip.join(format!("in{input}_input")))?;
    Some(value.known().map_or(Value::Unknown, |number| core(number as f64 / 1e3)))
}

/// In millionths of a volt.
fn core_of_firmware(roots: &Roots, firmware: &mut Firmware) -> Option<Value> {
    match firmware.ask(&roots.dev, VOLTAGE, &[CORE, 0]) {
        Answer::Told(words) => {
            Some(words.get(1).map_or(Value::Unknown, |number| core(f64::from(*number) / 1e6)))
        }
        Answer::Silent => Some(Value::Unknown),
        Answer::Nobody => None,
    }
}

/// A core without voltage answers nobody.
fn core(volts: f64) -> Value {
    if (0.1..5.0).contains(&volts) { convert(volts) } else { Value::Unknown }
}

fn convert(volts: f64) -> Value {
    SCALE.number(volts).map_or(Value::Unknown, Value::Known)
}

/// The volts of that rail in what the converter says.
fn parse(text: &str, rail: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.trim_start().strip_prefix(rail)?.strip_prefix(" volt("))?;
    let volts: f64 = value.split_once(")=")?.1.trim_end().strip_suffix('V')?.parse().ok()?;
    (0.0..30.0).contains(&volts).then_some(volts)
}

#[cfg(test)]
mod tests {
    use super::super::firmware::Carrier;
    use super::*;
    use std::fs;
    use std::io;

    const CONVERTER: &str = "   3V3_SYS_A current(1)=0.09758000A\n  VDD_CORE_A current(7)=0.81210000A\n   3V3_SYS_V volt(9)=3.31210000V\n     EXT5V_V volt(24)=5.05716000V\n      BATT_V volt(25)=0.00000000V\n";

    #[test]
    fn the_supply_is_found_among_the_converters_rails() {
        assert_eq!(parse(CONVERTER, "EXT5V_V"), Some(5.057_16));
        assert_eq!(parse(CONVERTER, "BATT_V"), Some(0.0));
        for text in [
            "error=1 error_msg=\"Command not registered\"",
            "EXT5V_V",
            "EXT5V_V volt(24)=",
            "EXT5V_V volt(24)=fiveV",
            "EXT5V_V volt(24)=NaNV",
            "EXT5V_V volt(24)=-1.0V",
            "EXT5V_V current(24)=5.0A",
            "",
        ] {
            assert_eq!(parse(text, "EXT5V_V"), None, "{text}");
        }
    }

    #[test]
    fn the_chips_core_is_found_by_its_label_and_nonsense_is_unknown() {
        let chip = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| fs::write(chip.path().join(name), text).expect("written");
        assert_eq!(core_of_chip(chip.path()), None, "kernels before 2026 have the alarm alone");
        for (input, label) in ["sdram_c", "core"].iter().enumerate() {
            write(&format!("in{input}_label"), &format!("{label}\n"));
            write(&format!("in{input}_input"), "862\n");
        }
        assert_eq!(core_of_chip(chip.path()), Some(Value::Known(86)));
        write("in1_input", "0\n");
        assert_eq!(core_of_chip(chip.path()), Some(Value::Unknown));
    }

    #[test]
    fn a_firmware_that_is_silent_is_unknown_and_nobody_is_nothing() {
        let rails = |carrier: Carrier| {
            ask(&Roots::below(Path::new("/nowhere")), &mut Firmware::through(carrier), &Chips::default())
        };
        assert_eq!(rails(|_, _| Err(io::ErrorKind::NotFound.into())), []);
        assert_eq!(rails(|_, _| Err(io::ErrorKind::TimedOut.into())), [("core", Value::Unknown)]);
        let told = rails(|_, message| {
            if message[2] != VOLTAGE {
                return Err(io::ErrorKind::NotFound.into());
            }
            (message[1], message[4], message[6]) = (0x8000_0000, 0x8000_0008, 862_000);
            Ok(())
        });
        assert_eq!(told, [("core", Value::Known(86))]);
    }
}
