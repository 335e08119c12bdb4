//! Where another machine is, as people write it: `host`, `host:port`, `192.0.2.1:port`, `[2001:db8::1]:port`, `2001:db8::1`.

use std::net::Ipv6Addr;

/// Takes an address apart: the host, an IPv6 address without its brackets, and the port if one is written. `None` for what
/// has no such form. Whether the host can be a name is not looked at.
pub fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    match port {
        Some(port) => Some((host, Some(port.parse().ok().filter(|port| *port != 0)?))),
        None => Some((host, None)),
    }
}
