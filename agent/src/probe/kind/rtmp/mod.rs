//! `[[probe.rtmp]]`: whether an RTMP server would take a publisher or a player. No media are pulled and no stream is touched.
//!
//! `level = "handshake"` greets only; `level = "connect"` (the default) asks for the application as well, which a server may refuse.
//! `rtmps://` is the same within TLS. What a server says of a stream is not asked for: that a stream is there, `[[probe.stream]]` tells.
//! `rackside_stream_phase_seconds` has how long each part took.
//!
//! ```toml
//! [[probe.rtmp]]
//! name = "ingest"
//! url = "rtmps://live.example/app/{key}"
//! key = { file = "/etc/rackside/stream-key" }
//! ```

pub mod wire;

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::locator::{Address, Locator};
use crate::probe::secure::{self, HandshakeError, Trust};
use crate::probe::{Context, Outcome, Probe, Running, dial, mask};
use crate::transport::Stream;
use futures_lite::io::{AsyncReadExt as _, AsyncWriteExt as _};
use rackside_config::Secret;
use rackside_proto::{Scale, metric};
use serde::Deserialize;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use wire::{Chunks, Command, GREETING, NotRtmp};

const SCHEMES: &[&str] = &["rtmp", "rtmps"];
/// A server that says more than this before it answers `connect` answers something else.
const MOST: usize = 64 * 1024;
/// A part of a handshake goes in tenths of a millisecond.
pub(super) const PHASE: Scale = Scale::per(10_000);

kind! {
    /// What the configuration has for it.
    pub struct Rtmp {
        /// `rtmp://host/app/stream`, `rtmps://…`; the stream is never sent.
        url: Address,
        /// What stands for `{key}` in it.
        #[serde(default)]
        key: Option<Secret>,
        /// How far to go.
        #[serde(default)]
        level: Level,
        /// Authorities for `rtmps`, instead of the system's.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The greeting.
    Handshake,
    /// The application.
    #[default]
    Connect,
}

impl Settings for Rtmp {
    fn target(&self) -> String {
        self.url.shown()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let locator = self.url.check(self.key.as_ref(), SCHEMES)?;
        if self.level == Level::Connect && application(&locator.path).is_empty() {
            return Err((
                "url",
                "names no application; write rtmp://host/app, or level = \"handshake\"".to_owned(),
            ));
        }
        if self.ca.is_some() && locator.scheme != "rtmps" {
            return Err(("ca", "is for rtmps:// only".to_owned()));
        }
        Ok(())
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

/// The application of an address's path: all but the stream's name, or the only word there is.
fn application(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(app, _)| app)
}

/// How a run may fail.
enum Fault {
    /// The target is not as it should be.
    Down(String),
    /// It cannot be told from here.
    Unknown(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Down(match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the server closed the connection in the middle of RTMP's greeting".to_owned()
            }
            _ => format!("the connection broke: {error}"),
        })
    }
}

impl From<NotRtmp> for Fault {
    fn from(error: NotRtmp) -> Self {
        Self::Down(error.to_string())
    }
}

/// How long the parts took, in the order in which they came.
#[derive(Default)]
pub(super) struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    /// One more part has ended.
    pub(super) fn note(&mut self, phase: &'static str, took: Duration) {
        self.0.push((phase, took));
    }

    /// As samples.
    pub(super) fn put(&self, outcome: &mut Outcome) {
        for (phase, took) in &self.0 {
            outcome.put(&metric::STREAM_PHASE, &[phase], PHASE, took.as_secs_f64());
        }
    }
}

impl Probe for Rtmp {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            let url = match self.url.filled(self.key.as_ref()) {
                Ok(url) => url,
                Err(why) => return Outcome::unknown(why),
            };
            let mut phases = Phases::default();
            // A server may repeat the address in what it says.
            let key = self.key.as_ref().and_then(|key| key.read().ok());
            let key = key.as_ref().map_or("", |key| key.expose());
            let scrub = |why: &str| mask::scrub_with(why, &url, key);
            let mut outcome = match self.ask(context, &url, &mut phases).await {
                Ok(()) => Outcome::up(),
                Err(Fault::Down(why)) => Outcome::down(scrub(&why)),
                Err(Fault::Unknown(why)) => Outcome::unknown(scrub(&why)),
            };
            phases.put(&mut outcome);
            outcome
        })
    }
}

