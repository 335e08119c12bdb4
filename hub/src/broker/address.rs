//! Where a broker is, written as in the agent's configuration: `broker.example.org`, `192.0.2.1:1884`, `[2001:db8::1]:1884`.

use rustls::pki_types::ServerName;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, if one is written.
    pub port: Option<u16>,
}

impl FromStr for BrokerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text)
            .ok_or_else(|| format!("\"{text}\" is no address; write for example \"broker.example.org:1883\""))
    }
}

fn read(text: &str) -> Option<BrokerAddress> {
    let (host, port) = rackside_config::host_and_port(text)?;
    ServerName::try_from(host).ok()?;
    Some(BrokerAddress { host: host.to_owned(), port })
}

impl<'de> Deserialize<'de> for BrokerAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (_, None) => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_every_form() {
        for (text, host, port) in [
            ("broker", "broker", None),
            ("broker.example.org:1999", "broker.example.org", Some(1999)),
            ("192.0.2.1:7", "192.0.2.1", Some(7)),
            ("[2001:db8::1]:7", "2001:db8::1", Some(7)),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            let address: BrokerAddress = text.parse().expect(text);
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", ":1883", "broker:", "broker:0", "broker:70000", "mqtt://broker", "[::1]x", "[b]:1", "a b"]
        {
            assert!(text.parse::<BrokerAddress>().is_err(), "{text}");
        }
    }
}
