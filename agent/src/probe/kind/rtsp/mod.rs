//! `[[probe.rtsp]]`: whether an RTSP server has a stream to play. `OPTIONS`, then `DESCRIBE`, with a login if it wants one; nothing is set up
//! and no media are pulled.
//!
//! A description with media in it is a publisher; 404 is the server's own word that there is none. What a login or a redirect hides is
//! unknown. `rtsps://` is the same within TLS.
//!
//! ```toml
//! [[probe.rtsp]]
//! name = "hall"
//! url = "rtsp://192.0.2.40:8554/hall-1"
//! user = "viewer"
//! password = { file = "/etc/rackside/rtsp-password" }
//! ```

pub mod wire;

use crate::clock::Clock;
use crate::probe::config::{Settings, Shared as _, kind};
use crate::probe::kind::rtmp::Phases;
use crate::probe::locator::{Address, Locator};
use crate::probe::secure::{self, HandshakeError, Trust};
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running, dial, mask};
use crate::transport::Stream;
use futures_lite::io::{AsyncReadExt as _, AsyncWriteExt as _};
use rackside_config::Secret;
use rackside_proto::{Scale, metric};
use std::io;
use std::path::PathBuf;
use wire::{NotRtsp, Reply};

const SCHEMES: &[&str] = &["rtsp", "rtsps"];

kind! {
    /// What the configuration has for it.
    pub struct Rtsp with user, password {
        /// `rtsp://host/path`, `rtsps://…`.
        url: Address,
        /// What stands for `{key}` in it.
        #[serde(default)]
        key: Option<Secret>,
        /// Authorities for `rtsps`, instead of the system's.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for Rtsp {
    fn target(&self) -> String {
        self.url.shown()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let locator = self.url.check(self.key.as_ref(), SCHEMES)?;
        if self
            .user
            .as_ref()
            .is_some_and(|user| user.is_empty() || user.contains(':') || user.chars().any(char::is_control))
        {
            return Err(("user", "is no user's name".to_owned()));
        }
        if self.ca.is_some() && locator.scheme != "rtsps" {
            return Err(("ca", "is for rtsps:// only".to_owned()));
        }
        Ok(())
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asker { settings: self.clone(), streak: Streak::default() })
    }
}

/// The probe: its settings, and what it saw before.
struct Asker {
    settings: Rtsp,
    streak: Streak,
}

/// What a run saw, and why it was not a stream.
type Found = (Seen, String);

fn failed(why: impl Into<String>) -> Found {
    (Seen::Failed, why.into())
}

fn broken(error: &io::Error) -> Found {
    failed(format!("the connection broke: {error}"))
}

impl Probe for Asker {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            let (mut phases, mut media) = (Phases::default(), Vec::new());
            let found = self.settings.ask(context, &mut phases, &mut media).await;
            let mut outcome = self.outcome(found.err());
            phases.put(&mut outcome);
            if !media.is_empty() {
                outcome.say("codec", media.join(", "));
            }
            outcome
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.outcome(Some((Seen::Failed, why)))
    }
}

impl Asker {
    fn outcome(&mut self, found: Option<Found>) -> Outcome {
        let (seen, why) = found.unwrap_or((Seen::Well, String::new()));
        let mut outcome = match seen {
            Seen::Well => Outcome::up(),
            Seen::Failed | Seen::Gone => Outcome::down(why),
            Seen::Nothing => Outcome::unknown(why),
        };
        outcome.put_value(&metric::STREAM_UP, &[], Scale::ONE, self.streak.observe(seen));
        outcome
    }
}

impl Rtsp {
    async fn ask(
        &self,
        context: &Context,
        phases: &mut Phases,
        media: &mut Vec<String>,
    ) -> Result<(), Found> {
        let unknown = |why: String| (Seen::Nothing, why);
        let url = self.url.filled(self.key.as_ref()).map_err(unknown)?;
        let locator = Locator::parse(&url, SCHEMES).map_err(unknown)?;
        let login = self.login().named().map_err(unknown)?;
        let is_tls = locator.scheme == "rtsps";
        let port = locator.port.unwrap_or(if is_tls { 322 } else { 554 });
        let dialled = dial::connect_within(context.within, &locator.host, port).await;
        let dialled = dialled.map_err(|error| {
            let seen = if error.is_ours() { Seen::Nothing } else { Seen::Failed };
            (seen, error.to_string())
        })?;
        phases.note("resolve", dialled.resolved);
        phases.note("connect", dialled.connected);
        let asked = if is_tls {
            let begun = Clock::now();
            let trust = Trust::of(self.ca.as_ref());
            let secured =
                secure::handshake(context, Box::new(dialled.stream), &locator.host, &trust, &[]).await;
            let secured = secured.map_err(|error| match error {
                HandshakeError::Own(why) => unknown(why),
                HandshakeError::Theirs(why) => failed(why.to_string()),
            })?;
            secured.verdict.map_err(|why| failed(why.to_string()))?;
            phases.note("tls", Clock::now() - begun);
            Talk::new(secured.stream, &url, login).describe(phases).await
        } else {
            Talk::new(dialled.stream, &url, login).describe(phases).await
        };
        // A server may repeat the address in what it says.
        let reply = asked.map_err(|(seen, why)| (seen, mask::scrub(&why, &url)))?;
        *media =
            judge(&reply, self.login().is_some()).map_err(|(seen, why)| (seen, mask::scrub(&why, &url)))?;
        Ok(())
    }
}

