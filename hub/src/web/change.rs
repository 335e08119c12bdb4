//! Whose page makes a browser ask, and whether somebody sits at this machine. What follows from that is `admit`'s to decide.
//!
//! Nothing is changed by a page of somebody else's that makes a browser ask (`Origin`, `Sec-Fetch-Site`), nor, where no session's secret tells us apart,
//! by one whose name was pointed at this hub (`Host`); nor is a hub without users read by such a name. A GET changes nothing, whoever asks: mail scanners follow links.
//!
//! ```text
//! POST /alerts/274019e265251482   Host: 127.0.0.1:8080   Origin: http://127.0.0.1:8080      from 127.0.0.1: yes
//! POST /alerts/274019e265251482   Host: 127.0.0.1:8080   Origin: https://elsewhere.example  no
//! ```

use axum::http::{HeaderMap, HeaderName, Version, header};
use rackside_config::host_and_port;
use std::net::{IpAddr, SocketAddr};

/// Who asks: the other end of the connection, and the HTTP that it speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr, pub(super) Version);

/// What a proxy adds, beside whatever begins with [`FORWARDED_AS`].
const FORWARDED: [HeaderName; 7] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("cdn-loop"),
];
const FORWARDED_AS: &str = "x-forwarded-";

/// Whether it comes from this machine, and not through a proxy on it, as far as that can be told: one may add nothing at all. Nobody who sits here
/// speaks HTTP/1.0; nginx does, as long as nobody has configured more.
pub(super) fn is_local(headers: &HeaderMap, peer: Peer) -> bool {
    let is_added = |name: &HeaderName| FORWARDED.contains(name) || name.as_str().starts_with(FORWARDED_AS);
    peer.0.ip().to_canonical().is_loopback() && peer.1 >= Version::HTTP_11 && !headers.keys().any(is_added)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Host and port of where people reach the hub; empty, if that is not configured.
fn authority(external: &str) -> &str {
    let rest = external.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Whether the hub is asked by a name that is its own, and for a page of its own or nobody's; else in one line why it is refused. `external` is
/// where people reach the hub.
pub(super) fn is_ours(headers: &HeaderMap, external: &str) -> Result<(), String> {
    is_known(headers, external)?;
    is_same_origin(headers, external)
}

/// Whether the hub is asked by a name that is its own: an address, `localhost`, or where people reach it.
pub(super) fn is_known(headers: &HeaderMap, external: &str) -> Result<(), String> {
    let host = text(headers, &header::HOST).unwrap_or_default();
    let known = authority(external);
    let is_external = !known.is_empty() && host.eq_ignore_ascii_case(known);
    if is_external || is_no_name(host) {
        return Ok(());
    }
    Err(format!("this hub is not known as {host:?}; say where people reach it: `external_url` in [notify]"))
}

/// Whether a browser asks on behalf of a page of this hub, by whatever name, or of nobody's.
pub(super) fn is_same_origin(headers: &HeaderMap, external: &str) -> Result<(), String> {
    let text = |name: &HeaderName| text(headers, name);
    let (host, external) = (text(&header::HOST).unwrap_or_default(), authority(external));
    let is_external = |authority: &str| !external.is_empty() && authority.eq_ignore_ascii_case(external);
    let site = text(&HeaderName::from_static("sec-fetch-site")).unwrap_or("same-origin");
    if !matches!(site, "same-origin" | "none") {
        return Err("another site's page asks for it".to_owned());
    }
    if let Some(origin) = text(&header::ORIGIN) {
        let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
        if authority.is_empty() || !(authority.eq_ignore_ascii_case(host) || is_external(authority)) {
            return Err("another site's page asks for it".to_owned());
        }
    }
    Ok(())
}

/// Whether it is an address or `localhost`, which nobody can point elsewhere.
fn is_no_name(authority: &str) -> bool {
    let Some((host, _)) = host_and_port(authority) else { return false };
    host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    const HUB: &str = "https://hub.example.org/";

    #[test]
    fn programs_and_our_own_pages_are_let_in() {
        for pairs in [
            &[("host", "127.0.0.1:8080")][..],
            &[
                ("host", "localhost:8080"),
                ("origin", "http://localhost:8080"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")],
            &[("host", "hub.example.org"), ("origin", "https://hub.example.org")],
            // A proxy that gives the hub a host of its own.
            &[("host", "127.0.0.1:8080"), ("origin", "https://hub.example.org")],
        ] {
            assert_eq!(is_ours(&headers(pairs), HUB), Ok(()), "{pairs:?}");
        }
    }

    #[test]
    fn other_sites_pages_and_other_names_are_not() {
        for pairs in [
            &[("host", "127.0.0.1:8080"), ("origin", "https://elsewhere.example")][..],
            &[("host", "127.0.0.1:8080"), ("origin", "null")],
            &[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8081")],
            &[("host", "127.0.0.1:8080"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:8080"), ("sec-fetch-site", "same-site")],
            // A name of somebody else's that was pointed at this machine.
            &[("host", "elsewhere.example:8080"), ("origin", "http://elsewhere.example:8080")],
            &[("host", "")],
            &[],
        ] {
            assert!(is_ours(&headers(pairs), HUB).is_err(), "{pairs:?}");
            assert!(is_ours(&headers(pairs), "").is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn a_name_that_nobody_told_us_has_pages_of_its_own() {
        let named = |origin| headers(&[("host", "hub.local:8080"), ("origin", origin)]);
        assert_eq!(is_same_origin(&named("http://hub.local:8080"), ""), Ok(()));
        assert!(is_same_origin(&named("http://elsewhere.example"), "").is_err());
        assert!(is_same_origin(&named("null"), "").is_err());
    }

    #[test]
    fn what_a_proxy_hands_on_is_not_from_this_machine() {
        let peer = |address: &str, http| Peer(SocketAddr::new(address.parse().expect("an address"), 1), http);
        for (address, pairs, local) in [
            ("127.0.0.1", &[][..], true),
            ("::ffff:127.0.0.1", &[], true),
            ("192.0.2.7", &[], false),
            ("127.0.0.1", &[("x-forwarded-for", "192.0.2.7")], false),
            ("::1", &[("forwarded", "for=192.0.2.7")], false),
            ("127.0.0.1", &[("via", "1.1 proxy")], false),
            ("127.0.0.1", &[("x-forwarded-proto", "https")], false),
            ("127.0.0.1", &[("x-forwarded-server", "proxy")], false),
            ("127.0.0.1", &[("x-client-ip", "192.0.2.7")], false),
        ] {
            let from = peer(address, Version::HTTP_11);
            assert_eq!(is_local(&headers(pairs), from), local, "{address} {pairs:?}");
        }
        assert!(!is_local(&headers(&[]), peer("127.0.0.1", Version::HTTP_10)), "as nginx speaks by itself");
    }
}
