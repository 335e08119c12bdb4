//! `[[probe.exec]]`: a program of the user's own as a probe, the door for whatever is not built in.
//!
//! It is started without a shell and ended with its whole group when its time is over. Its exit code says up, down or unknown; what it
//! prints on its standard output are series in Prometheus's text format; the first line of its standard error says why it is not up. Invariant: it
//! adds series of its own and touches none of ours (`text`), and no more names than `names` keeps.
//!
//! ```toml
//! [[probe.exec]]
//! name = "ups"
//! run = ["/usr/local/bin/ups-probe", "--port", "ttyS0"]
//! ```

mod names;
pub(crate) mod text;

use crate::probe::child::Order;
use crate::probe::config::{Settings, kind};
use crate::probe::recovery::plan::fault_of_argv;
use crate::probe::{Context, Outcome, Probe, Running, State};
use rackside_proto::{Scale, metric};
use std::process::ExitStatus;

/// What a program may print; more ends it.
const MOST: usize = 64 * 1024;
/// The exit code that says "nobody knows", as monitoring plug-ins have had it for decades.
const UNKNOWN: i32 = 3;

kind! {
    /// What the configuration has for it.
    pub struct Exec {
        /// The program's whole path and its arguments.
        run: Vec<String>,
    }
}

impl Settings for Exec {
    fn target(&self) -> String {
        // Arguments may be secret.
        self.run.first().cloned().unwrap_or_default()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        fault_of_argv(&self.run).map_or(Ok(()), |message| Err(("run", message)))
    }

    fn programs(&self) -> Vec<&str> {
        self.run.first().map(String::as_str).into_iter().collect()
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

impl Probe for Exec {
    fn run<'a>(&'a mut self, _: &'a Context) -> Running<'a> {
        Box::pin(async {
            let Some((program, arguments)) = self.run.split_first() else {
                return Outcome::unknown("nothing to run");
            };
            let child = match Order::new(program).args(arguments).spawn() {
                Ok(child) => child,
                Err(error) => return Outcome::unknown(error.to_string()),
            };
            match child.output(MOST).await {
                Err(error) => Outcome::unknown(error.to_string()),
                Ok(output) if output.is_cut => {
                    Outcome::unknown(format!("it prints more than {} KiB, and was ended", MOST / 1024))
                }
                Ok(output) => outcome(output.status, &output.out, &output.err),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        Outcome::unknown(why)
    }
}

/// What a program's end says.
fn outcome(status: ExitStatus, out: &[u8], err: &[u8]) -> Outcome {
    let complaint = String::from_utf8_lossy(err);
    let complaint = complaint.lines().map(str::trim).find(|line| !line.is_empty());
    let why = || match complaint {
        Some(line) => line.chars().filter(|c| !c.is_control()).collect(),
        None => status.to_string(),
    };
    let mut outcome = Outcome::up();
    outcome.state = match status.code() {
        Some(0) => State::Up,
        Some(UNKNOWN) => State::Unknown(why()),
        _ => State::Down(why()),
    };
    if let Some(code) = status.code() {
        outcome.put(&metric::PROBE_EXIT_CODE, &[], Scale::ONE, code.into());
    }
    let mut text = text::read(&String::from_utf8_lossy(out));
    for line in std::mem::take(&mut text.lines) {
        let values: Vec<&str> = line.labels.iter().map(|(_, value)| value.as_str()).collect();
        match names::metric(&line.name, line.kind, &line.labels) {
            Some(metric) => outcome.put(metric, &values, scale(&line.name), line.value),
            None => text.refuse(format!("{}: more than {} names of all programs", line.name, names::MOST)),
        }
    }
    if let Some(why) = text.why {
        outcome.say("refused", format!("{} lines; {why}", text.refused));
    }
    outcome
}

/// How fine a series is, once and for all: its name's unit says it.
fn scale(name: &str) -> Scale {
    let ends = |end: &str| name.ends_with(end);
    if ends("_seconds_total") || ends("_seconds_sum") {
        Scale::per(1000)
    } else if ends("_bytes") || ends("_total") || ends("_count") || ends("_bucket") {
        Scale::ONE
    } else if ends("_seconds") || ends("_ratio") {
        Scale::per(1_000_000)
    } else {
        Scale::per(10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Outcome {
        let text = format!("name = \"x\"\nrun = [\"/bin/sh\", \"-c\", {script:?}]");
        let mut exec: Exec = rackside_config::parse(&text, "x").expect("a good table");
        let context = Context::default();
        smol::block_on(async { exec.run(&context).await })
    }

    fn values(outcome: &Outcome) -> Vec<(&'static str, Vec<String>, f64)> {
        let value = |sample: &crate::probe::outcome::Sample| {
            (
                sample.metric.name,
                sample.labels.clone(),
                sample.scale.value(sample.value.known().expect("known")),
            )
        };
        outcome.samples.iter().map(value).collect()
    }

    #[test]
    fn a_program_says_how_it_is_and_what_it_measured() {
        let outcome = run("echo '# TYPE ups_charge_ratio gauge'; echo 'ups_charge_ratio{unit=\"a\"} 0.87'");
        assert_eq!(outcome.state, State::Up);
        let charge = ("rackside_exec_ups_charge_ratio", vec!["a".to_owned()], 0.87);
        assert_eq!(values(&outcome), [("rackside_probe_exit_code", vec![], 0.0), charge]);
        assert_eq!(outcome.texts, []);
    }

    #[test]
    fn exit_codes_are_up_down_and_unknown() {
        assert_eq!(run("echo on battery >&2; exit 2").state, State::Down("on battery".to_owned()));
        assert_eq!(run("exit 1").state, State::Down("exit status: 1".to_owned()));
        assert_eq!(run("echo no such port >&2; exit 3").state, State::Unknown("no such port".to_owned()));
        let killed = run("kill -9 $$");
        assert!(matches!(killed.state, State::Down(why) if why.contains("signal: 9")));
        assert_eq!(killed.samples.len(), 0);
    }

    #[test]
    fn who_prints_for_ever_or_is_not_there_is_unknown() {
        let endless = run("yes");
        assert_eq!(endless.state, State::Unknown("it prints more than 64 KiB, and was ended".to_owned()));
        let mut missing: Exec =
            rackside_config::parse("name = \"x\"\nrun = [\"/no/such\"]", "x").expect("a good table");
        let context = Context::default();
        let outcome = smol::block_on(async { missing.run(&context).await });
        assert!(matches!(outcome.state, State::Unknown(why) if why.contains("not on this machine")));
        assert_eq!(missing.late("slow".to_owned()).state, State::Unknown("slow".to_owned()));
    }

    #[test]
    fn what_is_refused_is_told_once() {
        let outcome = run("echo 'up{probe=\"encoder\"} 1'; echo 'x y'");
        let told = "2 lines; line 1: the label probe is not a program's to give";
        assert_eq!(outcome.texts, [("refused", told.to_owned())]);
    }

    #[test]
    fn each_end_of_a_name_has_its_fineness() {
        let fine = |name| scale(name).number(1.5);
        assert_eq!(fine("x_seconds"), Some(1_500_000));
        assert_eq!(fine("x_bytes"), Some(2));
        assert_eq!(fine("x_celsius"), Some(15_000));
        assert_eq!(scale("x_timestamp_seconds").number(1.8e9), Some(1_800_000_000_000_000));
        assert_eq!(fine("x_seconds_total"), Some(1500));
    }
}
