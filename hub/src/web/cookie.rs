//! The cookie that a session's secret travels in. Pure.
//!
//! Over TLS it is `__Host-rackside`, which a browser takes from this host and over TLS alone, so that nobody else can put one of theirs there; over plain
//! HTTP it is `rackside`. No script reads it, and no other site's form sends it.
//!
//! `Set-Cookie: __Host-rackside=6f1c…94ab; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure`

use axum::http::{HeaderMap, HeaderValue, header};

/// What a login through a provider has begun with.
const BEGUN: [&str; 2] = ["rackside-login", "__Host-rackside-login"];
const SECURE: &str = "__Host-rackside";
const PLAIN: &str = "rackside";

/// The session's secret, if the browser sent one.
pub(super) fn sent(headers: &HeaderMap, is_secure: bool) -> Option<&str> {
    // Over TLS one by the plain name could be anybody's who was on the line before.
    value(headers, SECURE).or_else(|| if is_secure { None } else { value(headers, PLAIN) })
}

fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// What a browser keeps of a login that was begun, if it sent one.
pub(super) fn sent_begun(headers: &HeaderMap, is_secure: bool) -> Option<&str> {
    value(headers, BEGUN[usize::from(is_secure)])
}

/// Gives it that to keep, for so many seconds; takes it back with none.
pub(super) fn begun(kept: &str, is_secure: bool, seconds: u64) -> HeaderValue {
    let (name, secure) = (BEGUN[usize::from(is_secure)], if is_secure { "; Secure" } else { "" });
    let text = format!("{name}={kept}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).expect("what is kept is visible ASCII")
}

/// Gives a browser the secret, for so many seconds.
pub(super) fn given(secret: &str, is_secure: bool, seconds: i64) -> HeaderValue {
    let (name, secure) = if is_secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let text = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).expect("a secret is hexadecimal")
}

/// Takes it back.
pub(super) fn taken(is_secure: bool) -> HeaderValue {
    given("", is_secure, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn over_tls_only_the_cookie_of_this_host_counts() {
        for (lines, plain, secure) in [
            (&["rackside=a"][..], Some("a"), None),
            (&["x=1; rackside=a; __Host-rackside=b"], Some("b"), Some("b")),
            (&["x=1", "__Host-rackside=b"], Some("b"), Some("b")),
            (&["xrackside=a; rackside-2=b; rackside"], None, None),
            (&[], None, None),
        ] {
            let headers = headers(lines);
            assert_eq!((sent(&headers, false), sent(&headers, true)), (plain, secure), "{lines:?}");
        }
    }

    #[test]
    fn it_is_for_no_script_and_no_other_site() {
        assert_eq!(given("ab", false, 60), "rackside=ab; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
        assert_eq!(
            given("ab", true, 60),
            "__Host-rackside=ab; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
        assert_eq!(taken(false), "rackside=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
}
