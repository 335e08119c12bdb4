//! Where MQTT is to be had: a machine and a port, with or without TLS, by TCP or by WebSocket. Pure.
//!
//! ```text
//! hub.example.org:8883                 TCP; TLS as the configuration says
//! mqtts://hub.example.org              TLS, port 8883
//! wss://hub.example.org/mqtt           WebSocket over TLS, port 443
//! ws://hub.example.org:8080/mqtt       WebSocket, port 80
//! ```

use rackside_config::host_and_port;
use rackside_proto::join::WEBSOCKET_PATH;
use std::fmt;

/// A plain MQTT broker's port, and one's with TLS (IANA).
pub(crate) const PORT: u16 = 1883;
pub(crate) const PORT_TLS: u16 = 8883;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address of the machine.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS there.
    pub is_tls: bool,
    /// The path of a WebSocket; none by TCP.
    pub path: Option<String>,
}

impl Address {
    /// Takes it apart; `is_tls` is what holds where it does not say.
    pub fn parse(text: &str, is_tls: bool) -> Option<Self> {
        let (is_tls, is_socket, rest) = match text.split_once("://") {
            None => (is_tls, false, text),
            Some(("mqtts", rest)) => (true, false, rest),
            Some(("wss", rest)) => (true, true, rest),
            Some(("ws", rest)) => (false, true, rest),
            Some(_) => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').filter(|_| is_socket).unwrap_or(rest.len()));
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return None;
        }
        let (host, port) = host_and_port(authority)?;
        rustls::pki_types::ServerName::try_from(host).ok()?;
        let usual = match (is_socket, is_tls) {
            (false, false) => PORT,
            (false, true) => PORT_TLS,
            (true, false) => 80,
            (true, true) => 443,
        };
        let path = is_socket.then(|| if path.is_empty() { WEBSOCKET_PATH } else { path }.to_owned());
        Some(Self { host: host.to_owned(), port: port.unwrap_or(usual), is_tls, path })
    }

    /// Host and port, as HTTP wants them: `[2001:db8::1]:443`.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// Host and port, as HTTP wants them.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for Address {
    /// `hub.example.org:8883`, `wss://hub.example.org:443/mqtt`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            None => write!(f, "{}:{}", self.host, self.port),
            Some(path) => {
                let scheme = if self.is_tls { "wss" } else { "ws" };
                write!(f, "{scheme}://{}{path}", self.authority())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_every_form() {
        for (text, host, port, is_tls, path) in [
            ("hub.example.org", "hub.example.org", 1883, false, None),
            ("hub.example.org:18830", "hub.example.org", 18830, false, None),
            ("192.0.2.1:1884", "192.0.2.1", 1884, false, None),
            ("[2001:db8::1]:1884", "2001:db8::1", 1884, false, None),
            ("[2001:db8::1]", "2001:db8::1", 1883, false, None),
            ("2001:db8::1", "2001:db8::1", 1883, false, None),
            ("mqtts://hub", "hub", 8883, true, None),
            ("wss://hub", "hub", 443, true, Some("/mqtt")),
            ("wss://hub:8443/", "hub", 8443, true, Some("/")),
            ("ws://[2001:db8::1]/a/b?c=d", "2001:db8::1", 80, false, Some("/a/b?c=d")),
        ] {
            let path = path.map(str::to_owned);
            let expected = Address { host: host.to_owned(), port, is_tls, path };
            assert_eq!(Address::parse(text, false), Some(expected), "{text}");
        }
        assert_eq!(Address::parse("hub", true).map(|at| (at.port, at.is_tls)), Some((8883, true)));
        for text in [
            "",
            ":1883",
            "hub:",
            "hub:0",
            "hub:70000",
            "mqtt://hub",
            "[::1]x",
            "[hub]:1",
            "a b",
            "hub:1:2",
            "hub/mqtt",
            "mqtts://hub/mqtt",
            "wss://",
            "wss:///mqtt",
            "wss://hub/a b",
            "wss://hub/#a",
            "https://hub",
            "wss://user@hub",
        ] {
            assert_eq!(Address::parse(text, false), None, "{text}");
        }
    }

    #[test]
    fn addresses_are_shown_as_they_could_be_written() {
        for text in ["hub:8883", "wss://hub:443/mqtt", "ws://[2001:db8::1]:80/"] {
            assert_eq!(Address::parse(text, true).expect("good").to_string(), text);
        }
    }
}
