//! An address to listen on: `127.0.0.1:8080`, `[::1]:1883`. A name is refused: it would be looked up, and mean what
//! somebody else says.

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};
use std::net::SocketAddr;

/// Reads one, for `#[serde(deserialize_with = "rackside_config::listen_address")]`.
pub fn listen_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let example = "write for example \"127.0.0.1:8080\"";
        D::Error::custom(format!("{text:?} is not an IP address with a port; {example}"))
    })
}

#[cfg(test)]
mod tests {
    use crate::parse;
    use std::net::SocketAddr;

    #[derive(Debug, serde::Deserialize)]
    struct Config {
        #[serde(deserialize_with = "super::listen_address")]
        address: SocketAddr,
    }

    #[test]
    fn an_address_has_a_port_and_no_name() {
        let read = |text: &str| parse::<Config>(&format!("address = \"{text}\""), "hub.toml");
        assert_eq!(read("127.0.0.1:0").unwrap().address.to_string(), "127.0.0.1:0");
        assert_eq!(read("[::1]:1883").unwrap().address.to_string(), "[::1]:1883");
        for bad in ["localhost:1883", "127.0.0.1", ":1883", "1883", ""] {
            let expected = format!(
                "hub.toml:1: address: \"{bad}\" is not an IP address with a port; write for example \"127.0.0.1:8080\""
            );
            assert_eq!(read(bad).unwrap_err().to_string(), expected);
        }
    }
}
