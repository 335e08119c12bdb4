//! What the hub has commanded: done, an event in custody, answered. Whether it is to be done was decided by
//! [`Gate`](crate::command::Gate).

use super::App;
use crate::clock::Moment;
use crate::command::{Asked, Heard};
use crate::logger;
use crate::probe::{Known, State};
use log::{error, info};
use rackside_proto::{
    Action, Body, Command, Finding, Found, LogLine, Outcome, REPLY_BODY, Refused, Reply, limits,
};
use std::time::{Duration, Instant};

/// So long before a command expires its answer is on the way.
const MARGIN: u64 = 3000;

impl App {
    /// Looks at what has come, and answers.
    pub(super) fn obey(&mut self, moment: &Moment) {
        while let Some(body) = self.agent.commands.take() {
            let (name, run) = (self.agent.name.clone(), self.agent.run());
            match self.agent.commands.gate.hear(&body, &name, run, moment) {
                Heard::Do(command) => self.perform(&command, moment),
                Heard::Refuse(id, why) => self.reply(id, Outcome::Refused(why), Body::Nothing),
                Heard::Ignore => {}
            }
        }
        self.tell_asked(moment.now);
    }

    fn perform(&mut self, command: &Command<'_>, moment: &Moment) {
        let (id, now) = (command.id, moment.now);
        let (outcome, said) = match command.action {
            Action::Identify { seconds } => {
                let lasts = Duration::from_secs(seconds.into());
                let has = self.panel.identify(lasts, now);
                (done(has, "there is no LED"), format!("{seconds} s"))
            }
            Action::Mute { seconds } => {
                let (lasts, site) = (Duration::from_secs(seconds.into()), self.agent.site(self.link, now));
                let has = self.panel.mute(lasts, site, now);
                (done(has, "there is no relay that an alarm closes"), format!("{seconds} s"))
            }
            Action::Log => (Outcome::Done, String::new()),
            Action::Probe { .. } if self.agent.commands.asked.is_some() => {
                (Outcome::Refused(Refused::Busy), String::new())
            }
            Action::Probe { name } => {
                let has = self.probes.hasten(name, now);
                (done(has, "there is no such probe"), name.to_owned())
            }
            Action::Other(_) => return,
        };
        if outcome == Outcome::Done {
            let (subject, space) = (command.action.as_str(), if said.is_empty() { "" } else { ", " });
            info!("command of the hub: {subject} {said}{space}by {}", command.by);
            self.agent.told(
                &format!("command/{subject}"),
                &format!("{said}{space}by {}", command.by),
                moment,
            );
        }
        match command.action {
            Action::Log if outcome == Outcome::Done => {
                let lines = log_lines(now);
                self.reply(id, outcome, Body::Log(&lines));
            }
            Action::Probe { name } if outcome == Outcome::Done => {
                let left = self
                    .agent
                    .commands
                    .gate
                    .time(moment)
                    .map_or(0, |time| command.expires_ms.saturating_sub(time));
                let until = now + Duration::from_millis(left.saturating_sub(MARGIN));
                self.agent.commands.asked = Some(Asked { id, probe: name.to_owned(), since: now, until });
            }
            _ => self.reply(id, outcome, Body::Nothing),
        }
    }

    /// Tells what the probes have found that were asked for, once all have ended or nobody waits any more.
    fn tell_asked(&mut self, now: Instant) {
        let Some(asked) = &self.agent.commands.asked else { return };
        let ours = |known: &Known<'_>| asked.probe.is_empty() || known.planned.common.name == asked.probe;
        let is_fresh = |known: &Known<'_>| known.latest.is_some_and(|latest| latest.at >= asked.since);
        if now < asked.until && !self.probes.known().filter(ours).all(|known| is_fresh(&known)) {
            return;
        }
        let (id, mut body) = (asked.id, Vec::new());
        for known in self.probes.known().filter(ours) {
            let latest = known.latest.filter(|_| is_fresh(&known));
            let (state, why) = match latest.map(|latest| &latest.outcome.state) {
                None => (Finding::Pending, ""),
                Some(State::Up) => (Finding::Up, ""),
                Some(State::Down(why)) => (Finding::Down, why.as_str()),
                Some(State::Unknown(why)) => (Finding::Unknown, why.as_str()),
            };
            let took_ms = latest.map_or(0, |latest| latest.took.as_millis() as u64);
            let (probe, why) = (limits::fit(&known.planned.common.name), limits::fit(why));
            let before = body.len();
            Found { probe, state, took_ms, why }
                .encode(&mut body)
                .expect("texts were cut to fit and a Vec has room");
            if body.len() > REPLY_BODY {
                body.truncate(before);
                break;
            }
        }
        self.agent.commands.asked = None;
        self.reply(id, Outcome::Done, Body::Probes(&body));
    }

    /// Until when probes are waited for.
    pub(super) fn asked_until(&self) -> Option<Instant> {
        self.agent.commands.asked.as_ref().map(|asked| asked.until)
    }

    fn reply(&mut self, id: u64, outcome: Outcome<'_>, body: Body<'_>) {
        let mut bytes = Vec::new();
        let reply = Reply { run: self.agent.run(), id, outcome, body };
        match reply.encode(&mut bytes) {
            Ok(()) => self.agent.commands.reply(bytes),
            Err(error) => error!("the answer to a command of the hub cannot be sent: {error}"),
        }
    }
}

const fn done(is_done: bool, why: &'static str) -> Outcome<'static> {
    if is_done { Outcome::Done } else { Outcome::Failed(why) }
}

/// The newest whole lines of the log that a reply has room for, the oldest first.
fn log_lines(now: Instant) -> Vec<u8> {
    let mut body = Vec::new();
    logger::each_recent(|at, level, text| {
        let ago_ms = now.saturating_duration_since(at).as_millis() as u64;
        let line = LogLine { ago_ms, level: level as u8, text };
        line.encode(&mut body).expect("lines are cut when they are kept, and a Vec has room");
    });
    body
}
