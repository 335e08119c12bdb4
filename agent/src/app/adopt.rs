//! The hub's configuration while the agent runs: taken in, tried, kept or taken back, and told of. When, [`Course`] decides.
//!
//! Nothing here waits for the disk: a card that takes its time holds up a trial and nothing else.

use super::line::{Line, Way};
use super::{App, StartError};
use crate::clock::Moment;
use crate::config::Config;
use crate::configure::{Course, Handed, Heard, Kept, Patience, Step, Worth};
use crate::join::StoreError;
use crate::join::signed::HubKey;
use crate::state;
use log::{debug, error, info, warn};
use rackside_proto::{Adopted, CONFIG_LABEL, Configuration, limits};
use std::pin::Pin;
use std::task::{self, Poll};

type Writing = Pin<Box<dyn Future<Output = Result<(), StoreError>>>>;

/// How the hub's configuration stands.
#[derive(Default)]
pub(super) struct Adoption {
    pub(super) course: Course,
    kept: Option<Kept>,
    /// What is being written down, to be tried.
    writing: Option<(Handed, Writing)>,
    /// What counts again if the trial goes wrong.
    former: Option<Box<Config>>,
    /// Whether what is on trial is on the disk.
    is_written: bool,
    /// A revision that a run before this one left on trial.
    cut_short: Option<u32>,
    /// Why the newest message was not taken, so that it is said once.
    said: Option<String>,
}

impl Adoption {
    /// Of a box that has started with this configuration. What was on trial when it was started anew is given up.
    pub(super) fn new(config: &Config, patience: Patience) -> Self {
        let Some(identity) = &config.mqtt.identity else { return Self::default() };
        let kept = Kept::new(state::directory(config.spool.directory.as_deref()), identity);
        let cut_short = kept.give_up().unwrap_or_else(|error| {
            warn!("{error}");
            None
        });
        let counts = config.hub.handed.as_ref().map_or(0, |handed| handed.revision);
        let course = Course::new(counts, kept.failed(), patience);
        Self { course, kept: Some(kept), cut_short, ..Self::default() }
    }

    /// What came of writing it down.
    pub(super) fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<(Handed, Result<(), StoreError>)> {
        let Some((_, writing)) = &mut self.writing else { return Poll::Pending };
        let result = task::ready!(writing.as_mut().poll(cx));
        let (handed, _) = self.writing.take().expect("it was there a line ago");
        Poll::Ready((handed, result))
    }

    /// Renames a file, beside everything else.
    fn rename(&self, what: fn(&Kept) -> Result<(), StoreError>) {
        if let Some(kept) = self.kept.clone().filter(|_| self.is_written) {
            let done = move || what(&kept).unwrap_or_else(|error| error!("the hub's configuration: {error}"));
            smol::unblock(done).detach();
        }
    }
}

impl App {
    /// What there is to say of the start.
    pub(super) fn begin_adoption(&mut self, moment: &Moment) {
        if let Some(revision) = self.adoption.cut_short.take() {
            self.adoption.course.failed(revision);
            let why = "it was on trial when this box was started anew";
            self.tell_adopted(revision, Adopted::RolledBack, why, moment);
        }
        let hub = &self.config.hub;
        match (&hub.handed, hub.objection.clone()) {
            (Some(Handed { revision: 0, .. }), Some(why)) => {
                error!("what the hub sent along with joining is left out: {why}");
            }
            (Some(handed), Some(why)) => {
                self.tell_adopted(handed.revision, Adopted::Refused, &why, moment);
            }
            (Some(_), None) if !hub.fills.is_empty() => {
                info!("the hub's configuration {} fills in: {}", hub.revision(), hub.fills.join(", "));
            }
            _ => {}
        }
    }

    /// Does what is due.
    pub(super) async fn adopt(&mut self, moment: &Moment) {
        self.take_in(moment);
        let heard = Heard { answers: self.is_heard(), at: self.agent.custody.acked_at() };
        match self.adoption.course.step(heard, moment.now) {
            Some(Step::Begin(handed)) => self.begin(handed, moment),
            Some(Step::Ask) => {
                if let Line::Up(talk) = &mut self.line {
                    talk.session.ask(moment.now);
                }
            }
            Some(Step::Keep(revision)) => self.keep(revision, moment),
            Some(Step::RollBack(revision)) => self.roll_back(revision, moment).await,
            None => {}
        }
    }

