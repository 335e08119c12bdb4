//! A full reading of 30 realistic series: at most 100 bytes for any, at most 60 in the median.
//!
//! A day of a busy rack at one reading in 10 s, envelope and all; the references are refreshed by a new catalog every two
//! hours, which costs less than 3 bytes a reading and is counted into the mean.

use rackside_proto::{Data, Envelope, Run, Sending, Time, Value};

/// A small generator of our own (xorshift64*), so that the day is the same in every run and version.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as i64 % n as i64
    }

    fn about(&mut self, spread: u64) -> i64 {
        self.below(2 * spread + 1) - spread as i64
    }
}

/// The 30 series of a rack with two interfaces, two disks, two tally contacts and two probes, at second `s` of the day.
fn rack(s: i64, bytes: &mut [i64; 4], dice: &mut Dice) -> [Value; 30] {
    for (at, rate) in [900_000, 250_000, 12_000, 9_000].into_iter().enumerate() {
        bytes[at] += 10 * rate + dice.about(rate as u64);
    }
    let live = i64::from((3600 * 10..3600 * 12).contains(&s));
    let hour = s / 3600;
    let known = [
        520 + hour + 60 * live + dice.about(8), // temperature, tenths of a degree
        0,
        0,
        0,
        0,
        0,                                  // throttle flags
        180 + 400 * live + dice.about(60),  // CPU, thousandths
        60 + 100 * live + dice.about(30),   // load, hundredths
        8_200 + hour * 20 + dice.about(40), // memory used, 64 KiB
        62_000,                             // memory total
        210_000 + s / 60,
        480_000, // disk, 64 KiB
        4_000,
        8_000, // boot partition
        bytes[0],
        bytes[1],
        bytes[2],
        bytes[3],            // interfaces
        -58 + dice.about(4), // Wi-Fi, dBm
        900_000 + s,         // uptime
        1,                   // clock
        live,
        0, // tally
        1, // LED
        1,
        2_100 + dice.about(400),  // probe: success, duration in 10 us
        11_800 + dice.about(900), // round trip, us
        0,
        700 + dice.about(300), // loss, jitter
        1_799_000_000,         // certificate's end
    ];
    known.map(Value::Known)
}

#[test]
fn thirty_series_take_at_most_100_bytes_and_60_in_the_median() {
    let mut dice = Dice(42);
    let mut bytes = [3_000_000_000, 1_000_000_000, 40_000_000, 30_000_000];
    let mut references = [Value::Absent; 30];
    let mut sizes = Vec::new();
    for tick in 0..8640 {
        let values = rack(tick * 10, &mut bytes, &mut dice);
        if tick % 720 == 0 {
            references = values;
        }
        let seq = 200_000 + tick as u64;
        let mut body = Vec::new();
        let time = Time::Utc { ms: 1_795_145_096_123 + tick as u64 * 10_000 };
        Envelope { run: Run(u32::MAX), seq, floor: seq, sending: Sending::First }.encode(&mut body).unwrap();
        Data::encode_readings(300, &references, std::iter::once((time, &values[..])), &mut body).unwrap();
        sizes.push(body.len());
    }
    sizes.sort_unstable();
    let (median, largest) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    println!("30 series: median {median} bytes, largest {largest} bytes");
    assert!(largest <= 100, "largest {largest}");
    assert!(median <= 60, "median {median}");
}

#[test]
fn what_has_not_moved_costs_nearly_nothing() {
    let references = vec![Value::Known(1_000_000); 4096];
    let mut body = Vec::new();
    let readings = std::iter::once((Time::Utc { ms: 1_795_145_096_123 }, &references[..]));
    Data::encode_readings(1, &references, readings, &mut body).unwrap();
    assert!(body.len() <= 16, "{} bytes", body.len());
}
