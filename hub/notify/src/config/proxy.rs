//! `proxy` of `[notify]` and of a receiver: through whom requests go out, where a network lets nothing else out.
//!
//! A proxy is spoken to in the clear and asked to connect (`CONNECT`); what goes through it is encrypted to the receiver all the same. One that wants a
//! login is a secret: `http://user:password@proxy.example.org:3128` in a file.
//!
//! Invariant: `Debug` and errors show no login.
//!
//! ```toml
//! [notify]
//! proxy = "http://proxy.example.org:3128"
//! [[receiver]]
//! proxy = "none"
//! ```

use super::given::Given;
use super::url::can_be_a_host;
use super::{Objection, objection};
use rackside_config::host_and_port;
use std::fmt;

/// Through whom a receiver's requests go.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Proxying {
    /// As `[notify]` says, unless the receiver is on this machine.
    #[default]
    AsNotify,
    /// Nobody.
    Direct,
    /// This proxy; one that is a secret is held to [`ProxyAddress::read`] once it is read.
    By(Given),
}

/// A proxy, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`, if it wants that.
    pub login: Option<String>,
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl ProxyAddress {
    /// Takes a proxy's URL apart. The error is for a person, and does not show it.
    pub fn read(url: &str) -> Result<Self, String> {
        const EXAMPLE: &str = "write for example http://proxy.example.org:3128";
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(format!(
                "does not begin with http://, which is how proxies are spoken to; {EXAMPLE}"
            ));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if !authority.bytes().all(|byte| byte.is_ascii_graphic()) || authority.contains(['/', '?', '#']) {
            return Err(format!("is more than a host and a port; {EXAMPLE}"));
        }
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(unescaped(login)), place),
            None => (None, authority),
        };
        match host_and_port(place).filter(|(host, _)| can_be_a_host(host)) {
            Some((host, Some(port))) => Ok(Self { host: host.to_owned(), port, login }),
            _ => Err(format!("names no host with a port; {EXAMPLE}")),
        }
    }
}

/// `%40` is `@`; what is no such thing stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = behind.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What stands in the file is a proxy without a login.
pub(super) fn checked(given: &Given) -> Result<(), Objection> {
    let Some(here) = given.here() else { return Ok(()) };
    match ProxyAddress::read(here) {
        Err(why) => objection("proxy", why),
        Ok(address) if address.login.is_some() => objection(
            "proxy",
            "has a login in it, which does not belong in this file; write { file = \"/path/of/the/secret\" } or { env = \"NAME\" }",
        ),
        Ok(_) => Ok(()),
    }
}

/// `proxy` of a receiver.
pub(super) fn of_receiver(given: Option<&Given>) -> Result<Proxying, Objection> {
    match given {
        None => Ok(Proxying::AsNotify),
        Some(given) if given.here() == Some("none") => Ok(Proxying::Direct),
        Some(given) => checked(given).map(|()| Proxying::By(given.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_taken_apart_and_shown_without_its_login() {
        for (url, shown, login) in [
            ("http://proxy.example.org:3128", "proxy.example.org:3128", None),
            ("http://hub:hun%40ter2@[2001:db8::1]:80/", "2001:db8::1:80", Some("hub:hun@ter2")),
            ("http://hub:100%@192.0.2.1:8080", "192.0.2.1:8080", Some("hub:100%")),
        ] {
            let address = ProxyAddress::read(url).expect(url);
            assert_eq!((format!("{address:?}").as_str(), address.login.as_deref()), (shown, login));
        }
        for (url, why) in [
            ("https://proxy.example.org:3128", "does not begin with http://"),
            ("proxy.example.org:3128", "does not begin with http://"),
            ("http://hub:hunter2@proxy.example.org", "names no host with a port"),
            ("http://:3128", "names no host with a port"),
            ("http://proxy.example.org:3128/hunter2", "is more than a host and a port"),
        ] {
            let said = ProxyAddress::read(url).expect_err(url);
            assert!(said.starts_with(why) && !said.contains("hunter2"), "{url}: {said}");
        }
    }
}
