//! `[[probe.ffmpeg]]`: an ffmpeg that tells how far it is (`-progress`): pictures, rates, speed, frozen, bitrate dropped.
//!
//! ffmpeg writes to a file or a named pipe, or posts to a port of this box; the agent looks at what came, and starts nothing. Whether what
//! leaves ffmpeg arrives anywhere is a matter for the probes of streams, so this one tells no `rackside_stream_up`.
//!
//! ```toml
//! [[probe.ffmpeg]]
//! name = "encoder-progress"
//! file = "/run/encoder/progress"      # ffmpeg … -progress /run/encoder/progress
//! ```

mod follow;
pub(crate) mod progress;
mod source;

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::recovery::fault::Fault;
use crate::probe::{Context, Outcome, Probe, Running};
use follow::Follow;
use progress::Reader;
use rackside_config::Span;
use source::{Heard, Source};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

kind! {
    /// What the configuration has for it.
    pub struct Ffmpeg {
        /// A file or a named pipe.
        #[serde(default)]
        file: Option<PathBuf>,
        /// An address of this box that ffmpeg posts to.
        #[serde(default)]
        listen: Option<SocketAddr>,
        /// Standing still for so long is frozen.
        #[serde(default = "usual_frozen")]
        frozen_after: Span,
        /// So many per cent below its mean a bitrate has dropped.
        #[serde(default = "usual_drop")]
        bitrate_drop: u8,
    }
}

const fn usual_frozen() -> Span {
    Span::seconds(30)
}

const fn usual_drop() -> u8 {
    50
}

impl Settings for Ffmpeg {
    fn target(&self) -> String {
        match (&self.file, self.listen) {
            (Some(file), _) => file.display().to_string(),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        }
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match (&self.file, self.listen) {
            (Some(file), None) if !file.is_absolute() => {
                return Err(("file", format!("\"{}\" does not begin with a slash", file.display())));
            }
            (None, Some(address)) if !address.ip().is_loopback() || address.port() == 0 => {
                let message = format!("\"{address}\" is not this box alone; 127.0.0.1 with a port is");
                return Err(("listen", message));
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => return Err(("name", "needs exactly one of file and listen".to_owned())),
        }
        if !(Span::seconds(2)..=Span::seconds(3600)).contains(&self.frozen_after) {
            let message =
                format!("\"{}\" is out of range; from \"2s\" to \"1h\" is possible", self.frozen_after);
            return Err(("frozen_after", message));
        }
        if !(1..=99).contains(&self.bitrate_drop) {
            return Err(("bitrate_drop", "is out of range; from 1 to 99 is possible".to_owned()));
        }
        Ok(())
    }

    fn tells(&self) -> &'static [Fault] {
        &[Fault::Down, Fault::Frozen]
    }

    fn open(&self) -> Box<dyn Probe> {
        let source = match (&self.file, self.listen) {
            (Some(file), _) => Source::file(file),
            (None, Some(address)) => Source::port(address),
            (None, None) => Source::file(&PathBuf::new()),
        };
        Box::new(Watch::new(self, source))
    }
}

/// One ffmpeg that is watched.
#[derive(Debug)]
struct Watch {
    settings: Ffmpeg,
    source: Source,
    reader: Reader,
    follow: Option<Follow>,
}

impl Watch {
    fn new(settings: &Ffmpeg, source: Source) -> Self {
        Self { settings: settings.clone(), source, reader: Reader::default(), follow: None }
    }

    fn look(&mut self, now: Instant) -> Outcome {
        let Heard { is_anew, bytes, hung_up } = match self.source.look() {
            Ok(heard) => heard,
            Err(why) => return Outcome::unknown(why),
        };
        if is_anew {
            self.reader = Reader::default();
        }
        let share = f64::from(self.settings.bitrate_drop) / 100.0;
        let follow =
            self.follow.get_or_insert_with(|| Follow::new(self.settings.frozen_after.get(), share, now));
        self.reader.feed(&bytes, |block| follow.block(block, now));
        if hung_up {
            follow.hung_up();
        }
        follow.tell(now)
    }
}

