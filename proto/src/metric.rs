//! The vocabulary: every metric that an agent of this version can publish, with its unit, kind and meaning.
//!
//! The agent builds its catalog from these constants and the hub takes its help texts from [`ALL`]; `docs/metrics.md`
//! lists them for people, and a test holds the page to this file. A metric that a hub does not find here came from a newer
//! agent: it is served all the same, with what its catalog says of it.

use crate::Kind;

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, unit at the end.
    pub name: &'static str,
    /// Its base unit as the name has it; nothing for numbers without one.
    pub unit: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its labels beside `site` and `appliance`.
    pub labels: &'static [&'static str],
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $unit:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(#[doc = concat!("`", $name, "`: ", $help, ".")]
        pub static $id: Metric =
            Metric { name: $name, unit: $unit, kind: Kind::$kind, labels: &$labels, help: $help };)*

        /// Every metric, in the order of `docs/metrics.md`.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    SOC_TEMPERATURE = "rackside_soc_temperature_celsius", "celsius", Gauge, [],
        "Temperature of the SoC, from the kernel's thermal zone";
    SOC_THROTTLED = "rackside_soc_throttled", "", State, ["cause", "when"],
        "1 while the firmware holds the SoC back or complains of its supply, else 0; by cause: undervoltage, frequency_capped, throttled or soft_temperature_limit, and by when: now or since_boot";
    FAN_STATE = "rackside_fan_state", "", Gauge, [],
        "How fast the fan is told to turn: 0 is off, the highest (4 on a Pi 5) full speed";
    FAN_SPEED = "rackside_fan_speed_rpm", "rpm", Gauge, [],
        "How fast the fan turns, in revolutions per minute; with a state above 0 it should";
    CPU_FREQUENCY = "rackside_cpu_frequency_hertz", "hertz", Gauge, [],
        "Clock frequency of the processor's cores, as the firmware measures it, else as the kernel has set it";
    VOLTAGE = "rackside_voltage_volts", "volts", Gauge, ["rail"],
        "Voltage by rail: core (of the SoC), input (of the power supply) or battery (of the clock)";
    CPU_USAGE = "rackside_cpu_usage_ratio", "ratio", Gauge, [],
        "Share of all processors' time that was busy since the reading before, 0 to 1";
    LOAD1 = "rackside_load1", "", Gauge, [],
        "Processes running or waiting, averaged over one minute";
    LOAD5 = "rackside_load5", "", Gauge, [],
        "Processes running or waiting, averaged over five minutes";
    LOAD15 = "rackside_load15", "", Gauge, [],
        "Processes running or waiting, averaged over fifteen minutes";
    MEMORY_USED = "rackside_memory_used_bytes", "bytes", Gauge, [],
        "Memory that is not available to a new process";
    MEMORY_TOTAL = "rackside_memory_total_bytes", "bytes", Gauge, [],
        "Memory of the machine";
    SWAP_USED = "rackside_swap_used_bytes", "bytes", Gauge, [],
        "Swap space in use";
    SWAP_TOTAL = "rackside_swap_total_bytes", "bytes", Gauge, [],
        "Swap space of the machine";
    DISK_USED = "rackside_disk_used_bytes", "bytes", Gauge, ["mount"],
        "Space in use on a file system, as df shows it";
    DISK_TOTAL = "rackside_disk_total_bytes", "bytes", Gauge, ["mount"],
        "Space of a file system that ordinary users can have: in use and available; used by total is what df calls Use%";
    DISK_READ_ONLY = "rackside_disk_read_only", "", State, ["mount"],
        "1 while a file system that is meant to be written to is read-only, else 0";
    DISK_ERRORS = "rackside_disk_errors_total", "", Counter, ["mount"],
        "Errors that an ext4 file system has recorded since it was last repaired";
    DISK_LIFETIME_WRITTEN = "rackside_disk_lifetime_written_bytes_total", "bytes", Counter, ["mount"],
        "Bytes written to an ext4 file system since it was made";
    STORAGE_WRITTEN = "rackside_storage_written_bytes_total", "bytes", Counter, ["device"],
        "Bytes written to a disk or card since the machine found it";
    STORAGE_LIFE_USED = "rackside_storage_life_used_ratio", "ratio", Gauge, ["device"],
        "Share of an eMMC's life that is used up, in tenths, 1.1 for one that has outlived it; SD cards do not tell";
    STORAGE_RESERVE = "rackside_storage_reserve_state", "", State, ["device"],
        "Reserve blocks of an eMMC: 1 normal, 2 most are used up, 3 nearly none is left";
    NETWORK_RECEIVE = "rackside_network_receive_bytes_total", "bytes", Counter, ["interface"],
        "Bytes received by an interface since it came up";
    NETWORK_TRANSMIT = "rackside_network_transmit_bytes_total", "bytes", Counter, ["interface"],
        "Bytes sent by an interface since it came up";
    NETWORK_DEFAULT_ROUTE = "rackside_network_default_route", "", State, ["interface"],
        "1 on the interface that carries the default route, else 0";
    WIFI_SIGNAL = "rackside_wifi_signal_dbm", "dbm", Gauge, ["interface"],
        "How strongly an interface hears its access point; from -67 up is good, below -80 it is about to lose it";
    UPTIME = "rackside_uptime_seconds", "seconds", Gauge, [],
        "Time since the machine started";
    CLOCK_SYNCHRONIZED = "rackside_clock_synchronized", "", State, [],
        "1 while the kernel says that its clock is synchronised, else 0";
    TALLY_ACTIVE = "rackside_tally_active", "", State, ["tally", "bus"],
        "1 while the tally is on, else 0; unknown while its contact chatters or its source is gone";
    LED_STATE = "rackside_led_state", "", State, ["led"],
        "What the LED says: 0 dark, 1 well, 2 warning, 3 critical, 4 hub not reachable, 5 no internet, 6 no cable or address, 7 identify, 8 lit by its tally, 9 tally unknown";
    RELAY_ACTIVE = "rackside_relay_active", "", State, ["relay"],
        "1 while the relay is closed, else 0";
    ALARM_MUTED = "rackside_alarm_muted", "", State, [],
        "1 while somebody at the rack has muted its alarm, else 0";
    MAINTENANCE = "rackside_maintenance", "", State, [],
        "1 while somebody at the rack has announced maintenance, else 0";
    PANEL_FAULTS = "rackside_panel_faults", "", Gauge, [],
        "Contacts, LEDs, relays and sources of tallies that cannot be had or are not to be believed";
    PROBE_SUCCESS = "rackside_probe_success", "", State, ["probe", "type", "stream"],
        "1 when the probe's newest run found its target as it should be, 0 when not, unknown when that cannot be told from here";
    PROBE_DURATION = "rackside_probe_duration_seconds", "seconds", Gauge, ["probe", "type", "stream"],
        "How long the probe's newest run took, retries included";
    AGENT_RESIDENT_MEMORY = "rackside_agent_resident_memory_bytes", "bytes", Gauge, [],
        "Memory that the agent itself holds";
    AGENT_BACKLOG = "rackside_agent_backlog_records", "records", Gauge, [],
        "Records that the agent holds and the hub has not acknowledged";
    AGENT_DROPPED = "rackside_agent_dropped_total", "", Counter, [],
        "Records that the agent let go before the hub had them, because its spool was full";
    AGENT_SPOOL = "rackside_agent_spool_bytes", "bytes", Gauge, [],
        "Disk space that the agent's spool takes; 0 while the hub acknowledges";
    AGENT_SPOOL_DURABLE = "rackside_agent_spool_durable", "", State, [],
        "1 while the agent has a disk for records that the hub does not acknowledge, 0 while it keeps them in memory only";
    AGENT_SPOOL_DAMAGED = "rackside_agent_spool_damaged_bytes_total", "bytes", Counter, [],
        "Bytes of the spool on the disk that were found damaged; the records in them are lost";
    AGENT_CONNECTS = "rackside_agent_connects_total", "", Counter, [],
        "Connections that the agent made to its broker";
    AGENT_LINK_BYTES = "rackside_agent_link_bytes_total", "bytes", Counter, ["direction"],
        "Bytes that the agent exchanged with its broker, as TCP carries them, by direction: receive or transmit";
}

/// The metric of that name, if this version knows it.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| metric.name == name)
}
