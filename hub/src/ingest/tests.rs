//! What ingest promises: each record once, nothing acked that is not held, garbage counted and nothing else. What it promises of
//! the disk is in `disk`, what it tells appliances about themselves in `verdicts`,
//! what becomes of pictures in `stills`.

mod disk;
mod notes;
mod stills;
mod verdicts;

use super::*;
use crate::clock;
use crate::inbound::Via;
use crate::rack::{Rack, Sent, series, vitals};
use rackside_history::{NewRecord, Seqs};
use rackside_proto::{Ack, Data, Envelope, Event, Record, Safe, Value, Want, What};

/// A hub's core, and a disk that is played here.
struct Desk {
    ingest: Ingest,
    now: Now,
    /// Whether batches are written as soon as they are there.
    writes: bool,
    /// What is on the disk.
    disk: Vec<Arc<Batch>>,
}

/// What was stored before, as a map.
#[derive(Debug, Default)]
struct Stored {
    accounts: Vec<Account>,
    catalogs: Vec<(Run, u32, Vec<u8>)>,
    unreadable: bool,
}

impl Past for Stored {
    fn account(&self, _: &AgentName, run: Run) -> Result<Option<Account>, PastError> {
        if self.unreadable {
            return Err(PastError("the disk is gone".to_owned()));
        }
        Ok(self.accounts.iter().find(|account| account.run == run).cloned())
    }

    fn catalog(&self, _: &AgentName, run: Run, number: u32) -> Result<Option<Vec<u8>>, PastError> {
        let found = self.catalogs.iter().find(|one| (one.0, one.1) == (run, number));
        Ok(found.map(|one| one.2.clone()))
    }
}

impl Desk {
    fn new() -> Self {
        Self::with(Stored::default())
    }

    fn with(past: Stored) -> Self {
        let now = clock::now();
        let ingest = Ingest::new(Prefix::default(), 77, Arc::new(past), now);
        Self { ingest, now, writes: true, disk: Vec::new() }
    }

    /// The hub's loop, once.
    fn turn(&mut self) {
        self.ingest.tick(self.now);
        while self.writes
            && let Some(batch) = self.ingest.take_batch(self.now)
        {
            self.disk.push(batch);
            self.ingest.committed(self.now);
            self.ingest.tick(self.now);
        }
    }

    /// The numbers of the records on the disk, in the order in which they came there.
    fn written(&self) -> Vec<u64> {
        let records = self.disk.iter().flat_map(|batch| &batch.records);
        records.map(|record| envelope(record).seq).collect()
    }

    fn take(&mut self, sent: Sent) {
        self.take_as(sent, false);
    }

    fn take_as(&mut self, (topic, body): Sent, retained: bool) {
        let via = Via::Listener { connection: 1 };
        self.ingest.take(&Inbound { topic, payload: body.into(), retained, via }, self.now);
        self.turn();
    }

    /// Time goes by, and the hub's loop with it.
    fn after(&mut self, ms: u64) {
        let until = self.now.plus(Duration::from_millis(ms));
        while until.since(self.now.instant) > SWEEP {
            self.now = self.now.plus(SWEEP);
            self.turn();
        }
        self.now = until;
        self.turn();
    }

    fn acks(&mut self) -> Vec<Ack> {
        let out = self.ingest.take_out();
        let acks = out.iter().filter(|message| message.topic.ends_with("/ack"));
        acks.map(|message| Ack::decode(&message.payload).expect("our own ack")).collect()
    }

    /// Everything that is due, then the one ack.
    fn ack(&mut self) -> Ack {
        self.after(250);
        self.acks().pop().expect("an ack was due")
    }

    fn rejected(&self, reason: Reason) -> u64 {
        self.ingest.counts().rejected_for(reason)
    }
}

fn envelope(record: &NewRecord) -> Envelope {
    match record.channel {
        Channel::Event => Record::<Event<'_>>::decode(&record.payload).expect("an event").envelope,
        _ => Record::<Data<'_>>::decode(&record.payload).expect("data").envelope,
    }
}

fn running() -> (Desk, Rack) {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    desk.take(rack.catalog(&vitals()));
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    (desk, rack)
}

