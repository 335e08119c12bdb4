//! `run`: the loop that moves bytes and time between the sockets, the sensors and the parts that do no I/O.
//!
//! One task, woken by the tick, the socket, a deadline or a signal. Everything it decides is decided elsewhere:
//! [`Ticker`] when to read, [`Agent`] what to keep, [`Session`] what to say, [`Backoff`] when to try again.

mod adopt;
mod answer;
mod error;
mod line;
mod look;
mod obey;
mod reconfigure;
mod renew;
mod standing;
mod wake;

pub use error::StartError;

use crate::agent::Agent;
use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::configure::Patience;
use crate::host::Host;
use crate::loss::Loss;
use crate::panel::led::Link;
use crate::panel::reach::{Reach, View};
use crate::panel::{Happened, Panel};
use crate::probe::stills::Taken;
use crate::probe::{Context, News, Probes};
use crate::reload::ConfigFile;
use crate::sensor::Roots;
use crate::session::Session;
use crate::state::State;
use crate::status::Door;
use crate::ticker::Ticker;
use crate::tls::{Objection, alert};
use crate::transport::Backoff;
use adopt::Adoption;
use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::{StreamExt, future};
use line::{Line, Talk, Way};
use log::{debug, info, warn};
use look::Look;
use rackside_link::{LinkError, Refusal};
use rackside_proto::{Reason, Run};
use rackside_systemd::Systemd;
use renew::Renewal;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};
use wake::{Alarm, Order, Suspension, Wake};

/// A connection that held this long counts as a good one: the next failure starts the backoff anew and is logged again.
const STABLE: Duration = Duration::from_secs(30);
/// For the hub's acks of what was sent just before a stop: it commits within 250 ms.
const LINGER: Duration = Duration::from_secs(1);
/// A card so slow that the spool takes longer to open is no reason for systemd to start the agent anew.
const OPENED: Duration = Duration::from_secs(20);
/// For the goodbye to leave the socket.
const GOODBYE: Duration = Duration::from_secs(2);

/// Everything that runs.
struct App {
    agent: Agent,
    clock: Clock,
    ticker: Ticker,
    state: State,
    panel: Panel,
    probes: Probes,
    reach: Reach,
    /// How the way to the hub stands, by that.
    link: Link,
    /// Whether the hub is to be told every tally anew.
    retell: bool,
    config: Config,
    /// Where that came from, if from a file.
    file: Option<ConfigFile>,
    way: Way,
    backoff: Backoff,
    line: Line,
    renewal: Renewal,
    adoption: Adoption,
    look: Look,
    /// The failure that was logged last, so that it is logged once.
    said: Option<String>,
    suspension: Suspension,
    started: Instant,
    /// Where this agent is asked how it is.
    door: Door,
    systemd: Systemd,
    /// When it says that it is ready, whatever is still being opened; `None` once it has.
    ready_by: Option<Instant>,
}

/// Runs until SIGTERM or SIGINT; a second one does not wait for the hub's last acks. SIGHUP, and a change of `file`, from
/// which `config` was read, make it read that again.
pub fn run(config: Config, file: ConfigFile) -> Result<(), StartError> {
    // What the unit lets this program do, raw sockets for pings, is not for programs that it starts.
    if let Err(why) = rustix::thread::clear_ambient_capability_set() {
        debug!("the capabilities of this program cannot be kept from those that it starts: {why}");
    }
    smol::block_on(async {
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|why| StartError::System { what: "signals", why })?;
        let mut orders = signals.map(|signal| match signal {
            Ok(Signal::Hup) => Order::Reload,
            _ => Order::Stop,
        });
        let mut app = App::new(config, Some(file), Systemd::from_environment(), Patience::default())?;
        app.door = Door::open(&app.agent.name);
        app.serve(&mut orders).await;
        Ok(())
    })
}

