//! Probes of media servers against the real ones, and against fakes of what cannot be had: what they find, and what they make of it
//! when an answer goes wrong. Each test has its own server on its own port.

mod azuracast;
mod helo;
mod icecast;
mod mediamtx;
mod obs;
mod old;
mod runner;
mod vimeo;
mod vmix;
mod web_presenter;

use rackside_agent::config::Config;
use rackside_agent::probe::outcome::Sample;
use rackside_agent::probe::{Context, Outcome, Probe, State};
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::fakes::http::{Fake, Fault};
use std::time::Duration;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A probe as the configuration opens it, run by hand.
struct Asked {
    probe: Box<dyn Probe>,
    context: Context,
}

impl Asked {
    /// Of the only probe in this part of a configuration.
    fn new(text: &str) -> Self {
        let text = format!(
            "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"127.0.0.1:1\"\n[probes]\nping = []\n{text}"
        );
        let config = Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error}"));
        let [planned] = config.probes.probes.as_slice() else { panic!("one probe") };
        Self {
            probe: planned.settings.open(),
            context: Context { within: planned.timeout, ..Context::default() },
        }
    }

    fn run(&mut self) -> Outcome {
        futures_lite::future::block_on(self.probe.run(&self.context))
    }

    /// Runs until `wanted` gives something; half a second apart, as no schedule is.
    fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Outcome) -> Option<T>) -> T {
        let mut latest = None;
        let found = clock::eventually(PATIENCE, || {
            let outcome = self.run();
            let found = wanted(&outcome);
            latest = Some(outcome);
            if found.is_none() {
                std::thread::sleep(Duration::from_millis(500));
            }
            found
        });
        found.unwrap_or_else(|| panic!("no {what}; instead: {latest:#?}"))
    }
}

/// The sample of a series, by its name and its own labels.
fn sample<'a>(outcome: &'a Outcome, name: &str, labels: &[&str]) -> Option<&'a Sample> {
    let mut found = outcome.samples.iter().filter(|one| one.metric.name == name && one.labels == labels);
    let sample = found.next();
    assert!(found.next().is_none(), "two of {name}{labels:?}");
    sample
}

/// Its value in its unit.
fn value(outcome: &Outcome, name: &str, labels: &[&str]) -> Option<f64> {
    let sample = sample(outcome, name, labels)?;
    sample.value.known().map(|number| sample.scale.value(number))
}

/// What `rackside_stream_up` says of a path.
fn up(outcome: &Outcome, path: &str) -> Option<Value> {
    sample(outcome, "rackside_stream_up", &[path]).map(|sample| sample.value)
}

/// With each way in which an answer can go wrong, the probe ends in time, says that nobody knows, and says why in words.
fn survives_every_fault(fake: &Fake, asked: &mut Asked, path: &str, secret: &str) {
    asked.context.within = Duration::from_secs(2);
    let well = asked.run();
    assert_eq!(up(&well, path), Some(Value::Known(1)), "{well:?}");
    for fault in [
        Fault::Slow(Duration::from_secs(20)),
        Fault::Cut,
        Fault::Endless,
        Fault::WrongType,
        Fault::WebPage,
        Fault::Status(500),
        Fault::Status(204),
        Fault::Silent,
    ] {
        fake.fail(Some(fault));
        let begun = clock::now();
        let outcome = asked.run();
        let took = clock::now() - begun;
        assert!(took < Duration::from_secs(8), "{fault:?} took {took:?}");
        let State::Unknown(why) = &outcome.state else { panic!("{fault:?} says {:?}", outcome.state) };
        assert!(!why.is_empty() && !why.contains(secret), "{fault:?}: {why}");
        assert_eq!(up(&outcome, path), Some(Value::Unknown), "{fault:?}");
        fake.fail(None);
        let again = asked.run();
        assert_eq!((&again.state, up(&again, path)), (&State::Up, Some(Value::Known(1))), "after {fault:?}");
    }
}
