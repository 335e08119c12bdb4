//! A program that a probe starts: in a process group of its own, heard while it runs, and gone with its whole group when the probe's
//! time is over.
//!
//! Never through a shell. It sees `PATH`, `LC_ALL=C` and what its order adds, reads nothing unless given something (from memory: on no command line, in no file), is nicer than the agent by
//! [`NICENESS`], and dies with the agent, even by kill -9 (what it has started in its turn then loses its pipes only). No thread of its own:
//! the kernel's pidfd says when it has ended. Who wants a bound on what it says gives one: [`Child::output`] ends a program that says more.
//!
//! Invariant: when the [`Child`] is gone, so is every process of its group, and none is left as a zombie.
//!
//! ```text
//! Order::new("ffprobe").arg("-v").arg("error")…   →   Output { status: exit status: 1, out: "{…}", err: "rtmp://…: Connection refused", is_cut: false }
//! ```

use async_io::{Async, Timer};
use futures_lite::future;
use futures_lite::io::AsyncReadExt as _;
use log::debug;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The encoder on this box comes first.
pub const NICENESS: i32 = 10;
/// Where the kernel has no pidfd (before 5.3, or a sandbox that forbids it), it is asked so often.
const ASK: Duration = Duration::from_millis(50);
/// What is read at once.
const PIECE: usize = 4096;
/// What a pipe holds (Linux, pipe(7)).
const CAPACITY: usize = 65_536;
/// As systemd has it, when the agent itself was started without one.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to start.
#[derive(Debug, Clone)]
pub struct Order {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Option<Input>,
}

/// What a program reads. It may be secret, so it is not shown.
#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({} bytes)", self.0.len())
    }
}

impl Input {
    /// As a file that is in memory alone and has no name.
    fn as_file(&self) -> io::Result<Stdio> {
        let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
        file.write_all(&self.0)?;
        file.rewind()?;
        Ok(file.into())
    }
}

/// Why a program does not start, or cannot be waited for.
#[derive(Debug)]
pub struct ChildError {
    program: String,
    why: io::Error,
}

impl ChildError {
    /// Whether there is no such program.
    pub fn is_missing(&self) -> bool {
        self.why.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, why } = self;
        if self.is_missing() {
            write!(f, "{program} is not on this machine; install it")
        } else {
            write!(f, "cannot start {program}: {why}")
        }
    }
}

impl std::error::Error for ChildError {}

/// Which of a program's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipe {
    /// Its standard output.
    Out,
    /// Its standard error.
    Err,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub out: Vec<u8>,
    /// What it complained of.
    pub err: Vec<u8>,
    /// Whether it said more than it may, and was ended for that.
    pub is_cut: bool,
}

/// A program that runs. Dropped, it ends at once with its whole group.
#[derive(Debug)]
pub struct Child {
    program: String,
    process: Option<std::process::Child>,
    group: Pid,
    handle: Option<Async<OwnedFd>>,
    out: Option<Async<ChildStdout>>,
    err: Option<Async<ChildStderr>>,
}

impl Order {
    /// Starts `program`: a path, or a name that is looked for in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), environment: Vec::new(), input: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds to what it sees of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// What it reads from its standard input.
    #[must_use]
    pub fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = Some(Input(bytes));
        self
    }

    /// Starts it.
    pub fn spawn(&self) -> Result<Child, ChildError> {
        let program = self.program.to_string_lossy().into_owned();
        let failed = |why: io::Error| ChildError { program: program.clone(), why };
        let path = find(&self.program).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut command = Command::new(path);
        command.arg0(&self.program).args(&self.arguments).env_clear();
        command
            .env("PATH", search_path())
            .env("LC_ALL", "C")
            .envs(self.environment.iter().map(|(k, v)| (k, v)));
        let stdin = self.input.as_ref().map_or_else(|| Ok(Stdio::null()), Input::as_file).map_err(failed)?;
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        rackside_sys::bind_to_parent(&mut command, NICENESS);
        let mut process = command.spawn().map_err(failed)?;
        let (out, err) = (process.stdout.take(), process.stderr.take());
        let group = Pid::from_child(&process);
        let handle =
            pidfd_open(group, PidfdFlags::empty()).map_err(io::Error::from).and_then(Async::new).ok();
        // From here on, a failure ends what was started.
        let mut child =
            Child { program: program.clone(), process: Some(process), group, handle, out: None, err: None };
        child.out = out.map(Async::new).transpose().map_err(failed)?;
        child.err = err.map(Async::new).transpose().map_err(failed)?;
        Ok(child)
    }
}

