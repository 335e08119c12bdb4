//! Numbers as people read them: `48.3 °C` is the business of whoever knows the unit, `1.5 GiB` and `1 d 2 h` are here.

/// Bytes in the largest unit of which there is one.
pub(crate) fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let steps = (0..units.len() - 1).take_while(|step| value >= 1024_f64.powi(*step as i32 + 1)).count();
    let decimals = usize::from(steps > 0);
    format!("{:.decimals$} {}", value / 1024_f64.powi(steps as i32), units[steps])
}

/// Seconds in the two largest units; below an hour in one.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A short time: `1.8 ms`, `2.35 s`; a longer one as [`span`] has it. Negative ones are, too.
pub(crate) fn brief(seconds: f64) -> String {
    match seconds.abs() {
        0.0..1.0 => format!("{:.1} ms", seconds * 1000.0),
        1.0..60.0 => format!("{seconds:.2} s"),
        _ if seconds < 0.0 => format!("-{}", span(-seconds as u64)),
        _ => span(seconds as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_largest_unit_that_fits() {
        for (value, shown) in [(0.0, "0 B"), (1023.0, "1023 B"), (1024.0, "1.0 KiB"), (1.5e18, "1332.3 PiB")]
        {
            assert_eq!(bytes(value), shown);
        }
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (seconds, shown) in
            [(0, "0 s"), (59, "59 s"), (119, "1 min"), (3_720, "1 h 2 min"), (93_784, "1 d 2 h")]
        {
            assert_eq!(span(seconds), shown);
        }
    }

    #[test]
    fn a_short_time_has_milliseconds() {
        for (seconds, shown) in
            [(0.001_82, "1.8 ms"), (-0.0005, "-0.5 ms"), (2.349, "2.35 s"), (3720.0, "1 h 2 min")]
        {
            assert_eq!(brief(seconds), shown);
        }
    }
}
