//! Bytes through the network interfaces, from `/proc/net/dev`.
//!
//! ```text
//! Inter-|   Receive                            ...  |  Transmit
//!  face |bytes    packets errs drop fifo frame ...  |bytes    packets errs ...
//!   eth0: 648413131  123456    0    0    0     0 0 0  1600431    9876    0 ...
//! ```
//!
//! One read whatever the number of interfaces. sysinfo opens nine files for each of them, which was two thirds of a reading's
//! processor time on a machine with four, and grows with every container.
//!
//! Shown are interfaces that lead somewhere: Ethernet, Wi-Fi, modems, VLANs, bonds, tunnels. Not shown: the loopback and
//! what container and virtual machine software makes and unmakes by the dozen.

use super::{Machine, Report, SensorError, text};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, limits, metric};

/// Counters are exact: a step would make a slow link look dead.
const SCALE: Scale = Scale::ONE;

/// What begins with one of these leads nowhere, or belongs to somebody's containers.
const NOISE: [&str; 13] = [
    "veth", "docker", "br-", "virbr", "vnet", "cni", "flannel", "cali", "dummy", "ifb", "lxc", "lxdbr",
    "nerdctl",
];

/// Fallback devices that the kernel makes when a tunnel's module is loaded.
const FALLBACKS: [&str; 10] =
    ["lo", "tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"];

/// An interface's counters, in bytes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Interface<'a> {
    name: &'a str,
    received: u64,
    transmitted: u64,
}

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    // What is not read is not there: the route's sensor must not speak of interfaces of long ago.
    machine.interfaces.clear();
    let path = machine.roots.proc.join("net/dev");
    let table = text(&path)?;
    let mut interfaces =
        parse(&table).ok_or_else(|| SensorError::new(path.display(), "not a table of interfaces"))?;
    interfaces.retain(|interface| is_shown(interface.name));
    interfaces.sort_unstable();
    for Interface { name, received, transmitted } in interfaces {
        report.put_value(&metric::NETWORK_RECEIVE, &[name], SCALE, convert(received));
        report.put_value(&metric::NETWORK_TRANSMIT, &[name], SCALE, convert(transmitted));
        machine.interfaces.push(name.to_owned());
    }
    Ok(())
}

fn parse(table: &str) -> Option<Vec<Interface<'_>>> {
    table
        .lines()
        .skip(2)
        .map(|line| {
            let (name, counters) = line.rsplit_once(':')?;
            let mut counters = counters.split_whitespace().map(|number| number.parse().ok());
            let (received, transmitted) = (counters.next()??, counters.nth(7)??);
            Some(Interface { name: name.trim(), received, transmitted })
        })
        .collect()
}

/// A counter on the wire: it starts again at 2^53, which Prometheus takes for a restart; 9 PB go through first.
fn convert(bytes: u64) -> Value {
    Value::Known((bytes % limits::MAGNITUDE as u64) as i64)
}

fn is_shown(name: &str) -> bool {
    !FALLBACKS.contains(&name) && !NOISE.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    5120      64    0    0    0     0          0         0     5120      64    0    0    0     0       0          0
  eth0:648413131  431234    0    2    0     0          0       117  1600431   20123    0    0    0     0       0          0
";

    #[test]
    fn the_first_and_the_ninth_number_are_bytes() {
        let eth0 = Interface { name: "eth0", received: 648_413_131, transmitted: 1_600_431 };
        assert_eq!(parse(TABLE).expect("a table")[1], eth0);
    }

    #[test]
    fn a_table_of_something_else_is_an_error() {
        assert_eq!(parse("a\nb\neth0: 1 2 3\n"), None);
        assert_eq!(parse("a\nb\nnothing\n"), None);
        assert_eq!(parse("a\nb\n"), Some(Vec::new()), "a machine may have no interface");
    }

    #[test]
    fn what_leads_somewhere_is_shown() {
        for name in
            ["eth0", "end0", "enp3s0", "wlan0", "usb0", "wwan0", "eth0.10", "bond0", "wg0", "ppp0", "br0"]
        {
            assert!(is_shown(name), "{name}");
        }
        for name in ["lo", "veth12ab", "docker0", "br-0a1b2c3d", "virbr0", "tunl0", "dummy0"] {
            assert!(!is_shown(name), "{name}");
        }
    }

    #[test]
    fn a_counter_starts_again_before_it_leaves_the_wires_range() {
        assert_eq!(convert(1234), Value::Known(1234));
        assert_eq!(convert(1 << 53), Value::Known(0));
    }

    #[test]
    fn the_shown_interfaces_are_left_to_the_routes_sensor() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("net")).expect("a directory");
        std::fs::write(dir.path().join("net/dev"), TABLE).expect("a table");
        let mut machine =
            Machine::new(super::super::Roots { proc: dir.path().into(), ..super::super::Roots::default() });
        let moment = crate::clock::Clock::new(crate::clock::Trust::Auto, dir.path()).read();
        let mut report = Report::default();
        read(&mut machine, &moment, &mut report).expect("a table");
        assert_eq!(machine.interfaces, ["eth0"]);
        assert_eq!(report.entries().len(), 2);
        std::fs::remove_file(dir.path().join("net/dev")).expect("it was there");
        assert!(read(&mut machine, &moment, &mut report).is_err());
        assert!(machine.interfaces.is_empty());
    }
}
