//! The dead man's URL: a service elsewhere that raises the alarm when nobody asks for the URL any more. It is asked for while the hub is well, and
//! not when it is not: silence is the message.
//!
//! ```text
//! GET https://hc.example.org/ping/…   200   every minute
//! ```

use super::courier::told;
use super::{Clock, Trouble};
use crate::send::HttpClient;
use crate::{Hidden, HttpParcel, Method};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// A try that failed is repeated after that time, if the next one is not due sooner.
const AGAIN: Duration = Duration::from_secs(10);

/// Asks for the URL.
pub struct DeadMan {
    url: Hidden,
    every: Duration,
    client: HttpClient,
    clock: Clock,
    status: Mutex<DeadManStatus>,
}

/// How that goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadManStatus {
    /// When it last answered well, in milliseconds since 1970.
    pub last_at: Option<i64>,
    /// Times that it did.
    pub answered: u64,
    /// What went wrong last.
    pub last_error: Option<Trouble>,
    /// Whether it goes wrong now.
    pub is_failing: bool,
    /// Whether it is not asked because the hub is not well.
    pub is_held: bool,
}

impl fmt::Debug for DeadMan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadMan").field("every", &self.every).finish_non_exhaustive()
    }
}

impl DeadMan {
    /// For this URL, asked for every so often.
    pub fn new(url: Hidden, every: Duration, client: HttpClient, clock: Clock) -> Self {
        Self { url, every, client, clock, status: Mutex::default() }
    }

    /// How it goes.
    pub fn status(&self) -> DeadManStatus {
        self.lock().clone()
    }

    /// Asks for it while the hub is well, until the flag is up.
    pub async fn run(&self, is_well: impl Fn() -> bool + Send, mut stop: watch::Receiver<bool>) {
        loop {
            let well = is_well();
            let wait = if well { self.ask().await } else { AGAIN.min(self.every) };
            self.lock().is_held = !well;
            tokio::select! {
                () = sleep(wait) => {}
                () = told(&mut stop) => return,
            }
        }
    }

    /// Asks once; how long to wait before the next time.
    async fn ask(&self) -> Duration {
        let user_agent = concat!("rackside-hub/", env!("CARGO_PKG_VERSION")).to_owned();
        let parcel = HttpParcel {
            method: Method::Get,
            url: self.url.clone(),
            headers: vec![("User-Agent", user_agent)],
            body: Vec::new(),
        };
        let why = match self.client.send(&parcel).await {
            Ok(reply) if (200..300).contains(&reply.status) => None,
            Ok(reply) => Some(format!("{}: it answers {}", parcel.host(), reply.status)),
            Err(error) => Some(error.to_string()),
        };
        let now = (self.clock)();
        let mut status = self.lock();
        let Some(why) = why else {
            if std::mem::take(&mut status.is_failing) {
                log::info!("dead man's URL: it answers again");
            }
            (status.last_at, status.answered) = (Some(now), status.answered + 1);
            return self.every;
        };
        if !std::mem::replace(&mut status.is_failing, true) {
            log::warn!("dead man's URL: {why}");
        }
        status.last_error = Some(Trouble { at: now, why });
        AGAIN.min(self.every)
    }

    fn lock(&self) -> MutexGuard<'_, DeadManStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
