//! `http://` and `https://` addresses, taken apart. Pure.
//!
//! Only as much of RFC 3986 as a probe needs: no user in it (a password belongs into a file of its own), no fragment on the wire, a name in
//! ASCII. Whoever shows one shows no value of its query, since these are tokens as often as not; what of the path may be shown is the
//! caller's to say.
//!
//! ```text
//! https://cam.example:8443/a/b.m3u8?token=abc   →  https, cam.example, 8443, "/a/b.m3u8?token=abc"
//!   shown as                                       https://cam.example:8443/a/b.m3u8?token=…
//! ```

use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;

/// Longer ones are refused: servers take no more than 8 KiB either.
const LONGEST: usize = 4096;

/// An address of a page.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    is_tls: bool,
    host: String,
    port: u16,
    /// With a slash in front and the query behind it.
    path: String,
}

impl Url {
    /// Takes it apart, or says what is wrong with it, without showing it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("it begins with neither http:// nor https://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("it begins with neither http:// nor https://".to_owned()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("a user and a password do not belong in an address".to_owned());
        }
        let (host, port) = rackside_config::host_and_port(authority).ok_or("its host or its port is none")?;
        let is_name = |host: &str| {
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        if host.is_empty() || host.len() > 253 || !(is_name(host) || host.parse::<Ipv6Addr>().is_ok()) {
            return Err("its host is neither a name nor an address".to_owned());
        }
        let usual = if is_tls { 443 } else { 80 };
        Ok(Self { is_tls, host: host.to_ascii_lowercase(), port: port.unwrap_or(usual), path: target(path)? })
    }

    /// Where a page of this address refers to: a whole address, or a part of one.
    pub fn join(&self, reference: &str) -> Result<Self, String> {
        let reference = reference.trim();
        let has_scheme = reference.split(['/', '?', '#']).next().is_some_and(|first| {
            first.split_once(':').is_some_and(|(scheme, _)| {
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            })
        });
        if has_scheme {
            return Self::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme()));
        }
        let base = self.path.split('?').next().unwrap_or("/");
        let path = if reference.is_empty() || reference.starts_with('#') {
            self.path.clone()
        } else if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            format!("{base}{reference}")
        } else {
            let directory = base.rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{directory}/{reference}")
        };
        Ok(Self { path: without_dots(&target(&path)?), ..self.clone() })
    }

    /// Whether TLS is spoken there.
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// A name in lower case, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own included.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What a request asks for: the path with its query.
    pub fn target(&self) -> &str {
        &self.path
    }

    /// Without path and query: `https://cam.example:8443`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// Host and port as the header `Host` has them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Whether what is secret for one may be sent to the other: same host, same port, no less protected.
    pub(super) fn is_of_same_origin(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }

    const fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }
}

impl fmt::Display for Url {
    /// Without the values of its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())?;
        let Some((path, query)) = self.path.split_once('?') else { return f.write_str(&self.path) };
        f.write_str(path)?;
        for (at, pair) in query.split('&').enumerate() {
            f.write_str(if at == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) => write!(f, "{name}=…")?,
                None => f.write_str("…")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A path with its query as it goes onto the wire: without fragment; what may not stand there as it is, is escaped.
fn target(path: &str) -> Result<String, String> {
    let path = path.split('#').next().unwrap_or_default();
    let mut target = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        target.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x20 | 0x80.. => {
                write!(target, "%{byte:02X}").expect("a String has room");
            }
            0..0x20 | 0x7f => return Err("there are control characters in it".to_owned()),
            _ => target.push(char::from(byte)),
        }
    }
    if target.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    Ok(target)
}

/// `/a/b/../c` is `/a/c`.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(part),
        }
    }
    let path = format!("/{}", kept.join("/"));
    query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"))
}

/// An address, and behind a line break what a page of it refers to: both come out as they went in, and fit into a request.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (first, reference) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(url) = Url::parse(first) else { return };
    for url in [Some(url.clone()), url.join(reference).ok()].into_iter().flatten() {
        assert!(url.target().starts_with('/') && url.target().len() <= LONGEST);
        assert!(url.target().bytes().all(|byte| byte.is_ascii_graphic()), "{}", url.target());
        let written = format!("{}{}", url.origin(), url.target());
        assert_eq!(Url::parse(&written).map(|again| again == url), Ok(true), "{written}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (bool, String, u16, String) {
        let url = Url::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        (url.is_tls, url.host, url.port, url.path)
    }

    #[test]
    fn an_address_is_taken_apart() {
        for (text, is_tls, host, port, path) in [
            ("http://cam.example", false, "cam.example", 80, "/"),
            ("HTTPS://Cam.Example/x", true, "cam.example", 443, "/x"),
            ("https://cam.example:8443/a/b?c=d#e", true, "cam.example", 8443, "/a/b?c=d"),
            ("http://[2001:db8::1]:8080?x", false, "2001:db8::1", 8080, "/?x"),
            ("http://192.0.2.7/with space/ü", false, "192.0.2.7", 80, "/with%20space/%C3%BC"),
        ] {
            assert_eq!(parts(text), (is_tls, host.to_owned(), port, path.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_without_being_shown() {
        let long = format!("http://h/{}", "a".repeat(LONGEST));
        for text in [
            "",
            "cam.example/x",
            "ftp://h/secret",
            "http://",
            "http:///secret",
            "http://a b/secret",
            "http://h:0/secret",
            "http://h:99999/secret",
            "http://h:/secret",
            "http://user:secret@h/",
            "http://h/secret\r\nX: y",
            "http://höst/secret",
            &long,
        ] {
            let why = Url::parse(text).expect_err(text);
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn a_reference_is_joined_as_rfc_3986_has_it() {
        let base = Url::parse("http://a/b/c/d.m3u8?q=1").expect("an address");
        for (reference, joined) in [
            ("g.ts", "http://a/b/c/g.ts"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y=2", "http://a/b/c/d.m3u8?y=2"),
            ("g?y=2/../z", "http://a/b/c/g?y=2/../z"),
            ("", "http://a/b/c/d.m3u8?q=1"),
            ("#s", "http://a/b/c/d.m3u8?q=1"),
            ("..", "http://a/b/"),
            ("../../../g", "http://a/g"),
            ("https://z:1/p", "https://z:1/p"),
            ("a:b/c", ""),
            ("x/a:b", "http://a/b/c/x/a:b"),
            (" g \r\n", "http://a/b/c/g"),
        ] {
            let result = base.join(reference).map(|url| format!("{}{}", url.origin(), url.path));
            assert_eq!(result.unwrap_or_default(), joined, "{reference:?}");
        }
    }

    #[test]
    fn values_of_a_query_are_not_shown() {
        let url = Url::parse("https://h:1/a?key=hunter2&x&hunter2=&y=hunter2").expect("an address");
        assert_eq!(url.to_string(), "https://h:1/a?key=…&…&hunter2=…&y=…");
        assert_eq!(format!("{url:?}"), url.to_string());
    }

    proptest! {
        #[test]
        fn whatever_is_given_is_an_address_for_the_wire_or_none(text in ".{0,80}", reference in ".{0,80}") {
            let base = Url::parse("http://h/a/b").expect("an address");
            for url in [Url::parse(&text), Url::parse(&format!("http://h/{text}")), base.join(&reference)].into_iter().flatten() {
                prop_assert!(url.target().starts_with('/'));
                prop_assert!(url.target().bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", url.target());
                prop_assert!(!url.authority().is_empty());
            }
        }
    }
}
