//! How long it takes until a subscriber hears that a publisher is dead, with the schedules that probes have unless they are told otherwise.
//!
//! Ten racks, each with an agent, an ffmpeg that sends to a MediaMTX and one that sends to an Icecast. Both are killed, one rack after the
//! other, so that their deaths fall on any moment of a schedule; the subscriber is a client of the hub's listener.
//!
//! ```text
//! rack-3: killed   →  event rackside_stream_up{probe="mediamtx",path="hall"} 0   after 1.2 s
//! ```

use crate::{Effort, build};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::client::{Client, ReceivedMessage};
use rackside_tests::ffmpeg::Ffmpeg;
use rackside_tests::heard::Listener;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::icecast::Icecast;
use rackside_tests::mediamtx::MediaMtx;
use rackside_tests::{clock, port};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const RACKS: usize = 10;
/// From one death to the next: ten of them are spread over the longest schedule.
const APART: Duration = Duration::from_secs(6);
/// Until all streams have been seen: a decoded one takes its time.
const WARM_UP: Duration = Duration::from_mins(3);
/// Two runs of the slowest, and what they may take.
const NOTICED: Duration = Duration::from_mins(4);

/// The kinds that hear of it, by the names that their probes have here, with their schedules.
const KINDS: [(&str, &str); 5] = [
    ("process", "every 1 s, by pid file"),
    ("mediamtx", "every 2 s"),
    ("icecast", "every 10 s"),
    ("rtsp", "every 60 s"),
    ("stream", "every 60 s, two failures"),
];

pub(crate) fn noticed(_: Effort) -> Result<(), String> {
    let program = build::agent(build::TARGETS[1].1).or_else(|_| build::agent(build::TARGETS[0].1))?;
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    let (server, radio) = (MediaMtx::start(), Icecast::start());
    let mut subscriber = Subscriber::new(hub.mqtt())?;
    let mut racks: Vec<Rack> = (1..=RACKS)
        .map(|number| Rack::start(number, &hub, &server, &radio, &program))
        .collect::<Result<_, _>>()?;
    let end = clock::now() + WARM_UP;
    while subscriber.up.len() < RACKS * KINDS.len() {
        if clock::now() > end {
            let missing = RACKS * KINDS.len() - subscriber.up.len();
            return Err(format!("{missing} probes saw nothing\n{}", racks[0].publisher.last_words()));
        }
        subscriber.listen()?;
    }
    let first = clock::now();
    for (at, rack) in racks.iter_mut().enumerate() {
        while clock::now() < first + APART * at as u32 {
            subscriber.listen()?;
        }
        subscriber.killed.insert(rack.number, clock::now());
        rack.publisher.kill();
        rack.player.kill();
    }
    let end = clock::now() + NOTICED;
    while subscriber.told.len() < RACKS * KINDS.len() && clock::now() < end {
        subscriber.listen()?;
    }
    println!("from the death of ffmpeg to the event at a subscriber, {RACKS} times\n");
    println!("{:<10} {:<26} {:>6} {:>10} {:>10}", "probe", "schedule", "told", "median s", "worst s");
    for (kind, schedule) in KINDS {
        let of_kind = subscriber.told.iter().filter(|((_, told), _)| *told == kind);
        let mut took: Vec<f64> = of_kind.map(|(_, took)| took.as_secs_f64()).collect();
        took.sort_unstable_by(f64::total_cmp);
        let (median, worst) = (took.get(took.len() / 2), took.last());
        let shown = |seconds: Option<&f64>| seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.2}"));
        println!("{kind:<10} {schedule:<26} {:>6} {:>10} {:>10}", took.len(), shown(median), shown(worst));
    }
    Ok(())
}

/// A venue.
struct Rack {
    number: usize,
    publisher: Ffmpeg,
    player: Ffmpeg,
    _agent: Agent,
    _pid: tempfile::TempDir,
}