impl Rtmp {
    async fn ask(&self, context: &Context, url: &str, phases: &mut Phases) -> Result<(), Fault> {
        let locator = Locator::parse(url, SCHEMES).map_err(Fault::Unknown)?;
        let is_tls = locator.scheme == "rtmps";
        let port = locator.port.unwrap_or(if is_tls { 443 } else { 1935 });
        let dialled = dial::connect_within(context.within, &locator.host, port).await;
        let dialled = dialled.map_err(|error| match error.to_string() {
            why if error.is_ours() => Fault::Unknown(why),
            why => Fault::Down(why),
        })?;
        phases.note("resolve", dialled.resolved);
        phases.note("connect", dialled.connected);
        if !is_tls {
            return self.greet(dialled.stream, &locator, phases).await;
        }
        let begun = Clock::now();
        let trust = Trust::of(self.ca.as_ref());
        let secured = secure::handshake(context, Box::new(dialled.stream), &locator.host, &trust, &[]).await;
        let secured = secured.map_err(|error| match error {
            HandshakeError::Own(why) => Fault::Unknown(why),
            HandshakeError::Theirs(why) => Fault::Down(why.to_string()),
        })?;
        secured.verdict.map_err(|why| Fault::Down(why.to_string()))?;
        phases.note("tls", Clock::now() - begun);
        self.greet(secured.stream, &locator, phases).await
    }

    /// The handshake, and the command.
    async fn greet(
        &self,
        mut stream: impl Stream,
        locator: &Locator,
        phases: &mut Phases,
    ) -> Result<(), Fault> {
        let begun = Clock::now();
        let hello = wire::hello(|| fastrand::u8(..));
        stream.write_all(&hello).await?;
        stream.flush().await?;
        let mut version = [0];
        stream.read_exact(&mut version).await?;
        if version != [3] {
            return Err(Fault::Down(format!(
                "it does not speak RTMP: it answers with the byte {:#04x}",
                version[0]
            )));
        }
        let (mut theirs, mut echo) = (vec![0; GREETING], vec![0; GREETING]);
        stream.read_exact(&mut theirs).await?;
        // Ours again, says the standard; what servers send there is their own affair, and players take it.
        stream.read_exact(&mut echo).await?;
        stream.write_all(&theirs).await?;
        stream.flush().await?;
        phases.note("handshake", Clock::now() - begun);
        if self.level == Level::Handshake {
            return Ok(());
        }
        let begun = Clock::now();
        let app = application(&locator.path);
        stream
            .write_all(&wire::connect(app, &format!("{}://{}/{app}", locator.scheme, locator.authority())))
            .await?;
        stream.flush().await?;
        let command = answer(&mut stream).await?;
        phases.note("command", Clock::now() - begun);
        if command.name == "_result" && command.code.ends_with(".Success") {
            return Ok(());
        }
        Err(refusal(app, &command))
    }
}

/// What it says of a server that it does not take the application.
fn refusal(app: &str, Command { code, description, .. }: &Command) -> Fault {
    let (app, why) = (mask_app(app), format!("{code} {description}"));
    let why = why.trim();
    // Adobe's way, and Wowza's: `[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : `.
    if description.contains("authmod=") {
        return Fault::Unknown(format!(
            "the server wants a login for the application {app}, and this probe has none: {why}"
        ));
    }
    Fault::Down(format!("the server refuses the application {app}: {why}"))
}

/// An application's name is no key, unless it is long enough to be one.
fn mask_app(app: &str) -> String {
    if app.len() < 16 { app.to_owned() } else { mask::name(app) }
}