/// What one moment of a running program brought.
enum Moved {
    Out(usize),
    Err(usize),
    Ended,
}

impl Child {
    /// Its process id, which is its group's as well.
    pub fn id(&self) -> u32 {
        self.group.as_raw_nonzero().get() as u32
    }

    /// Hears it until it ends, or until `hear` has heard enough; then it is ended. What its own children say after it has ended is not heard.
    pub async fn hear(
        mut self,
        mut hear: impl FnMut(Pipe, &[u8]) -> ControlFlow<()>,
    ) -> Result<ExitStatus, ChildError> {
        let (mut out_buffer, mut err_buffer) = (vec![0; PIECE], vec![0; PIECE]);
        loop {
            let out = async { Moved::Out(read(self.out.as_mut(), &mut out_buffer).await) };
            let err = async { Moved::Err(read(self.err.as_mut(), &mut err_buffer).await) };
            let ended = async {
                ended(self.handle.as_ref(), self.group).await;
                Moved::Ended
            };
            let flow = match future::or(err, future::or(out, ended)).await {
                Moved::Out(0) => {
                    self.out = None;
                    ControlFlow::Continue(())
                }
                Moved::Err(0) => {
                    self.err = None;
                    ControlFlow::Continue(())
                }
                Moved::Out(bytes) => hear(Pipe::Out, out_buffer.get(..bytes).unwrap_or_default()),
                Moved::Err(bytes) => hear(Pipe::Err, err_buffer.get(..bytes).unwrap_or_default()),
                Moved::Ended => {
                    self.kill();
                    rest(self.out.take().map(Async::into_inner), |bytes| hear(Pipe::Out, bytes));
                    rest(self.err.take().map(Async::into_inner), |bytes| hear(Pipe::Err, bytes));
                    ControlFlow::Break(())
                }
            };
            if flow.is_break() {
                break;
            }
            // One that says more and more is not the only one who is heard, and its time ends as well.
            future::yield_now().await;
        }
        self.kill();
        ended(self.handle.as_ref(), self.group).await;
        let mut process = self.process.take().expect("it is taken here and when dropped");
        process.wait().map_err(|why| ChildError { program: self.program.clone(), why })
    }

