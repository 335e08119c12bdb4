//! The JSON mirror: the fleet for subscribers that do not speak postcard.
//!
//! `rackside/json/arena-north/rack-1/presence` and `.../data` and `.../birth` are retained, `.../event` is not. Nothing is
//! encoded while nobody listens. When the first one comes, a snapshot of the fleet is published; when the last one has
//! gone, what was retained is cleared, so that nobody ever finds an old value there.

use crate::clock::Now;
use crate::fleet::{Appliance, Fleet, State};
use crate::inbound::Outbound;
use crate::json;
use bytes::Bytes;
use rackside_proto::{AgentName, ClockSource, Envelope, Event, Prefix, Run};

/// Appliances of a snapshot that are published at once. A subscriber's queue and the link to a broker hold some thousand
/// messages; a large fleet that came all at once would cost the one its connection and the other its messages.
const PART: usize = 256;

/// What was last said of each appliance.
#[derive(Debug, Default)]
pub struct Mirror {
    on: bool,
    said: Vec<Said>,
    /// The first appliance that the snapshot has not come to.
    next: usize,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Said {
    presence: Option<(State, Option<Run>)>,
    data: Option<(Run, u64)>,
    birth: Option<(Run, Option<ClockSource>)>,
}

impl Mirror {
    /// Whether anybody listens.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Somebody listens: begins to publish everything. Called again, it begins anew: a broker may have forgotten.
    pub fn start(&mut self, fleet: &Fleet, prefix: &Prefix, out: &mut Vec<Outbound>) {
        (self.on, self.next) = (true, 0);
        self.said.clear();
        self.proceed(fleet, prefix, out);
    }

    /// Whether there is more to publish of a snapshot.
    pub fn has_more(&self, fleet: &Fleet) -> bool {
        self.on && self.next < fleet.appliances().len()
    }

    /// Publishes the next part of a snapshot.
    pub fn proceed(&mut self, fleet: &Fleet, prefix: &Prefix, out: &mut Vec<Outbound>) {
        let end = fleet.appliances().len().min(self.next + PART);
        for slot in self.next..end {
            self.update(fleet, slot, prefix, out);
        }
        self.next = end;
    }

    /// Nobody listens any more: clears what is retained.
    pub fn stop(&mut self, fleet: &Fleet, prefix: &Prefix, out: &mut Vec<Outbound>) {
        self.on = false;
        for (said, appliance) in self.said.drain(..).zip(fleet.appliances()) {
            let topics = [
                ("presence", said.presence.is_some()),
                ("data", said.data.is_some()),
                ("birth", said.birth.is_some()),
            ];
            for (channel, _) in topics.into_iter().filter(|(_, said)| *said) {
                let topic = topic(prefix, &appliance.name, channel);
                out.push(Outbound { topic, payload: Bytes::new(), retain: true });
            }
        }
    }

    /// Publishes what is new of an appliance.
    pub fn update(&mut self, fleet: &Fleet, slot: usize, prefix: &Prefix, out: &mut Vec<Outbound>) {
        let Some(appliance) = fleet.appliances().get(slot).filter(|_| self.on) else { return };
        if self.said.len() <= slot {
            self.said.resize(slot + 1, Said::default());
        }
        let said = &mut self.said[slot];
        let run = appliance.shown();
        let presence = Some((appliance.state, run.map(|run| run.run)));
        if said.presence != presence {
            said.presence = presence;
            out.push(retained(prefix, appliance, "presence", json::presence(appliance)));
        }
        let Some(run) = run else { return };
        let birth = Some((run.run, run.clock_source()));
        if said.birth != birth
            && let Some(text) = json::birth(appliance, run)
        {
            said.birth = birth;
            out.push(retained(prefix, appliance, "birth", text));
        }
        if let Some(latest) = &run.latest
            && said.data != Some((run.run, latest.seq()))
        {
            said.data = Some((run.run, latest.seq()));
            out.push(retained(prefix, appliance, "data", json::data(appliance, run.run, latest)));
        }
    }

    /// Publishes an event.
    pub fn event(
        &self,
        appliance: &Appliance,
        (envelope, event): (&Envelope, &Event<'_>),
        prefix: &Prefix,
        now: Now,
        out: &mut Vec<Outbound>,
    ) {
        if self.on {
            let said = json::event(appliance, envelope, event, now);
            out.push(Outbound { retain: false, ..retained(prefix, appliance, "event", said) });
        }
    }
}

fn topic(prefix: &Prefix, agent: &AgentName, channel: &str) -> String {
    format!("{prefix}/json/{agent}/{channel}")
}

fn retained(prefix: &Prefix, appliance: &Appliance, channel: &str, said: String) -> Outbound {
    let topic = topic(prefix, &appliance.name, channel);
    Outbound { topic, payload: Bytes::from(said), retain: true }
}
