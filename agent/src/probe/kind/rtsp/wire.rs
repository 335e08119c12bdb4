//! RTSP's replies, its logins, and of SDP what is played. Pure.
//!
//! A reply is RFC 2326's: a status line, headers, an empty line, and as many bytes as `Content-Length` says. Digest is RFC 2617's with
//! MD5, or SHA-256 where the server wants that. Invariants: a head is no longer than `HEAD` and a body no longer than `BODY`;
//! whatever the bytes, there is an answer and no panic, and no line break gets into a request.
//!
//! ```text
//! RTSP/1.0 401 Unauthorized        →  401, "Unauthorized"
//! CSeq: 2
//! WWW-Authenticate: Digest realm="cam", nonce="8f2c", algorithm="MD5"
//! ```

use crate::base64::base64;
use ring::digest::{SHA256, digest};
use std::fmt::{self, Write as _};

/// Of a reply's head.
pub const HEAD: usize = 16 * 1024;
/// Of a reply's body; an SDP has some 500 bytes.
pub const BODY: usize = 64 * 1024;
/// Media that are told of.
const MEDIA: usize = 8;

/// Bytes that no RTSP server would send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRtsp(&'static str);

impl fmt::Display for NotRtsp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it does not speak RTSP: {}", self.0)
    }
}

impl std::error::Error for NotRtsp {}

/// A reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// `200`.
    pub status: u16,
    /// `OK`, or what the server has instead.
    pub reason: String,
    headers: Vec<(String, String)>,
    /// What came with it.
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads a reply and says how long it was; nothing when more bytes are needed.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, NotRtsp> {
        let start = b"RTSP/".iter().zip(bytes).all(|(wanted, byte)| wanted == byte);
        if !start {
            return Err(NotRtsp("a reply begins with RTSP/1.0"));
        }
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if bytes.len() > HEAD { Err(NotRtsp("a head without an end")) } else { Ok(None) };
        };
        if end > HEAD {
            return Err(NotRtsp("a head longer than any"));
        }
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().splitn(3, ' ').skip(1);
        let status =
            words.next().and_then(|word| word.parse().ok()).filter(|status| (100..1000).contains(status));
        let status = status.ok_or(NotRtsp("a reply without a status"))?;
        let reason = words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
        let header = |line: &str| {
            line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = lines.filter_map(header).collect();
        let mut reply = Self { status, reason, headers, body: Vec::new() };
        let length = match reply.header("Content-Length") {
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= BODY)
                .ok_or(NotRtsp("a body longer than any"))?,
            None => 0,
        };
        let Some(body) = bytes.get(end + 4..end + 4 + length) else { return Ok(None) };
        reply.body = body.to_vec();
        Ok(Some((reply, end + 4 + length)))
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_it = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_it).map(|(_, value)| value.as_str())
    }

    /// The login that the server wants: Digest, if it takes that.
    pub fn challenge(&self) -> Option<Challenge> {
        let all: Vec<Challenge> = self.headers("WWW-Authenticate").filter_map(Challenge::parse).collect();
        let digest = all.iter().find(|one| matches!(one, Challenge::Digest { .. })).or_else(|| all.first());
        digest.cloned()
    }

    /// What is played there, in SDP's words: `H264, MPEG4-GENERIC`.
    pub fn media(&self) -> Vec<String> {
        let (text, mut media): (_, Vec<String>) = (String::from_utf8_lossy(&self.body), Vec::new());
        for line in text.lines() {
            let codec = |map: &str| Some(map.split_once(' ')?.1.split('/').next()?.trim().to_owned());
            if let Some(kind) = line.strip_prefix("m=") {
                if media.len() == MEDIA {
                    break;
                }
                let kind = kind.split(' ').next().unwrap_or_default();
                media.push(kind.chars().filter(|c| !c.is_control()).take(20).collect());
            } else if let (Some(map), Some(last)) = (line.strip_prefix("a=rtpmap:"), media.last_mut())
                && let Some(codec) = codec(map)
                && !codec.is_empty()
            {
                *last = codec
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(20)
                    .collect::<String>()
                    .to_ascii_uppercase();
            }
        }
        media
    }
}

