//! What a crowd of alerts costs: `cargo run --release -p rackside-notify --example crowd`.
//!
//! So many alerts fire at so many sites and are told; then one more fires with `group_wait` 0. Printed: how long that one takes from the engine's word to
//! the message, how long a look takes at which nothing is due, and how large and how slow the kept state is.

use std::time::Instant;

use rackside_alerting::{Cause, Life, State};
use rackside_notify::config::Tables;
use rackside_notify::{Gone, Notifier, Observed, Policy, SiteFacts, Uplink, World};
use rackside_onair::Zone;
use rackside_promql::Labels;

const POLICY: &str = r#"
[[receiver]]
name = "crew"
kind = "webhook"
url = "https://hub.example.org/crew"
[[route]]
name = "now"
match = ["severity=\"critical\""]
to = ["crew"]
group_wait = "0s"
[[route]]
name = "all"
to = ["crew"]
"#;

struct Well;

impl World for Well {
    fn site(&self, site: &str) -> Option<SiteFacts> {
        Some(SiteFacts { id: site.to_owned(), ..SiteFacts::default() })
    }
    fn tags(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn zone(&self, _: &str) -> Zone {
        Zone::UTC
    }
    fn on_air(&self, _: &str) -> bool {
        false
    }
    fn is_up(&self, _: &str, _: &str) -> Option<bool> {
        Some(true)
    }
    fn gone(&self) -> Vec<Gone> {
        Vec::new()
    }
    fn fleet(&self) -> usize {
        1_000
    }
    fn uplink(&self) -> Uplink {
        Uplink::Well
    }
}

fn fires(name: String, site: String, severity: &str, now: i64) -> Observed {
    let appliance = "rack-1".to_owned();
    let severity = severity.to_owned();
    let pairs = [("alertname", name), ("site", site), ("appliance", appliance), ("severity", severity)];
    let labels = Labels::new(pairs);
    let annotations = [("summary".into(), "something is wrong somewhere".into())].into();
    let life = Life { state: State::Firing, fired_at: Some(now), ..Life::begin(now) };
    Observed { at: now, labels, annotations, value: 1.0, life, cause: Cause::Result }
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn main() {
    for (alerts, sites) in [(100, 50), (1_000, 500), (10_000, 1_000)] {
        let tables: Tables = toml::from_str(POLICY).expect("it is TOML");
        let mut notifier = Notifier::new(Policy::new(&tables).expect("it is a policy"));
        for alert in 0..alerts {
            let (name, site) = (format!("Alert{}", alert / sites), format!("site-{}", alert % sites));
            notifier.told(&fires(name, site, "warning", 0), &Well);
        }
        let begin = Instant::now();
        let told = notifier.step(30_000, &Well).len();
        let all = begin.elapsed();
        let begin = Instant::now();
        notifier.told(&fires("StreamDown".into(), "site-7".into(), "critical", 40_000), &Well);
        let one = notifier.step(40_000, &Well);
        let one_took = begin.elapsed();
        assert_eq!((told, one.len()), (sites, 1), "messages");
        let begin = Instant::now();
        assert!(notifier.step(50_000, &Well).is_empty() && notifier.due().is_some());
        let idle = begin.elapsed();
        let begin = Instant::now();
        let bytes = notifier.save();
        println!(
            "{alerts} alerts of {sites} sites: {told} messages in {all:.1?}; one more told in {one_took:.1?}; a look {idle:.1?}; {} kB saved in {:.1?}",
            bytes.len() / 1000,
            begin.elapsed()
        );
    }
}
