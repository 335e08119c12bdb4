//! Names that may be stream keys, made fit for labels, logs and pages.
//!
//! A path of a media server, the last part of an RTMP address, an SRT stream id: whoever knows one can publish. What is shown
//! instead is the same for the same name (so that series stay joined), different for different ones, and not to be turned back:
//! a few first characters, the length, and 16 bits of a SHA-256. It hides a key, not a word that somebody can guess at.
//!
//! ```text
//! abcd-efgh-1234                                      →  abc…(14:fd5b)
//! rtmp://me:pw@a.example/live/abcd-efgh-1234?k=hunter2  →  rtmp://a.example/live/abc…(14:fd5b)?k=h…(7:f52f)
//! ```

use ring::digest::{SHA256, digest};

/// Shorter parts than this are no key, and replacing each of them in a text would garble it.
const LEAST: usize = 4;

/// A name that may be a key.
pub fn name(key: &str) -> String {
    let length = key.chars().count();
    let shown: String = key.chars().take((length / 4).min(3)).collect();
    let digest = digest(&SHA256, key.as_bytes());
    let [first, second, ..] = digest.as_ref() else { return shown };
    format!("{shown}…({length}:{first:02x}{second:02x})")
}

/// 64 bits of a SHA-256, to tell long texts apart without having them.
pub fn digest_of(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    format!("{:016x}", digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
}

/// A URL without its login, with the last part of its path and every value of its query masked. What is no URL is masked whole.
pub fn url(text: &str) -> String {
    let Some(Parts { scheme, host, path, query, .. }) = Parts::of(text) else { return name(text) };
    let mut shown = format!("{scheme}://{host}");
    let (folder, last) = path.rsplit_once('/').map_or(("", path), |(folder, last)| (folder, last));
    if path.contains('/') {
        shown.push_str(folder);
        shown.push('/');
    }
    if !last.is_empty() {
        shown.push_str(&name(last));
    }
    for (at, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if at == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((key, value)) => shown.extend([key, "=", &name(value)]),
            None => shown.push_str(&name(pair)),
        }
    }
    shown
}

/// A text of somebody else's (a tool's complaint, a server's answer) with a URL and all parts of it that may be secret masked.
pub fn scrub(text: &str, address: &str) -> String {
    scrub_with(text, address, "")
}

/// The same where `key` is a secret as well, wherever in the URL it stands.
pub fn scrub_with(text: &str, address: &str, key: &str) -> String {
    let mut shown = text.replace(address, &url(address));
    let Some(parts) = Parts::of(address) else { return shown };
    let login = parts.login.split(':').chain([parts.login]);
    let last = parts.path.rsplit('/').next().unwrap_or_default();
    let values = parts.query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let with_query = text_behind_last_slash(address);
    let mut secrets: Vec<&str> = login.chain([last, with_query, key]).chain(values).collect();
    // The longest first: a part of it must not take its middle out.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets.into_iter().filter(|secret| secret.len() >= LEAST) {
        shown = shown.replace(secret, &name(secret));
    }
    shown
}

fn text_behind_last_slash(address: &str) -> &str {
    let path =
        address.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    path.rsplit('/').next().unwrap_or_default()
}

/// A URL taken apart no further than its secrets need.
struct Parts<'a> {
    scheme: &'a str,
    login: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Some(Self { scheme, login, host, path, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_told_apart_and_not_shown() {
        assert_eq!(name("abcd-efgh-1234"), "abc…(14:fd5b)");
        assert_ne!(name("abcd-efgh-1234"), name("abcd-efgh-1235"));
        assert_eq!(name("key"), "…(3:2c70)");
        assert_eq!(name(""), "…(0:e3b0)");
    }

    #[test]
    fn a_url_keeps_what_says_where_it_leads() {
        for (address, shown) in [
            ("rtmp://a.example/live/abcd-efgh-1234", "rtmp://a.example/live/abc…(14:fd5b)"),
            ("rtmp://me:pw@a.example:1936/abcd-efgh-1234", "rtmp://a.example:1936/abc…(14:fd5b)"),
            (
                "srt://a.example:9000?mode=caller&streamid=abcd-efgh-1234",
                "srt://a.example:9000?mode=c…(6:61de)&streamid=abc…(14:fd5b)",
            ),
            ("rtsp://a.example/", "rtsp://a.example/"),
            ("rtsp://a.example", "rtsp://a.example"),
        ] {
            assert_eq!(url(address), shown);
        }
        assert_eq!(url("abcd-efgh-1234"), "abc…(14:fd5b)");
    }

    #[test]
    fn a_tools_complaint_loses_the_key_wherever_it_stands() {
        let address = "rtmp://me:hunter2@a.example/live/abcd-efgh-1234?auth=hunter2";
        for text in [
            format!("{address}: Input/output error"),
            "[rtmp @ 0x1] cannot play stream abcd-efgh-1234 for me:hunter2".to_owned(),
            "NetStream.Play.StreamNotFound abcd-efgh-1234?auth=hunter2".to_owned(),
        ] {
            let shown = scrub(&text, address);
            assert!(!shown.contains("abcd-efgh-1234") && !shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(scrub("Connection refused", address), "Connection refused");
        // A user whose name the key begins with leaves nothing of the key behind.
        let shown = scrub("no stream abcd-efgh-1234", "rtmp://abcd:pw@a.example/live/abcd-efgh-1234");
        assert!(!shown.contains("efgh"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_is_masked_without_a_panic(text in ".*", address in ".*") {
            url(&text);
            scrub(&text, &address);
        }

        #[test]
        fn no_key_is_left_of_an_address(key in "[a-zA-Z0-9_-]{8,40}", before in "[ -~]{0,20}") {
            let address = format!("rtmp://host.example/live/{key}");
            prop_assert!(!url(&address).contains(&key));
            let complaint = format!("{before} {key} {address}: I/O error");
            prop_assert!(!scrub(&complaint, &address).contains(&key));
        }
    }
}
