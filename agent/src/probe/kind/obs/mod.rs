//! `[[probe.obs]]`: OBS Studio by its own word: whether it streams and records, reconnects, is held up by the network, and which frames
//! are lost where.
//!
//! Its WebSocket interface, version 5, is asked three questions a run. The connection stays open from one run to the next, since OBS notes
//! every one in its log. An OBS that cannot be asked says nothing of its stream.
//!
//! ```toml
//! [[probe.obs]]
//! name = "obs"
//! address = "192.0.2.42"
//! password = { file = "/etc/rackside/obs-password" }
//! ```

pub(crate) mod status;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use crate::obs;
use crate::probe::config::{Settings, kind};
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running, dial};
use crate::websocket::{self, WebSocket};
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use rackside_config::{Secret, SecretText};
use rackside_proto::metric::{self, Metric};
use rackside_proto::{Scale, Value};
use status::{Heard, Question, Rate, Status, Told};
use std::net::TcpStream;
use std::time::Instant;

/// More than it says in a run; whoever says more is no OBS.
const MOST: usize = 1024 * 1024;
/// In thousandths.
const FINE: Scale = Scale::per(1000);
/// OBS counts memory and disks in these.
const MIB: f64 = 1024.0 * 1024.0;

kind! {
    /// What the configuration has for it.
    pub struct Obs {
        /// `192.0.2.42`, with a port if it is not 4455.
        address: String,
        /// Where authentication is on.
        #[serde(default)]
        password: Option<Secret>,
    }
}

impl Obs {
    fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = rackside_config::host_and_port(&self.address)?;
        Some((host, port.unwrap_or(obs::PORT)))
    }
}

impl Settings for Obs {
    fn target(&self) -> String {
        self.address.clone()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match self.host_and_port() {
            Some(_) => Ok(()),
            None => Err(("address", format!("\"{}\" is neither host nor host:port", self.address))),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking::new(self.clone()))
    }
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: Obs,
    line: Option<Line>,
    streak: Streak,
    rate: Rate,
    /// So many polls in a row it sent nothing.
    stalled: u8,
}

/// A connection on which it has taken the password.
struct Line {
    stream: Async<TcpStream>,
    socket: WebSocket,
    taken: usize,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            let within = context.within;
            let late = async {
                Timer::after(within).await;
                Err(format!("OBS had not answered after {within:?}"))
            };
            match future::or(self.ask(), late).await {
                Ok(status) => self.known(&status, Clock::now()),
                Err(why) => self.unknown(why),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.unknown(why)
    }
}

impl Asking {
    fn new(settings: Obs) -> Self {
        Self { settings, line: None, streak: Streak::default(), rate: Rate::default(), stalled: 0 }
    }

    /// On the connection that is open, or on a new one: what was open may have ended since, which is no fault.
    async fn ask(&mut self) -> Result<Status, String> {
        if let Some(mut line) = self.line.take()
            && let Ok(status) = line.ask().await
        {
            self.line = Some(line);
            return Ok(status);
        }
        let mut line = self.open().await?;
        let status = line.ask().await?;
        self.line = Some(line);
        Ok(status)
    }

    async fn open(&self) -> Result<Line, String> {
        let password = self.settings.password.as_ref().map(Secret::read).transpose();
        let password = password.map_err(|error| error.to_string())?;
        let (host, port) = self.settings.host_and_port().expect("the configuration was checked");
        let stream = dial::connect(host, port).await.map_err(|error| error.to_string())?.stream;
        // Failing to say so costs milliseconds only.
        let _ = stream.get_ref().set_nodelay(true);
        let (socket, request) =
            WebSocket::begin(&format!("{host}:{port}"), "/", obs::PROTOCOL, websocket::TEXT);
        let mut line = Line { stream, socket, taken: 0 };
        line.say(&request).await?;
        loop {
            match line.hear().await? {
                Heard::Hello(wanted) => {
                    let wanted = wanted.as_ref().map(|(challenge, salt)| (challenge.as_str(), salt.as_str()));
                    let password = password.as_ref().map(SecretText::expose);
                    let answer = obs::identify(wanted, password, 0)?;
                    line.say(&websocket::text(&answer)).await?;
                }
                Heard::Identified => return Ok(line),
                Heard::Answer(..) | Heard::Other => {}
            }
        }
    }