/// A login that a server wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password in the clear.
    Basic,
    /// Proof of a password.
    Digest {
        /// Where the password is for.
        realm: String,
        /// Once only.
        nonce: String,
        /// Given back as it is.
        opaque: Option<String>,
        /// SHA-256 instead of MD5.
        is_sha256: bool,
        /// Whether the server knows `qop=auth`.
        has_quality: bool,
    },
}

impl Challenge {
    /// Reads `WWW-Authenticate`. A scheme or an algorithm that is not known here is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let parameters = parameters(rest);
        let find = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let is_sha256 = match find("algorithm").map(|name| name.to_ascii_uppercase()).as_deref() {
            None | Some("MD5") => false,
            Some("SHA-256") => true,
            Some(_) => return None,
        };
        let has_quality = find("qop").is_some_and(|all| all.split(',').any(|one| one.trim() == "auth"));
        Some(Self::Digest {
            realm: find("realm")?,
            nonce: find("nonce")?,
            opaque: find("opaque"),
            is_sha256,
            has_quality,
        })
    }

    /// The header `Authorization` for a request. `once` is any word that was not used before.
    pub fn answer(&self, user: &str, password: &str, method: &str, url: &str, once: &str) -> String {
        let Self::Digest { realm, nonce, opaque, is_sha256, has_quality } = self else {
            return format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        };
        let hash = |text: &str| {
            if *is_sha256 {
                hex(digest(&SHA256, text.as_bytes()).as_ref())
            } else {
                hex(&md5::compute(text.as_bytes()).0)
            }
        };
        let (who, what) = (hash(&format!("{user}:{realm}:{password}")), hash(&format!("{method}:{url}")));
        let response = if *has_quality {
            hash(&format!("{who}:{nonce}:00000001:{once}:auth:{what}"))
        } else {
            hash(&format!("{who}:{nonce}:{what}"))
        };
        let mut header = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(user),
            quoted(realm),
            quoted(nonce),
            quoted(url)
        );
        if *has_quality {
            let _ = write!(header, ", qop=auth, nc=00000001, cnonce={}", quoted(once));
        }
        if *is_sha256 {
            header.push_str(", algorithm=SHA-256");
        }
        if let Some(opaque) = opaque {
            let _ = write!(header, ", opaque={}", quoted(opaque));
        }
        header
    }
}