    /// Hears it to its end, and keeps what it says: of each output at most `most` bytes. One that says more is ended.
    pub async fn output(self, most: usize) -> Result<Output, ChildError> {
        let (mut out, mut err, mut is_cut) = (Vec::new(), Vec::new(), false);
        let hear = |pipe, bytes: &[u8]| {
            let kept = match pipe {
                Pipe::Out => &mut out,
                Pipe::Err => &mut err,
            };
            let room = most - kept.len();
            kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            is_cut |= bytes.len() > room;
            if is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let status = self.hear(hear).await?;
        Ok(Output { status, out, err, is_cut })
    }

    /// Ends the whole group. The leader is not waited for yet, so its number cannot belong to anybody else.
    fn kill(&self) {
        if self.process.is_some() {
            // Whoever has ended by himself is not there to be ended.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        let Some(mut process) = self.process.take() else { return };
        if matches!(process.try_wait(), Ok(Some(_))) {
            return;
        }
        let program = std::mem::take(&mut self.program);
        // It is dead in a moment, unless it hangs in a system call; either way the agent does not wait for it.
        let reap = smol::unblock(move || match process.wait() {
            Ok(status) => debug!("{program} was ended: {status}"),
            Err(error) => debug!("{program} was ended, and cannot be waited for: {error}"),
        });
        reap.detach();
    }
}

/// Bytes from a pipe that is open; 0 at its end.
async fn read<T>(pipe: Option<&mut Async<T>>, buffer: &mut [u8]) -> usize
where
    Async<T>: futures_lite::io::AsyncRead + Unpin,
{
    match pipe {
        // A pipe that cannot be read any more is as good as closed.
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => future::pending().await,
    }
}

/// What is left in a pipe whose writer has ended, and no more than that can be: somebody who left the group may hold it open, or go on
/// writing.
fn rest(pipe: Option<io::Result<impl io::Read>>, mut hear: impl FnMut(&[u8]) -> ControlFlow<()>) {
    let Some(Ok(mut pipe)) = pipe else { return };
    let (mut buffer, mut room) = (vec![0; PIECE], CAPACITY);
    while room > 0
        && let Ok(bytes @ 1..) = pipe.read(&mut buffer)
        && hear(buffer.get(..bytes).unwrap_or_default()).is_continue()
    {
        room = room.saturating_sub(bytes);
    }
}

/// Until the group's leader has ended. It stays a zombie, and its number its own.
async fn ended(handle: Option<&Async<OwnedFd>>, leader: Pid) {
    match handle {
        Some(handle) if handle.readable().await.is_ok() => {}
        _ => {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(leader), options), Ok(None)) {
                Timer::after(ASK).await;
            }
        }
    }
}

/// Where programs are looked for.
fn search_path() -> OsString {
    std::env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or_else(|| USUAL_PATH.into())
}

