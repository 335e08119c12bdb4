//! A command that was given, as JSON: for the API and for the command line.
//!
//! ```json
//! {"id": "1795219200000", "site": "arena-north", "appliance": "rack-1", "wanted": {"do": "log"}, "by": "anna", "at": "…", "expires_at": "…",
//!  "state": "done", "reason": null, "why": null, "answered_at": "…", "lines": [{"at": "…", "level": "info", "text": "connected to the broker"}], "probes": null}
//! ```

use super::{Given, State, Told};
use crate::moment::rfc3339;
use rackside_proto::{Finding, Found, LogLine, Refused};
use serde_json::{Value as Json, json};

/// The levels of a log's lines, by their numbers.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Why it was not done, in words.
pub(crate) fn why(state: &State) -> Option<String> {
    match state {
        State::Refused(why) => Some(because(*why).to_owned()),
        State::Failed(why) => Some(why.clone()),
        State::NoAnswer => Some("it gave no answer; if it is up, its own log says more".to_owned()),
        State::Waiting | State::Done => None,
    }
}

/// Why it was not begun, and what to do.
const fn because(why: Refused) -> &'static str {
    match why {
        Refused::Forbidden => "its venue does not allow it, by [commands] in its own configuration",
        Refused::Expired => "it came too late: the line is slow, or one of the two clocks is wrong",
        Refused::OtherRun => "its agent has just been started anew; try again",
        Refused::Unknown => "its agent is older than this command",
        Refused::NoClock => "it does not know yet what time it is; try again in a few seconds",
        Refused::Busy => "its probes are being run already",
    }
}

/// The level of a log's line, by its number.
pub(crate) fn level(number: u8) -> &'static str {
    LEVELS.get(usize::from(number).wrapping_sub(1)).copied().unwrap_or("trace")
}

/// A command, with what came of it.
pub(crate) fn json(given: &Given) -> Json {
    let reason = match &given.state {
        State::Refused(why) => Some(why.as_str()),
        _ => None,
    };
    let answered = given.answered_ms.unwrap_or(given.at_ms);
    let line = |line: LogLine<'_>| {
        let at = rfc3339(answered.saturating_sub(line.ago_ms));
        json!({ "at": at, "level": level(line.level), "text": line.text })
    };
    let found = |found: Found<'_>| {
        let took = (found.state != Finding::Pending).then_some(found.took_ms as f64 / 1000.0);
        json!({ "probe": found.probe, "state": found.state.as_str(), "seconds": took, "why": found.why })
    };
    let (lines, probes) = match &given.told {
        Told::Nothing => (None, None),
        Told::Log(bytes) => (Some(LogLine::all(bytes).map(line).collect::<Vec<_>>()), None),
        Told::Probes(bytes) => (None, Some(Found::all(bytes).map(found).collect::<Vec<_>>())),
    };
    json!({
        // As text: it is more than a JavaScript number is sure to hold.
        "id": given.id.to_string(),
        "site": given.agent.site.as_str(),
        "appliance": given.agent.appliance.as_str(),
        "wanted": given.wanted,
        "by": given.by,
        "at": rfc3339(given.at_ms),
        "expires_at": rfc3339(given.expires_ms),
        "state": given.state.as_str(),
        "reason": reason,
        "why": why(&given.state),
        "answered_at": given.answered_ms.map(rfc3339),
        "lines": lines,
        "probes": probes,
    })
}