/// What the answer to `DESCRIBE` says of the stream: its media, or why there are none.
fn judge(reply: &Reply, has_login: bool) -> Result<Vec<String>, Found> {
    let Reply { status, reason, .. } = reply;
    match status {
        200 => {
            let media = reply.media();
            if media.is_empty() {
                Err(failed("the server describes a stream without media"))
            } else {
                Ok(media)
            }
        }
        404 => Err((Seen::Gone, format!("the server has no such stream: 404 {reason}"))),
        401 if has_login => {
            Err((Seen::Nothing, "the server refuses this user or this password: 401".to_owned()))
        }
        401 => Err((Seen::Nothing, "the server wants a login: 401; set user and password".to_owned())),
        403 => Err((Seen::Nothing, format!("the server does not let us look: 403 {reason}"))),
        300..=399 => Err((Seen::Nothing, format!("the server sends us elsewhere: {status} {reason}"))),
        _ => Err(failed(format!("the server answers {status} {reason}"))),
    }
}

/// A conversation.
struct Talk<'a, S> {
    stream: S,
    url: &'a str,
    login: Option<(&'a str, String)>,
    number: u32,
    buffer: Vec<u8>,
}

impl<'a, S: Stream> Talk<'a, S> {
    fn new(stream: S, url: &'a str, login: Option<(&'a str, String)>) -> Self {
        Self { stream, url, login, number: 0, buffer: Vec::new() }
    }

    /// `OPTIONS` and `DESCRIBE`; the reply to the latter, after a login if one is wanted and had.
    async fn describe(mut self, phases: &mut Phases) -> Result<Reply, Found> {
        let begun = Clock::now();
        self.ask("OPTIONS", None).await?;
        phases.note("options", Clock::now() - begun);
        let begun = Clock::now();
        let mut reply = self.ask("DESCRIBE", None).await?;
        if reply.status == 401
            && let Some((user, password)) = self.login.take()
            && let Some(challenge) = reply.challenge()
        {
            let once = format!("{:016x}", fastrand::u64(..));
            let answer = challenge.answer(user, &password, "DESCRIBE", self.url, &once);
            reply = self.ask("DESCRIBE", Some(&answer)).await?;
        }
        phases.note("describe", Clock::now() - begun);
        Ok(reply)
    }

    async fn ask(&mut self, method: &str, login: Option<&str>) -> Result<Reply, Found> {
        self.number += 1;
        let mut request =
            format!("{method} {} RTSP/1.0\r\nCSeq: {}\r\nUser-Agent: rackside\r\n", self.url, self.number);
        if method == "DESCRIBE" {
            request.push_str("Accept: application/sdp\r\n");
        }
        if let Some(login) = login {
            request.extend(["Authorization: ", login, "\r\n"]);
        }
        request.push_str("\r\n");
        self.stream.write_all(request.as_bytes()).await.map_err(|error| broken(&error))?;
        self.stream.flush().await.map_err(|error| broken(&error))?;
        let mut piece = vec![0; 2048];
        loop {
            let whole = Reply::parse(&self.buffer).map_err(|error: NotRtsp| failed(error.to_string()))?;
            if let Some((reply, length)) = whole {
                self.buffer.drain(..length);
                return Ok(reply);
            }
            let bytes = self.stream.read(&mut piece).await.map_err(|error| broken(&error))?;
            if bytes == 0 {
                return Err(failed(format!(
                    "the server closed the connection in the middle of its answer to {method}"
                )));
            }
            self.buffer.extend_from_slice(piece.get(..bytes).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_own_word_is_told_apart_from_what_hides_the_stream() {
        let seen = |status: u16, body: &str| {
            let text = format!("RTSP/1.0 {status} Reason\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let reply = Reply::parse(text.as_bytes()).expect("RTSP").expect("whole").0;
            judge(&reply, false).map_or_else(|(seen, _)| seen, |_| Seen::Well)
        };
        assert_eq!(seen(200, "m=video 0 RTP/AVP 96\r\n"), Seen::Well);
        assert_eq!(seen(200, "v=0\r\n"), Seen::Failed);
        assert_eq!((seen(404, ""), seen(503, "")), (Seen::Gone, Seen::Failed));
        assert_eq!(
            (seen(401, ""), seen(403, ""), seen(302, "")),
            (Seen::Nothing, Seen::Nothing, Seen::Nothing)
        );
    }

    #[test]
    fn no_network_here_is_unknown() {
        // No connection goes to a broadcast address: no network is unreachable more surely.
        let text = "name = \"x\"\nurl = \"rtsp://127.255.255.255/cam\"";
        let settings: Rtsp = rackside_config::parse(text, "x").expect("good settings");
        let outcome = smol::block_on(settings.open().run(&Context::default()));
        assert!(matches!(outcome.state, crate::probe::State::Unknown(_)), "{outcome:?}");
    }
}
