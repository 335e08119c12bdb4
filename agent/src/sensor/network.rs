//! Bytes through the network interfaces, by sysinfo from `/sys/class/net/*/statistics`.
//!
//! Shown are interfaces that lead somewhere: Ethernet, Wi-Fi, modems, VLANs, bonds, tunnels. Not shown: the loopback and
//! what container and virtual machine software makes and unmakes by the dozen.

use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, limits, metric};
use std::fmt;
use sysinfo::Networks;

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

/// sysinfo's list.
#[derive(Default)]
pub(super) struct State(Option<Networks>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let networks = match &mut machine.network.0 {
        Some(networks) => {
            networks.refresh(true);
            networks
        }
        none => {
            let networks = Networks::new_with_refreshed_list();
            none.insert(networks.map_err(|error| SensorError::new("the network interfaces", error))?)
        }
    };
    let mut interfaces: Vec<(String, u64, u64)> = networks
        .iter()
        .map(|(name, data)| {
            (name.to_string_lossy().into_owned(), data.total_received(), data.total_transmitted())
        })
        .filter(|(name, ..)| is_shown(name))
        .collect();
    interfaces.sort();
    for (name, received, transmitted) in &interfaces {
        report.put_value(&metric::NETWORK_RECEIVE, &[name], SCALE, convert(*received));
        report.put_value(&metric::NETWORK_TRANSMIT, &[name], SCALE, convert(*transmitted));
    }
    machine.interfaces = interfaces.into_iter().map(|(name, ..)| name).collect();
    Ok(())
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
}