/// What the server says to `connect`.
async fn answer(stream: &mut impl Stream) -> Result<Command, Fault> {
    let (mut chunks, mut buffer, mut heard) = (Chunks::default(), vec![0; 2048], 0);
    loop {
        let bytes = stream.read(&mut buffer).await?;
        heard += bytes;
        if bytes == 0 {
            return Err(Fault::Down(
                "the server closed the connection instead of an answer to connect".to_owned(),
            ));
        }
        if heard > MOST {
            return Err(Fault::Down("the server talks and talks, and does not answer connect".to_owned()));
        }
        chunks.push(buffer.get(..bytes).unwrap_or_default());
        while let Some(body) = chunks.command()? {
            let command = Command::parse(&body);
            if matches!(command.name.as_str(), "_result" | "_error") {
                return Ok(command);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::State;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn the_application_is_all_but_the_streams_name() {
        for (path, app) in [
            ("live/cam1", "live"),
            ("live/hall/cam1?x=a/b", "live/hall"),
            ("live", "live"),
            ("live/", "live"),
            ("", ""),
        ] {
            assert_eq!(application(path), app);
        }
    }

    /// A server that greets with zeros only, and answers `connect` with this. How its answer is told of an address of it.
    fn told(url: &str, key: &str, name: &str, code: &str, description: &str) -> Outcome {
        let mut body =
            [&[2, 0, name.len() as u8], name.as_bytes(), &[0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 5, 3]].concat();
        for (key, value) in [("code", code), ("description", description)] {
            body.extend(
                [&[0, key.len() as u8], key.as_bytes(), &[2, 0, value.len() as u8], value.as_bytes()]
                    .concat(),
            );
        }
        body.extend([0, 0, 9]);
        // Chunks as long as anything.
        let mut answer = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0];
        answer.extend([3, 0, 0, 0, 0, (body.len() >> 8) as u8, body.len() as u8, 20, 0, 0, 0, 0]);
        answer.extend(body);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let (mut talk, _) = listener.accept().expect("the probe comes");
            talk.read_exact(&mut [0; 1 + GREETING]).expect("its greeting");
            talk.write_all(&[&[3][..], &[0; 2 * GREETING]].concat()).expect("ours");
            talk.read_exact(&mut [0; GREETING + 1]).expect("what we said, and a command");
            talk.write_all(&answer).expect("the answer");
            // Until the probe goes, so that what it did not read resets nothing.
            let _ = talk.read_to_end(&mut Vec::new());
        });
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(key.as_bytes()).expect("room");
        let key =
            if key.is_empty() { String::new() } else { format!("key = {{ file = {:?} }}", file.path()) };
        let text = format!("name = \"x\"\nurl = \"rtmp://{address}/{url}\"\n{key}");
        let mut probe: Rtmp = rackside_config::parse(&text, "x").expect("good settings");
        probe.check().expect("a good probe");
        let outcome = smol::block_on(probe.run(&Context::default()));
        server.join().expect("it was asked");
        outcome
    }

    #[test]
    fn no_network_here_is_unknown() {
        // No connection goes to a broadcast address: no network is unreachable more surely.
        let text = "name = \"x\"\nurl = \"rtmp://127.255.255.255/live/cam\"";
        let mut probe: Rtmp = rackside_config::parse(text, "x").expect("good settings");
        let outcome = smol::block_on(probe.run(&Context::default()));
        assert!(matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
    }

    const SUCCESS: &str = "NetConnection.Connect.Success";
    const REJECTED: &str = "NetConnection.Connect.Rejected";

    #[test]
    fn a_server_need_not_repeat_what_was_said_to_it() {
        assert_eq!(told("live/cam", "", "_result", SUCCESS, "Connection succeeded.").state, State::Up);
        let refused = told("live/cam", "", "_error", REJECTED, "no such application").state;
        let why =
            "the server refuses the application live: NetConnection.Connect.Rejected no such application";
        assert_eq!(refused, State::Down(why.to_owned()));
    }

    #[test]
    fn a_login_that_is_wanted_is_unknown() {
        let wanted = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
        let State::Unknown(why) = told("live/cam", "", "_error", REJECTED, wanted).state else {
            panic!("a login says nothing of the server")
        };
        assert!(
            why.starts_with("the server wants a login for the application live, and this probe has none"),
            "{why}"
        );
    }

    #[test]
    fn a_key_is_masked_wherever_it_stands_and_whoever_says_it() {
        for url in ["live/{key}", "{key}/cam", "live-{key}/cam", "{key}"] {
            let said = "rtmp://a.example/abcd-efgh/cam: nobody publishes abcd-efgh here";
            let outcome = told(url, "abcd-efgh", "_error", REJECTED, said);
            let why = outcome.state.why().expect("it is refused");
            assert!(why.contains("nobody publishes") && !why.contains("abcd-efgh"), "{url}: {why}");
        }
    }
}
