//! The identity while the agent runs: renewed when a third of its life is left, and asked for when the hub lets this box not in.
//!
//! The hub's door says no without a reason; asked over HTTP, it gives one that is proven to be its own: revoked, replaced, retired. Nothing is
//! written to the disk but a renewed identity.

use super::App;
use super::line::Way;
use crate::clock::Moment;
use crate::join::{self, Identity, JoinError, Store, exchange::Granted, start::day};
use crate::loss::Loss;
use crate::panel::led::Link;
use crate::probe::Context;
use crate::state;
use log::{error, info, warn};
use rackside_link::LinkError;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

/// After a failure: at first, and at most. There are 30 days for it.
const SOON: Duration = Duration::from_mins(1);
const LATER: Duration = Duration::from_hours(1);

type Asking = Pin<Box<dyn Future<Output = Result<Granted, JoinError>>>>;

/// How the renewal stands.
#[derive(Default)]
pub(super) struct Renewal {
    asking: Option<Asking>,
    /// Not before this.
    next: Option<Instant>,
    pause: Option<Duration>,
    /// The hub has let this box not in.
    is_wanted: bool,
    /// Why it was not renewed, as it was said last.
    pub(super) why: Option<String>,
    /// The same, if it is the hub's own word that this box is not wanted any more.
    pub(super) refused: Option<String>,
}

impl Renewal {
    /// What came of the question.
    pub(super) fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Box<Result<Granted, JoinError>>> {
        let Some(asking) = &mut self.asking else { return Poll::Pending };
        asking.as_mut().poll(cx).map(|result| {
            self.asking = None;
            Box::new(result)
        })
    }

    /// A connection ended: if the hub may have meant this box, it is asked.
    pub(super) fn lost(&mut self, loss: &Loss, was_greeted: bool) {
        self.is_wanted |= match loss {
            Loss::Link(LinkError::Refused(_)) => true,
            // TLS says so in an alert, which comes before or after its handshake.
            Loss::Io(_) | Loss::Closed => was_greeted,
            Loss::Connect(error) => error.objection().is_some(),
            Loss::Link(_) => false,
        };
    }

    /// The hub has let it in.
    pub(super) fn well(&mut self) {
        (self.is_wanted, self.refused) = (false, None);
    }

    /// Whether the hub is to be asked now.
    fn is_due(&self, identity: &Identity, moment: &Moment) -> bool {
        let is_old = moment.known && moment.utc_ms / 1000 >= identity.renewal();
        (is_old || self.is_wanted) && self.asking.is_none() && self.next.is_none_or(|next| moment.now >= next)
    }

    fn failed(&mut self, now: Instant) {
        let pause = self.pause.map_or(SOON, |pause| (pause * 2).min(LATER));
        (self.pause, self.next) = (Some(pause), Some(now + pause));
    }
}

impl App {
    /// Asks the hub, if it is time.
    pub(super) fn renew(&mut self, moment: &Moment) {
        let Some(identity) = self.config.mqtt.identity.clone() else { return };
        if self.renewal.is_due(&identity, moment) {
            let store = Store::new(state::directory(self.config.spool.directory.as_deref()));
            self.renewal.is_wanted = false;
            let context = Context::through(self.config.mqtt.proxy.clone());
            self.renewal.asking =
                Some(Box::pin(async move { join::renew(&store, &identity, &context).await }));
        }
    }

    /// Takes over what came of it.
    pub(super) fn renewed(&mut self, result: Result<Granted, JoinError>, now: Instant) {
        match result.map(|granted| self.take_identity(granted.identity)) {
            Ok(Ok(until)) => {
                info!("the identity of this box was renewed, until {}", day(until));
                let renewal = &mut self.renewal;
                (renewal.why, renewal.refused, renewal.pause) = (None, None, None);
                renewal.next = Some(now + LATER);
            }
            Ok(Err(why)) => error!("the renewed identity cannot be used: {why}"),
            Err(error) => {
                self.renewal.failed(now);
                let text = format!("the identity of this box was not renewed: {error}");
                self.renewal.refused = error.verdict().map(|_| error.to_string());
                if let Some(refused) = &self.renewal.refused {
                    self.reach.lost(Link::Refused);
                    self.said = Some(refused.clone());
                }
                if self.renewal.why.as_ref() != Some(&text) {
                    warn!("{text}");
                    self.renewal.why = Some(text);
                }
            }
        }
    }

    /// From the next connection on; the present one is not the worse for it.
    fn take_identity(&mut self, identity: Identity) -> Result<u64, String> {
        let until = identity.not_after;
        if identity.name != self.config.name {
            warn!("the hub calls this box {} now; that waits for a restart of the agent", identity.name);
            return Ok(until);
        }
        let mut mqtt = self.config.mqtt.clone();
        mqtt.addresses = identity.targets();
        mqtt.identity = Some(Arc::new(identity));
        let way = Way::to(&mqtt).map_err(|error| error.to_string())?;
        way.connector.follow(&self.way.connector);
        (self.config.mqtt, self.way) = (mqtt, way);
        Ok(until)
    }

    /// The address of the broker that is used, or was last.
    pub(super) fn broker(&self) -> String {
        Rc::clone(&self.way.connector).address()
    }
}
