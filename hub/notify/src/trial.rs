//! Messages that no alert is behind: a test, and "still watching".
//!
//! Sample: `RacksideTest`, info, "This is a test. Nothing is wrong."

use std::collections::BTreeMap;
use std::sync::Arc;

use rackside_promql::Labels;

use crate::compose::{self, Frame};
use crate::keep::Kept;
use crate::message::{AlertId, Entry, Kind, Message, Outgoing, Severity, State};
use crate::world::World;

/// A message to try a receiver.
pub(crate) fn test(
    kept: &mut Kept,
    receiver: Arc<str>,
    route: &str,
    now: i64,
    world: &dyn World,
) -> Outgoing {
    let labels = Labels::new([("alertname", "RacksideTest"), ("severity", "info")]);
    let texts = [
        ("summary", "This is a test. Nothing is wrong."),
        ("description", "Somebody tries whether messages of this hub arrive here."),
    ];
    let entry = Entry {
        id: AlertId::of(&labels),
        labels: compose::pairs(&labels),
        annotations: texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        value: 0.0,
        state: State::Firing,
        starts_at: now,
        ends_at: None,
        severity: Severity::Info,
        on_air: None,
        acknowledged: None,
        flapping: false,
        query: String::new(),
    };
    let frame = frame(kept, Kind::Test, route, now);
    Outgoing { receiver, message: compose::message(frame, vec![entry], world) }
}

/// "Still watching": how many alerts fire stands in `firing`.
pub(crate) fn heartbeat(kept: &mut Kept, receiver: Arc<str>, now: i64) -> Outgoing {
    let firing = kept.book.alerts().filter(|booked| booked.fires()).count();
    let frame = frame(kept, Kind::Heartbeat, "", now);
    let message = Message { firing, ..compose::empty(frame) };
    Outgoing { receiver, message }
}

fn frame<'a>(kept: &mut Kept, kind: Kind, route: &'a str, now: i64) -> Frame<'a> {
    let group_key = if kind == Kind::Test { format!("test:{now}") } else { "heartbeat".to_owned() };
    Frame {
        id: kept.next_id(now),
        kind,
        at: now,
        group_key,
        group_labels: BTreeMap::new(),
        route,
        escalation: 0,
    }
}