/// Runs until `stop` gives something, for whoever has an executor of their own. One agent a thread.
pub async fn serve(
    config: &Config,
    stop: impl futures_lite::Stream<Item = ()> + Unpin,
) -> Result<(), StartError> {
    let mut app = App::new(config.clone(), None, Systemd::none(), Patience::default())?;
    app.serve(&mut stop.map(|()| Order::Stop)).await;
    Ok(())
}

/// The same from a file, and with so much patience for what the hub hands out.
pub async fn serve_file(
    mut file: ConfigFile,
    patience: Patience,
    stop: impl futures_lite::Stream<Item = ()> + Unpin,
) -> Result<(), StartError> {
    let config = file.read().map_err(StartError::Config)?;
    let mut app = App::new(config, Some(file), Systemd::none(), patience)?;
    app.serve(&mut stop.map(|()| Order::Stop)).await;
    Ok(())
}

impl App {
    fn new(
        config: Config,
        file: Option<ConfigFile>,
        systemd: Systemd,
        patience: Patience,
    ) -> Result<Self, StartError> {
        let way = Way::to(&config.mqtt)?;
        let roots = Roots::default();
        let mut clock = Clock::new(config.clock, &roots.proc);
        let moment = clock.read();
        let run = Run(random().map_err(|why| StartError::System { what: "random numbers", why })?);
        let mut state = State::new(&config.spool, &roots.proc);
        let mut agent = Agent::new(&config, run, &clock, roots, Host::read(Path::new("/")));
        info!("rackside-agent {} starts as {}, run {run}", crate::agent::VERSION, agent.name);
        if let Some(file) = &file {
            info!("the configuration is {}", file.path().display());
            if let Some(other) = file.about_other() {
                warn!("{other}");
            }
        }
        info!("the broker is {}", config.mqtt);
        line::warn_of_bare_password(&config.mqtt);
        state.step(&mut agent, moment.now);
        if !moment.known {
            info!("the clock is not known yet; readings carry the time since boot until it is");
        }
        let adoption = file.as_ref().map(|_| Adoption::new(&config, patience)).unwrap_or_default();
        let mut app = Self {
            agent,
            ticker: Ticker::new(config.tick, moment.now),
            panel: Panel::open(config.panel.clone(), None, moment.now),
            probes: Probes::new(config.probes.clone(), Context::default(), moment.now),
            reach: Reach::default(),
            link: Link::default(),
            retell: false,
            state,
            clock,
            config,
            file,
            way,
            backoff: Backoff::new(u64::from(run.0)),
            line: Line::Down { until: moment.now },
            renewal: Renewal::default(),
            adoption,
            look: Look::default(),
            said: None,
            suspension: Suspension::default(),
            started: moment.now,
            door: Door::default(),
            systemd,
            ready_by: Some(moment.now + OPENED),
        };
        app.begin_adoption(&moment);
        Ok(app)
    }

