//! The probes in the configuration: `[probes]`, and a list `[[probe.KIND]]` for each kind, checked as a whole.
//!
//! Each kind's own keys stand in its file; those that all share are added by `kind!`. [`KINDS`] is the table of all
//! kinds with what holds for each unless the file says otherwise. Pure.
//!
//! ```toml
//! [[probe.tcp]]
//! name = "encoder"
//! target = "192.0.2.30:1935"
//! every = "30s"
//! timeout = "5s"
//! ```

use super::Probe;
use super::kind::{
    azuracast, dns, exec, ffmpeg, helo, hls, http, icecast, mediamtx, ntp, obs, ping, portal, process, rtmp,
    rtsp, srt, stream, tcp, throughput, tls, vimeo, vmix, web_presenter,
};
use super::login::Login;
use super::recovery::fault::Fault;
use super::recovery::plan::{OnFailure, Plan};
use super::recovery::quiet::Window;
use super::stills;
use rackside_config::{ConfigError, Span};
use rackside_proto::limits;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The keys that every kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// The label `probe`.
    pub name: String,
    /// From the begin of one run to the next; the kind's own when not set.
    pub every: Option<Span>,
    /// For a run with its retries; the kind's own when not set.
    pub timeout: Option<Span>,
    /// How often a run that found its target down asks again before it says so.
    pub retries: u8,
    /// The label `stream`, by which probes of one stream are joined.
    pub stream: Option<String>,
    /// What to do about a target that is down.
    pub on_failure: Option<OnFailure>,
}

/// The keys that kinds share, as `kind!` gives them.
pub trait Shared {
    /// Them.
    fn common(&self) -> Common;

    /// The login that it has for its target, where the kind has one.
    fn login(&self) -> Login<'_> {
        Login::default()
    }
}

/// One probe as the file has it.
pub trait Settings: Shared + fmt::Debug + Send + Sync {
    /// What it asks, for people and logs: no password, no stream key.
    fn target(&self) -> String;

    /// Objects to what serde cannot see: the key, and what is wrong with its value.
    fn check(&self) -> Result<(), (&'static str, String)> {
        Ok(())
    }

    /// Programs that it starts, by name.
    fn programs(&self) -> Vec<&str> {
        Vec::new()
    }

    /// First runs begin at random within this, or within the schedule if that is shorter; nothing for a few seconds.
    fn spread(&self) -> Option<Duration> {
        None
    }

    /// Whether listeners, not viewers, notice first when it is down.
    fn is_audio(&self) -> bool {
        false
    }

    /// What it can tell to be wrong with its target, and so `when` its `on_failure` may act.
    fn tells(&self) -> &'static [Fault] {
        &[Fault::Down]
    }

    /// Whether pictures of it are sent, and how; `check` has found it right.
    fn still(&self) -> Option<stills::plan::Plan> {
        None
    }

    /// Where its media are, for a picture of them. Secrets are read when this is asked.
    fn media(&self) -> Result<stills::take::Media, String> {
        Err("this kind of probe looks at no media".to_owned())
    }

    /// The probe. Secrets are read when it runs, so that one that is missing fails that probe alone, and says so.
    fn open(&self) -> Box<dyn Probe>;
}

/// How much of the box a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A socket.
    Light,
    /// A program that computes.
    Heavy,
}

/// What a target that is down says of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// That it may be down as well: there is a way to it, or a part of it.
    Output,
    /// Nothing: a name, a clock, a certificate, a line.
    Nothing,
}

/// A kind of probe.
#[derive(Debug)]
pub struct Kind {
    /// The label `type`, and the key below `probe`.
    pub name: &'static str,
    /// From one run to the next, unless the file says otherwise.
    pub every: Duration,
    /// For one run, unless the file says otherwise.
    pub timeout: Duration,
    /// What a run takes.
    pub weight: Weight,
    /// Whether it is a second word on an output ([`recovery`](super::recovery)).
    pub says: Says,
}

