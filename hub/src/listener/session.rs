//! What is between the router and one client: messages that wait, messages sent and not acknowledged, QoS 2 packet ids.
//!
//! A session outlives its connection when the client asked for that (clean session off); then what was sent and not
//! acknowledged goes out again with DUP and the same packet id, before anything new. Not here: sockets, subscriptions.
//!
//! The router pushes and rings the [`Bell`] of the connection; the connection's task takes. A full queue costs the
//! subscriber its own QoS 0 messages, or its connection; nobody else waits for it.
//!
//! Invariant: `bytes` is the sum of what waits and what is in flight; packet ids in flight are distinct and not 0.

use super::config::Limits;
use super::message::{Message, Qos};
use super::rights::Rights;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The most QoS 2 publishes of one client between PUBLISH and PUBREL. Clients that we know stop at 20 to 100.
const MOST_UNRELEASED: usize = 1000;

/// Wakes one connection's task: something waits for it, or it is to end.
#[derive(Debug, Default)]
pub(super) struct Bell {
    notify: Notify,
    closing: AtomicU8,
}

/// Why a connection is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The same client connected again.
    TakenOver = 1,
    /// More QoS 1 messages waited than the queue holds.
    QueueOverflow = 2,
    /// The hub stops.
    Shutdown = 3,
    /// Its certificate is good no more.
    IdentityEnded = 4,
}

impl Bell {
    /// Wakes the task.
    pub(super) fn ring(&self) {
        self.notify.notify_one();
    }

    /// Ends the connection; the first reason stays.
    pub(super) fn close(&self, why: Closing) {
        let _ = self.closing.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        self.notify.notify_one();
    }

    /// Whether and why the connection is to end.
    pub(super) fn closing(&self) -> Option<Closing> {
        match self.closing.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Closing::TakenOver),
            2 => Some(Closing::QueueOverflow),
            4 => Some(Closing::IdentityEnded),
            _ => Some(Closing::Shutdown),
        }
    }

    /// Waits for the next ring; one that came before counts.
    pub(super) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// Waits until the connection is to end.
    pub(super) async fn closed(&self) -> Closing {
        loop {
            if let Some(why) = self.closing() {
                return why;
            }
            self.notify.notified().await;
        }
    }
}

/// A message on its way to one client.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) message: Arc<Message>,
    pub(super) qos: Qos,
    /// Whether it is delivered because it was kept, not because it was just published.
    pub(super) retained: bool,
}

/// One client's side of the router. Shared between the router and the connection's task.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    /// What its client may read; everything without.
    rights: Option<Arc<Rights>>,
    outbox: Mutex<Outbox>,
}

#[derive(Debug, Default)]
struct Outbox {
    waiting: VecDeque<Delivery>,
    /// Sent with QoS 1 and not acknowledged, oldest first.
    inflight: VecDeque<(u16, Delivery)>,
    /// How many of `inflight`, from the front, have been sent on this connection.
    sent: usize,
    bytes: usize,
    last_packet: u16,
    bell: Option<Arc<Bell>>,
    /// Whether the bell has rung since the task last looked.
    rung: bool,
    unreleased: Vec<u16>,
}

/// What became of a message pushed to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits.
    Waiting,
    /// There was no room for it.
    Dropped,
    /// The client is away, and the message's QoS is 0: such are not kept for later.
    Away,
}

impl Session {
    /// A session; `number` tells sessions apart.
    pub(super) fn new(number: u64, rights: Option<Arc<Rights>>) -> Arc<Self> {
        Arc::new(Self { number, rights, outbox: Mutex::default() })
    }

    /// Whether its client may read this message. Costs nothing where it may read everything, as nearly all may.
    pub(super) fn may_read(&self, message: &Message) -> bool {
        self.rights.as_ref().is_none_or(|rights| rights.allow(message.topic()))
    }

