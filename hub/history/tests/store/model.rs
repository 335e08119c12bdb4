//! What must be in the history: the plainest program that could say so, fed with the same records.

use crate::rack::series;
use rackside_history::{Cursor, Happened, LogEntry, LogQuery, NewRecord, Reader, Seqs, SeriesKey, Store};
use rackside_proto::{AgentName, Channel, Data, Event, Record, Run, Time, Value, What};
use std::collections::{BTreeMap, BTreeSet, HashMap};

type Line = BTreeMap<u64, Option<i64>>;

#[derive(Debug, Default)]
struct Agent {
    lines: BTreeMap<&'static str, Line>,
    taken: HashMap<Run, BTreeSet<u64>>,
    /// Which catalog lists what.
    lists: HashMap<(Run, u32), Vec<&'static str>>,
    newest: Option<(u64, (Run, u32))>,
    /// What is to be added to a boot's clock, and whether an anchor said so.
    boots: HashMap<u32, (u64, bool)>,
    undated: Vec<NewRecord>,
    texts: BTreeMap<(u64, String), String>,
    /// What events set.
    edges: BTreeMap<(u64, String), Option<i64>>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    agents: BTreeMap<AgentName, Agent>,
}

impl Model {
    pub(crate) fn list(&mut self, agent: &AgentName, run: Run, number: u32, names: &[&'static str]) {
        let agent = self.agents.entry(agent.clone()).or_default();
        agent.lists.insert((run, number), names.to_vec());
    }

    /// Takes a record that was committed; once, however often it is.
    pub(crate) fn commit(&mut self, record: &NewRecord) {
        let agent = self.agents.entry(record.agent.clone()).or_default();
        let mut anchor = None;
        let envelope = if record.channel == Channel::Event {
            let event = Record::<Event<'_>>::decode(&record.payload).expect("made here");
            if let What::Anchor { boot, boot_ms, utc_ms } = event.body.what {
                anchor = Some((boot, utc_ms - boot_ms));
            }
            event.envelope
        } else {
            Record::<Data<'_>>::decode(&record.payload).expect("made here").envelope
        };
        let (run, seq, time) = (envelope.run, envelope.seq, time_of(record));
        if !agent.taken.entry(run).or_default().insert(seq) {
            return;
        }
        let mut dated = None;
        if let Some((boot, offset)) = anchor {
            agent.boots.insert(boot, (offset, true));
            dated = Some(boot);
        }
        if let Time::Boot { boot, ms } = time {
            if record.live && !agent.boots.contains_key(&boot) {
                agent.boots.insert(boot, (record.received_ms - ms, false));
                dated = Some(boot);
            }
            if !agent.boots.contains_key(&boot) {
                agent.undated.push(record.clone());
                return;
            }
        }
        agent.enter(record);
        if let Some(boot) = dated {
            let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut agent.undated)
                .into_iter()
                .partition(|record| matches!(time_of(record), Time::Boot { boot: of, .. } if of == boot));
            agent.undated = later;
            for record in now {
                agent.enter(&record);
            }
        }
    }

    /// Compares everything that readers can see.
    pub(crate) fn check(&self, store: &Store) {
        let reader = store.reader();
        assert_eq!(reader.agents().expect("reads"), self.agents.keys().cloned().collect::<Vec<_>>());
        for (name, agent) in &self.agents {
            agent.check(name, &reader);
        }
        let known: HashMap<_, _> =
            store.known().expect("reads").into_iter().map(|known| (known.name.clone(), known)).collect();
        for (name, agent) in &self.agents {
            for account in &known[name].runs {
                assert_eq!(account.seqs, set(&agent.taken[&account.run]), "{name} run {}", account.run);
            }
        }
    }
}

impl Agent {
    fn at(&self, time: Time) -> u64 {
        match time {
            Time::Utc { ms } => ms,
            Time::Boot { boot, ms } => self.boots[&boot].0 + ms,
        }
    }