/// Declares a kind's settings: its own keys, after those that all kinds share. Where there is a login, the keys that it has stand before
/// them: `with user, password`, or `with user, password, token`.
macro_rules! kind {
    (
        $(#[$meta:meta])*
        pub struct $kind:ident $(with $user:ident, $($secret:ident),+)? {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $kind {
            name: String,
            #[serde(default)]
            every: Option<rackside_config::Span>,
            #[serde(default)]
            timeout: Option<rackside_config::Span>,
            #[serde(default)]
            retries: u8,
            #[serde(default)]
            stream: Option<String>,
            #[serde(default)]
            on_failure: Option<$crate::probe::recovery::plan::OnFailure>,
            $($(#[$field_meta])* $field: $type,)*
            $(#[serde(default)]
            $user: Option<String>,
            $(#[serde(default)]
            $secret: Option<rackside_config::Secret>,)+)?
        }

        impl $crate::probe::config::Shared for $kind {
            fn common(&self) -> $crate::probe::config::Common {
                $crate::probe::config::Common {
                    name: self.name.clone(),
                    every: self.every,
                    timeout: self.timeout,
                    retries: self.retries,
                    stream: self.stream.clone(),
                    on_failure: self.on_failure.clone(),
                }
            }

            $(fn login(&self) -> $crate::probe::login::Login<'_> {
                let mut login = $crate::probe::login::Login::user(self.$user.as_deref());
                $(login.$secret = self.$secret.as_ref();)+
                login
            })?
        }
    };
}
pub(super) use kind;

/// Declares the table of kinds, and what the file has for them.
macro_rules! kinds {
    ($($kind:ident: $settings:ty, every $every:literal s, timeout $timeout:literal s, $weight:ident, $says:ident;)*) => {
        /// Every kind of probe.
        pub static KINDS: &[Kind] = &[$(Kind {
            name: stringify!($kind),
            every: Duration::from_secs($every),
            timeout: Duration::from_secs($timeout),
            weight: Weight::$weight,
            says: Says::$says,
        }),*];

        /// `[[probe.KIND]]`, as the file has them.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct FileProbes {
            $($kind: Vec<$settings>,)*
        }

        impl FileProbes {
            /// Each with the name of its kind and its place in that kind's list.
            fn into_settings(self) -> Vec<(&'static str, usize, Arc<dyn Settings>)> {
                let mut all: Vec<(&'static str, usize, Arc<dyn Settings>)> = Vec::new();
                $(all.extend(self.$kind.into_iter().enumerate().map(|(at, settings)| {
                    (stringify!($kind), at, Arc::new(settings) as Arc<dyn Settings>)
                }));)*
                all
            }
        }
    };
}

kinds! {
    ping: ping::Ping, every 30 s, timeout 5 s, Light, Output;
    dns: dns::Dns, every 30 s, timeout 5 s, Light, Nothing;
    ntp: ntp::Ntp, every 30 s, timeout 5 s, Light, Nothing;
    portal: portal::Portal, every 30 s, timeout 10 s, Light, Nothing;
    tcp: tcp::Tcp, every 30 s, timeout 5 s, Light, Output;
    http: http::Http, every 30 s, timeout 10 s, Light, Output;
    tls: tls::Tls, every 3600 s, timeout 10 s, Light, Nothing;
    mediamtx: mediamtx::MediaMtx, every 2 s, timeout 8 s, Light, Output;
    icecast: icecast::Icecast, every 10 s, timeout 10 s, Light, Output;
    azuracast: azuracast::AzuraCast, every 10 s, timeout 10 s, Light, Output;
    vimeo: vimeo::Vimeo, every 60 s, timeout 20 s, Light, Output;
    web_presenter: web_presenter::WebPresenter, every 10 s, timeout 8 s, Light, Output;
    helo: helo::Helo, every 10 s, timeout 8 s, Light, Output;
    obs: obs::Obs, every 10 s, timeout 5 s, Light, Output;
    vmix: vmix::Vmix, every 10 s, timeout 5 s, Light, Output;
    throughput: throughput::Throughput, every 86_400 s, timeout 90 s, Light, Nothing;
    hls: hls::Hls, every 60 s, timeout 15 s, Light, Output;
    rtmp: rtmp::Rtmp, every 60 s, timeout 10 s, Light, Output;
    rtsp: rtsp::Rtsp, every 60 s, timeout 10 s, Light, Output;
    srt: srt::Srt, every 60 s, timeout 5 s, Light, Output;
    stream: stream::Stream, every 60 s, timeout 45 s, Heavy, Output;
    process: process::Process, every 1 s, timeout 5 s, Light, Output;
    ffmpeg: ffmpeg::Ffmpeg, every 1 s, timeout 5 s, Light, Output;
    exec: exec::Exec, every 60 s, timeout 10 s, Heavy, Output;
}

/// `[probes]`: what holds for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct General {
    /// Whom every agent pings, unless told otherwise: names, addresses, or `gateway` for the default route's.
    pub ping: Option<Vec<String>>,
    /// Interfaces whose traffic costs money: no throughput is measured and no media pulled while one carries the default route, and readings
    /// go together.
    pub metered: Vec<String>,
    /// Times of day at which nothing is done about what is down.
    pub quiet: Vec<String>,
}

impl General {
    /// The quiet times; what is none was refused.
    pub fn windows(&self) -> Vec<Window> {
        self.quiet.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

/// Checked probes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// What holds for all of them.
    pub general: General,
    /// In the order of [`KINDS`], and within a kind of the file; then those that every agent has.
    pub probes: Vec<Planned>,
}

/// One checked probe.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its kind.
    pub kind: &'static Kind,
    /// The keys that all share.
    pub common: Common,
    /// From one run to the next.
    pub every: Duration,
    /// For one run.
    pub timeout: Duration,
    /// What is done about it when it is down.
    pub recovery: Option<Plan>,
    /// The rest.
    pub settings: Arc<dyn Settings>,
}

impl Planned {
    /// Programs that are started for it, by name: by the probe, and when it is down.
    pub fn programs(&self) -> Vec<&str> {
        let mut programs = self.settings.programs();
        programs.extend(self.recovery.iter().filter_map(|plan| plan.action.program()));
        programs
    }
}

impl PartialEq for Planned {
    /// By what the file says of it; a secret is named there, and not shown.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.kind, other.kind)
            && self.recovery == other.recovery
            && format!("{:?}", self.settings) == format!("{:?}", other.settings)
    }
}

impl Eq for Planned {}

impl fmt::Display for Planned {
    /// `encoder (tcp 192.0.2.30:1935)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.common.name, self.kind.name, self.settings.target())
    }
}

