//! Whether the line costs money, and what follows from that for what goes over it.
//!
//! Pure: the configuration names interfaces, each reading tells which one carries the default route. While none does, the line is the one
//! that it was: what is collected meanwhile will most likely go over it.
//!
//! Readings are taken at each tick all the same, and go about a minute's together. The broker is told to be patient, and is asked for a
//! sign of life more rarely: with packets of 40 bytes and more around them, pings at half of 7 s would cost more than the readings.

use std::time::Duration;

/// So much of readings goes together.
const TOGETHER: Duration = Duration::from_mins(1);
/// The keep-alive of a line that costs nothing: a pulled cable is noticed within 15 s.
const KEEP_ALIVE: Duration = Duration::from_secs(7);
/// That of one that does: a minute, since readings come no more often.
const PATIENT: Duration = Duration::from_mins(1);

/// Which interfaces cost money, and which one is in use.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    metered: Vec<String>,
    line: Option<String>,
}

impl Meter {
    /// No interface is in use yet.
    pub(crate) fn new(metered: &[String]) -> Self {
        Self { metered: metered.to_vec(), line: None }
    }

    /// Others cost money from now on.
    pub(crate) fn configure(&mut self, metered: &[String]) {
        self.metered = metered.to_vec();
    }

    /// This one carries the default route, or none does.
    pub(crate) fn see(&mut self, route: Option<&str>) {
        if route.is_some() && route != self.line.as_deref() {
            self.line = route.map(str::to_owned);
        }
    }

    /// The interface in use, if it costs money.
    pub(crate) fn metered(&self) -> Option<&str> {
        self.line.as_deref().filter(|line| self.metered.iter().any(|metered| metered == line))
    }

    /// For how long readings are collected into one record, when one is taken each `tick`; `None` when each goes by itself.
    pub(crate) fn together(&self, tick: Duration) -> Option<Duration> {
        let readings = TOGETHER.as_millis() / tick.as_millis().max(1);
        let readings = u32::try_from(readings).unwrap_or(u32::MAX);
        (readings > 1 && self.metered().is_some()).then(|| tick * readings)
    }

    /// How it stands, for people; nothing where nothing costs money.
    pub(crate) fn describe(&self, tick: Duration) -> Option<String> {
        if self.metered.is_empty() {
            return None;
        }
        let named = self.metered.join(", ");
        Some(match (&self.line, self.metered(), self.together(tick)) {
            (None, ..) => format!("no interface carries the default route; metered: {named}"),
            (Some(line), None, _) => format!("{line} carries the default route; metered: {named}"),
            (_, Some(line), Some(together)) => {
                format!("{line} carries the default route and is metered: readings go every {together:?}")
            }
            (_, Some(line), None) => {
                format!(
                    "{line} carries the default route and is metered: readings go every {tick:?}, as they are taken"
                )
            }
        })
    }

    /// After which silence a connection is gone.
    pub(crate) fn keep_alive(&self) -> Duration {
        if self.metered().is_some() { PATIENT } else { KEEP_ALIVE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter() -> Meter {
        Meter::new(&["wwan0".to_owned(), "usb0".to_owned()])
    }

    #[test]
    fn the_interface_in_use_decides_and_the_last_one_stands_while_there_is_none() {
        let mut meter = meter();
        let mut over = |route| {
            meter.see(route);
            (meter.metered().map(str::to_owned), meter.keep_alive())
        };
        assert_eq!(over(None), (None, KEEP_ALIVE), "nobody knows");
        assert_eq!(over(Some("eth0")), (None, KEEP_ALIVE));
        assert_eq!(over(Some("wwan0")), (Some("wwan0".to_owned()), PATIENT));
        assert_eq!(over(None), (Some("wwan0".to_owned()), PATIENT), "the modem dials");
        assert_eq!(over(Some("eth0")), (None, KEEP_ALIVE));
        assert_eq!(over(None), (None, KEEP_ALIVE), "the cable is pulled");
    }

    #[test]
    fn people_are_told_what_goes_how_often() {
        let tick = Duration::from_secs(10);
        assert_eq!(Meter::new(&[]).describe(tick), None);
        let mut meter = meter();
        let mut over = |route, tick| {
            meter.see(route);
            meter.describe(tick).expect("something is metered")
        };
        assert_eq!(over(None, tick), "no interface carries the default route; metered: wwan0, usb0");
        assert_eq!(over(Some("eth0"), tick), "eth0 carries the default route; metered: wwan0, usb0");
        let told = "wwan0 carries the default route and is metered: readings go every";
        assert_eq!(over(Some("wwan0"), tick), format!("{told} 60s"));
        let slow = Duration::from_secs(45);
        assert_eq!(over(Some("wwan0"), slow), format!("{told} 45s, as they are taken"));
    }

    #[test]
    fn another_configuration_holds_for_the_line_in_use() {
        let mut meter = meter();
        meter.see(Some("eth0"));
        meter.configure(&["eth0".to_owned()]);
        assert_eq!(meter.metered(), Some("eth0"));
    }

    #[test]
    fn a_record_holds_a_minute_at_most_and_whole_ticks() {
        let mut meter = meter();
        let ticks = [1, 7, 10, 25, 30, 31, 3600].map(Duration::from_secs);
        assert_eq!(ticks.map(|tick| meter.together(tick)), [None; 7], "on no line");
        meter.see(Some("usb0"));
        let seconds = ticks.map(|tick| meter.together(tick).map(|together| together.as_secs()));
        assert_eq!(seconds, [Some(60), Some(56), Some(60), Some(50), Some(60), None, None]);
    }
}