    /// Its number, distinct since the start.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection takes over: what is unacknowledged is due again.
    pub(super) fn attach(&self, bell: Arc<Bell>) {
        let mut outbox = self.outbox();
        outbox.sent = 0;
        outbox.rung = false;
        outbox.bell = Some(bell);
        outbox.ring();
    }

    /// The connection is gone: QoS 0 messages are not kept for later.
    pub(super) fn detach(&self) {
        let mut outbox = self.outbox();
        outbox.bell = None;
        let Outbox { waiting, bytes, .. } = &mut *outbox;
        waiting.retain(|delivery| {
            let keep = delivery.qos == Qos::AtLeastOnce;
            if !keep {
                *bytes -= delivery.message.size();
            }
            keep
        });
        waiting.shrink_to_fit();
    }

    /// A message just published.
    pub(super) fn push(&self, delivery: Delivery, limits: &Limits) -> Pushed {
        let mut outbox = self.outbox();
        if outbox.bell.is_none() && delivery.qos == Qos::AtMostOnce {
            return Pushed::Away;
        }
        let size = delivery.message.size();
        let full = outbox.waiting.len() >= limits.queue_messages
            || (outbox.bytes + size > limits.queue_bytes.bytes() as usize && outbox.bytes > 0);
        if full {
            if delivery.qos == Qos::AtLeastOnce
                && let Some(bell) = &outbox.bell
            {
                bell.close(Closing::QueueOverflow);
            }
            return Pushed::Dropped;
        }
        outbox.add(delivery);
        Pushed::Waiting
    }

    /// Retained messages for a new subscription. They exist in memory anyway, so a subscriber of a large fleet may get
    /// more of them than its queue holds, up to `most` that wait; False if that was passed and the connection ends.
    pub(super) fn push_retained(&self, deliveries: impl Iterator<Item = Delivery>, most: usize) -> bool {
        let mut outbox = self.outbox();
        for delivery in deliveries {
            if outbox.waiting.len() >= most {
                if let Some(bell) = &outbox.bell {
                    bell.close(Closing::QueueOverflow);
                }
                return false;
            }
            outbox.add(delivery);
        }
        true
    }

    /// Writes what may go out now to `out`, until it holds `enough` bytes. Returns how many messages that were. Only the
    /// connection whose bell was attached last gets anything: one that was taken over and does not know it yet would
    /// take what the new one waits for.
    pub(super) fn take(&self, bell: &Arc<Bell>, out: &mut Vec<u8>, enough: usize, limits: &Limits) -> u64 {
        let mut outbox = self.outbox();
        let outbox = &mut *outbox;
        if !outbox.bell.as_ref().is_some_and(|current| Arc::ptr_eq(current, bell)) {
            return 0;
        }
        outbox.rung = false;
        let mut count = 0;
        while out.len() < enough {
            if let Some((packet, delivery)) = outbox.inflight.get(outbox.sent) {
                delivery.message.encode(Some(*packet), delivery.retained, true, out);
                outbox.sent += 1;
                count += 1;
                continue;
            }
            let Some(next) = outbox.waiting.front() else { break };
            // Messages keep their order, so a QoS 0 message does not pass a QoS 1 one that has to wait.
            if next.qos == Qos::AtLeastOnce && outbox.inflight.len() >= limits.inflight {
                break;
            }
            let delivery = outbox.waiting.pop_front().expect("looked at just now");
            count += 1;
            if delivery.qos == Qos::AtMostOnce {
                outbox.bytes -= delivery.message.size();
                delivery.message.encode(None, delivery.retained, false, out);
            } else {
                let packet = outbox.free_packet();
                delivery.message.encode(Some(packet), delivery.retained, false, out);
                outbox.inflight.push_back((packet, delivery));
                outbox.sent += 1;
            }
        }
        // An idle client holds no memory for what once waited.
        if outbox.waiting.is_empty() && outbox.waiting.capacity() > 64 {
            outbox.waiting = VecDeque::new();
        }
        count
    }

