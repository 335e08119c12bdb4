//! Which interface carries the default route, from `/proc/net/route` and `/proc/net/ipv6_route`.
//!
//! IPv4 decides; IPv6 speaks only where IPv4 has no default route. Of several routes the lowest metric wins.
//!
//! ```text
//! Iface  Destination  Gateway   Flags  RefCnt  Use  Metric  Mask      MTU  Window  IRTT
//! eth0   00000000     0100A8C0  0003   0       0    100     00000000  0    0       0
//!
//! destination (32 digits) length source length next-hop metric references use flags interface
//! 00000000000000000000000000000000 00 0000.. 00 fe80.. 00000400 00000001 00000000 00000003 eth0
//! ```

use super::{Machine, Report, SensorError, text};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// `RTF_UP` of `<linux/route.h>`.
const UP: u32 = 0x1;
/// `RTF_REJECT`: the route that says that there is none.
const REJECT: u32 = 0x200;

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let net = machine.roots.proc.join("net");
    let v4 = text(&net.join("route"))?;
    // A kernel without IPv6 has no such file.
    let v6 = text(&net.join("ipv6_route")).unwrap_or_default();
    let carrier = parse_v4(&v4).map(|(name, _)| name).or_else(|| parse_v6(&v6).map(|(name, _)| name));
    let is_on = |name: &str| Value::Known(i64::from(carrier == Some(name)));
    for name in &machine.interfaces {
        report.put_value(&metric::NETWORK_DEFAULT_ROUTE, &[name], Scale::ONE, is_on(name));
    }
    if let Some(name) = carrier {
        // An interface that carries the route is worth a series even when its counters are not.
        report.put_value(&metric::NETWORK_DEFAULT_ROUTE, &[name], Scale::ONE, Value::Known(1));
    }
    machine.default_route = carrier.map(str::to_owned);
    Ok(())
}

/// The next machine on the default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Through which interface.
    pub interface: String,
    /// Its address; unspecified (`0.0.0.0`) where the interface itself is the route, as a modem's is.
    pub address: IpAddr,
}

/// The gateway of the default route: in IPv4, or in IPv6 where there is none; of that IP version alone if one is given.
pub fn gateway(proc: &Path, version: Option<u8>) -> Option<Gateway> {
    let table = |name| std::fs::read_to_string(proc.join("net").join(name)).unwrap_or_default();
    let v4 = || {
        let table = table("route");
        parse_v4(&table).map(|(name, ip)| Gateway { interface: name.to_owned(), address: ip.into() })
    };
    let v6 = || {
        let table = table("ipv6_route");
        parse_v6(&table).map(|(name, ip)| Gateway { interface: name.to_owned(), address: ip.into() })
    };
    match version {
        Some(4) => v4(),
        Some(_) => v6(),
        None => v4().or_else(v6),
    }
}

fn parse_v4(table: &str) -> Option<(&str, Ipv4Addr)> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, destination, gateway, flags, _, _, metric, mask, ..] = fields.as_slice() else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let default = *destination == "00000000" && *mask == "00000000";
        // The bytes are as on the wire, and are written as the number that they are on this machine.
        let gateway = Ipv4Addr::from(u32::from_str_radix(gateway, 16).unwrap_or_default().to_ne_bytes());
        let usable = flags & UP != 0 && flags & REJECT == 0;
        (default && usable).then_some((metric.parse::<u32>().ok()?, (*name, gateway)))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, route)| route)
}

fn parse_v6(table: &str) -> Option<(&str, Ipv6Addr)> {
    let routes = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, length, _, _, gateway, metric, _, _, flags, name] = fields.as_slice() else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let default = *length == "00" && destination.bytes().all(|digit| digit == b'0');
        let usable = flags & UP != 0 && flags & REJECT == 0 && *name != "lo";
        let gateway = Ipv6Addr::from(u128::from_str_radix(gateway, 16).unwrap_or_default());
        (default && usable).then_some((u32::from_str_radix(metric, 16).ok()?, (*name, gateway)))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, route)| route)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
";

    const V6: &str = "\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 usb0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo
";

    #[test]
    fn the_lowest_metric_carries_the_route() {
        assert_eq!(parse_v4(V4).map(|(name, _)| name), Some("eth0"));
    }

    #[test]
    fn a_table_without_a_default_route_has_no_carrier() {
        let without: Vec<&str> = V4.lines().filter(|line| !line.contains("0003")).collect();
        assert_eq!(parse_v4(&without.join("\n")), None);
        assert_eq!(parse_v4(""), None);
        assert_eq!(parse_v4("Iface\nnonsense\n"), None);
    }

    #[test]
    fn a_route_that_is_down_or_rejects_carries_nothing() {
        assert_eq!(parse_v4(&V4.replace("0003", "0002")), None);
        assert_eq!(parse_v4(&V4.replace("0003", "0201")), None);
    }

    #[test]
    fn ipv6_names_its_carrier_and_never_the_loopback() {
        assert_eq!(parse_v6(V6).map(|(name, _)| name), Some("usb0"));
        assert_eq!(parse_v6(&V6.replace("usb0", "lo")), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_gateway_is_the_next_machine_on_the_route() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("net")).expect("a directory");
        std::fs::write(dir.path().join("net/ipv6_route"), V6).expect("a table");
        let found =
            |version| gateway(dir.path(), version).map(|found| (found.interface, found.address.to_string()));
        let v6 = Some(("usb0".to_owned(), "fe80::1".to_owned()));
        assert_eq!((found(None), found(Some(4)), found(Some(6))), (v6.clone(), None, v6.clone()));
        std::fs::write(dir.path().join("net/route"), V4).expect("a table");
        let v4 = Some(("eth0".to_owned(), "192.168.0.1".to_owned()));
        assert_eq!((found(None), found(Some(4)), found(Some(6))), (v4.clone(), v4, v6));
    }

    #[test]
    fn every_interface_is_told_whether_it_carries_the_route() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("net")).expect("a directory");
        std::fs::write(dir.path().join("net/route"), V4).expect("a table");
        let roots = super::super::Roots { proc: dir.path().into(), ..super::super::Roots::default() };
        let mut machine = Machine::new(roots);
        machine.interfaces = vec!["usb0".into(), "wlan0".into()];
        let moment = crate::clock::Clock::new(crate::clock::Trust::Auto, dir.path()).read();
        let mut report = Report::default();
        read(&mut machine, &moment, &mut report).expect("a table");
        let values: Vec<_> = report.entries().iter().map(|e| (e.labels[0].as_str(), e.value)).collect();
        let expected = [("usb0", Value::Known(0)), ("wlan0", Value::Known(0)), ("eth0", Value::Known(1))];
        assert_eq!(values, expected);
        assert_eq!(machine.default_route(), Some("eth0"));
    }
}
