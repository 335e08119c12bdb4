//! Real processes of this machine, and a made-up table where none may be had.

use super::*;
use crate::probe::State;
use rackside_proto::metric::Metric;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn watch(keys: &str, table: Table) -> Watch {
    let settings: Process =
        rackside_config::parse(&format!("name = \"encoder\"\n{keys}"), "x").expect("a good table");
    settings.check().unwrap_or_else(|error| panic!("{error:?}"));
    Watch::new(settings, table)
}

/// This machine's, in the eyes of an agent that has not started the processes of these tests.
fn others() -> Table {
    Table { agent: u32::MAX, ..Table::default() }
}

fn value(outcome: &Outcome, metric: &'static Metric) -> Value {
    let mut of = outcome.samples.iter().filter(|sample| std::ptr::eq(sample.metric, metric));
    of.next().map_or(Value::Absent, |sample| sample.value)
}

/// A process that nobody else has started, by a word among its arguments.
fn sleeper(word: &str) -> Child {
    // It waits for its input, which ends with this test at the latest.
    let mut command = Command::new("sh");
    let child = command.args(["-c", "read never", word]).stdin(Stdio::piped()).spawn().expect("sh starts");
    // The kernel lets the parent go on before the new command line can be read.
    let line = format!("/proc/{}/cmdline", child.id());
    let end = Clock::now() + Duration::from_secs(10);
    while !fs::read_to_string(&line).unwrap_or_default().contains(word) && Clock::now() < end {
        std::thread::yield_now();
    }
    child
}

fn end(mut child: Child) {
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn a_command_that_dies_is_down_and_its_successor_is_a_restart() {
    let word = format!("watched-{}", std::process::id());
    let mut watch = watch(&format!("command = \"sh {word}\""), others());
    let now = Clock::now();
    assert!(matches!(watch.observe(None, now).state, State::Down(_)));
    let first = sleeper(&word);
    let seen = watch.observe(Some(u64::MAX / 1000), now);
    assert_eq!((seen.state.clone(), value(&seen, &metric::PROCESS_UP)), (State::Up, Value::Known(1)));
    assert!(matches!(value(&seen, &metric::PROCESS_MEMORY), Value::Known(1..)));
    assert!(matches!(value(&seen, &metric::PROCESS_UPTIME), Value::Known(1..)));
    end(first);
    let gone = watch.observe(None, now);
    assert_eq!(gone.state, State::Down("no process of sh runs with these arguments".to_owned()));
    assert_eq!(value(&gone, &metric::PROCESS_UP), Value::Known(0));
    let second = sleeper(&word);
    assert_eq!(value(&watch.observe(None, now), &metric::PROCESS_RESTARTS), Value::Known(1));
    end(second);
}

#[test]
fn what_starts_again_and_again_is_a_loop() {
    let word = format!("looping-{}", std::process::id());
    let mut watch = watch(&format!("command = \"sh {word}\"\nloop_restarts = 2"), others());
    let now = Clock::now();
    let loops: Vec<Value> = (0..4)
        .map(|_| {
            let child = sleeper(&word);
            let outcome = watch.observe(None, now);
            end(child);
            value(&outcome, &metric::PROCESS_LOOP)
        })
        .collect();
    assert_eq!(loops, [0, 0, 1, 1].map(Value::Known));
}

#[test]
fn a_pid_file_is_read_again_when_its_process_is_gone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("encoder.pid");
    let mut watch = watch(&format!("pid_file = \"{}\"", file.display()), Table::default());
    let mut state = || watch.observe(None, Clock::now()).state;
    assert!(matches!(state(), State::Down(why) if why.contains("No such file")));
    let child = sleeper("of-a-file");
    fs::write(&file, format!("{}\n", child.id())).expect("written");
    assert_eq!(state(), State::Up);
    end(child);
    assert!(matches!(state(), State::Down(why) if why.ends_with("names is gone")));
}

#[test]
fn a_pid_file_that_tells_no_number_says_nothing_of_its_process() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("encoder.pid");
    let mut watch = watch(&format!("pid_file = \"{}\"", file.display()), Table::default());
    // In the midst of being written, and written by somebody else.
    for content in ["", "soon\n", "\u{fffd}"] {
        fs::write(&file, content).expect("written");
        let outcome = watch.observe(None, Clock::now());
        assert!(matches!(&outcome.state, State::Unknown(why) if why.contains("encoder.pid")), "{content:?}");
        assert_eq!(value(&outcome, &metric::PROCESS_UP), Value::Unknown);
    }
    fs::remove_file(&file).expect("it is there");
    // Whoever may read everything, as root may, still cannot read a directory as a file.
    fs::create_dir(&file).expect("a directory");
    assert!(matches!(watch.observe(None, Clock::now()).state, State::Unknown(_)));
}