impl Probe for Watch {
    fn run<'a>(&'a mut self, _: &'a Context) -> Running<'a> {
        let outcome = self.look(Clock::now());
        Box::pin(async { outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::State;
    use async_io::Timer;
    use rackside_proto::metric::{self, Metric};
    use std::fs;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    fn watch(source: Source) -> Watch {
        let text = "name = \"x\"\nfile = \"/run/x\"\nfrozen_after = \"2s\"";
        Watch::new(&rackside_config::parse(text, "x").expect("a good table"), source)
    }

    /// A real one that counts its pictures.
    fn ffmpeg(progress: &str) -> Child {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25"]);
        command.args([
            "-stats_period",
            "0.2",
            "-progress",
            progress,
            "-c:v",
            "mpeg2video",
            "-f",
            "mpegts",
            "-y",
            "/dev/null",
        ]);
        command
            .stdin(Stdio::null())
            .spawn()
            .expect("ffmpeg is needed for this test; install Debian's package ffmpeg")
    }

    fn end(mut child: Child) {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }

    /// Looks until it is so.
    fn until(watch: &mut Watch, what: &str, is_so: impl Fn(&Outcome) -> bool) -> Outcome {
        let end = Clock::now() + Duration::from_secs(30);
        loop {
            let outcome = watch.look(Clock::now());
            if is_so(&outcome) {
                return outcome;
            }
            assert!(Clock::now() < end, "{what}: {outcome:?}");
            smol::block_on(Timer::after(Duration::from_millis(50)));
        }
    }

    fn value(outcome: &Outcome, metric: &'static Metric) -> Option<i64> {
        outcome.samples.iter().find(|sample| std::ptr::eq(sample.metric, metric))?.value.known()
    }

    fn is_up(outcome: &Outcome) -> bool {
        outcome.state == State::Up && value(outcome, &metric::FFMPEG_FRAMES).is_some_and(|frames| frames > 0)
    }

    #[test]
    fn an_ffmpeg_that_writes_a_file_is_up_until_it_stands_still() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("progress");
        fs::write(&path, "frame=1\nprogress=continue\nframe=2\nprogress=continue\n").expect("written");
        let mut watch = watch(Source::file(&path));
        let old = watch.look(Clock::now());
        assert!(matches!(old.state, State::Unknown(_)), "what was there before is not heard: {old:?}");
        let child = ffmpeg(&path.display().to_string());
        until(&mut watch, "up", is_up);
        end(child);
        let still = until(&mut watch, "frozen", |outcome| matches!(outcome.state, State::Down(_)));
        assert_eq!(value(&still, &metric::STREAM_FROZEN), Some(1));
    }

    #[test]
    fn an_ffmpeg_that_posts_is_down_as_soon_as_it_hangs_up() {
        let mut watch = watch(Source::port("127.0.0.1:0".parse().expect("an address")));
        watch.look(Clock::now());
        let address = watch.source.local().expect("it listens");
        let child = ffmpeg(&format!("http://{address}/"));
        until(&mut watch, "up", is_up);
        end(child);
        let gone = until(&mut watch, "down", |outcome| matches!(outcome.state, State::Down(_)));
        assert_eq!(gone.state, State::Down("ffmpeg has hung up".to_owned()));
        let next = ffmpeg(&format!("http://{address}/"));
        until(&mut watch, "up again", is_up);
        end(next);
    }

    #[test]
    fn a_named_pipe_is_heard_and_outlives_its_writer() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("progress");
        Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
        let mut watch = watch(Source::file(Path::new(&path)));
        watch.look(Clock::now());
        for _ in 0..2 {
            let child = ffmpeg(&path.display().to_string());
            until(&mut watch, "up", is_up);
            end(child);
            until(&mut watch, "frozen", |outcome| matches!(outcome.state, State::Down(_)));
        }
    }
}