/// The file of a program: a path, or a name that is looked for in `PATH`.
pub fn find(program: &OsStr) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(Path::new(program).to_owned()).filter(is_program);
    }
    std::env::split_paths(&search_path()).map(|folder| folder.join(program)).find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::cell::Cell;
    use std::fs;

    fn shell(script: &str) -> Order {
        Order::new("sh").arg("-c").arg(script)
    }

    fn output(order: &Order, most: usize) -> Output {
        smol::block_on(order.spawn().expect("it starts").output(most)).expect("it ends")
    }

    /// Whether a process lives; a zombie does not.
    fn lives(pid: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    }

    fn gone_soon(pid: &str) -> bool {
        let end = Clock::now() + Duration::from_secs(10);
        while lives(pid) && Clock::now() < end {
            smol::block_on(Timer::after(Duration::from_millis(10)));
        }
        !lives(pid)
    }

    /// Starts a script whose first line is a process id, hears that, and drops it.
    fn dropped_after_its_first_line(script: &str) -> String {
        let (mut said, is_said) = (Vec::new(), Cell::new(false));
        let heard = shell(script).spawn().expect("it starts").hear(|_, bytes| {
            said.extend_from_slice(bytes);
            is_said.set(bytes.contains(&b'\n'));
            ControlFlow::Continue(())
        });
        let enough = async {
            while !is_said.get() {
                Timer::after(Duration::from_millis(5)).await;
            }
        };
        smol::block_on(future::or(async { panic!("it ended: {:?}", heard.await) }, enough));
        String::from_utf8(said).expect("text").trim().to_owned()
    }

    #[test]
    fn both_outputs_and_the_status_are_had() {
        let output = output(&shell("echo out; echo err >&2; exit 3"), 100);
        assert_eq!((output.out.as_slice(), output.err.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!((output.status.code(), output.is_cut), (Some(3), false));
    }

    #[test]
    fn who_says_more_than_he_may_is_ended() {
        let output = output(&Order::new("yes"), 10_000);
        assert_eq!((output.out.len(), output.is_cut), (10_000, true));
        assert!(!output.status.success());
    }

    #[test]
    fn one_output_that_is_full_does_not_hold_up_the_other() {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; echo end";
        let output = output(&shell(script), 1_000_000);
        assert_eq!((output.err.len(), output.out.len()), (300_000, 300_004));
    }

    #[test]
    fn the_whole_group_ends_with_the_drop() {
        let pid = dropped_after_its_first_line("sleep 1000 & echo $!; wait");
        assert!(pid.parse::<u32>().is_ok(), "{pid:?}");
        assert!(gone_soon(&pid), "the child's child {pid} lives");
    }

    #[test]
    fn a_childs_child_that_keeps_the_pipe_is_not_waited_for_and_ends() {
        let begun = Clock::now();
        let output = output(&shell("sleep 1000 & echo $!"), 100);
        assert!(Clock::now() - begun < Duration::from_secs(10));
        let pid = String::from_utf8(output.out).expect("text");
        assert!(gone_soon(pid.trim()), "{pid} lives");
    }

    #[test]
    fn one_that_left_the_group_and_says_more_and_more_is_not_heard_for_ever() {
        let child = shell("setsid yes & echo first").spawn().expect("it starts");
        let late = async {
            Timer::after(Duration::from_secs(10)).await;
            panic!("it is still heard");
        };
        // How much it says before the first one ends is up to the machine.
        let heard = child.hear(|_, _| ControlFlow::Continue(()));
        let status = smol::block_on(future::or(heard, late)).expect("it ends");
        assert!(status.success());
    }

    #[test]
    fn no_zombie_stays() {
        let pid = dropped_after_its_first_line("echo $$; exec sleep 1000");
        let end = Clock::now() + Duration::from_secs(10);
        while Path::new(&format!("/proc/{pid}")).exists() {
            assert!(Clock::now() < end, "{pid} is still there");
            smol::block_on(Timer::after(Duration::from_millis(10)));
        }
    }

    #[test]
    fn a_kernel_without_pidfd_is_asked_instead() {
        let mut child = shell("echo here; exit 4").spawn().expect("it starts");
        child.handle = None;
        let output = smol::block_on(child.output(100)).expect("it ends");
        assert_eq!((output.status.code(), output.out.as_slice()), (Some(4), &b"here\n"[..]));
    }

    #[test]
    fn it_sees_little_of_the_environment_and_reads_nothing() {
        let output = output(&shell("cat; env | cut -d= -f1 | sort | tr '\\n' ' '").env("VENUE", "x"), 1000);
        let seen = String::from_utf8(output.out).expect("text");
        let own = ["_", "OLDPWD", "PWD", "SHLVL"];
        let seen: Vec<&str> = seen.split_whitespace().filter(|name| !own.contains(name)).collect();
        assert_eq!(seen, ["LC_ALL", "PATH", "VENUE"]);
    }

    #[test]
    fn what_it_is_given_it_reads_and_nobody_sees() {
        let secret = "hunter2 ".repeat(100_000);
        let order = shell("cat; tr '\\0' ' ' < /proc/$$/cmdline; env; readlink /proc/self/fd/0")
            .input(secret.clone().into());
        let said = String::from_utf8(output(&order, 1_000_000).out).expect("text");
        let rest = said.strip_prefix(&secret).expect("all of it, and first");
        assert!(!rest.contains("hunter2") && rest.ends_with("/memfd:input (deleted)\n"), "{rest}");
        assert!(!format!("{order:?}").contains("hunter2"));
    }

    #[test]
    fn it_is_nice() {
        assert_eq!(output(&Order::new("nice"), 100).out, b"10\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Order::new("no-such-program").spawn().expect_err("there is none");
        assert!(error.is_missing());
        assert_eq!(error.to_string(), "no-such-program is not on this machine; install it");
        let error = Order::new("/etc/passwd").spawn().expect_err("no program");
        assert_eq!(error.to_string(), "/etc/passwd is not on this machine; install it");
    }
}
