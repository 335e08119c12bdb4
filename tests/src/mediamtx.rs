//! A real MediaMTX of this test's own, on ports of its own; `tests/mediamtx` builds it.

use crate::process::Process;
use crate::{clock, port, programs};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A running server with RTSP, RTMP and SRT, and its control API.
#[derive(Debug)]
pub struct MediaMtx {
    directory: TempDir,
    process: Option<Process>,
    api: u16,
    /// Where RTSP is taken, over TCP.
    pub rtsp: u16,
    /// Where RTMP is taken.
    pub rtmp: u16,
    /// Where SRT is taken.
    pub srt: u16,
}

impl MediaMtx {
    /// One for everybody on this machine.
    pub fn start() -> Self {
        Self::with("")
    }

    /// One with these lines in its configuration as well.
    pub fn with(lines: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ports = [(); 4].map(|()| port::free());
        let text = format!(
            "api: true\napiAddress: 127.0.0.1:{}\nrtspAddress: 127.0.0.1:{}\nrtspTransports: [tcp]\n\
             rtmpAddress: 127.0.0.1:{}\nsrtAddress: 127.0.0.1:{}\nhls: false\nwebrtc: false\nmoq: false\n\
             {lines}\npaths:\n  all_others:\n",
            ports[0], ports[1], ports[2], ports[3]
        );
        std::fs::write(directory.path().join("mediamtx.yml"), text).expect("the directory can be written");
        let mut server =
            Self { directory, process: None, api: ports[0], rtsp: ports[1], rtmp: ports[2], srt: ports[3] };
        server.come_up();
        server
    }

    /// `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        format!("http://{}", port::local(self.api))
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same ports.
    pub fn come_up(&mut self) {
        self.process = None;
        let mut command = Command::new(programs::installed("mediamtx"));
        command.arg(self.directory.path().join("mediamtx.yml")).current_dir(self.directory.path());
        let process = Process::start(&mut command, &self.directory.path().join("log"));
        let mut process = process.unwrap_or_else(|error| panic!("{error}"));
        let up = clock::eventually(Duration::from_mins(1), || {
            let ended = process.ended().is_some();
            (ended || TcpStream::connect(port::local(self.api)).is_ok()).then_some(!ended)
        });
        assert_eq!(up, Some(true), "MediaMTX does not start\n{}", process.last_words());
        self.process = Some(process);
    }
}