#[test]
fn an_ack_covers_a_batch_within_250_ms() {
    let (mut desk, rack) = running();
    desk.after(249);
    assert!(desk.acks().is_empty());
    desk.after(1);
    let acks = desk.acks();
    assert_eq!(acks.len(), 1);
    assert_eq!(acks[0].history, 77);
    assert_eq!(acks[0].time_ms, desk.now.utc_ms);
    assert_eq!(acks[0].safe.as_slice(), [Safe { run: rack.run, below: 2 }]);
    assert!(acks[0].wants.is_empty());
}

#[test]
fn an_event_forces_an_ack_at_once() {
    let (mut desk, mut rack) = running();
    desk.take(rack.event(What::Text { subject: "default_route", text: "eth0" }));
    assert_eq!(desk.acks().pop().map(|ack| ack.safe[0].below), Some(3));
    desk.after(250);
    assert!(desk.acks().is_empty(), "one ack for all of it");
}

#[test]
fn a_backlog_is_acked_as_fast_as_it_comes() {
    let (mut desk, mut rack) = running();
    rack.sending = rackside_proto::Sending::Again;
    for n in 0..200 {
        desk.take(rack.numbers(&[n, 0, 0, 0, 0]));
    }
    let below: Vec<_> = desk.acks().iter().map(|ack| ack.safe[0].below).collect();
    assert_eq!(below, [64, 128, 192]);
}

#[test]
fn a_record_that_comes_twice_counts_once() {
    let (mut desk, mut rack) = running();
    let sent = rack.numbers(&[410, 0, 0, 0, 0]);
    desk.take(sent.clone());
    desk.take(sent);
    let counts = desk.ingest.counts();
    assert_eq!((counts.records, counts.duplicates, counts.lost), (3, 1, 0));
    assert_eq!(desk.ack().safe[0].below, 3);
}

#[test]
fn a_gap_holds_the_ack_back_until_it_closes() {
    let (mut desk, mut rack) = running();
    let overtaken = rack.numbers(&[410, 0, 0, 0, 0]);
    desk.take(rack.numbers(&[411, 0, 0, 0, 0]));
    assert_eq!(desk.ack().safe[0].below, 2);
    desk.take(overtaken);
    assert_eq!(desk.ack().safe[0].below, 4);
}

#[test]
fn data_without_their_catalog_stay_with_the_agent_which_is_asked_for_it() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    let catalog = rack.catalog(&vitals());
    let reading = rack.numbers(&[400, 0, 0, 0, 0]);
    desk.take(reading.clone());
    let ack = desk.ack();
    assert_eq!(ack.safe[0].below, 0);
    assert_eq!(ack.wants.as_slice(), [Want::Birth, Want::Catalog { run: rack.run, number: 1 }]);
    assert_eq!(desk.ingest.counts().deferred, 1);
    desk.take(catalog);
    desk.take(reading);
    desk.take(rack.birth());
    let ack = desk.ack();
    assert_eq!((ack.safe[0].below, ack.wants.len()), (2, 0));
    assert_eq!((desk.ingest.counts().records, desk.ingest.counts().duplicates), (2, 0));
}

#[test]
fn a_catalog_that_was_let_go_comes_once_more_and_is_no_duplicate() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    let mut catalog = rack.clone();
    rack.catalog(&vitals());
    // The hub before this one acked the catalog; the agent holds records from 5 on.
    (rack.seq, rack.floor) = (5, 5);
    let reading = rack.numbers(&[400, 0, 0, 0, 0]);
    desk.take(reading.clone());
    catalog.floor = 5;
    desk.take(catalog.catalog(&vitals()));
    desk.take(reading);
    assert_eq!(desk.ack().safe[0].below, 6);
    let counts = desk.ingest.counts();
    assert_eq!((counts.records, counts.duplicates, counts.lost), (1, 0, 0));
}

#[test]
fn a_floor_that_moves_over_what_the_hub_lacks_is_loss() {
    let (mut desk, mut rack) = running();
    rack.seq = 10;
    rack.floor = 8;
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(desk.ingest.counts().lost, 6);
    assert_eq!(desk.ack().safe[0].below, 8);
}

#[test]
fn a_birth_that_a_broker_kept_opens_no_account() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    rack.catalog(&vitals());
    desk.take_as(rack.birth(), true);
    (rack.seq, rack.floor) = (5000, 5000);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(desk.ingest.counts().lost, 0);
    assert_eq!(desk.ack().safe[0].below, 5001);
}

