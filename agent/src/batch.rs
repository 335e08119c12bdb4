//! Readings that go out in one record: each is coded when it is taken, as what moved since the one before it.
//!
//! Pure. Invariant: what is collected is of one catalog and one clock and in order, and with one more reading of the largest catalog it
//! still fits into a message.
//!
//! ```text
//! head, written last │ reading │ 10 s · reading │ 10 s · reading │ ...
//!                      against the catalog's references, then each against the one before
//! ```

use rackside_proto::{Data, EncodeError, Time, Value, limits};
use std::time::Instant;

/// From here on nothing is added: a reading of as many series as there may be takes 33 KiB at most.
const FULL: usize = limits::SMALL / 3;

/// Readings on their way into one record.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    catalog: u32,
    count: usize,
    first: Option<Time>,
    /// The newest: its time, and when that was.
    last: Option<(Time, Instant)>,
    /// What the newest had.
    values: Vec<Value>,
    coded: Vec<u8>,
}

impl Batch {
    /// How many readings are collected.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Whether a reading of that catalog, taken at `time`, can be added to what there is.
    pub(crate) fn takes(&self, catalog: u32, time: Time) -> bool {
        !self.is_full()
            && self.last.is_none_or(|(last, _)| self.catalog == catalog && time.since(last).is_some())
    }

    /// Whether the record should go, whatever its time.
    pub(crate) const fn is_full(&self) -> bool {
        self.count >= limits::READINGS || self.coded.len() >= FULL
    }

    /// Adds a reading that it [`takes`](Self::takes), and says how many bytes that costs. One that cannot be coded leaves no trace.
    pub(crate) fn add(
        &mut self,
        catalog: u32,
        references: &[Value],
        values: Vec<Value>,
        (time, now): (Time, Instant),
    ) -> Result<usize, EncodeError> {
        let begin = self.coded.len();
        let before = self.last.map(|(last, _)| (last, self.values.as_slice()));
        let coded = Data::encode_reading(references, before, (time, &values), &mut self.coded);
        if let Err(error) = coded {
            self.coded.truncate(begin);
            return Err(error);
        }
        self.catalog = catalog;
        self.count += 1;
        self.first.get_or_insert(time);
        self.last = Some((time, now));
        self.values = values;
        Ok(self.coded.len() - begin)
    }

    /// The body of the record, and when its newest reading was taken; begins anew. `None` when nothing is collected.
    pub(crate) fn take(&mut self) -> Option<(Vec<u8>, Instant)> {
        let (first, (_, read)) = (self.first.take()?, self.last.take()?);
        let mut body = Vec::with_capacity(self.coded.len() + 16);
        Data::encode_readings_head(self.catalog, first, self.count, &mut body)
            .expect("a Vec has room, and no more are collected than a record may have");
        body.append(&mut self.coded);
        self.count = 0;
        Some((body, read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use proptest::prelude::*;

    const REFERENCES: [Value; 3] = [Value::Known(5), Value::Absent, Value::Unknown];

    /// The readings in a record's body, as a hub reads them.
    fn read(body: &[u8], references: &[Value]) -> Vec<(Time, Vec<Value>)> {
        let Ok(Data::Readings(readings)) = Data::decode(body) else { panic!("readings") };
        let mut values = references.to_vec();
        let apply = |reading: rackside_proto::Reading<'_>| {
            reading.apply(references, &mut values).expect("coded against these");
            (reading.time, values.clone())
        };
        readings.iter().map(apply).collect()
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Absent),
            Just(Value::Unknown),
            any::<i32>().prop_map(|n| Value::Known(n.into()))
        ]
    }

    proptest! {
        #[test]
        fn what_was_added_is_what_a_hub_reads(
            readings in prop::collection::vec((0_u64..100_000, prop::array::uniform3(value())), 1..80)
        ) {
            let (mut batch, now) = (Batch::default(), Clock::now());
            let mut time = Time::Utc { ms: 1_795_000_000_000 };
            let mut added = Vec::new();
            for (apart, values) in readings {
                time = time.plus(apart);
                prop_assert!(batch.takes(1, time));
                batch.add(1, &REFERENCES, values.to_vec(), (time, now)).expect("it takes it");
                added.push((time, values.to_vec()));
            }
            prop_assert_eq!(batch.len(), added.len());
            let (body, _) = batch.take().expect("readings");
            prop_assert_eq!(read(&body, &REFERENCES), added);
            prop_assert_eq!((batch.len(), batch.take()), (0, None));
        }
    }

    #[test]
    fn another_catalog_another_clock_and_the_past_do_not_join() {
        let (mut batch, now) = (Batch::default(), Clock::now());
        let time = Time::Utc { ms: 5_000 };
        assert!(batch.takes(1, time) && batch.takes(2, time), "nothing is in it yet");
        batch.add(1, &REFERENCES, REFERENCES.to_vec(), (time, now)).expect("fits");
        assert!(batch.takes(1, time) && batch.takes(1, time.plus(1)));
        assert!(!batch.takes(2, time.plus(1)), "another catalog");
        assert!(!batch.takes(1, Time::Utc { ms: 4_999 }), "the clock was set back");
        assert!(!batch.takes(1, Time::Boot { boot: 1, ms: 6_000 }), "the clock is doubted");
    }

    #[test]
    fn the_largest_readings_end_a_record_before_a_message_ends_them() {
        let (mut batch, now) = (Batch::default(), Clock::now());
        let references = vec![Value::Known(limits::MAGNITUDE); limits::SERIES];
        let mut time = Time::Utc { ms: 1_795_000_000_000 };
        let mut number = limits::MAGNITUDE;
        let mut sizes = Vec::new();
        // As far as a value can move: to and fro.
        for _ in 0..5 {
            number = -number;
            time = time.plus(60_000);
            if !batch.takes(1, time) {
                sizes.push(batch.take().expect("readings").0.len());
            }
            batch.add(1, &references, vec![Value::Known(number); limits::SERIES], (time, now)).expect("fits");
        }
        // Each second one is where the references are, and costs nothing.
        assert!(
            sizes.len() == 2 && sizes.iter().all(|size| (FULL..limits::SMALL - FULL).contains(size)),
            "{sizes:?}"
        );
    }

    #[test]
    fn a_record_never_has_more_readings_than_a_hub_takes() {
        let (mut batch, now) = (Batch::default(), Clock::now());
        let time = Time::Utc { ms: 5_000 };
        while batch.takes(1, time) {
            batch.add(1, &REFERENCES, REFERENCES.to_vec(), (time, now)).expect("fits");
        }
        assert_eq!(batch.len(), limits::READINGS);
        assert_eq!(read(&batch.take().expect("readings").0, &REFERENCES).len(), limits::READINGS);
    }

    #[test]
    fn what_cannot_be_coded_leaves_no_trace() {
        let (mut batch, now) = (Batch::default(), Clock::now());
        let time = Time::Utc { ms: 5_000 };
        batch.add(1, &REFERENCES, REFERENCES.to_vec(), (time, now)).expect("fits");
        let beyond = vec![Value::Known(7), Value::Absent, Value::Known(limits::MAGNITUDE + 1)];
        assert!(batch.add(1, &REFERENCES, beyond, (time.plus(1), now)).is_err());
        batch.add(1, &REFERENCES, REFERENCES.to_vec(), (time.plus(2), now)).expect("fits");
        let times: Vec<Time> =
            read(&batch.take().expect("readings").0, &REFERENCES).into_iter().map(|(time, _)| time).collect();
        assert_eq!(times, [time, time.plus(2)]);
    }
}
