//! `run`: the loop that moves bytes and time between the sockets, the sensors and the parts that do no I/O.
//!
//! One task, woken by the tick, the socket, a deadline or a signal. Everything it decides is decided elsewhere:
//! [`Ticker`] when to read, [`Agent`] what to keep, [`Session`] what to say, [`Backoff`] when to try again.

use crate::agent::Agent;
use crate::clock::{Clock, Moment};
use crate::config::{Config, Mqtt};
use crate::host::Host;
use crate::loss::Loss;
use crate::panel::reach::{Reach, View};
use crate::panel::{self, Happened, Panel};
use crate::reload::{self, ConfigFile};
use crate::sensor::Roots;
use crate::session::Session;
use crate::state::State;
use crate::ticker::Ticker;
use crate::transport::{Backoff, ConnectError, Connector, Stream, TlsError};
use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::{AsyncRead, AsyncWrite, StreamExt, future};
use log::{debug, error, info, warn};
use rackside_config::ConfigError;
use rackside_link::Login;
use rackside_proto::{Reason, Run};
use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A connection that held this long counts as a good one: the next failure starts the backoff anew and is logged again.
const STABLE: Duration = Duration::from_secs(30);
/// For the hub's acks of what was sent just before a stop: it commits within 250 ms.
const LINGER: Duration = Duration::from_secs(1);
/// For the goodbye to leave the socket.
const GOODBYE: Duration = Duration::from_secs(2);
/// The monotonic clock lags so far behind `CLOCK_BOOTTIME` only when the machine was suspended.
const SUSPENDED_MS: u64 = 1000;
/// What one read takes at most.
const READ: usize = 4096;

/// Why the agent does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration cannot be read, or is wrong.
    Config(ConfigError),
    /// A secret is missing.
    Password {
        /// Whose.
        user: String,
        /// Why.
        why: ConfigError,
    },
    /// TLS cannot be set up.
    Tls(TlsError),
    /// The system refuses something that every Linux has.
    System {
        /// What.
        what: &'static str,
        /// Why.
        why: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Password { user, why } => write!(f, "the password of user {user}: {why}"),
            Self::Tls(error) => error.fmt(f),
            Self::System { what, why } => write!(f, "the system gives no {what}: {why}"),
        }
    }
}

impl std::error::Error for StartError {}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, ConnectError>>>>;

/// How the way to the broker stands.
enum Line {
    /// Waiting for the next try.
    Down { until: Instant },
    /// Opening a stream.
    Connecting(Connecting),
    /// Talking.
    Up(Box<Talk>),
}

/// A stream and the conversation on it.
struct Talk {
    stream: Box<dyn Stream>,
    session: Session,
    flushed: bool,
    buffer: [u8; READ],
}

/// What a signal asks for.
enum Order {
    Stop,
    Reload,
}

/// How to reach the broker, and what to say at its door.
struct Way {
    connector: Rc<Connector>,
    login: Option<Login>,
}

impl Way {
    /// Reads the certificates and the password.
    fn to(mqtt: &Mqtt) -> Result<Self, StartError> {
        let connector = Rc::new(Connector::new(mqtt).map_err(StartError::Tls)?);
        let Some(user) = mqtt.user.clone() else { return Ok(Self { connector, login: None }) };
        let password = mqtt.password.as_ref().map(rackside_config::Secret::read).transpose();
        let password = password.map_err(|why| StartError::Password { user: user.clone(), why })?;
        let password = password.map_or_else(String::new, |text| text.expose().to_owned());
        Ok(Self { connector, login: Some(Login { user, password }) })
    }
}

fn warn_of_plain_password(mqtt: &Mqtt) {
    if mqtt.password.is_some() && mqtt.tls.is_none() {
        warn!("the password goes over the network without TLS; set [mqtt.tls] unless the way is private");
    }
}

/// What woke the loop.
enum Wake {
    Time,
    /// Something happened on the panel.
    Moved,
    Stop,
    Reload,
    Opened(Box<dyn Stream>),
    Received(usize),
    /// A full output has room again.
    Room,
    Lost(Loss),
}