    /// Looks at the newest message of the channel.
    fn take_in(&mut self, moment: &Moment) {
        let Some(body) = self.agent.configuration.take() else { return };
        let Some(key) = self.config.mqtt.identity.as_deref().and_then(HubKey::of) else { return };
        let content = key.check(CONFIG_LABEL, &self.agent.name, &body, limits::SMALL);
        let read = content.map_err(|error| error.to_string());
        let read = read.and_then(|content| Configuration::decode(content).map_err(|error| error.to_string()));
        match read {
            Ok(Configuration { revision, text }) => {
                match self.adoption.course.comes(Handed { revision, text: text.into() }) {
                    Worth::New => info!("the hub hands out configuration {revision}"),
                    Worth::Old => {
                        debug!("configuration {revision} of the hub is not newer than what is known");
                    }
                    Worth::Failed => {
                        let why = "it was given up in a run before this one";
                        self.tell_adopted(revision, Adopted::RolledBack, why, moment);
                    }
                }
            }
            Err(why) if self.adoption.said.as_ref() != Some(&why) => {
                warn!("a configuration that somebody sent is not taken: {why}");
                self.adoption.said = Some(why);
            }
            Err(_) => {}
        }
    }

    /// Whether it can be run on, and how.
    fn try_out(&self, handed: &Handed) -> Result<(Way, Config), String> {
        let Some(file) = &self.file else { return Err("this agent runs without a file".to_owned()) };
        let fresh = Config::try_with(file.path(), handed).map_err(|error| error.to_string())?;
        if !fresh.hub.accepts {
            return Err("the box's own file forbids it".to_owned());
        }
        let way = Way::to(&fresh.mqtt).map_err(|error: StartError| error.to_string())?;
        Ok((way, fresh))
    }

    fn begin(&mut self, handed: Handed, moment: &Moment) {
        let (Ok(_), Some(kept)) = (
            self.try_out(&handed).map_err(|why| self.refuse(handed.revision, &why, moment)),
            self.adoption.kept.clone(),
        ) else {
            return;
        };
        let written = handed.clone();
        let writing = Box::pin(smol::unblock(move || kept.put(&written)));
        self.adoption.writing = Some((handed, writing));
    }

    fn refuse(&mut self, revision: u32, why: &str, moment: &Moment) {
        self.adoption.course.failed(revision);
        self.tell_adopted(revision, Adopted::Refused, why, moment);
    }

    /// It is on the disk, or cannot be: it is run on from now on.
    pub(super) async fn written(
        &mut self,
        (handed, result): (Handed, Result<(), StoreError>),
        moment: &Moment,
    ) {
        self.adoption.is_written = result.is_ok();
        if let Err(error) = result {
            warn!("{error}; the hub's configuration {} is in memory only", handed.revision);
        }
        match self.try_out(&handed) {
            Ok((way, fresh)) => {
                info!("the hub's configuration {} is on trial", handed.revision);
                self.adoption.former = Some(Box::new(self.config.clone()));
                self.take(way, fresh).await;
                self.adoption.course.tries(crate::clock::Clock::now());
            }
            // The box's own file has changed meanwhile.
            Err(why) => {
                self.adoption.rename(|kept| kept.give_up().map(drop));
                self.refuse(handed.revision, &why, moment);
            }
        }
    }

    fn keep(&mut self, revision: u32, moment: &Moment) {
        self.adoption.rename(Kept::keep);
        self.adoption.former = None;
        self.count_revision();
        if self.agent.revision == revision {
            self.tell_adopted(revision, Adopted::Applied, "", moment);
        }
    }

    async fn roll_back(&mut self, revision: u32, moment: &Moment) {
        self.adoption.rename(|kept| kept.give_up().map(drop));
        let Some(former) = self.adoption.former.take() else { return };
        // As the box's own file is now; if that is wrong, as it was.
        let read = self.file.as_ref().map(|file| Config::read_again(file.path(), former.hub.handed.clone()));
        let config = read.and_then(Result::ok).unwrap_or(*former);
        match Way::to(&config.mqtt) {
            Ok(way) => self.take(way, config).await,
            Err(error) => error!("{error}; the hub's configuration {revision} stays until the next start"),
        }
        self.tell_adopted(revision, Adopted::RolledBack, "the hub was not reached with it", moment);
    }

    /// Has the birth say which revision counts; one on trial does not.
    pub(super) fn count_revision(&mut self) {
        if self.adoption.former.is_none() {
            self.agent.revision = self.config.hub.revision();
        }
    }