    /// The client has these; ids that are not in flight are ignored. More may go out now: take afterwards.
    pub(super) fn acknowledged(&self, packets: &[u16]) {
        let mut outbox = self.outbox();
        for packet in packets {
            let Some(at) = outbox.inflight.iter().position(|(id, _)| id == packet) else { continue };
            let (_, delivery) = outbox.inflight.remove(at).expect("its position was just found");
            outbox.bytes -= delivery.message.size();
            if at < outbox.sent {
                outbox.sent -= 1;
            }
        }
        if outbox.inflight.is_empty() {
            outbox.inflight = VecDeque::new();
        }
    }

    /// A QoS 2 publish arrived: whether it is the first time; None if there are too many unreleased ones.
    pub(super) fn receive_once(&self, packet: u16) -> Option<bool> {
        let mut outbox = self.outbox();
        if outbox.unreleased.contains(&packet) {
            return Some(false);
        }
        if outbox.unreleased.len() >= MOST_UNRELEASED {
            return None;
        }
        outbox.unreleased.push(packet);
        Some(true)
    }

    /// A PUBREL arrived: the packet id may be used anew.
    pub(super) fn release(&self, packet: u16) {
        self.outbox().unreleased.retain(|id| *id != packet);
    }
}

impl Outbox {
    fn add(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.size();
        self.waiting.push_back(delivery);
        self.ring();
    }

    fn ring(&mut self) {
        if let Some(bell) = &self.bell
            && !self.rung
        {
            self.rung = true;
            bell.ring();
        }
    }