    async fn serve(&mut self, orders: &mut (impl futures_lite::Stream<Item = Order> + Unpin)) {
        // Once it is to stop, until when it waits for acks.
        let mut leaving: Option<Instant> = None;
        // One timer for the whole run: each new one would wake async-io's thread.
        let mut alarm = Alarm::never();
        loop {
            if leaving.is_none() && self.ticker.next() <= Clock::now() && self.file_has_changed() {
                self.reload().await;
            }
            let moment = self.clock.read();
            if let Some(utc_ms) = self.agent.hub_time.take() {
                self.agent.commands.gate.hub_said(utc_ms, moment.now);
                self.clock.hub_said(utc_ms, &moment);
            }
            if self.suspension.ended_by(&moment) {
                self.agent.custody.slept(moment.now);
            }
            if leaving.is_none() {
                self.adopt(&moment).await;
            }
            let mut deadline = self.work(&moment, leaving.is_some());
            deadline = self.tell_systemd(&moment, deadline);
            deadline = self.tell_whoever_asks(&moment, deadline);
            if let Some(end) = leaving {
                if moment.now >= end || self.agent.custody.backlog() == 0 || !matches!(self.line, Line::Up(_))
                {
                    break;
                }
                deadline = deadline.min(end);
            }
            let told = async {
                match orders.next().await {
                    Some(Order::Reload) => Wake::Reload,
                    Some(Order::Stop) => Wake::Stop,
                    None if leaving.is_none() => Wake::Stop,
                    // Whoever let the stream end has nothing more to say: no reason to hurry.
                    None => future::pending().await,
                }
            };
            let time = async {
                alarm.at(deadline).await;
                Wake::Time
            };
            let moved = async {
                future::poll_fn(|cx| self.panel.poll_moved(cx)).await;
                Wake::Moved
            };
            let asked = async {
                future::poll_fn(|cx| self.door.poll(cx)).await;
                Wake::Moved
            };
            let ended = async {
                self.probes.moved().await;
                Wake::Moved
            };
            let looked = async {
                future::poll_fn(|cx| self.look.poll(cx)).await;
                Wake::Looked
            };
            let renewed = async { Wake::Renewed(future::poll_fn(|cx| self.renewal.poll(cx)).await) };
            let written =
                async { Wake::Written(Box::new(future::poll_fn(|cx| self.adoption.poll(cx)).await)) };
            match future::or(
                future::or(
                    future::or(moved, looked),
                    future::or(ended, future::or(asked, future::or(renewed, written))),
                ),
                future::or(future::or(told, self.line.event()), time),
            )
            .await
            {
                Wake::Time | Wake::Moved | Wake::Room => {}
                Wake::Stop if leaving.is_some() => break,
                Wake::Stop => {
                    self.systemd.stopping();
                    self.agent.flush(Clock::now());
                    leaving = Some(Clock::now() + LINGER);
                }
                Wake::Reload | Wake::Written(_) if leaving.is_some() => {}
                Wake::Reload => self.reload().await,
                Wake::Opened(stream) => {
                    let now = Clock::now();
                    let session = Session::open(&mut self.agent, self.way.login.clone(), now);
                    self.line = Line::Up(Box::new(Talk::new(stream, session)));
                }
                Wake::Received(bytes) => self.received(bytes),
                Wake::Looked => self.looked(),
                Wake::Renewed(result) => self.renewed(*result, Clock::now()),
                Wake::Written(what) => self.written(*what, &moment).await,
                Wake::Lost(loss) => self.lost(&loss, Clock::now()),
            }
        }
        self.say_goodbye().await;
    }

    /// Does what is due, and says when there will be more to do. Reads nothing more once it is `leaving`.
    fn work(&mut self, moment: &Moment, leaving: bool) -> Instant {
        let now = moment.now;
        let ticked = self.ticker.take(now);
        if ticked.is_some() {
            self.panel.glance();
        }
        self.step_panel(moment);
        if !leaving {
            self.step_probes(moment);
        }
        if let Some(missed) = ticked
            && !leaving
        {
            if missed > 0 {
                warn!("{missed} readings were skipped: this machine stood still or had no time");
            }
            self.agent.panel = self.panel.readings();
            self.agent.probes = self.probes.series(now);
            self.agent.tick(moment);
            self.redial(now);
            // What the reading says of the site is shown at once.
            self.step_panel(moment);
        }
        self.state.step(&mut self.agent, now);
        if !leaving {
            self.obey(moment);
            self.renew(moment);
            self.look(now);
        }
        self.agent.custody.keep(now);
        let kept = [self.state.deadline(&self.agent), self.agent.custody.keep_at()];
        let verdict = self.agent.verdict.map(|(_, until)| until).filter(|until| *until > now);
        let panel = [self.panel.deadline(), self.reach.deadline(), verdict];
        let asked = [self.adoption.course.deadline(), self.asked_until()];
        let probes = self.probes.deadline().filter(|_| !leaving);
        let due = kept.into_iter().chain(panel).chain(asked).chain([probes]).flatten();
        let mut deadline = due.fold(self.ticker.next(), Instant::min);
        match &mut self.line {
            Line::Down { until } if *until <= now => {
                let traffic = Rc::clone(&self.agent.traffic);
                let connecting = Rc::clone(&self.way.connector).connect(traffic, *moment);
                self.line = Line::Connecting(Box::pin(connecting));
            }
            Line::Down { until } => deadline = deadline.min(*until),
            Line::Connecting(_) => {}
            Line::Up(talk) => match talk.session.pump(&mut self.agent, moment) {
                Ok(()) => deadline = deadline.min(talk.session.deadline(&self.agent, now)),
                Err(error) => {
                    self.lost(&Loss::Link(error), now);
                    deadline = now;
                }
            },
        }
        if let Line::Up(talk) = &self.line
            && talk.session.connected().is_some_and(|since| now >= since + STABLE)
        {
            self.said = None;
            self.backoff.reset();
            self.renewal.well();
            self.look.well();
        }
        deadline
    }

