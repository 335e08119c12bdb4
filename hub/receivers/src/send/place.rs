//! Where a request goes: a URL, taken apart, with nothing in `Debug` but what may be shown.
//!
//! `https://hooks.example.org/services/T0/B0` is TLS, host `hooks.example.org`, port 443, path `/services/T0/B0`.

use hyper::Uri;
use std::fmt;

/// A host and a port, with or without TLS: what a connection is to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

/// A URL.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) place: Place,
    /// Path and query.
    pub(super) path: String,
}

impl Target {
    /// Takes a URL apart; what is wrong with it does not repeat it.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "the URL cannot be read")?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("the URL begins with neither http:// nor https://"),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        // `Uri::port` is silent about a port that is no number of 16 bits.
        let authority = uri.authority().map_or("", hyper::http::uri::Authority::as_str);
        let behind_host = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
        let behind_host = behind_host.rsplit_once(']').map_or(behind_host, |(_, rest)| rest);
        let port = match behind_host.split_once(':') {
            Some((_, port)) => port.parse().ok().filter(|port| *port != 0).ok_or("the URL's port is none")?,
            None if is_tls => 443,
            None => 80,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { place: Place { is_tls, host, port }, path })
    }
}

impl Place {
    /// As the header `Host` has it.
    pub(super) fn authority(&self) -> String {
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => self.bracketed(),
            (_, port) => format!("{}:{port}", self.bracketed()),
        }
    }

    /// As `CONNECT` has it.
    pub(super) fn with_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.place, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_shown_without_their_path() {
        for (url, shown, path) in [
            ("https://hooks.example.org/services/hunter2", "hooks.example.org", "/services/hunter2"),
            ("http://user:hunter2@192.0.2.7:8080?auth=x", "192.0.2.7:8080", "/?auth=x"),
            ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443", "/"),
            ("http://hub.example.org:80", "hub.example.org", "/"),
        ] {
            let target = Target::parse(url).expect("it is good");
            assert_eq!((format!("{target:?}").as_str(), target.path.as_str()), (shown, path));
        }
        let target = Target::parse("http://[2001:db8::1]/").expect("it is good");
        assert_eq!(
            (target.place.host.as_str(), target.place.with_port().as_str()),
            ("2001:db8::1", "[2001:db8::1]:80")
        );
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_it() {
        for bad in [
            "",
            "hunter2",
            "ftp://hunter2.example.org",
            "http://",
            "http://h:0/hunter2",
            "http://h:99999/hunter2",
            "/hunter2",
        ] {
            let why = Target::parse(bad).expect_err("it is bad");
            assert!(why.starts_with("the URL") && !why.contains("hunter2"), "{bad}: {why}");
        }
    }
}