    fn free_packet(&mut self) -> u16 {
        loop {
            self.last_packet = self.last_packet.checked_add(1).unwrap_or(1);
            // The window is far smaller than the number of ids, so this ends.
            if self.inflight.iter().all(|(id, _)| *id != self.last_packet) {
                return self.last_packet;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use rackside_config::Size;
    use rumqttc::mqttbytes::v4::{Packet, Publish};

    fn delivery(payload: &str, qos: Qos) -> Delivery {
        Delivery { message: Message::new("t", payload.as_bytes(), qos), qos, retained: false }
    }

    fn taken(session: &Session, bell: &Arc<Bell>, limits: &Limits) -> Vec<Publish> {
        let mut out = Vec::new();
        session.take(bell, &mut out, usize::MAX, limits);
        let mut stream = BytesMut::from(&out[..]);
        let mut publishes = Vec::new();
        while let Ok(Packet::Publish(publish)) = Packet::read(&mut stream, 1 << 20) {
            publishes.push(publish);
        }
        publishes
    }

    fn attached(limits: &Limits) -> (Arc<Session>, Arc<Bell>) {
        let session = Session::new(1, None);
        let bell = Arc::new(Bell::default());
        session.attach(Arc::clone(&bell));
        assert!(taken(&session, &bell, limits).is_empty());
        (session, bell)
    }

    #[test]
    fn unacknowledged_messages_go_out_again_with_dup_and_the_same_id() {
        let limits = Limits::default();
        let (session, bell) = attached(&limits);
        for payload in ["a", "b", "c"] {
            session.push(delivery(payload, Qos::AtLeastOnce), &limits);
        }
        let first = taken(&session, &bell, &limits);
        assert_eq!(
            first.iter().map(|p| (p.pkid, p.dup)).collect::<Vec<_>>(),
            [(1, false), (2, false), (3, false)]
        );
        session.acknowledged(&[2, 77]);
        session.detach();
        session.push(delivery("d", Qos::AtLeastOnce), &limits);
        session.push(delivery("lost", Qos::AtMostOnce), &limits);
        let bell = Arc::new(Bell::default());
        session.attach(Arc::clone(&bell));
        let again: Vec<_> =
            taken(&session, &bell, &limits).into_iter().map(|p| (p.pkid, p.dup, p.payload)).collect();
        let expected = [(1, true, "a"), (3, true, "c"), (4, false, "d")];
        assert_eq!(again, expected.map(|(id, dup, text)| (id, dup, text.into())));
    }

    #[test]
    fn a_connection_that_was_taken_over_takes_nothing_any_more() {
        let limits = Limits::default();
        let (session, old) = attached(&limits);
        let new = Arc::new(Bell::default());
        session.attach(Arc::clone(&new));
        session.push(delivery("a", Qos::AtLeastOnce), &limits);
        assert_eq!(taken(&session, &old, &limits), []);
        assert_eq!(taken(&session, &new, &limits).len(), 1);
    }

    #[test]
    fn the_window_holds_back_and_an_ack_lets_go() {
        let limits = Limits { inflight: 2, ..Limits::default() };
        let (session, bell) = attached(&limits);
        for payload in ["a", "b", "c"] {
            session.push(delivery(payload, Qos::AtLeastOnce), &limits);
        }
        session.push(delivery("d", Qos::AtMostOnce), &limits);
        assert_eq!(taken(&session, &bell, &limits).len(), 2);
        assert_eq!(taken(&session, &bell, &limits).len(), 0);
        session.acknowledged(&[1]);
        assert_eq!(taken(&session, &bell, &limits).len(), 2, "c, and d behind it");
    }

    #[test]
    fn a_full_queue_costs_qos_0_messages_and_then_the_connection() {
        let limits = Limits { queue_messages: 2, ..Limits::default() };
        let (session, bell) = attached(&limits);
        assert_eq!(session.push(delivery("a", Qos::AtMostOnce), &limits), Pushed::Waiting);
        assert_eq!(session.push(delivery("b", Qos::AtLeastOnce), &limits), Pushed::Waiting);
        assert_eq!(session.push(delivery("c", Qos::AtMostOnce), &limits), Pushed::Dropped);
        assert_eq!(bell.closing(), None);
        assert_eq!(session.push(delivery("d", Qos::AtLeastOnce), &limits), Pushed::Dropped);
        assert_eq!(bell.closing(), Some(Closing::QueueOverflow));
    }

    #[test]
    fn bytes_in_flight_count_against_the_queue() {
        let limits = Limits { queue_bytes: Size::from_bytes(300), ..Limits::default() };
        let (session, bell) = attached(&limits);
        let large = "x".repeat(200);
        assert_eq!(session.push(delivery(&large, Qos::AtLeastOnce), &limits), Pushed::Waiting);
        assert_eq!(taken(&session, &bell, &limits).len(), 1);
        assert_eq!(session.push(delivery(&large, Qos::AtMostOnce), &limits), Pushed::Dropped);
        session.acknowledged(&[1]);
        assert_eq!(session.push(delivery(&large, Qos::AtMostOnce), &limits), Pushed::Waiting);
    }

    #[test]
    fn packet_ids_wrap_and_skip_what_is_in_flight() {
        let limits = Limits::default();
        let (session, bell) = attached(&limits);
        session.push(delivery("stuck", Qos::AtLeastOnce), &limits);
        assert_eq!(taken(&session, &bell, &limits)[0].pkid, 1);
        session.outbox().last_packet = u16::MAX;
        session.push(delivery("next", Qos::AtLeastOnce), &limits);
        assert_eq!(taken(&session, &bell, &limits)[0].pkid, 2);
    }

    #[test]
    fn a_qos_2_publish_counts_once_until_it_is_released() {
        let session = Session::new(1, None);
        assert_eq!(session.receive_once(5), Some(true));
        assert_eq!(session.receive_once(5), Some(false));
        session.release(5);
        assert_eq!(session.receive_once(5), Some(true));
        for packet in 0..MOST_UNRELEASED as u16 - 1 {
            assert!(session.receive_once(packet + 10).is_some());
        }
        assert_eq!(session.receive_once(9), None);
    }
}
