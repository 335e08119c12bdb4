//! ffmpeg as an encoder: a picture that moves and a tone, sent at their own speed; or one that takes a stream and shows it to nobody.

use crate::process::Process;
use crate::programs;
use std::process::Command;
use tempfile::TempDir;

/// A running one.
#[derive(Debug)]
pub struct Ffmpeg {
    process: Process,
    _directory: TempDir,
}

impl Ffmpeg {
    /// Sends a small picture and a tone; `output` is a format and where it goes.
    pub fn send(output: &[&str]) -> Self {
        let mut arguments = vec!["-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=10"];
        arguments.extend(["-f", "lavfi", "-i", "sine=frequency=440"]);
        arguments.extend([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "10",
            "-b:v",
            "200k",
        ]);
        arguments.extend(["-c:a", "aac", "-b:a", "64k"]);
        Self::run(&[&arguments, output].concat())
    }

    /// Sends a tone as MP3 to an Icecast.
    pub fn play(url: &str) -> Self {
        let tone = ["-re", "-f", "lavfi", "-i", "sine=frequency=440", "-c:a", "libmp3lame", "-b:a", "128k"];
        let icecast = ["-content_type", "audio/mpeg", "-ice_name", "Hall 1", "-f", "mp3", url];
        Self::run(&[tone.as_slice(), &icecast].concat())
    }

    /// Takes a stream; `input` is how, and from where.
    pub fn take(input: &[&str]) -> Self {
        Self::run(&[input, &["-c", "copy", "-f", "null", "-"]].concat())
    }

    fn run(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(programs::installed("ffmpeg"));
        command.args(["-hide_banner", "-loglevel", "warning", "-nostdin"]).args(arguments);
        let process = Process::start(&mut command, &directory.path().join("log"));
        Self { process: process.unwrap_or_else(|error| panic!("{error}")), _directory: directory }
    }

    /// What it complained of, for a failure's message.
    pub fn last_words(&self) -> String {
        self.process.last_words()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL: nothing is closed in order.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