/// A table with these processes; number 1 among them unless others are hidden.
fn made_up(root: &Path, pids: &[u32]) -> Table {
    let table = Table { proc: root.join("proc"), cgroup: root.join("cgroup"), ..Table::default() };
    let _ = fs::remove_dir_all(&table.proc);
    for pid in pids {
        let place = table.proc.join(pid.to_string());
        fs::create_dir_all(&place).expect("a directory");
        let stat = format!("{pid} (x) S 1 1 1 0 -1 0 0 0 0 0 {pid} 0 0 0 20 0 1 0 {pid}00 0 16 0");
        fs::write(place.join("stat"), stat).expect("written");
    }
    table
}

fn members(root: &Path, pids: &str) {
    let place = root.join("cgroup/system.slice/encoder.service");
    fs::create_dir_all(&place).expect("a directory");
    fs::write(place.join("cgroup.procs"), pids).expect("written");
}

#[test]
fn a_unit_is_up_while_its_control_group_has_processes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut watch = watch("unit = \"encoder.service\"", made_up(dir.path(), &[1, 7, 8]));
    let now = Clock::now();
    let why = watch.observe(None, now).state;
    assert!(matches!(&why, State::Unknown(why) if why.contains("no control groups")), "{why:?}");
    members(dir.path(), "7\n8\n");
    let seen = watch.observe(Some(8000), now);
    assert_eq!(value(&seen, &metric::PROCESS_UP), Value::Known(1));
    assert_eq!(value(&seen, &metric::PROCESS_UPTIME), Value::Known(1), "the first of them began at 7 s");
    members(dir.path(), "");
    assert_eq!(watch.observe(None, now).state, State::Down("encoder.service has no process".to_owned()));
    members(dir.path(), "9\n");
    made_up(dir.path(), &[1, 9]);
    assert_eq!(value(&watch.observe(None, now), &metric::PROCESS_RESTARTS), Value::Known(1));
}

#[test]
fn where_others_are_hidden_a_unit_is_up_and_all_else_is_unknown() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    members(dir.path(), "7\n");
    let hidden = made_up(dir.path(), &[4242]);
    let seen = watch("unit = \"encoder.service\"", hidden.clone()).observe(None, Clock::now());
    assert_eq!((seen.state.clone(), value(&seen, &metric::PROCESS_UP)), (State::Up, Value::Known(1)));
    assert_eq!(value(&seen, &metric::PROCESS_RESTARTS), Value::Unknown);
    let seen = watch("command = \"ffmpeg\"", hidden).observe(None, Clock::now());
    assert!(matches!(&seen.state, State::Unknown(why) if why.contains("ProtectProc")), "{:?}", seen.state);
    assert_eq!(value(&seen, &metric::PROCESS_UP), Value::Unknown);
}

#[test]
fn what_the_agent_has_started_is_not_what_is_watched() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let table = Table { agent: 2, ..made_up(dir.path(), &[1, 2, 7, 8, 9]) };
    // Number, its parent, its group: a probe's program, what that has started in its turn, and the encoder.
    for (pid, parent, group) in [(7, 2, 7), (8, 7, 7), (9, 1, 1)] {
        let place = table.proc.join(pid.to_string());
        let stat = format!("{pid} (x) S {parent} {group} 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid}00 0 16 0");
        fs::write(place.join("stat"), stat).expect("written");
        fs::write(place.join("cmdline"), "ffmpeg\0-i\0rtmp://192.0.2.7/cam-1\0").expect("written");
    }
    let found = table.of_command(&["ffmpeg", "cam-1"]).map(|process| process.pid);
    assert_eq!(found, Some(9));
    fs::remove_dir_all(table.proc.join("9")).expect("it is there");
    assert_eq!(table.of_command(&["ffmpeg", "cam-1"]), None);
    // The leader of its group has ended, and nobody has heard so yet.
    let ended = "7 (x) Z 2 7 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 700 0 0 0";
    fs::write(table.proc.join("7/stat"), ended).expect("written");
    assert_eq!(table.of_command(&["ffmpeg", "cam-1"]), None);
}

#[test]
fn what_is_gone_for_long_is_searched_for_less_often() {
    let mut watch = watch("command = \"no-such-program\"", Table::default());
    let start = Clock::now();
    let searches = (0..60).filter(|second| watch.may_search(start + Duration::from_secs(*second))).count();
    assert_eq!(searches, 20);
}

#[test]
fn arguments_are_not_shown() {
    let settings: Process =
        rackside_config::parse("name = \"x\"\ncommand = \"ffmpeg live/hunter2\"", "x").expect("a good table");
    assert_eq!(settings.target(), "ffmpeg");
}