    /// To whoever reads the log here, and to the hub.
    fn tell_adopted(&mut self, revision: u32, adopted: Adopted, why: &str, moment: &Moment) {
        let told = adopted.told(revision, why);
        if adopted == Adopted::Applied {
            info!("the hub's configuration {told}");
        } else {
            error!("the hub's configuration {told}");
        }
        self.agent.adopted(revision, adopted, why, moment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::joined;
    use crate::join::{IDENTITY, Store};
    use crate::reload::ConfigFile;
    use rackside_identity::Registrar;
    use rackside_proto::{AgentName, COMMAND_LABEL, Signed};
    use rackside_systemd::Systemd;
    use tempfile::TempDir;

    /// A box that has joined, not connected to anything, and the hub's authority. `kept` is a revision that it has kept.
    fn app(directory: &TempDir, kept: Option<u32>) -> (App, Registrar) {
        let (identity, registrar) = joined(vec!["mqtts://127.0.0.1:1".to_owned()]);
        let store = Store::new(directory.path().to_owned());
        store.put(IDENTITY, identity.text().as_bytes()).expect("written");
        if let Some(revision) = kept {
            let kept = Kept::new(directory.path().to_owned(), &identity);
            kept.put(&Handed { revision, text: "tick = \"7s\"\n".into() }).expect("written");
            kept.keep().expect("renamed");
        }
        let path = directory.path().join("agent.toml");
        let text = format!("probes.ping = []\n[spool]\ndirectory = \"{}\"\n", directory.path().display());
        std::fs::write(&path, text).expect("written");
        let mut file = ConfigFile::new(path);
        let config = file.read().expect("a good file");
        let app = App::new(config, Some(file), Systemd::none(), Patience::default());
        (app.unwrap_or_else(|error| panic!("{error}")), registrar)
    }

    fn body(registrar: &Registrar, label: &[u8], name: &AgentName, revision: u32) -> Vec<u8> {
        let (mut content, mut body) = (Vec::new(), Vec::new());
        Configuration { revision, text: "tick = \"5s\"\n" }.encode(&mut content).expect("within bounds");
        let signature = registrar.authority().sign(label, name, &content);
        Signed { signature: &signature, content: &content }.encode(&mut body).expect("within bounds");
        body
    }

    #[test]
    fn nothing_is_tried_but_what_the_hub_has_signed_for_this_box_and_is_newer() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (mut app, registrar) = app(&directory, Some(4));
        let (_, stranger) = joined(vec!["mqtts://127.0.0.1:1".to_owned()]);
        assert_eq!((app.agent.revision, app.config.tick.as_secs()), (4, 7), "what was kept counts");
        let name = app.agent.name.clone();
        let other = AgentName::new("arena-north", "rack-2").expect("a name");
        let moment = app.clock.read();
        let mut waits = |body: Vec<u8>| {
            app.agent.configuration = Some(body);
            smol::block_on(app.adopt(&moment));
            app.adoption.course.waits()
        };
        let mut changed = body(&registrar, CONFIG_LABEL, &name, 9);
        *changed.last_mut().expect("a text") ^= 1;
        for forged in [
            body(&stranger, CONFIG_LABEL, &name, 9),
            body(&registrar, COMMAND_LABEL, &name, 9),
            body(&registrar, CONFIG_LABEL, &other, 9),
            changed,
            b"\x01rubbish".to_vec(),
            body(&registrar, CONFIG_LABEL, &name, 4),
            body(&registrar, CONFIG_LABEL, &name, 3),
        ] {
            assert_eq!(waits(forged), None);
        }
        assert_eq!(waits(body(&registrar, CONFIG_LABEL, &name, 5)), Some(5), "until the hub is heard");
        assert_eq!(app.config.tick.as_secs(), 7);
    }

    #[test]
    fn a_start_gives_up_what_was_on_trial() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (app_before, _registrar) = app(&directory, Some(4));
        let identity = app_before.config.mqtt.identity.as_deref().expect("joined").clone();
        let kept = Kept::new(directory.path().to_owned(), &identity);
        kept.put(&Handed { revision: 5, text: "tick = \"9s\"\n".into() }).expect("written");
        let mut file = ConfigFile::new(directory.path().join("agent.toml"));
        drop(app_before);
        let config = file.read().expect("a good file");
        let app = App::new(config, Some(file), Systemd::none(), Patience::default());
        let app = app.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((app.agent.revision, app.config.tick.as_secs()), (4, 7));
        assert_eq!((app.adoption.course.given_up(), kept.failed()), (5, 5));
        assert!(app.agent.custody.backlog() > 0, "the hub is to be told");
    }
}
