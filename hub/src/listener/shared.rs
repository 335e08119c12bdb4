//! What all connections of a listener share, and the few operations that need more than one part of it.
//!
//! Lock order: the router, then one session's outbox. Neither is held across an await.

use super::config::Limits;
use super::doors::Doors;
use super::log_limit::LogLimit;
use super::message::Qos;
use super::permission::{Identity, Passage, Permissions};
use super::router::{Publication, Router, Will};
use super::stats::{Counters, ListenerStats, Reason};
use super::users::Logins;
use crate::identity::Identities;
use crate::inbound::{Inbound, InboundSender, Outbound, Via};
use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Publish;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use tokio::sync::watch;

/// The listener, as its tasks see it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Arc<Limits>,
    pub(super) counters: Arc<Counters>,
    pub(super) router: RwLock<Router>,
    pub(super) logins: Option<Logins>,
    pub(super) allow_anonymous: bool,
    pub(super) permissions: Permissions,
    pub(super) identities: Option<Identities>,
    /// Whether clients without a certificate are let in at all.
    pub(super) takes_clients: bool,
    pub(super) inbound: InboundSender,
    pub(super) mirror: watch::Sender<bool>,
    pub(super) doors: Arc<Doors>,
    pub(super) log: LogLimit,
}

impl Shared {
    /// Changes the router, and tells those who want to know if that changed whether the mirror is wanted.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Router) -> T) -> T {
        let mut router = self.write();
        let result = change(&mut router);
        let wanted = router.mirror_wanted();
        self.mirror.send_if_modified(|known| std::mem::replace(known, wanted) != wanted);
        result
    }

    fn write(&self) -> RwLockWriteGuard<'_, Router> {
        self.router.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Routes what a client published; the lock is taken once, and for reading if nothing is retained.
    pub(super) fn route(&self, messages: &[(Publish, Passage)]) {
        let routed = || messages.iter().filter(|(_, passage)| *passage != Passage::Private);
        let publications = routed().map(|(publish, _)| Publication {
            topic: &publish.topic,
            payload: &publish.payload,
            qos: if publish.qos == QoS::AtMostOnce { Qos::AtMostOnce } else { Qos::AtLeastOnce },
            retain: publish.retain,
        });
        if routed().any(|(publish, _)| publish.retain) {
            self.write().keep_and_route(publications);
        } else {
            self.router.read().unwrap_or_else(PoisonError::into_inner).route(publications);
        }
    }

    /// Routes what the hub itself says.
    pub(super) fn say(&self, message: &Outbound) {
        if let Err(fault) = super::topic::check_name(&message.topic, &self.limits) {
            log::error!("listener: the hub wanted to publish to {fault}, {:?}", message.topic);
            return;
        }
        debug_assert_eq!(
            self.permissions.publish(&Identity::Hub, &message.topic, message.retain),
            Passage::Route
        );
        let publication = Publication {
            topic: &message.topic,
            payload: &message.payload,
            qos: Qos::AtLeastOnce,
            retain: message.retain,
        };
        if message.retain {
            self.write().keep_and_route([publication].into_iter());
        } else {
            self.router.read().unwrap_or_else(PoisonError::into_inner).route([publication].into_iter());
        }
    }

    /// A will, for ingest, if it is for ingest.
    pub(super) fn inbound_of(will: &Will) -> Option<Inbound> {
        will.ingest.then(|| Inbound {
            topic: will.message.topic().to_owned(),
            payload: Bytes::copy_from_slice(will.message.payload()),
            retained: false,
            via: Via::Listener { connection: will.connection },
        })
    }

    /// The numbers now.
    pub(super) fn stats(&self) -> ListenerStats {
        let sizes = self.router.read().unwrap_or_else(PoisonError::into_inner).sizes();
        let counters = &self.counters;
        ListenerStats {
            connections: self.doors.open(),
            clients: sizes.clients,
            sessions_away: sizes.sessions_away,
            subscriptions: sizes.subscriptions,
            retained_messages: sizes.retained_messages,
            retained_bytes: sizes.retained_bytes,
            accepted_total: counters.accepted.load(Relaxed),
            messages_in_total: counters.messages_in.load(Relaxed),
            messages_out_total: counters.messages_out.load(Relaxed),
            bytes_in_total: counters.bytes_in.load(Relaxed),
            bytes_out_total: counters.bytes_out.load(Relaxed),
            reasons: Reason::ALL.into_iter().map(|reason| (reason, counters.of(reason))).collect(),
        }
    }
}