impl Rack {
    fn start(
        number: usize,
        hub: &Hub,
        server: &MediaMtx,
        radio: &Icecast,
        program: &Path,
    ) -> Result<Self, String> {
        let (hall, mount) = (format!("hall-{number}"), format!("/hall-{number}.mp3"));
        let rtmp = format!("rtmp://{}/{hall}", port::local(server.rtmp));
        let publisher = Ffmpeg::send(&["-f", "flv", &rtmp]);
        let player = Ffmpeg::play(&radio.source_url(&mount));
        let pid = tempfile::tempdir().map_err(|error| error.to_string())?;
        let pid_file = pid.path().join("ffmpeg.pid");
        std::fs::write(&pid_file, publisher.id().to_string()).map_err(|error| error.to_string())?;
        let mut options = AgentOptions::new("bench", &format!("rack-{number}"), hub.mqtt());
        options.tick = "10s";
        options.program = Some(program.to_owned());
        options.top = format!(
            "[[probe.process]]\nname = \"process\"\npid_file = \"{}\"\n\
             [[probe.mediamtx]]\nname = \"mediamtx\"\nurl = \"{}\"\npaths = {{ \"{hall}\" = \"hall\" }}\nexpect = [\"hall\"]\n\
             [[probe.icecast]]\nname = \"icecast\"\nurl = \"{}\"\nmounts = [\"{mount}\"]\n\
             [[probe.rtsp]]\nname = \"rtsp\"\nurl = \"rtsp://{rtsp}/{hall}\"\n\
             [[probe.stream]]\nname = \"stream\"\nurl = \"rtsp://{rtsp}/{hall}\"\n",
            pid_file.display(),
            server.url(),
            radio.url(),
            rtsp = port::local(server.rtsp)
        );
        Ok(Self { number, publisher, player, _agent: Agent::start(&options), _pid: pid })
    }
}

/// Who hears it.
struct Subscriber {
    client: Client,
    listener: Listener,
    /// What was up once.
    up: BTreeSet<(usize, &'static str)>,
    killed: BTreeMap<usize, Instant>,
    told: BTreeMap<(usize, &'static str), Duration>,
}

impl Subscriber {
    fn new(broker: SocketAddr) -> Result<Self, String> {
        let mut client = Client::named(broker, "bench-death").map_err(|error| error.to_string())?;
        client.subscribe(&["rackside/1/bench/#"]).map_err(|error| error.to_string())?;
        let (killed, told) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { client, listener: Listener::default(), up: BTreeSet::new(), killed, told })
    }

    /// For a moment.
    fn listen(&mut self) -> Result<(), String> {
        let Self { client, listener, up, killed, told } = self;
        let heard = client.wait(Duration::from_millis(100), |message| {
            let now = clock::now();
            let rack = rack(message)?;
            for reading in listener.readings(&message.topic, &message.payload) {
                for (series, value) in &reading.values {
                    if let Some(kind) = kind(series)
                        && *value > 0.5
                    {
                        up.insert((rack, kind));
                    }
                }
            }
            let sample = listener.sample(&message.topic, &message.payload)?;
            let kind = kind(&sample.series)?;
            if let Some(killed) = killed.get(&rack)
                && sample.value == Some(0.0)
            {
                told.entry((rack, kind)).or_insert(now - *killed);
            }
            None::<()>
        });
        heard.map(drop).map_err(|error| error.to_string())
    }
}

/// `rackside/1/bench/rack-3/event`.
fn rack(message: &ReceivedMessage) -> Option<usize> {
    message.topic.split('/').nth(3)?.strip_prefix("rack-")?.parse().ok()
}

/// Whose word a series is, if it says whether something lives.
fn kind(series: &str) -> Option<&'static str> {
    let is_life = series.starts_with("rackside_stream_up{") || series.starts_with("rackside_process_up{");
    let of = |kind: &str| series.contains(&format!("probe=\"{kind}\""));
    KINDS.iter().map(|(kind, _)| *kind).find(|kind| is_life && of(kind))
}
