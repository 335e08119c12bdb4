//! A real Icecast of this test's own, from Debian's icecast2.

use crate::process::Process;
use crate::{clock, port, programs};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Sources send with this password, and the administrator has it as well.
pub const PASSWORD: &str = "hackme";

/// A running server.
#[derive(Debug)]
pub struct Icecast {
    directory: TempDir,
    process: Option<Process>,
    port: u16,
}

impl Icecast {
    /// One on a port of its own.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = port::free();
        let path = directory.path().display();
        // Started by root it refuses to run as root; the directory is for its logs.
        let text = format!(
            "<icecast><limits><sources>16</sources></limits>\
             <authentication><source-password>{PASSWORD}</source-password><admin-user>admin</admin-user>\
             <admin-password>{PASSWORD}</admin-password></authentication><hostname>localhost</hostname>\
             <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
             <paths><logdir>{path}</logdir><webroot>/usr/share/icecast2/web</webroot>\
             <adminroot>/usr/share/icecast2/admin</adminroot></paths>\
             <logging><loglevel>3</loglevel></logging>\
             <security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>\
             </icecast>"
        );
        std::fs::write(directory.path().join("icecast.xml"), text).expect("the directory can be written");
        // It becomes nobody before it opens its logs.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(directory.path(), mode).expect("our own");
        let mut server = Self { directory, process: None, port };
        server.come_up();
        server
    }

    /// `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        format!("http://{}", port::local(self.port))
    }

    /// Where ffmpeg sends to.
    pub fn source_url(&self, mount: &str) -> String {
        format!("icecast://source:{PASSWORD}@127.0.0.1:{}{mount}", self.port)
    }

    /// Tells it what is on, as an automation does.
    pub fn title(&self, mount: &str, song: &str) {
        let page = format!("{}/admin/metadata", self.url());
        let fields =
            [format!("mount={mount}"), "mode=updinfo".into(), "charset=UTF-8".into(), format!("song={song}")];
        let fields = fields.iter().flat_map(|field| ["--data-urlencode", field.as_str()]);
        // admin:hackme
        let login = "Authorization: Basic YWRtaW46aGFja21l";
        let told = Command::new(programs::installed("curl"))
            .args(["-sfG", "-o", "/dev/null", "-H", login, &page])
            .args(fields)
            .status();
        assert!(told.is_ok_and(|status| status.success()), "Icecast does not take the title");
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port.
    pub fn come_up(&mut self) {
        self.process = None;
        let mut command = Command::new(programs::installed("icecast2"));
        command.arg("-c").arg(self.directory.path().join("icecast.xml"));
        let process = Process::start(&mut command, &self.directory.path().join("log"));
        let mut process = process.unwrap_or_else(|error| panic!("{error}"));
        let up = clock::eventually(Duration::from_mins(1), || {
            let ended = process.ended().is_some();
            (ended || TcpStream::connect(port::local(self.port)).is_ok()).then_some(!ended)
        });
        assert_eq!(up, Some(true), "Icecast does not start\n{}", process.last_words());
        self.process = Some(process);
    }
}
