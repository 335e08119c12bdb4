//! Joining at the start of `run`, by a code that waits in the configuration file or on the card. Nobody is there: it is tried until it works.
//!
//! A box that has joined already with that code passes it over; one that has joined otherwise asks once, and goes on as it was if that fails.
//! Meanwhile systemd is told that the agent lives, and in one line what it waits for.

use super::card::{self, Waiting};
use super::exchange::code_id;
use super::{JoinError, Store, join};
use crate::clock::Clock;
use crate::probe::Context;
use crate::proxy::Proxy;
use crate::reload::ConfigFile;
use async_io::Timer;
use futures_lite::future;
use log::{debug, error, info, warn};
use rackside_config::{ConfigError, Watched};
use rackside_systemd::Systemd;
use std::time::Duration;

/// Between two signs of life.
const ALIVE: Duration = Duration::from_secs(5);
/// Between two tries of what may pass: at first, and at most.
const SOON: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_mins(5);
/// Of what does not pass by itself: somebody may have done something on the hub.
const SELDOM: Duration = Duration::from_mins(15);

/// Joins, if a code waits and has not been used by this box.
pub fn at_start(file: &ConfigFile) -> Result<(), ConfigError> {
    let store = Store::new(file.state_directory()?);
    let found = match find(file) {
        Err(error) if matches!(store.read(), Ok(Some(_))) => {
            warn!("{error}; this box goes on as it joined before");
            None
        }
        found => found?,
    };
    let Some(mut waiting) = found else { return Ok(()) };
    if let Some(why) = file.names_a_broker()? {
        warn!("the code in {} is not used: {why}", waiting.file.display());
        return Ok(());
    }
    let joined = store.read()?;
    if joined.as_ref().is_some_and(|joined| joined.code == code_id(&waiting.code)) {
        blank(&waiting);
        return Ok(());
    }
    let mut systemd = Systemd::from_environment();
    systemd.ready();
    let context = Context::through(file.proxy()?);
    let (mut wait, mut said) = (SOON, None);
    smol::block_on(async {
        loop {
            info!("joining the hub at {}, by the code in {}", waiting.url.origin(), waiting.file.display());
            systemd.status(&format!("joining the hub at {}", waiting.url.origin()));
            let work = async { Some(join(&store, &waiting.url, &waiting.code, &context).await) };
            let failure = match living(&mut systemd, work).await {
                Some(Ok(granted)) => {
                    info!(
                        "joined as {}; the identity is in {}",
                        granted.identity.name,
                        store.path().display()
                    );
                    if let Some(objection) = granted.objection {
                        error!("the configuration that the hub sent along is not taken: {objection}");
                    }
                    blank(&waiting);
                    return Ok(());
                }
                Some(Err(failure)) => failure,
                None => continue,
            };
            let text = failure.to_string();
            if let Some(joined) = &joined {
                warn!("not joined anew: {text}; this box goes on as {}", joined.name);
                return Ok(());
            }
            systemd.status(&format!("not joined yet: {text}"));
            let pause = if failure.may_pass() { wait } else { SELDOM };
            if said.as_ref() == Some(&text) {
                debug!("{text}; trying again in {pause:?}");
            } else {
                error!("not joined yet: {text}; trying again until it works");
                said = Some(text);
            }
            wait = (wait * 2).min(LATER);
            let mut watched = Watched::new(waiting.file.clone());
            watched.changed();
            let changed = async {
                loop {
                    Timer::after(ALIVE).await;
                    if watched.changed() {
                        return Some(true);
                    }
                }
            };
            let time = async {
                Timer::after(pause).await;
                Some(false)
            };
            if living(&mut systemd, future::or(changed, time)).await == Some(true) {
                // Another code, or none any more; what is wrong is told by whoever reads the file next.
                match find(file)? {
                    Some(other) => (waiting, wait) = (other, SOON),
                    None => return Ok(()),
                }
            }
        }
    })
}

/// What the work gives; systemd hears of life meanwhile.
async fn living<T>(systemd: &mut Systemd, work: impl Future<Output = Option<T>>) -> Option<T> {
    let alive = async {
        loop {
            systemd.alive(Clock::now());
            Timer::after(ALIVE).await;
        }
    };
    future::or(work, alive).await
}

/// The first of the usual files in which a code waits. What is wrong with one that is not ours is no reason not to start.
fn find(file: &ConfigFile) -> Result<Option<Waiting>, ConfigError> {
    for path in file.candidates() {
        match card::waiting(&path) {
            Ok(Some(waiting)) => return Ok(Some(waiting)),
            Ok(None) => {}
            Err(error) if path == file.path() => return Err(error),
            Err(error) => warn!("{error}; no code is taken from there"),
        }
    }
    Ok(None)
}

fn blank(waiting: &Waiting) {
    match waiting.blank() {
        Ok(()) => info!("the code in {} is used, and blanked there", waiting.file.display()),
        // As packaged the agent cannot write there, and the code opens nothing any more.
        Err(why) => {
            debug!("the code in {} is used; it cannot be blanked there: {why}", waiting.file.display());
        }
    }
}

/// By hand, from the command line: one try.
pub fn by_hand(
    store: &Store,
    url: &str,
    code: &str,
    proxy: Option<Proxy>,
    out: &mut impl std::io::Write,
) -> Result<std::io::Result<()>, JoinError> {
    let code = code.parse().map_err(JoinError::Code)?;
    let url = crate::probe::http::Url::parse(url).map_err(JoinError::Url)?;
    let path = store.path();
    if let Some(joined) =
        store.read().map_err(JoinError::Config)?.filter(|joined| joined.code == code_id(&code))
    {
        let (name, day) = (&joined.name, day(joined.not_after));
        return Ok(writeln!(
            out,
            "already joined as {name} with this code, until {day}; there is nothing to do"
        ));
    }
    let granted = smol::block_on(join(store, &url, &code, &Context::through(proxy)))?;
    let said = |out: &mut dyn std::io::Write| {
        let identity = &granted.identity;
        writeln!(
            out,
            "joined   as {}, until {}; renewed by itself before that",
            identity.name,
            day(identity.not_after)
        )?;
        writeln!(out, "identity {}", path.display())?;
        writeln!(out, "hub      {}", identity.addresses.join(", "))?;
        if let Some(objection) = &granted.objection {
            writeln!(out, "warning  the configuration that the hub sent along is not taken: {objection}")?;
        }
        let apart = Clock::shown().abs_diff(Duration::from_millis(granted.time_ms));
        if apart > Duration::from_mins(5) {
            let (here, there) = (day(Clock::shown().as_secs()), day(granted.time_ms / 1000));
            let words =
                "joining and the way to the hub do without it, but see that NTP gets through this network";
            writeln!(
                out,
                "warning  this machine's clock is wrong ({here}, and on the hub {there}); {words}"
            )?;
        }
        writeln!(out, "next     systemctl restart rackside-agent")
    };
    Ok(said(out))
}

/// The day of a moment in seconds since 1970, in UTC.
pub(crate) fn day(seconds: u64) -> String {
    let rackside_proto::Date { year, month, day } = rackside_proto::Date::of_ms(seconds.saturating_mul(1000));
    format!("{year}-{month:02}-{day:02}")
}