    /// Lets the panel do what is due, and takes what happened on it into custody.
    fn step_panel(&mut self, moment: &Moment) {
        let now = moment.now;
        let connected = matches!(&self.line, Line::Up(talk) if talk.session.connected().is_some());
        let custody = &self.agent.custody;
        let view = View {
            connected,
            waits: custody.backlog() > 0,
            heard: custody.heard(),
            routed: self.agent.is_routed(),
        };
        self.link = self.reach.step(&view, now);
        let site = self.agent.site(self.link, now);
        for happened in self.panel.step(site, now) {
            self.agent.happened(&happened, moment);
        }
        if connected && std::mem::take(&mut self.retell) {
            for reading in self.panel.tallies() {
                self.agent.happened(&Happened { at: now, reading }, moment);
            }
        }
    }

    /// Lets the probes do what is due, and takes what they found into custody.
    fn step_probes(&mut self, moment: &Moment) {
        let (tally, maintenance) = (self.panel.is_on_air(), self.panel.is_maintained());
        self.probes.surroundings().see(tally, maintenance, self.agent.default_route(), moment.now);
        self.probes.surroundings().read(moment);
        self.probes.surroundings().reach(self.is_heard());
        for news in self.probes.step(moment.now) {
            match news {
                News::Sample(happened) => self.agent.happened(&happened, moment),
                News::Text { subject, text } => self.agent.told(&subject, &text, moment),
                News::Pulse { relay, lasts } => self.panel.pulse(&relay, lasts, moment.now),
                News::Still(taken) => self.show(&taken, moment),
            }
        }
    }

    /// Whether the hub answers on this connection.
    fn is_heard(&self) -> bool {
        let acked = self.agent.custody.acked_at();
        self.link == Link::Well && self.connected().is_some_and(|since| acked.is_some_and(|at| at >= since))
    }

    /// Sends a picture of a stream, if that can be done now.
    fn show(&mut self, taken: &Taken, moment: &Moment) {
        let Line::Up(talk) = &mut self.line else { return };
        match self.agent.still(taken, moment) {
            Ok(body) => talk.session.show(body, moment.now),
            Err(error) => warn!("the still of {} cannot be sent: {error}", taken.probe),
        }
    }

    fn received(&mut self, bytes: usize) {
        let now = Clock::now();
        if let Line::Up(talk) = &mut self.line
            && let Err(error) = talk.receive(bytes, &mut self.agent, now)
        {
            self.lost(&Loss::Link(error), now);
        }
    }

    /// The stream is gone, or did not come to be.
    fn lost(&mut self, loss: &Loss, now: Instant) {
        let greeted = matches!(&self.line, Line::Up(talk) if talk.session.connected().is_none());
        self.agent.custody.disconnected();
        self.renewal.lost(loss, greeted);
        if self.connected().is_none() {
            self.look.lost();
        }
        self.reach.lost(match (&self.renewal.refused, self.look.portal()) {
            (Some(_), _) => Link::Refused,
            (None, Some(_)) => Link::Portal,
            (None, None) => loss.link(),
        });
        self.retell = true;
        let wait = self.backoff.next_wait();
        self.line = Line::Down { until: now + wait };
        let text = self.told(loss, greeted);
        debug!("trying again in {wait:.1?}");
        self.say(text);
    }

