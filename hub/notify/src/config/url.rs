//! What a URL of a receiver has to be. One that is a secret is looked at once it is read; what is said of it never shows it.
//!
//! Sample: `https://hooks.example.org/services/…`; `http://127.0.0.1:9093`; `http://ntfy.lan` with `allow_plain = true`.

use rackside_config::host_and_port;
use std::net::IpAddr;

/// Most bytes.
const LONGEST: usize = 2000;

/// Whether a URL can be one to send to. The error is for a person, and does not show it.
pub fn check_url(url: &str, allow_plain: bool) -> Result<(), String> {
    let said = |why: &str| Err(why.to_owned());
    let (is_plain, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return said("begins with neither https:// nor http://"),
    };
    if url.len() > LONGEST || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return said("is no URL: other characters than visible ASCII, or more than 2000 of them");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return said(
            "has a user name in it, where logs would show it; take it out and say `user` and `password`",
        );
    }
    let host = host_and_port(authority).map(|(host, _)| host).filter(|host| can_be_a_host(host));
    let Some(host) = host else {
        return said("names no host; write for example https://hub.example.org/path");
    };
    if is_plain && !allow_plain && !is_this_machine(host) {
        return said(
            "goes over the network without encryption; write https://, or say `allow_plain = true` if that network is yours alone",
        );
    }
    Ok(())
}

pub(super) fn can_be_a_host(host: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    host.parse::<IpAddr>().is_ok() || (!host.is_empty() && host.chars().all(is_name))
}

/// Whether nothing leaves this machine on the way there.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_the_web_are_taken() {
        for (url, why) in [
            ("https://hooks.example.org/services/a?b=c", None),
            ("https://[2001:db8::1]:8443/", None),
            ("ftp://example.org", Some("begins with neither https:// nor http://")),
            ("hooks.example.org", Some("begins with neither https:// nor http://")),
            ("file:///etc/passwd", Some("begins with neither https:// nor http://")),
            ("https://", Some("names no host; write for example https://hub.example.org/path")),
            ("https:///path", Some("names no host; write for example https://hub.example.org/path")),
            ("https://a:0/", Some("names no host; write for example https://hub.example.org/path")),
            ("https://a:port/", Some("names no host; write for example https://hub.example.org/path")),
            (
                "https://a.example.org/ b",
                Some("is no URL: other characters than visible ASCII, or more than 2000 of them"),
            ),
            (
                "https://a.example.org/\r\nHost: b",
                Some("is no URL: other characters than visible ASCII, or more than 2000 of them"),
            ),
            (
                "https://crew:hunter2@example.org/",
                Some(
                    "has a user name in it, where logs would show it; take it out and say `user` and `password`",
                ),
            ),
        ] {
            assert_eq!(check_url(url, false).err().as_deref(), why, "{url}");
        }
    }

    #[test]
    fn plain_ones_stay_on_this_machine_unless_said_otherwise() {
        for (url, is_here) in [
            ("http://127.0.0.1:9093", true),
            ("http://127.1.2.3/", true),
            ("http://localhost:9093/", true),
            ("http://[::1]:9093/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://10.0.0.1/", false),
            ("http://localhost.example.org/", false),
            ("http://127.0.0.1.example.org/", false),
        ] {
            assert_eq!(check_url(url, false).is_ok(), is_here, "{url}");
            assert_eq!(check_url(url, true), Ok(()), "{url}");
        }
    }
}