/// A timer that is set again only when its moment changes.
struct Alarm {
    timer: Timer,
    set: Option<Instant>,
}

impl Alarm {
    async fn at(&mut self, moment: Instant) {
        if self.set != Some(moment) {
            self.timer.set_at(moment);
            self.set = Some(moment);
        }
        (&mut self.timer).await;
        self.set = None;
    }
}

/// Everything that runs.
struct App {
    agent: Agent,
    clock: Clock,
    ticker: Ticker,
    state: State,
    panel: Panel,
    reach: Reach,
    /// Whether the hub is to be told every tally anew.
    retell: bool,
    config: Config,
    /// Where that came from, if from a file.
    file: Option<ConfigFile>,
    way: Way,
    backoff: Backoff,
    line: Line,
    /// The failure that was logged last, so that it is logged once.
    said: Option<String>,
    suspension: Suspension,
}

/// Notices that the machine was suspended: `CLOCK_BOOTTIME` went on meanwhile, and the monotonic clock did not.
#[derive(Debug, Default)]
struct Suspension {
    last: Option<(Instant, u64)>,
}

impl Suspension {
    /// Whether there was one since the moment before.
    fn ended_by(&mut self, moment: &Moment) -> bool {
        let Some((now, boot_ms)) = self.last.replace((moment.now, moment.boot_ms)) else { return false };
        let awake = moment.now.saturating_duration_since(now).as_millis() as u64;
        moment.boot_ms.saturating_sub(boot_ms) > awake + SUSPENDED_MS
    }
}

/// Runs until SIGTERM or SIGINT; a second one does not wait for the hub's last acks. SIGHUP, and a change of `file`, from
/// which `config` was read, make it read that again.
pub fn run(config: Config, file: ConfigFile) -> Result<(), StartError> {
    smol::block_on(async {
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|why| StartError::System { what: "signals", why })?;
        let mut orders = signals.map(|signal| match signal {
            Ok(Signal::Hup) => Order::Reload,
            _ => Order::Stop,
        });
        App::new(config, Some(file))?.serve(&mut orders).await;
        Ok(())
    })
}

/// Runs until `stop` gives something, for whoever has an executor of their own. One agent a thread.
pub async fn serve(
    config: &Config,
    stop: impl futures_lite::Stream<Item = ()> + Unpin,
) -> Result<(), StartError> {
    App::new(config.clone(), None)?.serve(&mut stop.map(|()| Order::Stop)).await;
    Ok(())
}

impl App {
    fn new(config: Config, file: Option<ConfigFile>) -> Result<Self, StartError> {
        let way = Way::to(&config.mqtt)?;
        let roots = Roots::default();
        let mut clock = Clock::new(config.clock, &roots.proc);
        let moment = clock.read();
        let run = Run(random().map_err(|why| StartError::System { what: "random numbers", why })?);
        let mut state = State::new(&config.spool, &roots.proc);
        let mut agent = Agent::new(&config, run, &clock, roots, Host::read(Path::new("/")));
        info!("rackside-agent {} starts as {}, run {run}", crate::agent::VERSION, agent.name);
        info!("the broker is {}", config.mqtt);
        warn_of_plain_password(&config.mqtt);
        state.step(&mut agent, moment.now);
        if !moment.known {
            info!("the clock is not known yet; readings carry the time since boot until it is");
        }
        Ok(Self {
            agent,
            ticker: Ticker::new(config.tick, moment.now),
            panel: Panel::open(config.panel.clone(), None, moment.now),
            reach: Reach::default(),
            retell: false,
            state,
            clock,
            config,
            file,
            way,
            backoff: Backoff::new(u64::from(run.0)),
            line: Line::Down { until: moment.now },
            said: None,
            suspension: Suspension::default(),
        })
    }