#[test]
fn every_kind_of_garbage_is_counted_and_changes_nothing() {
    let (mut desk, mut rack) = running();
    let before = format!("{:?}", desk.ingest.fleet().appliances()[0].shown());
    let records = desk.ingest.counts().records;
    let good = rack.clone().numbers(&[999, 0, 0, 0, 0]).1;
    let with = |topic: &str, body: &[u8]| (topic.to_owned(), body.to_vec());
    let topic = |channel: &str| format!("rackside/1/arena-north/rack-1/{channel}");
    desk.take(with("other/1/a/b/data", &good));
    desk.take(with("rackside/2/a/b/data", &good));
    desk.take(with("rackside/1/Arena/b/data", &good));
    desk.take(with("rackside/1/a/-b/data", &good));
    desk.take(with("rackside/1/a/b/nonsense", &good));
    desk.take(with("rackside/1/a/b/data/more", &good));
    desk.take(with(&topic("ack"), &good));
    for channel in ["presence", "birth", "data", "event", "reply"] {
        desk.take(with(&topic(channel), &[]));
        desk.take(with(&topic(channel), &[2, 0, 0, 0]));
        desk.take(with(&topic(channel), &[1, 255, 255, 255, 255, 255]));
        desk.take(with(&topic(channel), &vec![1; 300 * 1024]));
    }
    for cut in 1..good.len() {
        desk.take(with(&topic("data"), &good[..cut]));
    }
    let mut beyond = rack.clone();
    beyond.references.resize(60, Value::Known(0));
    desk.take(beyond.numbers(&[1; 60]));
    (rack.seq, rack.floor) = (3, u64::MAX);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    let counts = [
        (Reason::Prefix, 1),
        (Reason::TopicVersion, 1),
        (Reason::Site, 1),
        (Reason::Appliance, 1),
        (Reason::Channel, 2),
        (Reason::NotFromAgents, 1),
        (Reason::Empty, 5),
        (Reason::Newer, 5),
        (Reason::TooLong, 5),
        (Reason::Malformed, 5 + good.len() as u64 - 1),
        (Reason::Limit, 1),
        (Reason::FleetFull, 0),
    ];
    for (reason, count) in counts {
        assert_eq!(desk.rejected(reason), count, "{reason:?}");
    }
    assert_eq!(format!("{:?}", desk.ingest.fleet().appliances()[0].shown()), before);
    assert_eq!(desk.ingest.fleet().appliances().len(), 1);
    assert_eq!((desk.ingest.counts().records, desk.ingest.counts().aside), (records + 1, 1));
}

#[test]
fn the_hubs_own_names_are_not_for_agents() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    desk.take(rack.catalog(&[series("rackside_hub_lost_total", &[]), series("a", &[]), series("a", &[])]));
    assert_eq!(desk.ingest.counts().series_ignored, 2);
}

#[test]
fn the_mirror_says_what_the_hub_understood_and_clears_up_behind_itself() {
    let (mut desk, mut rack) = running();
    desk.ingest.take_changed();
    desk.ingest.take_out();
    desk.ingest.mirror(true);
    let said = desk.ingest.take_out();
    let find = |channel: &str| {
        let topic = format!("rackside/json/arena-north/rack-1/{channel}");
        let message = said.iter().find(|message| message.topic == topic).expect("mirrored");
        assert!(message.retain);
        serde_json::from_slice::<serde_json::Value>(&message.payload).expect("JSON")
    };
    assert_eq!(find("presence")["online"], true);
    assert_eq!(find("birth")["agent"]["arch"], "aarch64");
    let data = find("data");
    assert_eq!(data["series"][0]["name"], "rackside_soc_temperature_celsius");
    assert_eq!(data["series"][0]["value"].to_string(), "40");
    desk.take(rack.numbers(&[411, 0, 0, 0, 0]));
    desk.ingest.take_changed();
    let out = desk.ingest.take_out();
    let fresh: Vec<_> = out.iter().filter(|message| message.topic.contains("/json/")).collect();
    assert_eq!(fresh.len(), 1, "only what is new");
    desk.ingest.mirror(false);
    let cleared = desk.ingest.take_out();
    assert_eq!(cleared.len(), 3);
    assert!(cleared.iter().all(|message| message.retain && message.payload.is_empty()));
}

