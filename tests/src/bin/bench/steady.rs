//! The fleet that most benchmarks have beside them: so many appliances that send a reading every ten seconds.

use rackside_tests::hub::Hub;
use rackside_tests::simulation::{Mode, Simulation, SimulationOptions};
use std::time::Duration;

/// From one reading to the next.
pub(crate) const TICK: Duration = Duration::from_secs(10);

/// Starts them, and waits until all are connected.
pub(crate) fn fleet(hub: &Hub, appliances: usize, series: usize) -> Result<Simulation, String> {
    with_backlog(hub, appliances, series, Duration::ZERO)
}

/// The same with readings of so much time that the hub has not had.
pub(crate) fn with_backlog(
    hub: &Hub,
    appliances: usize,
    series: usize,
    backlog: Duration,
) -> Result<Simulation, String> {
    let mut options = SimulationOptions::new(hub.mqtt());
    options.appliances = appliances;
    options.series = series;
    options.mode = Mode::Steady { tick: TICK };
    options.ramp = Duration::from_secs(5);
    options.backlog = backlog;
    let simulation = Simulation::start(&options)?;
    if simulation.wait_connected(appliances, Duration::from_mins(1)) {
        Ok(simulation)
    } else {
        Err(format!("only {} of {appliances} connected", simulation.tally().connected()))
    }
}
