//! An emulated Raspberry Pi 3 Model B: QEMU, with the board's pins, its serial line and its cable in our hands.
//!
//! `thread=single`: else the three processors that Linux has not started yet spin in QEMU's own start code and take what the host has. The
//! SoC's temperature, GPIO, mailbox, USB and watchdog are emulated; there are no pull resistors, no edge interrupts, no clock that knows the date,
//! and the temperature stands still. Invariant: QEMU is gone when its [`Board`] is.

use crate::card::Card;
use crate::console::Console;
use crate::pins::Pins;
use rackside_tests::clock::eventually;
use rackside_tests::programs;
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long QEMU may take for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// QEMU.
#[derive(Debug)]
struct Emulator(Child);

/// A running board.
#[derive(Debug)]
pub(crate) struct Board {
    emulator: Emulator,
    /// Its serial line.
    pub(crate) console: Console,
    /// Its header.
    pub(crate) pins: Pins,
    monitor: BufReader<UnixStream>,
    // Last, so that it goes after the process that has it open.
    card: Card,
}

impl Board {
    /// Switches one on, and waits until it has its modules and its address: 10.0.2.15, to which the host's loopback is 10.0.2.2.
    pub(crate) fn boot(card: Card) -> Self {
        static BOOTING: Mutex<()> = Mutex::new(());
        // Booting is work, what follows is waiting: one after the other they are all up sooner.
        let _turn = BOOTING.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = |name: &str| card.directory().join(name);
        let server = |name: &str| format!("unix:{},server=on,wait=off", socket(name).display());
        let log = File::create(card.directory().join("qemu.log")).expect("the directory can be written");
        let mut command = Command::new(programs::installed("qemu-system-aarch64"));
        command.args(["-M", "raspi3b", "-accel", "tcg,thread=single", "-display", "none", "-no-reboot"]);
        command
            .arg("-kernel")
            .arg(Card::kernel())
            .arg("-dtb")
            .arg(card.tree())
            .arg("-initrd")
            .arg(card.archive());
        // Linux knows the second one as ttyS1; the first one belongs to Bluetooth.
        command.args(["-chardev", "stdio,id=line,signal=off", "-serial", "null", "-serial", "chardev:line"]);
        command.args(["-netdev", "user,id=cable", "-device", "usb-net,netdev=cable"]);
        command.args(["-monitor", "none", "-qmp", &server("qmp"), "-qtest", &server("qtest")]);
        command.args(["-qtest-log", "none"]);
        // rppal opens /dev/mem where there is no /dev/gpiomem, which only the foundation's own kernels have.
        command.args(["-append", "console=ttyS1,115200 loglevel=4 panic=-1 iomem=relaxed"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut emulator = Emulator(command.spawn().expect("it is installed, so it starts"));
        let child = &mut emulator.0;
        let (down, up) =
            (child.stdin.take().expect("it was piped"), child.stdout.take().expect("it was piped"));
        let console = Console::new(down, up);
        let pins = Pins::new(connect(child, &socket("qtest")));
        let mut monitor = BufReader::new(connect(child, &socket("qmp")));
        let mut greeting = String::new();
        monitor.read_line(&mut greeting).expect("QEMU greets");
        let mut board = Self { emulator, console, pins, monitor, card };
        board.ask(&json!({ "execute": "qmp_capabilities" }));
        board.console.booted();
        for module in Card::modules() {
            board.console.order(format_args!("insert /lib/modules/{module}.ko"));
        }
        board.console.order("network 10.0.2.15 24 10.0.2.2");
        board
    }

    /// Pulls the network cable. The board sees no difference but silence, as behind a switch.
    pub(crate) fn pull(&mut self) {
        self.ask(&json!({ "execute": "set_link", "arguments": { "name": "cable", "up": false } }));
    }

    /// Puts it back.
    pub(crate) fn put_back(&mut self) {
        self.ask(&json!({ "execute": "set_link", "arguments": { "name": "cable", "up": true } }));
    }

    /// Switches it off in good order; QEMU's exit status.
    pub(crate) fn off(mut self) -> ExitStatus {
        self.console.order("off");
        let ended = eventually(PATIENCE, || self.emulator.0.try_wait().expect("it can be asked"));
        ended.unwrap_or_else(|| panic!("it does not go off\n{}", self.console.last_words()))
    }

    /// What it said last, for a failure's message.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.card.directory().join("qemu.log")).unwrap_or_default();
        format!("{}\n{log}", self.console.last_words())
    }

    /// Has QEMU's monitor do something, and waits until it has.
    fn ask(&mut self, what: &Json) {
        writeln!(self.monitor.get_mut(), "{what}").expect("QEMU listens");
        let mut line = String::new();
        while self.monitor.read_line(&mut line).expect("QEMU answers") > 0 {
            let said: Json = serde_json::from_str(&line).unwrap_or_default();
            assert!(said.get("error").is_none(), "{what}: {line}");
            // What happened meanwhile is told as well.
            if said.get("return").is_some() {
                return;
            }
            line.clear();
        }
        panic!("{what}: QEMU is gone\n{}", self.last_words());
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let Self(child) = self;
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn connect(child: &mut Child, socket: &Path) -> UnixStream {
    let stream = eventually(PATIENCE, || {
        let ended = child.try_wait().ok().flatten();
        assert!(ended.is_none(), "QEMU ends at once: {ended:?}");
        UnixStream::connect(socket).ok()
    });
    let stream = stream.unwrap_or_else(|| panic!("QEMU does not listen on {}", socket.display()));
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
    stream
}