    fn known(&mut self, status: &Status, now: Instant) -> Outcome {
        let Status { stream, record, stats } = status;
        let bitrate = self.rate.take(stream.bytes.filter(|_| stream.active == Some(true)), now);
        let is_silent = bitrate == Some(0.0);
        self.stalled = if is_silent { self.stalled.saturating_add(1) } else { 0 };
        let reconnects = stream.reconnecting == Some(true);
        let mut outcome = match stream.active {
            _ if reconnects => {
                Outcome::down("the connection for its stream is lost, says OBS; it reconnects")
            }
            _ if self.stalled > 1 => Outcome::down("OBS streams, it says, and sends nothing"),
            Some(_) => Outcome::up(),
            None => Outcome::unknown("OBS does not say whether it streams"),
        };
        let up = self.streak.observe(match stream.active {
            _ if reconnects => Seen::Gone,
            Some(true) if is_silent => Seen::Failed,
            Some(true) => Seen::Well,
            Some(false) => Seen::Gone,
            None => Seen::Nothing,
        });
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        let truth = |truth: Option<bool>| truth.map_or(Value::Unknown, |truth| Value::Known(truth.into()));
        let records = record.active.map(|active| active && record.paused != Some(true));
        outcome.put_value(&metric::RECORDING_UP, &[], Scale::ONE, truth(records));
        outcome.put_value(&metric::OBS_RECONNECTING, &[], Scale::ONE, truth(stream.reconnecting));
        let duration = stream.duration.filter(|_| stream.active == Some(true)).map(|ms| ms / 1000.0);
        let mut put = |metric: &'static Metric, labels: &[&str], scale: Scale, value: Option<f64>| {
            if let Some(value) = value.filter(|value| *value >= 0.0) {
                outcome.put(metric, labels, scale, value);
            }
        };
        put(&metric::STREAM_BITRATE, &[""], Scale::times(1000), bitrate);
        put(&metric::STREAM_DURATION, &[], Scale::ONE, duration);
        put(&metric::OBS_CONGESTION, &[], FINE, stream.congestion);
        put(&metric::OBS_FPS, &[], Scale::per(100), stats.fps);
        put(&metric::OBS_RENDER_TIME, &[], Scale::per(10_000), stats.render_time.map(|ms| ms / 1000.0));
        put(&metric::OBS_CPU, &[], FINE, stats.cpu.map(|percent| percent / 100.0));
        put(&metric::OBS_MEMORY, &[], Scale::times(1 << 20), stats.memory.map(|mib| mib * MIB));
        put(&metric::OBS_DISK_AVAILABLE, &[], Scale::times(1 << 20), stats.disk.map(|mib| mib * MIB));
        frames(&mut outcome, "render", stats.render_total, stats.render_skipped);
        frames(&mut outcome, "encode", stats.total, stats.skipped);
        frames(&mut outcome, "network", stream.total, stream.skipped);
        outcome
    }

    fn unknown(&mut self, why: String) -> Outcome {
        (self.line, self.rate, self.stalled) = (None, Rate::default(), 0);
        let mut outcome = Outcome::unknown(why);
        let up = self.streak.observe(Seen::Nothing);
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        outcome.put_value(&metric::RECORDING_UP, &[], Scale::ONE, Value::Unknown);
        outcome.put_value(&metric::OBS_RECONNECTING, &[], Scale::ONE, Value::Unknown);
        outcome
    }
}

fn frames(outcome: &mut Outcome, stage: &str, all: Option<u64>, lost: Option<u64>) {
    for (metric, count) in [(&metric::OBS_FRAMES, all), (&metric::OBS_FRAMES_LOST, lost)] {
        if let Some(count) = count.and_then(|count| i64::try_from(count).ok()) {
            outcome.put_value(metric, &[stage], Scale::ONE, Value::Known(count));
        }
    }
}

impl Line {
    /// The three questions, and their answers. One that it refuses leaves its part untold.
    async fn ask(&mut self) -> Result<Status, String> {
        self.taken = 0;
        let mut status = Status::default();
        for asked in Question::ALL {
            self.say(&websocket::text(&obs::request(asked.kind()))).await?;
            loop {
                match self.hear().await? {
                    Heard::Answer(question, told) if question == asked => {
                        status.take(question, told.map_or_else(Told::default, |told| *told));
                        break;
                    }
                    _ => {}
                }
            }
        }
        Ok(status)
    }

    /// The next message.
    async fn hear(&mut self) -> Result<Heard, String> {
        let mut buffer = [0; 2048];
        loop {
            while let Some(heard) = self.socket.next()? {
                match heard {
                    websocket::Heard::Open | websocket::Heard::Alive => {}
                    websocket::Heard::Ping(payload) => self.say(&websocket::pong(&payload)).await?,
                    websocket::Heard::Close(obs::WRONG_PASSWORD) => {
                        return Err("OBS does not accept the password".to_owned());
                    }
                    websocket::Heard::Close(code) => {
                        return Err(format!("OBS said goodbye with code {code}"));
                    }
                    websocket::Heard::Message(message) => return status::read(&message),
                }
            }
            // Who sends faster than this reads must not have the agent's one thread for himself.
            future::yield_now().await;
            let length = self.stream.read(&mut buffer).await.map_err(|why| format!("OBS: {why}"))?;
            self.taken += length;
            if length == 0 {
                return Err("OBS closed the connection".to_owned());
            }
            if self.taken > MOST {
                return Err(format!("what answers says more than {MOST} bytes; is it OBS?"));
            }
            self.socket.take(buffer.get(..length).unwrap_or_default());
        }
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|why| format!("OBS: {why}"))
    }
}