/// `a="b, c", d=e`, taken apart.
fn parameters(text: &str) -> Vec<(String, String)> {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some((key, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let mut read = String::new();
        let used = if let Some(inner) = value.strip_prefix('"') {
            let (mut used, mut is_escaped) = (1, false);
            for c in inner.chars() {
                used += c.len_utf8();
                match c {
                    _ if is_escaped => {
                        read.push(c);
                        is_escaped = false;
                    }
                    '\\' => is_escaped = true,
                    '"' => break,
                    c => read.push(c),
                }
            }
            used
        } else {
            let end = value.find(',').unwrap_or(value.len());
            read.push_str(value.get(..end).unwrap_or_default().trim());
            end
        };
        all.push((key.trim_matches([' ', ',', '\t']).to_owned(), read));
        rest = value.get(used..).unwrap_or_default();
    }
    all
}

/// A quoted string. Line breaks and other control characters cannot be in a header, so they are left out.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A reply ends where it says so, is bounded, and leads to no request with a line too many.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(Some((reply, length))) = Reply::parse(bytes) else { return };
    assert!(reply.body.len() <= BODY && length <= bytes.len());
    assert_eq!(Reply::parse(&bytes[..length]), Ok(Some((reply.clone(), length))));
    assert_eq!(Reply::parse(&bytes[..length - 1]), Ok(None));
    let media = reply.media();
    assert!(media.len() <= MEDIA, "{media:?}");
    assert!(media.iter().all(|one| one.chars().count() <= 20 && !one.contains(char::is_control)));
    if let Some(challenge) = reply.challenge() {
        let answer = challenge.answer("me", "pw", "DESCRIBE", "rtsp://a.example/live", "once");
        assert!(!answer.contains(char::is_control), "{answer:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SDP: &str =
        "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 0 RTP/AVP 0\r\n";

    fn described() -> Vec<u8> {
        format!("RTSP/1.0 200 OK\r\nCSeq: 2\r\ncontent-length: {}\r\n\r\n{SDP}", SDP.len()).into_bytes()
    }

    #[test]
    fn a_reply_is_read_once_it_is_whole() {
        let bytes = described();
        for end in 0..bytes.len() {
            assert_eq!(Reply::parse(&bytes[..end]), Ok(None), "{end}");
        }
        let (reply, length) =
            Reply::parse(&[&bytes[..], b"more"].concat()).expect("RTSP").expect("all of it");
        assert_eq!((reply.status, reply.reason.as_str(), length), (200, "OK", bytes.len()));
        assert_eq!(reply.media(), ["H264", "audio"]);
    }

    #[test]
    fn of_many_media_the_first_eight_are_told() {
        let reply =
            |media: usize| Reply { body: "m=audio 0 RTP/AVP 0\r\n".repeat(media).into(), ..Reply::default() };
        assert_eq!((reply(8).media().len(), reply(9).media().len()), (8, 8));
    }

    #[test]
    fn what_is_no_rtsp_is_told_apart_from_what_is_not_all_there() {
        for bytes in
            [&b"HTTP/1.1 400 Bad\r\n\r\n"[..], b"RTSP/1.0 \r\n\r\n", b"RTSP/1.0 99999 x\r\n\r\n", b"x"]
        {
            assert!(Reply::parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let endless = [b"RTSP/1.0 200 OK\r\n".to_vec(), vec![b'a'; HEAD]].concat();
        assert!(Reply::parse(&endless).is_err());
        assert!(Reply::parse(b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n").is_err());
        assert!(Reply::parse(b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
    }

    #[test]
    fn digest_is_that_of_the_rfc() {
        // RFC 2617, 3.5.
        let challenge = Challenge::parse(
            "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        );
        let challenge = challenge.expect("a challenge");
        let answer = challenge.answer("Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b");
        assert!(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{answer}");
        assert!(answer.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""), "{answer}");
        // RFC 7616, 3.9.1, with the other hash.
        let challenge = Challenge::parse(
            "Digest realm=\"http-auth@example.org\", qop=\"auth\", algorithm=SHA-256, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
        );
        let once = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = challenge.expect("a challenge").answer(
            "Mufasa",
            "Circle of Life",
            "GET",
            "/dir/index.html",
            once,
        );
        assert!(
            answer.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            "{answer}"
        );
    }

    #[test]
    fn basic_is_taken_when_there_is_no_digest() {
        let reply = |lines: &str| {
            let text = format!("RTSP/1.0 401 Unauthorized\r\n{lines}\r\n\r\n");
            Reply::parse(text.as_bytes()).expect("RTSP").expect("whole").0.challenge()
        };
        assert_eq!(reply("WWW-Authenticate: Basic realm=\"x\""), Some(Challenge::Basic));
        let both =
            reply("WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"1\"");
        assert!(matches!(both, Some(Challenge::Digest { .. })));
        assert_eq!(reply("WWW-Authenticate: Negotiate"), None);
        assert_eq!(Challenge::Basic.answer("me", "pw", "", "", ""), "Basic bWU6cHc=");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Reply::parse(&bytes);
            if let Ok(Some((reply, _))) = Reply::parse(&[b"RTSP/1.0 200 OK\r\n\r\n", &bytes[..]].concat()) {
                reply.media();
            }
        }

        #[test]
        fn a_reply_with_bytes_changed_is_read_or_refused(at in 0..200_usize, byte in any::<u8>()) {
            let mut bytes = described();
            let length = bytes.len();
            bytes[at % length] = byte;
            if let Ok(Some((reply, _))) = Reply::parse(&bytes) {
                reply.media();
                reply.challenge();
            }
        }

        #[test]
        fn no_challenge_breaks_a_line_of_ours(text in "Digest realm=.{0,30}, nonce=.{0,30}", user in ".{0,10}") {
            if let Some(challenge) = Challenge::parse(&text) {
                let answer = challenge.answer(&user, "pw", "DESCRIBE", "rtsp://x", "once");
                prop_assert!(!answer.contains(['\r', '\n']));
            }
        }
    }
}