    fn enter(&mut self, record: &NewRecord) {
        if record.channel == Channel::Event {
            let event = Record::<Event<'_>>::decode(&record.payload).expect("made here");
            let ms = self.at(event.body.time);
            match event.body.what {
                What::Sample { catalog, series, value } => {
                    let name = self.lists[&(event.envelope.run, catalog)][series as usize];
                    self.lines.entry(name).or_default().insert(ms, value.known());
                    self.edges.insert((ms, format!("{:?}", key(name))), value.known());
                }
                What::Text { subject, text } => {
                    self.texts.insert((ms, subject.to_owned()), text.to_owned());
                }
                What::Anchor { .. } | What::Configuration { .. } => {}
            }
            return;
        }
        let data = Record::<Data<'_>>::decode(&record.payload).expect("made here");
        let Data::Readings(readings) = data.body else { return };
        let catalog = (data.envelope.run, readings.catalog);
        let names = self.lists[&catalog].clone();
        let references = vec![Value::Known(0); names.len()];
        let mut values = references.clone();
        for reading in &readings {
            reading.apply(&references, &mut values).expect("fits");
            let ms = self.at(reading.time);
            if self.newest.is_none_or(|(newest, _)| ms >= newest) {
                if let Some((_, before)) = self.newest {
                    for gone in self.lists[&before].clone() {
                        if !names.contains(&gone) && is_kept(gone) {
                            self.lines.entry(gone).or_default().insert(ms, None);
                        }
                    }
                }
                self.newest = Some((ms, catalog));
            }
            for (at, (name, value)) in names.iter().zip(&values).enumerate() {
                // Listed twice: the first counts.
                if names[..at].contains(name) || !is_kept(name) {
                    continue;
                }
                self.lines.entry(name).or_default().insert(ms, value.known());
            }
        }
    }

    fn check(&self, name: &AgentName, reader: &Reader) {
        for (run, taken) in &self.taken {
            let account = reader.account(name, *run).expect("reads").expect("known");
            assert_eq!(account.seqs, set(taken), "{name} run {run}");
        }
        let series: HashMap<SeriesKey, _> =
            reader.series(name).expect("reads").into_iter().map(|(id, key)| (key, id)).collect();
        for (line, expected) in &self.lines {
            let samples = reader.samples(name, series[&key(line)], 0..u64::MAX).expect("reads");
            let found: Line = samples.times.iter().copied().zip(samples.values).collect();
            assert_eq!(&found, expected, "{line} of {name}");
        }
        let texts = reader.texts(name, 0..u64::MAX).expect("reads");
        let texts: BTreeMap<_, _> =
            texts.into_iter().map(|(ms, subject, text)| ((ms, subject), text)).collect();
        assert_eq!(texts, self.texts, "texts of {name}");
        let (mut texts, mut edges) = (BTreeMap::new(), BTreeMap::new());
        for entry in log(reader, name, 7) {
            match entry.what {
                Happened::Set { series, value } => {
                    edges.insert((entry.place.ms, format!("{series:?}")), value);
                }
                Happened::Text { subject, text } => {
                    texts.insert((entry.place.ms, subject), text);
                }
            }
        }
        assert_eq!((texts, edges), (self.texts.clone(), self.edges.clone()), "log of {name}");
    }
}

/// All of an agent's log, by pages of so many entries.
pub(crate) fn log(reader: &Reader, name: &AgentName, limit: usize) -> Vec<LogEntry> {
    let agents = [name.clone()];
    let (mut all, mut before): (Vec<LogEntry>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let range = 0..u64::MAX;
        let query =
            LogQuery { range, before: before.as_ref(), agents: Some(&agents), limit, ..LogQuery::default() };
        let page = reader.log(&query).expect("reads");
        all.extend(page.entries);
        match page.next {
            None => break,
            next => before = next,
        }
    }
    assert!(all.is_sorted_by(|one, other| one.place > other.place), "the newest first, each once");
    all
}

pub(crate) fn key(line: &'static str) -> SeriesKey {
    let series = series(line);
    let labels = series.labels.iter().filter(|label| !label.value.is_empty());
    SeriesKey {
        name: series.name.into(),
        labels: labels.map(|label| (label.name.into(), label.value.into())).collect(),
        unit: series.unit.into(),
        kind: series.kind,
        scale: series.scale,
    }
}

/// Names of the hub's own are not for agents.
fn is_kept(name: &str) -> bool {
    !name.starts_with("rackside_hub_")
}

fn time_of(record: &NewRecord) -> Time {
    if record.channel == Channel::Event {
        return Record::<Event<'_>>::decode(&record.payload).expect("made here").body.time;
    }
    match Record::<Data<'_>>::decode(&record.payload).expect("made here").body {
        Data::Readings(readings) => readings.iter().last().expect("one at least").time,
        Data::Catalog(_) => Time::Utc { ms: record.received_ms },
    }
}

fn set(taken: &BTreeSet<u64>) -> Seqs {
    let mut seqs = Seqs::default();
    for &seq in taken {
        seqs.insert(seq);
    }
    seqs
}
