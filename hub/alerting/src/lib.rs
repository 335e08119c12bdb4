//! Rule files in Prometheus's format, and the lives of the alerts that they make.
//!
//! [`RuleFile`] reads and checks a file, an [`Engine`] evaluates the groups of all files and keeps their alerts, and
//! [`Template`](template::Template) writes labels and annotations. This crate knows no clock, no network and no threads, and reads nothing but the
//! rule files themselves ([`RuleFile::open`]): whoever calls it brings the time and the series.
//!
//! ```
//! use rackside_alerting::{Engine, Everybody, Ground, RuleFile, Settings, State};
//! use rackside_promql::{Labels, Limits, Memory, Sample};
//! use std::time::Duration;
//!
//! let text = "groups:\n- name: box\n  rules:\n  - {alert: SocHot, expr: soc > 75, labels: {severity: warning}}\n";
//! let mut engine = Engine::new(Settings::default());
//! engine.load(vec![RuleFile::parse("box.yml", text).expect("a good file")], 0);
//! let mut memory = Memory::new();
//! let soc = Labels::new([("__name__", "soc"), ("site", "hall")]);
//! memory.push(soc.clone(), [Sample::new(1_000, 78.5)]);
//! engine.touched(&soc, 1_000, 1_000);
//! let mut ground = Ground {
//!     store: &mut memory,
//!     witness: &Everybody,
//!     limits: Limits::default(),
//!     elapsed: &|| Duration::ZERO,
//! };
//! let changes = engine.run(1_000, &mut ground);
//! assert_eq!((changes[0].rule.as_ref(), changes[0].alert.life.state), ("SocHot", State::Firing));
//! assert_eq!(engine.standings().of("hall", "rack").firing, 1);
//! ```

mod calendar;
mod duration;
mod engine;
mod file;
mod glob;
pub mod template;
pub mod unit_test;
pub mod yaml;

pub use engine::{
    Alert, AlertView, AlertingView, Annotations, AnnotationsView, Cause, Change, Common, Counts, Engine,
    Everybody, Ground, GroupOverview, GroupView, Health, KeepError, LabelsView, Life, Missing, Overview,
    RecordingView, RuleView, RulesView, Settings, Severity, Spans, Standing, Standings, State, Store,
    Witness,
};
pub use file::{Action, AlertSpec, Fault, GroupSpec, Lint, RuleFile, RuleSpec};
pub use glob::matching as glob;
