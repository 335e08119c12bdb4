//! What went over a broker between one agent and its hub: which records, and which acks.
//!
//! A subscriber that notes numbers, and comes back when the broker does.

use crate::client::{Client, ReceivedMessage};
use rackside_link::Options;
use rackside_proto::{Ack, Data, Record, Run, Sending};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The notes. Dropped, nothing more is noted.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    runs: Mutex<BTreeMap<Run, Notes>>,
    subscribed: AtomicBool,
    over: AtomicBool,
}

/// What was seen of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// The data records that were seen.
    pub seqs: BTreeSet<u64>,
    /// How many of them were sent once more.
    pub resent: u64,
    /// The last ack: everything below is safe.
    pub below: u64,
}

impl Ledger {
    /// Watches `site/appliance` at a broker, and returns once it does.
    pub fn start(broker: SocketAddr, site: &str, appliance: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let topic = format!("rackside/1/{site}/{appliance}");
        let filters = [format!("{topic}/data"), format!("{topic}/ack")];
        let its = Arc::clone(&shared);
        thread::spawn(move || {
            while !its.over.load(Ordering::SeqCst) {
                // It ends with the broker, and begins again with it.
                let _ = watch(broker, &filters, &its);
                thread::sleep(Duration::from_millis(50));
            }
        });
        let ledger = Self { shared };
        let ready = || ledger.shared.subscribed.load(Ordering::SeqCst).then_some(());
        assert!(
            crate::clock::eventually(Duration::from_secs(30), ready).is_some(),
            "no subscription at {broker}"
        );
        ledger
    }

    /// The notes of every run.
    pub fn runs(&self) -> BTreeMap<Run, Notes> {
        self.shared.runs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The notes of the only run. Panics when there is another.
    pub fn only_run(&self) -> Notes {
        let runs = self.runs();
        assert!(runs.len() <= 1, "more than one run: {runs:?}");
        runs.into_values().next().unwrap_or_default()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }
}

fn watch(broker: SocketAddr, filters: &[String], shared: &Shared) -> Result<(), crate::client::ClientError> {
    let mut client =
        Client::connect(broker, &Options::new(format!("ledger-{filters:?}").replace(['"', '[', ']'], "")))?;
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    client.subscribe(&filters)?;
    shared.subscribed.store(true, Ordering::SeqCst);
    while !shared.over.load(Ordering::SeqCst) {
        client.wait(Duration::from_millis(100), |message| {
            note(message, shared);
            None::<()>
        })?;
    }
    Ok(())
}

fn note(message: &ReceivedMessage, shared: &Shared) {
    let mut runs = shared.runs.lock().unwrap_or_else(PoisonError::into_inner);
    if message.topic.ends_with("/ack") {
        let safe = Ack::decode(&message.payload).map(|ack| ack.safe).unwrap_or_default();
        for safe in safe {
            runs.entry(safe.run).or_default().below = safe.below;
        }
    } else if let Ok(record) = Record::<Data<'_>>::decode(&message.payload) {
        let notes = runs.entry(record.envelope.run).or_default();
        notes.seqs.insert(record.envelope.seq);
        notes.resent += u64::from(record.envelope.sending == Sending::Again);
    }
}