/// Checks what the file has; `wrong` makes an error of a key's path and a message.
pub fn check(
    general: General,
    file: FileProbes,
    wrong: &dyn Fn(&str, &dyn fmt::Display) -> ConfigError,
) -> Result<Config, ConfigError> {
    let mut names = BTreeSet::new();
    let mut probes = Vec::new();
    let everybody = general.ping.clone();
    for text in &general.quiet {
        text.parse::<Window>().map_err(|message| wrong("probes.quiet", &message))?;
    }
    for (kind, at, settings) in file.into_settings() {
        let table = format!("probe.{kind}.{at}");
        let kind = KINDS.iter().find(|row| row.name == kind).expect("both are made from the same table");
        let common = settings.common();
        let wrong = |key: &str, message: &dyn fmt::Display| wrong(&format!("{table}.{key}"), message);
        for (key, text) in [("name", Some(&common.name)), ("stream", common.stream.as_ref())] {
            if let Some(text) = text
                && (text.is_empty() || text.len() > limits::STRING || text.chars().any(char::is_control))
            {
                let most = limits::STRING;
                return Err(wrong(key, &format_args!("{text:?} is no label; 1 to {most} bytes of text are")));
            }
        }
        if !names.insert(common.name.clone()) {
            return Err(wrong("name", &format_args!("there are two probes of the name \"{}\"", common.name)));
        }
        let every = span(common.every, kind.every, 1, 7 * 24 * 3600).map_err(|why| wrong("every", &why))?;
        let timeout = span(common.timeout, kind.timeout, 0, 600).map_err(|why| wrong("timeout", &why))?;
        if common.retries > 10 {
            return Err(wrong("retries", &"is out of range; from 0 to 10 is possible"));
        }
        settings
            .check()
            .and_then(|()| settings.login().check())
            .map_err(|(key, message)| wrong(key, &message))?;
        probes.push(Planned { kind, common, every, timeout, recovery: None, settings });
    }
    let is_written = everybody.is_some();
    for target in everybody.unwrap_or_else(|| ping::EVERYBODY.map(str::to_owned).into()) {
        let settings = ping::Ping::plain(&target);
        settings.check().map_err(|(_, message)| wrong("probes.ping", &message))?;
        if names.insert(target.clone()) {
            let kind = KINDS.iter().find(|row| row.name == "ping").expect("it is in the table");
            let (common, every, timeout) = (settings.common(), kind.every, kind.timeout);
            probes.push(Planned {
                kind,
                common,
                every,
                timeout,
                recovery: None,
                settings: Arc::new(settings),
            });
        } else if is_written {
            return Err(wrong("probes.ping", &format_args!("there are two probes of the name \"{target}\"")));
        }
    }
    Ok(Config { general, probes })
}

/// The duration, or the kind's own, in whole seconds from `least` (100 ms for 0) to `most`.
fn span(written: Option<Span>, usual: Duration, least: u64, most: u64) -> Result<Duration, String> {
    let Some(written) = written else { return Ok(usual) };
    let least = if least == 0 { Span::milliseconds(100) } else { Span::seconds(least) };
    let most = Span::seconds(most);
    if (least..=most).contains(&written) {
        Ok(written.get())
    } else {
        Err(format!("\"{written}\" is out of range; from \"{least}\" to \"{most}\" is possible"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config;

    fn names(more: &str) -> Vec<String> {
        let text = format!("site = \"s\"\nappliance = \"a\"\n{more}\n[mqtt]\naddress = \"hub\"\n");
        let config = config::Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error}"));
        config.probes.probes.into_iter().map(|planned| planned.to_string()).collect()
    }

    #[test]
    fn every_agent_pings_unless_it_is_told_otherwise() {
        let [gateway, one, eight] =
            ["gateway (ping gateway)", "1.1.1.1 (ping 1.1.1.1)", "8.8.8.8 (ping 8.8.8.8)"];
        assert_eq!(names(""), [gateway, one, eight]);
        assert_eq!(names("probes.ping = []"), [""; 0]);
        assert_eq!(names("probes.ping = [\"192.0.2.1\"]"), ["192.0.2.1 (ping 192.0.2.1)"]);
        // One of the same name takes its place, with whatever it says.
        let own = "[[probe.ping]]\nname = \"gateway\"\ntarget = \"192.0.2.1\"";
        assert_eq!(names(own), ["gateway (ping 192.0.2.1)", one, eight]);
        let other = "[[probe.tcp]]\nname = \"encoder\"\ntarget = \"192.0.2.1:80\"";
        assert_eq!(names(other), ["encoder (tcp 192.0.2.1:80)", gateway, one, eight]);
    }
}