    async fn serve(&mut self, orders: &mut (impl futures_lite::Stream<Item = Order> + Unpin)) {
        // Once it is to stop, until when it waits for acks.
        let mut leaving: Option<Instant> = None;
        // One timer for the whole run: each new one would wake async-io's thread.
        let mut alarm = Alarm { timer: Timer::never(), set: None };
        loop {
            if leaving.is_none() && self.ticker.next() <= Clock::now() && self.file_has_changed() {
                self.reload().await;
            }
            let moment = self.clock.read();
            if let Some(utc_ms) = self.agent.hub_time.take() {
                self.clock.hub_said(utc_ms, &moment);
            }
            if self.suspension.ended_by(&moment) {
                self.agent.custody.slept(moment.now);
            }
            let mut deadline = self.work(&moment, leaving.is_some());
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
            match future::or(moved, future::or(future::or(told, self.line.event()), time)).await {
                Wake::Time | Wake::Moved | Wake::Room => {}
                Wake::Stop if leaving.is_some() => break,
                Wake::Stop => leaving = Some(Clock::now() + LINGER),
                Wake::Reload if leaving.is_some() => {}
                Wake::Reload => self.reload().await,
                Wake::Opened(stream) => {
                    let now = Clock::now();
                    let session = Session::open(&mut self.agent, self.way.login.clone(), now);
                    self.line =
                        Line::Up(Box::new(Talk { stream, session, flushed: true, buffer: [0; READ] }));
                }
                Wake::Received(bytes) => self.received(bytes),
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
        if let Some(missed) = ticked
            && !leaving
        {
            if missed > 0 {
                warn!("{missed} readings were skipped: this machine stood still or had no time");
            }
            self.agent.panel = self.panel.readings();
            self.agent.tick(moment);
            // What the reading says of the site is shown at once.
            self.step_panel(moment);
        }
        self.state.step(&mut self.agent, now);
        self.agent.custody.keep(now);
        let kept = [self.state.deadline(&self.agent), self.agent.custody.keep_at()];
        let verdict = self.agent.verdict.map(|(_, until)| until).filter(|until| *until > now);
        let panel = [self.panel.deadline(), self.reach.deadline(), verdict];
        let due = kept.into_iter().chain(panel).flatten();
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
        let link = self.reach.step(&view, now);
        let site = self.agent.site(link, now);
        for happened in self.panel.step(site, now) {
            self.agent.happened(&happened, moment);
        }
        if connected && std::mem::take(&mut self.retell) {
            for reading in self.panel.tallies() {
                self.agent.happened(&Happened { at: now, reading }, moment);
            }
        }
    }

    fn received(&mut self, bytes: usize) {
        let now = Clock::now();
        if let Line::Up(talk) = &mut self.line {
            let Talk { session, buffer, .. } = &mut **talk;
            if let Err(error) = session.receive(&buffer[..bytes], &mut self.agent, now) {
                self.lost(&Loss::Link(error), now);
            }
        }
    }

    /// The stream is gone, or did not come to be.
    fn lost(&mut self, loss: &Loss, now: Instant) {
        let greeted = matches!(&self.line, Line::Up(talk) if talk.session.connected().is_none());
        self.agent.custody.disconnected();
        self.reach.lost(loss.link());
        self.retell = true;
        let wait = self.backoff.next_wait();
        self.line = Line::Down { until: now + wait };
        let mut text = loss.to_string();
        if greeted && matches!(loss, Loss::Io(_) | Loss::Closed) {
            text.push_str(
                " before the broker answered the MQTT greeting; is it an MQTT port, and plain or TLS as configured?",
            );
        }
        if self.said.as_ref() == Some(&text) {
            debug!("{text}; trying again in {wait:.1?}");
        } else {
            warn!("{text}; trying again until it works");
            self.said = Some(text);
        }
    }

    fn file_has_changed(&mut self) -> bool {
        self.file.as_mut().is_some_and(ConfigFile::has_changed)
    }

    /// Reads the file again, with the password and the certificates. What is wrong keeps the configuration as it was, whole.
    async fn reload(&mut self) {
        let Some(file) = &mut self.file else { return };
        let read = file.read().map_err(StartError::Config);
        match read.and_then(|fresh| Ok((Way::to(&fresh.mqtt)?, fresh))) {
            Ok((way, fresh)) => self.take(way, fresh).await,
            Err(error) => error!("{error}; the configuration stays as it was"),
        }
    }

    async fn take(&mut self, way: Way, mut fresh: Config) {
        log::set_max_level(fresh.level);
        let mut said = format!("configuration read again; log level {:?}", fresh.level);
        let changed = reload::changes(&self.config, &fresh);
        if !changed.is_empty() {
            let _ = write!(said, "; changed: {}", changed.join(", "));
        }
        if fresh.name == self.config.name {
            info!("{said}");
        } else {
            // Records belong to the name under which they were made.
            warn!("{said}; site and appliance wait for a restart of the agent");
            fresh.name = self.config.name.clone();
        }
        // A new certificate of the authority is for the next connection; the present one is not the worse for it.
        let keeps = matches!(self.line, Line::Up(_)) && self.way.login == way.login;
        if self.config.mqtt != fresh.mqtt {
            info!("the broker is {}", fresh.mqtt);
            warn_of_plain_password(&fresh.mqtt);
        }
        if !keeps || self.config.mqtt != fresh.mqtt {
            self.hang_up().await;
            self.backoff.reset();
            self.said = None;
        }
        self.way = way;
        if self.config.tick != fresh.tick {
            self.ticker = Ticker::new(fresh.tick, Clock::now());
        }
        self.clock.trust(fresh.clock);
        let state = State::new(&fresh.spool, &Roots::default().proc);
        if state.is_same(&self.state) {
            self.state.configure(&state);
        } else if !self.agent.custody.has_spool() {
            self.state = state;
        } else {
            // What is in the old one would be forgotten.
            warn!("another place for the spool waits for a restart of the agent");
            (fresh.spool.directory, fresh.spool.disk) =
                (self.config.spool.directory.clone(), self.config.spool.disk);
        }
        if self.config.panel != fresh.panel {
            let now = Clock::now();
            let before =
                std::mem::replace(&mut self.panel, Panel::open(panel::config::Config::default(), None, now));
            self.panel = Panel::open(fresh.panel.clone(), before.close(), now);
        }
        self.agent.configure(&fresh);
        self.config = fresh;
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

impl Line {
    /// What happens on the line next. Giving up waiting loses nothing.
    async fn event(&mut self) -> Wake {
        match self {
            Self::Down { .. } => future::pending().await,
            Self::Connecting(opening) => match opening.await {
                Ok(stream) => Wake::Opened(stream),
                Err(error) => Wake::Lost(Loss::Connect(error)),
            },
            Self::Up(talk) => future::poll_fn(|cx| talk.poll(cx)).await,
        }
    }
}

impl Talk {
    /// Writes what waits, reads what came.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        let full = self.session.is_full();
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Wake::Lost(Loss::Io(error)));
        }
        if full && !self.session.is_full() {
            return Poll::Ready(Wake::Room);
        }
        Pin::new(&mut self.stream).poll_read(cx, &mut self.buffer).map(|result| match result {
            Ok(0) => Wake::Lost(Loss::Closed),
            Ok(bytes) => Wake::Received(bytes),
            Err(error) => Wake::Lost(Loss::Io(error)),
        })
    }

    /// Writes until nothing waits.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.output().is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.session.output()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.session.written(written);
            self.flushed = false;
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what waits and closes the stream; errors matter to nobody any more.
    async fn drain(&mut self) {
        if future::poll_fn(|cx| self.poll_write(cx)).await.is_err() {
            return;
        }
        let _ = future::poll_fn(|cx| Pin::new(&mut self.stream).poll_close(cx)).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Trust;

    #[test]
    fn a_suspension_is_boot_time_without_monotonic_time() {
        let mut suspension = Suspension::default();
        let mut moment = Clock::new(Trust::Auto, Path::new("/proc")).read();
        assert!(!suspension.ended_by(&moment), "nothing came before");
        for (awake_ms, asleep_ms, suspended) in
            [(10, 0, false), (60_000, 900, false), (0, 2000, true), (10, 0, false)]
        {
            moment.now += Duration::from_millis(awake_ms);
            moment.boot_ms += awake_ms + asleep_ms;
            assert_eq!(suspension.ended_by(&moment), suspended, "{awake_ms} ms awake, {asleep_ms} ms asleep");
        }
    }
}
