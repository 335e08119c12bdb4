//! What the agent says of itself to whoever runs it: to systemd, in one line that changes only when its meaning does.
//!
//! ```text
//! connected to hub.example.org:8883, no record waits
//! connected to hub.example.org:8883, but the hub acknowledges nothing; records are kept
//! not connected to hub.example.org:8883: hub.example.org: no answer within 10s; records are kept in memory only; the clock is not known
//! ```

use super::App;
use super::line::Line;
use crate::clock::Moment;
use std::time::{Duration, Instant};

/// A record waits for its ack for some hundred milliseconds; one that is older than this was not simply on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// How the way to the hub stands.
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    /// For the first time.
    Connecting,
    /// Not connected, and why, as it was said last.
    Lost(&'a str),
    /// Connected, and the hub has everything.
    Even,
    /// Connected, and the hub acknowledges what has waited.
    Catching,
    /// Connected, and records wait that the hub acknowledges not.
    Silent,
}

impl App {
    /// Since when the broker has us; `None` while it has not.
    pub(super) const fn connected(&self) -> Option<Instant> {
        match &self.line {
            Line::Up(talk) => talk.session.connected(),
            Line::Down { .. } | Line::Connecting(_) => None,
        }
    }

    /// Tells systemd what it does not know yet, and that this loop turns; says when it is to turn again at the latest.
    pub(super) fn tell_systemd(&mut self, moment: &Moment, deadline: Instant) -> Instant {
        let now = moment.now;
        let is_open = !self.state.is_opening() && self.panel.is_open();
        if self.ready_by.take_if(|by| is_open || now >= *by).is_some() {
            self.systemd.ready();
        }
        let line = self.in_one_line(moment);
        self.systemd.status(&line);
        self.systemd.alive(now);
        self.systemd.deadline().into_iter().chain(self.ready_by).fold(deadline, Instant::min)
    }

    /// Answers who asks; says when it is to turn again at the latest.
    pub(super) fn tell_whoever_asks(&mut self, moment: &Moment, deadline: Instant) -> Instant {
        if self.door.is_asked() {
            let answer = self.answer(moment);
            self.door.answer(&answer, moment.now);
        }
        self.door.step(moment.now);
        self.door.deadline().map_or(deadline, |due| deadline.min(due))
    }

    fn in_one_line(&self, moment: &Moment) -> String {
        let custody = &self.agent.custody;
        let is_lately = |at: Instant| moment.now.saturating_duration_since(at) < ON_ITS_WAY;
        let waits =
            custody.left_by_earlier_runs() > 0 || custody.oldest_made().is_some_and(|made| !is_lately(made));
        let way = match (self.connected(), self.said.as_deref()) {
            (None, None) => Way::Connecting,
            (None, Some(why)) => Way::Lost(why),
            (Some(_), _) if !waits => Way::Even,
            (Some(_), _) if custody.acked_at().is_some_and(is_lately) => Way::Catching,
            (Some(_), _) => Way::Silent,
        };
        line(&self.broker(), way, custody.is_durable(), moment.known)
    }
}

fn line(broker: &str, way: Way<'_>, durable: bool, clock_known: bool) -> String {
    let kept = if durable { "records are kept" } else { "records are kept in memory only" };
    let mut line = match way {
        Way::Connecting => format!("connecting to {broker}"),
        Way::Lost(why) => format!("not connected to {broker}: {why}; {kept}"),
        Way::Even => format!("connected to {broker}, no record waits"),
        Way::Catching => format!("connected to {broker}, which gets what has waited"),
        Way::Silent => format!("connected to {broker}, but the hub acknowledges nothing; {kept}"),
    };
    if !clock_known {
        line.push_str("; the clock is not known");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_how_the_way_to_the_hub_stands() {
        for (way, durable, clock, said) in [
            (Way::Connecting, true, true, "connecting to hub:8883"),
            (Way::Even, true, true, "connected to hub:8883, no record waits"),
            (Way::Catching, true, true, "connected to hub:8883, which gets what has waited"),
            (
                Way::Silent,
                true,
                true,
                "connected to hub:8883, but the hub acknowledges nothing; records are kept",
            ),
            (
                Way::Lost("refused"),
                false,
                false,
                "not connected to hub:8883: refused; records are kept in memory only; the clock is not known",
            ),
        ] {
            assert_eq!(line("hub:8883", way, durable, clock), said);
        }
    }
}