#[test]
fn what_a_broker_kept_of_an_agent_long_gone_is_shown_down_and_without_values() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    rack.catalog(&vitals());
    desk.take_as(rack.presence(true), true);
    desk.take_as(rack.birth(), true);
    for _ in 0..31 {
        desk.after(1000);
    }
    let appliance = &desk.ingest.fleet().appliances()[0];
    assert_eq!(appliance.state, crate::fleet::State::Silent);
    assert!(appliance.shown().expect("a run").latest.is_none(), "no values that nobody has sent");
    assert_eq!(desk.acks().len(), 0, "nobody is there to be told");
}

#[test]
fn a_catalog_that_never_comes_is_not_waited_for_for_ever() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    rack.catalog(&vitals());
    (rack.seq, rack.floor) = (5, 5);
    let lacking = rack.clone().numbers(&[400, 0, 0, 0, 0]);
    for minute in 0..10 {
        desk.take(lacking.clone());
        let ack = desk.ack();
        assert_eq!(
            (ack.safe[0].below, ack.wants.len()),
            (5, 2),
            "minute {minute}: asked for, with the birth"
        );
        desk.after(60_000);
    }
    desk.take(lacking);
    let ack = desk.ack();
    assert_eq!(ack.safe[0].below, 6, "acked past");
    assert_eq!((desk.ingest.counts().lost, desk.ingest.records(0).lost), (1, 1));
    assert_eq!((desk.ingest.counts().records, desk.ingest.counts().duplicates), (0, 0));
}

#[test]
fn a_catalog_that_comes_late_is_still_in_time() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    let catalog = rack.catalog(&vitals());
    let lacking = rack.numbers(&[400, 0, 0, 0, 0]);
    for _ in 0..3 {
        desk.take(lacking.clone());
        desk.after(400_000);
    }
    desk.take(catalog);
    desk.take(lacking);
    assert_eq!(desk.ack().safe[0].below, 2);
    assert_eq!(desk.ingest.counts().lost, 0);
}

#[test]
fn floors_that_nobody_can_mean_do_not_break_the_count_of_what_is_lost() {
    let mut desk = Desk::new();
    for n in 0..2100 {
        let mut rack = Rack::new("arena-north", "rack-1").started_again(n);
        desk.take(rack.birth());
        (rack.seq, rack.floor) = ((1 << 53) - 1, (1 << 53) - 1);
        desk.take(rack.birth());
    }
    assert_eq!(desk.ingest.counts().lost, u64::MAX);
}

#[test]
fn a_hub_that_stood_still_does_not_take_its_own_silence_for_theirs() {
    let (mut desk, mut rack) = running();
    desk.now = desk.now.plus(Duration::from_mins(2));
    desk.ingest.tick(desk.now);
    let state = |desk: &Desk| desk.ingest.fleet().appliances()[0].state;
    assert!(state(&desk).is_up(), "what was sent meanwhile is still on its way through the hub");
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    desk.after(30_000);
    assert!(state(&desk).is_up());
    desk.after(2_000);
    assert_eq!(state(&desk), crate::fleet::State::Silent);
}

#[test]
fn a_hub_that_is_always_late_still_notices_silence() {
    let (mut desk, _) = running();
    for _ in 0..7 {
        desk.now = desk.now.plus(Duration::from_secs(6));
        desk.ingest.tick(desk.now);
    }
    assert_eq!(desk.ingest.fleet().appliances()[0].state, crate::fleet::State::Silent);
}

#[test]
fn a_large_fleet_is_mirrored_in_parts_that_a_subscriber_can_take() {
    let mut desk = Desk::new();
    let racks: Vec<_> = (0..1000).map(|n| Rack::new("arena-north", &format!("rack-{n}"))).collect();
    for rack in &racks {
        desk.take(rack.presence(true));
    }
    desk.after(1000);
    desk.ingest.take_changed();
    desk.ingest.take_out();
    desk.ingest.mirror(true);
    desk.ingest.tick(desk.now);
    let (mut said, mut parts) = (desk.ingest.take_out().len(), 1);
    while said < racks.len() {
        assert!(desk.ingest.due() < desk.now.instant + Duration::from_millis(200), "the rest follows soon");
        desk.after(100);
        let part = desk.ingest.take_out().iter().filter(|message| message.topic.contains("/json/")).count();
        assert!(part <= 256, "{part} at once");
        (said, parts) = (said + part, parts + 1);
    }
    assert_eq!((said, parts), (1000, 4));
}
