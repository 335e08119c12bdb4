//! What holds for any messages in any order: nothing panics, and each record counts once.

use super::*;
use crate::clock;
use crate::inbound::Via;
use crate::rack::{Rack, Sent, vitals};
use proptest::prelude::*;
use rackside_proto::What;

fn take(ingest: &mut Ingest, (topic, body): Sent, now: Now) {
    let message = Inbound { topic, payload: body.into(), retained: false, via: Via::Broker };
    ingest.take(&message, now);
    ingest.tick(now);
    if ingest.take_batch(now).is_some() {
        ingest.committed(now);
    }
}

/// A run's records in their order, catalog first.
fn records(count: usize) -> Vec<Sent> {
    let mut rack = Rack::new("arena-north", "rack-1");
    let mut sent = vec![rack.catalog(&vitals())];
    for n in 1..count as i64 {
        sent.push(if n % 5 == 0 {
            rack.event(What::Text { subject: "track", text: "next" })
        } else {
            rack.numbers(&[n, n, n, n, n])
        });
    }
    sent
}

proptest! {
    #[test]
    fn any_bytes_on_any_channel_are_taken_or_counted(
        messages in prop::collection::vec((0..Channel::ALL.len(), prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 1..30)
    ) {
        let now = clock::now();
        let mut ingest = Ingest::new(Prefix::default(), 1, Arc::new(NoPast), now);
        for (channel, mut body, spoken) in messages {
            if let Some(first) = body.first_mut().filter(|_| spoken) {
                *first = rackside_proto::WIRE;
            }
            take(&mut ingest, (format!("rackside/1/a/b/{}", Channel::ALL[channel]), body), now);
        }
    }

    #[test]
    fn a_good_message_with_a_byte_changed_is_taken_or_counted(
        which in 0..6_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()
    ) {
        let now = clock::now();
        let mut ingest = Ingest::new(Prefix::default(), 1, Arc::new(NoPast), now);
        let mut rack = Rack::new("arena-north", "rack-1");
        let mut all = vec![rack.catalog(&vitals()), rack.presence(true), rack.birth()];
        all.push(rack.numbers(&[400, 100, 1, 2, 3]));
        all.push(rack.event(What::Sample { catalog: 1, series: 0, value: rackside_proto::Value::Known(3) }));
        all.push(rack.presence(false));
        let mut changed = all[which].clone();
        let place = at.index(changed.1.len());
        changed.1[place] = byte;
        let shorter = (changed.0.clone(), changed.1[..cut.index(changed.1.len())].to_vec());
        for sent in all.into_iter().chain([changed, shorter]) {
            take(&mut ingest, sent, now);
        }
        ingest.take_changed();
        ingest.mirror(true);
    }

    #[test]
    fn records_in_any_order_and_number_count_once_each(
        order in prop::collection::vec(0..40_usize, 0..160)
    ) {
        let now = clock::now();
        let mut ingest = Ingest::new(Prefix::default(), 1, Arc::new(NoPast), now);
        let all = records(40);
        for &at in &order {
            take(&mut ingest, all[at].clone(), now);
        }
        // What was not taken for want of the catalog, or never came, the agent sends again in order.
        for sent in &all {
            take(&mut ingest, sent.clone(), now);
        }
        let counts = ingest.counts();
        prop_assert_eq!(counts.records, 40);
        prop_assert_eq!(counts.lost, 0);
        prop_assert_eq!(counts.records + counts.duplicates + counts.deferred, order.len() as u64 + 40);
        let latest = ingest.fleet().appliances()[0].shown().and_then(|run| run.latest.as_ref());
        let shown = latest.and_then(|latest| latest.quantity_of("rackside_soc_temperature_celsius"));
        prop_assert_eq!(shown, Some(3.9));
    }
}
