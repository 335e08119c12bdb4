//! What happened while series moved: when a site was on air, what fired, what the log says. For charts, which show it behind their curves.
//!
//! On air and alerts are series of the hub's own (`rackside_site_on_air`, `ALERTS`), a value every some seconds; a stretch of ones is a span here.
//!
//! Sample: `on_air: [19:01–22:10], alerts: [SocHot, critical, 20:15–20:40], log: [20:14:58 error/encoder: connection refused]`

use super::{Fleetwide, failed};
use rackside_history::{LogEntry, LogQuery};
use rackside_promql::{Labels, METRIC_NAME, Matcher, Sample, SourceError, Stop, Take, Test};
use rackside_proto::AgentName;
use std::ops::{ControlFlow, Range};

/// A series that says nothing for longer has ended, as in queries.
pub(super) const LOOK_BACK: i64 = 300_000;
/// Lines of the log that are taken.
pub(crate) const LINES: usize = 200;

/// What happened within a range of time.
#[derive(Debug, Default)]
pub struct Meanwhile {
    /// When the site was on air, in milliseconds since 1970.
    pub on_air: Vec<Range<i64>>,
    /// What fired of the appliance, and when.
    pub alerts: Vec<Fired>,
    /// What the log has of the appliance, the newest first.
    pub log: Vec<LogEntry>,
    /// Whether the log has more than that.
    pub has_more: bool,
}

/// An alert while it fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Its rule.
    pub name: String,
    /// How bad it is; nothing, where its rule does not say.
    pub severity: String,
    /// When, in milliseconds since 1970.
    pub span: Range<i64>,
}

impl Fleetwide {
    /// What happened at an appliance and its site.
    pub fn meanwhile(
        &self,
        agent: &AgentName,
        range: &Range<i64>,
        stopped: &dyn Fn() -> Option<Stop>,
    ) -> Result<Meanwhile, SourceError> {
        let mut found = Meanwhile::default();
        let (site, appliance) = (agent.site.as_str(), agent.appliance.as_str());
        let mut on_air: Vec<Range<i64>> = Vec::new();
        self.made(
            &[is(METRIC_NAME, "rackside_site_on_air"), is("site", site)],
            range,
            stopped,
            &mut |_, samples| {
                on_air.extend(spans(samples, range));
            },
        )?;
        found.on_air = joined(on_air);
        let firing = [
            is(METRIC_NAME, "ALERTS"),
            is("alertstate", "firing"),
            is("site", site),
            is("appliance", appliance),
        ];
        self.made(&firing, range, stopped, &mut |labels, samples| {
            found.alerts.extend(spans(samples, range).into_iter().map(|span| Fired {
                name: labels.value("alertname").to_owned(),
                severity: labels.value("severity").to_owned(),
                span,
            }));
        })?;
        found.alerts.sort_by_key(|alert| alert.span.start);
        (found.log, found.has_more) = self.log_of(agent, range, LINES)?;
        Ok(found)
    }

    /// What the log has of an appliance, the newest first, and whether there is more.
    pub fn log_of(
        &self,
        agent: &AgentName,
        range: &Range<i64>,
        limit: usize,
    ) -> Result<(Vec<LogEntry>, bool), SourceError> {
        let Some((reader, _)) = &self.history else { return Ok((Vec::new(), false)) };
        let ms = |at: i64| u64::try_from(at).unwrap_or_default();
        let range = ms(range.start)..ms(range.end);
        let agents = std::slice::from_ref(agent);
        let page = reader.log(&LogQuery { range, agents: Some(agents), limit, ..LogQuery::default() });
        let page = page.map_err(|error| failed(&error))?;
        Ok((page.entries, page.next.is_some()))
    }

    /// Series of the hub's own.
    pub(super) fn made(
        &self,
        matchers: &[Matcher],
        range: &Range<i64>,
        stopped: &dyn Fn() -> Option<Stop>,
        each: &mut dyn FnMut(&Labels, &[Sample]),
    ) -> Result<(), SourceError> {
        let from = range.start.saturating_sub(LOOK_BACK);
        let mut take = Each { each, stopped };
        let told = self.derived.select(matchers, (from, range.end), false, &mut take);
        told.map_err(|error| SourceError::Failed(error.to_string()))?;
        stopped().map_or(Ok(()), |stop| Err(SourceError::Stopped(stop)))
    }
}

pub(super) fn is(name: &str, value: &str) -> Matcher {
    Matcher { name: name.into(), test: Test::Equal(value.into()) }
}

struct Each<'a> {
    each: &'a mut dyn FnMut(&Labels, &[Sample]),
    stopped: &'a dyn Fn() -> Option<Stop>,
}

impl Take for Each<'_> {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        (self.each)(labels, samples);
        ControlFlow::Continue(())
    }

    fn stopped(&self) -> Option<Stop> {
        (self.stopped)()
    }

    fn warn(&mut self, _: &str) {}
}

/// When a series was not 0, within `range`.
pub(super) fn spans(samples: &[Sample], range: &Range<i64>) -> Vec<Range<i64>> {
    let mut spans: Vec<Range<i64>> = Vec::new();
    let mut open: Option<Range<i64>> = None;
    for sample in samples {
        let is_on = !sample.is_stale() && sample.value != 0.0;
        if let Some(span) = &mut open {
            let goes_on = sample.at.saturating_sub(span.end) <= LOOK_BACK;
            if goes_on {
                span.end = sample.at;
            }
            if !goes_on || !is_on {
                spans.extend(open.take());
            }
        }
        if is_on && open.is_none() {
            open = Some(sample.at..sample.at);
        }
    }
    spans.extend(open);
    let within = spans.into_iter().filter(|span| span.end >= range.start && span.start < range.end);
    within.map(|span| span.start.max(range.start)..span.end.min(range.end)).collect()
}

/// Spans that touch are one.
pub(super) fn joined(mut spans: Vec<Range<i64>>) -> Vec<Range<i64>> {
    spans.sort_by_key(|span| span.start);
    let mut joined: Vec<Range<i64>> = Vec::new();
    for span in spans {
        match joined.last_mut().filter(|last| span.start <= last.end) {
            Some(last) => last.end = last.end.max(span.end),
            None => joined.push(span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_promql::STALE;

    #[test]
    fn a_stretch_of_ones_is_a_span() {
        let samples: Vec<Sample> = [
            (0, 0.0),
            (15_000, 1.0),
            (30_000, 1.0),
            (45_000, 0.0),
            (60_000, 1.0),
            (70_000, STALE),
            (90_000, 1.0),
            (1_000_000, 1.0),
        ]
        .map(|(at, value)| Sample::new(at, value))
        .to_vec();
        let all = spans(&samples, &(0..2_000_000));
        assert_eq!(all, [15_000..45_000, 60_000..70_000, 90_000..90_000, 1_000_000..1_000_000]);
        assert_eq!(spans(&samples, &(20_000..65_000)), [20_000..45_000, 60_000..65_000]);
    }

    #[test]
    fn reasons_that_follow_each_other_are_one_show() {
        assert_eq!(joined(vec![50..80, 0..60, 90..95, 95..99]), [0..80, 90..99]);
    }
}