    /// Why there is no connection, in words.
    fn told(&self, loss: &Loss, greeted: bool) -> String {
        let known = self.renewal.refused.as_deref().or(self.look.portal());
        if let Some(known) = known {
            return known.to_owned();
        }
        if let Some(said) = loss.alert().and_then(|alert| alert::words(alert, &self.broker())) {
            return said;
        }
        match loss {
            // Nothing of it is in its own configuration.
            Loss::Link(LinkError::Refused(Refusal::NotAuthorized)) if self.config.mqtt.identity.is_some() => {
                "the hub does not let this box in; it is asked why".to_owned()
            }
            Loss::Io(_) | Loss::Closed if greeted && self.config.mqtt.identity.is_some() => {
                format!(
                    "{loss} before {} answered the MQTT greeting; does it let this box in? Its log says",
                    self.broker()
                )
            }
            Loss::Io(_) | Loss::Closed if greeted => format!(
                "{loss} before the broker answered the MQTT greeting; is it an MQTT port, and plain or TLS as configured?"
            ),
            Loss::Connect(error)
                if matches!(error.objection(), Some(Objection::Expired | Objection::NotYetValid)) =>
            {
                let apart = self.look.apart().map_or_else(String::new, |apart| format!("; {apart}"));
                format!("{loss}{apart}")
            }
            loss => loss.to_string(),
        }
    }

    /// Tells the log, once, why there is no connection.
    fn say(&mut self, text: String) {
        if self.said.as_ref() == Some(&text) {
            debug!("{text}");
        } else {
            warn!("{text}; trying again until it works");
            self.said = Some(text);
        }
    }

    /// Ends a connection that was made for a line that costs money, or for one that does not, when the other is in use now. Without a goodbye:
    /// if no other can be made the broker is to say that this one is gone.
    fn redial(&mut self, now: Instant) {
        let keep_alive = self.agent.keep_alive();
        let fits = |talk: &Talk| talk.session.keep_alive() == keep_alive;
        if matches!(&self.line, Line::Up(talk) if !fits(talk)) {
            info!("another kind of line is in use: the connection is made anew");
            self.agent.custody.disconnected();
            self.retell = true;
            self.backoff.reset();
            self.line = Line::Down { until: now };
        }
    }

    async fn say_goodbye(&mut self) {
        info!("stopping");
        self.panel.darken();
        // First what must not be lost; the broker may take its time.
        self.state.finish(&mut self.agent, Clock::now());
        let left = self.agent.custody.stop(Clock::now());
        if left.kept > 0 {
            info!("{} records wait on the disk for the next run", left.kept);
        }
        if left.lost > 0 {
            warn!("lost with this run, for want of the hub's acknowledgement: {} of its records", left.lost);
        }
        self.hang_up().await;
    }

    /// Ends the conversation in good order, if there is one; the next try is due at once.
    async fn hang_up(&mut self) {
        let now = Clock::now();
        if let Line::Up(talk) = &mut self.line
            && talk.session.close(&self.agent, Reason::Stop, now).is_ok()
        {
            let late = async {
                Timer::at(now + GOODBYE).await;
                debug!("the goodbye did not leave in time");
            };
            future::or(talk.drain(), late).await;
        }
        self.agent.custody.disconnected();
        self.retell = true;
        self.line = Line::Down { until: now };
    }
}

/// From the kernel; waits for its pool to be filled, early after boot.
fn random() -> io::Result<u32> {
    let mut bytes = [0; 4];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if filled == bytes.len() {
        Ok(u32::from_le_bytes(bytes))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
