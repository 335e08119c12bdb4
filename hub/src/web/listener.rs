//! The hub's own listener as the pages see it: where agents come in, and its numbers.

use super::WayIn;
use crate::listener::ListenerHandle;
use crate::text::{Kind, Sink};

impl WayIn for ListenerHandle {
    fn ready(&self) -> (bool, String) {
        (true, format!("agents come in at {}", WayIn::address(self)))
    }

    fn write(&self, text: &mut dyn Sink) {
        let stats = self.stats();
        let gauges = [
            ("rackside_hub_listener_connections", "", "Sockets open at the listener", stats.connections),
            ("rackside_hub_listener_clients", "", "MQTT clients connected to the listener", stats.clients),
            (
                "rackside_hub_listener_sessions_away",
                "",
                "Sessions kept for clients that are away",
                stats.sessions_away,
            ),
            ("rackside_hub_listener_subscriptions", "", "Subscriptions of all clients", stats.subscriptions),
            ("rackside_hub_listener_retained_messages", "", "Retained messages", stats.retained_messages),
            (
                "rackside_hub_listener_retained_bytes",
                "bytes",
                "Bytes of retained messages",
                stats.retained_bytes,
            ),
        ];
        for (name, unit, help, value) in gauges {
            text.gauge(name, unit, help, value as f64);
        }
        text.counter("rackside_hub_listener_accepted_total", "Connections accepted", stats.accepted_total);
        let flow = |text: &mut dyn Sink, name: &str, unit: &str, help: &str, values: [(&str, u64); 2]| {
            text.family(name, Kind::Counter, unit, help);
            for (direction, value) in values {
                text.sample(name, &[("direction", direction)], value as f64);
            }
        };
        let help = "Messages published by clients (receive) and sent to subscribers (transmit)";
        let values = [("receive", stats.messages_in_total), ("transmit", stats.messages_out_total)];
        flow(text, "rackside_hub_listener_messages_total", "", help, values);
        let help = "Bytes read from clients (receive) and written to them (transmit), without TLS";
        let values = [("receive", stats.bytes_in_total), ("transmit", stats.bytes_out_total)];
        flow(text, "rackside_hub_listener_bytes_total", "bytes", help, values);
        let reasons = stats.reasons.iter().map(|(reason, count)| (reason.as_str(), *count));
        let help = "What the listener refused, lost or closed, by reason";
        text.counters("rackside_hub_listener_refused_total", help, "reason", reasons);
    }

    fn address(&self) -> String {
        let tls = if self.tls_address() == Some(ListenerHandle::address(self)) { " (TLS)" } else { "" };
        format!("{}{tls}", ListenerHandle::address(self))
    }

    fn is_broker(&self) -> bool {
        false
    }
}
