//! `check`: would it run, and what is missing? Reads the configuration, the secrets, the certificates and each sensor once;
//! connects to nobody.

use crate::clock::{Clock, Moment};
use crate::config::{Config, FromHub};
use crate::host::Host;
use crate::join::start::day;
use crate::meter::Meter;
use crate::probe::child;
use crate::reload::ConfigFile;
use crate::sensor::{Roots, SENSORS, Sensors};
use crate::state::State;
use crate::transport::Connector;
use rackside_config::Size;
use std::io::{self, Write};
use std::path::Path;

/// Prints what would run. True if something is missing without which it would not start.
pub fn check(config: &Config, file: &ConfigFile, out: &mut impl Write) -> io::Result<bool> {
    let mqtt = &config.mqtt;
    let host = Host::read(Path::new("/"));
    let mut missing = false;
    writeln!(out, "{}: the configuration is good", file.path().display())?;
    if let Some(other) = file.about_other() {
        writeln!(out, "warning  {other}")?;
    }
    writeln!(out, "agent    {}, a reading every {:?}", config.name, config.tick)?;
    let board = if host.model.is_empty() { "no known board" } else { &host.model };
    writeln!(out, "machine  {} ({}, {} {})", host.hostname, board, host.arch, host.kernel)?;
    writeln!(out, "broker   {mqtt}, topics {}/1/{}/...", mqtt.prefix, config.name)?;
    if let Some(identity) = &mqtt.identity {
        let (name, until) = (&identity.name, day(identity.not_after));
        writeln!(out, "identity {name}, until {until}, by the hub at {}", identity.url)?;
        writeln!(out, "identity goes to {}", identity.addresses.join(", else to "))?;
        let moment = Clock::new(config.clock, Path::new("/proc")).read();
        if moment.known && identity.left(moment.utc_ms).is_zero() {
            missing = true;
            writeln!(
                out,
                "missing  the identity has ended; have a new code made on the hub, and join again"
            )?;
        }
    }
    missing |= of_hub(&config.hub, out)?;
    match (&mqtt.user, mqtt.password.as_ref().map(rackside_config::Secret::read)) {
        (Some(user), Some(Err(error))) => {
            missing = true;
            writeln!(out, "missing  the password of user {user}: {error}")?;
        }
        (Some(user), Some(Ok(_))) => writeln!(out, "login    user {user}, with a password")?,
        (Some(user), None) => writeln!(out, "login    user {user}, without a password")?,
        (None, _) if mqtt.identity.is_some() => {}
        (None, _) => writeln!(out, "login    none")?,
    }
    for warning in [mqtt.exposed(), mqtt.withheld()].into_iter().flatten() {
        writeln!(out, "warning  {warning}")?;
    }
    if let Some(proxy) = &mqtt.proxy {
        writeln!(out, "proxy    {proxy}, for the way to the hub and for joining")?;
    }
    if let Err(error) = Connector::new(mqtt) {
        missing = true;
        writeln!(out, "missing  {error}")?;
    }
    let roots = Roots::default();
    let limits = &config.spool.limits;
    let (memory, after, rate) =
        (Size::from_bytes(limits.memory as u64), limits.spill_after, limits.resend_rate);
    let (place, durable) = State::new(&config.spool, &roots.proc).describe(Some(&config.name));
    if durable {
        writeln!(out, "spool    {memory} in memory, after {after:?} without the hub {place}")?;
    } else {
        writeln!(out, "spool    {memory} {place}")?;
    }
    writeln!(out, "resend   a backlog goes at {rate} records a second")?;
    for line in config.panel.describe() {
        writeln!(out, "panel    {line}")?;
    }
    if config.panel.needs_pins() && config.panel.simulated.is_none() && !host.gpio {
        writeln!(
            out,
            "panel    this machine has no pins that are known here: what needs them is unknown, the rest works"
        )?;
    }
    for planned in &config.probes.probes {
        writeln!(out, "probe    {planned}, every {:?}", planned.every)?;
        if let Some(plan) = planned.settings.still() {
            writeln!(out, "still    {}: {plan}", planned.common.name)?;
        }
        if let Some(plan) = &planned.recovery {
            let (action, attempts) = (&plan.action, plan.limits.attempts);
            writeln!(out, "recovery {}: {action}, {attempts} times at most", planned.common.name)?;
        }
        for program in
            planned.programs().into_iter().filter(|program| child::find(program.as_ref()).is_none())
        {
            // It would start, and the probe's series would be unknown.
            writeln!(out, "warning  probe {} needs {program}, which is not installed", planned.common.name)?;
        }
    }
    let moment = Clock::new(config.clock, &roots.proc).read();
    writeln!(out, "clock    {}", clock(&moment))?;
    let mut sensors = Sensors::new(roots);
    let report = sensors.read(&moment);
    let mut meter = Meter::new(&config.probes.general.metered);
    meter.see(sensors.machine.default_route());
    if let Some(line) = meter.describe(config.tick) {
        writeln!(out, "line     {line}")?;
    }
    for (at, (sensor, error)) in SENSORS.iter().zip(sensors.errors()).enumerate() {
        let series = report.entries().iter().filter(|entry| entry.sensor == at).count();
        match error {
            Some(error) => writeln!(out, "sensor   {}: {error}", sensor.name)?,
            None if series == 0 => {
                writeln!(out, "sensor   {}: nothing to read here ({})", sensor.name, sensor.source)?;
            }
            None => writeln!(out, "sensor   {}: {series} series", sensor.name)?,
        }
    }
    Ok(missing)
}

/// What of it is the hub's, and whether that cannot be used.
fn of_hub(hub: &FromHub, out: &mut impl Write) -> io::Result<bool> {
    if let Some(objection) = &hub.objection {
        writeln!(out, "missing  the hub's configuration is left out: {objection}")?;
    } else if !hub.fills.is_empty() {
        writeln!(out, "of hub   configuration {} fills in {}", hub.revision(), hub.fills.join(", "))?;
    }
    Ok(hub.objection.is_some())
}

fn clock(moment: &Moment) -> &'static str {
    match (moment.known, moment.synchronised) {
        (true, Some(true)) => "synchronised",
        (true, _) => "trusted, as configured",
        (false, _) => {
            "not known: readings carry the time since boot until NTP has set the clock (or set clock = \"trust\" where \
             the system's clock is right all the same)"
        }
    }
}
