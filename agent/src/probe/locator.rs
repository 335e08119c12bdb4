//! Addresses of streams: `rtmp://`, `rtsp://`, `srt://` and the like, taken apart, with the key that one may need kept out of the file.
//!
//! Pure but for the secret, which is read when a probe runs. A key is written as `{key}` in the address and stands in a file of its own;
//! a user and a password do not belong in an address at all. What is shown of an address is masked, unless its key is elsewhere anyway.
//!
//! ```text
//! rtmp://a.example/live/{key}        key = { file = "/etc/rackside/stream-key" }
//!   asked   rtmp://a.example/live/abcd-efgh-1234
//!   shown   rtmp://a.example/live/{key}
//! ```

use super::mask;
use rackside_config::Secret;
use serde::Deserialize;
use std::fmt;

/// What stands for the key.
const KEY: &str = "{key}";
/// Longer addresses are no addresses.
const LONGEST: usize = 2048;

/// An address taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Locator {
    /// `rtmp`, in lower case.
    pub scheme: String,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// Without the slash in front, with the query.
    pub path: String,
}

impl fmt::Debug for Locator {
    /// Without what may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Locator({}://{})", self.scheme, self.authority())
    }
}

impl Locator {
    /// Takes an address of one of these schemes apart, or says what is wrong with it, without showing it.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let wanted = || format!("it does not begin with {}://", schemes.join("://, "));
        let (scheme, rest) = text.split_once("://").ok_or_else(wanted)?;
        let scheme = scheme.to_ascii_lowercase();
        if !schemes.contains(&scheme.as_str()) {
            return Err(wanted());
        }
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("an address has no spaces and at most {LONGEST} bytes"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a user and a password do not belong in an address".to_owned());
        }
        let (host, port) = rackside_config::host_and_port(authority).ok_or("its host or its port is none")?;
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
        if host.is_empty() || host.len() > 253 || !is_name {
            return Err("its host is neither a name nor an address".to_owned());
        }
        let path = path.strip_prefix('/').unwrap_or(path).to_owned();
        Ok(Self { scheme, host: host.to_owned(), port, path })
    }

    /// Host and port as an address has them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }
}

/// An address as the configuration has it. `Debug` shows none of it that may be a key, and differs where the address does.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({} {})", self.shown(), mask::digest_of(&self.0))
    }
}

impl Address {
    /// Objects to it, or to a key that does not go with it.
    pub fn check(&self, key: Option<&Secret>, schemes: &[&str]) -> Result<Locator, (&'static str, String)> {
        match (self.0.contains(KEY), key) {
            (true, None) => return Err(("url", format!("has a {KEY}; say with `key` where the key is"))),
            (false, Some(_)) => return Err(("key", format!("goes where `url` has {KEY}, and it has none"))),
            _ => {}
        }
        // The key itself may hold what its name may not.
        Locator::parse(&self.0.replace(KEY, "key"), schemes).map_err(|why| ("url", why))
    }

    /// As it is written.
    pub fn written(&self) -> &str {
        &self.0
    }

    /// With its key in place.
    pub fn filled(&self, key: Option<&Secret>) -> Result<String, String> {
        let Some(key) = key else { return Ok(self.0.clone()) };
        key.read().map(|key| self.0.replace(KEY, key.expose())).map_err(|error| error.to_string())
    }

    /// As people may see it.
    pub fn shown(&self) -> String {
        if self.0.contains(KEY) { self.0.clone() } else { mask::url(&self.0) }
    }
}

/// An address comes out as it went in.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    const SCHEMES: &[&str] = &["rtmp", "rtsp", "srt"];
    let text = String::from_utf8_lossy(bytes);
    let Ok(locator) = Locator::parse(&text, SCHEMES) else { return };
    let written = format!("{}://{}/{}", locator.scheme, locator.authority(), locator.path);
    // A slash more than there was.
    if written.len() <= LONGEST {
        assert_eq!(Locator::parse(&written, SCHEMES), Ok(locator), "{written}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    const SCHEMES: &[&str] = &["rtmp", "rtmps"];

    #[test]
    fn an_address_is_taken_apart() {
        let locator = Locator::parse("RTMP://a.example:1936/live/one?x=1", SCHEMES).expect("a good address");
        assert_eq!((locator.scheme.as_str(), locator.authority().as_str()), ("rtmp", "a.example:1936"));
        assert_eq!((locator.host.as_str(), locator.path.as_str()), ("a.example", "live/one?x=1"));
        let locator = Locator::parse("rtmps://[2001:db8::1]", SCHEMES).expect("a good address");
        assert_eq!((locator.host.as_str(), locator.port, locator.path.as_str()), ("2001:db8::1", None, ""));
        assert_eq!(locator.authority(), "[2001:db8::1]");
    }

    #[test]
    fn a_bad_address_is_refused_and_not_shown() {
        for (text, why) in [
            ("a.example/live", "it does not begin with rtmp://, rtmps://"),
            ("http://a.example/live", "it does not begin with rtmp://, rtmps://"),
            ("rtmp://me:hunter2@a.example/live", "a user and a password do not belong in an address"),
            ("rtmp://a.example:0/live", "its host or its port is none"),
            ("rtmp:///live", "its host is neither a name nor an address"),
            ("rtmp://a.example/li ve", "an address has no spaces and at most 2048 bytes"),
        ] {
            assert_eq!(Locator::parse(text, SCHEMES).expect_err(text), why);
        }
    }

    #[test]
    fn a_key_goes_into_its_place_and_is_never_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("key");
        std::fs::write(&file, "abcd-efgh\n").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
        let key = Secret::in_file(file);
        let address = |text: &str| Address(text.to_owned());
        let url = address("rtmp://a.example/live/{key}");
        assert!(url.check(Some(&key), SCHEMES).is_ok());
        assert_eq!(url.filled(Some(&key)).expect("it is there"), "rtmp://a.example/live/abcd-efgh");
        assert_eq!(url.shown(), url.written());
        assert_eq!(url.check(None, SCHEMES).expect_err("no key").0, "url");
        let written = ["abcd-efgh", "abcd-efgi"].map(|key| address(&format!("rtmp://a.example/live/{key}")));
        assert_eq!(written[0].check(Some(&key), SCHEMES).expect_err("no place").0, "key");
        let shown = written.each_ref().map(|written| format!("{} {written:?}", written.shown()));
        assert!(shown[0] != shown[1] && !shown.concat().contains("abcd-efg"), "{shown:?}");
        let missing = Secret::in_file("/nowhere/key");
        assert!(url.filled(Some(&missing)).expect_err("no file").contains("/nowhere/key"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(rtmps?://)?.{0,60}") {
            if let Ok(locator) = Locator::parse(&text, SCHEMES) {
                prop_assert!(!locator.host.is_empty() && !locator.host.contains('@'));
            }
        }
    }
}
