//! Stories: alerts over virtual time, with mutes, shows and routes, and the exact list of messages that come of it. One file each in `stories/`.
//!
//! Every story is played four times: as it is; with the notifier saved and restored at every moment; with the policy loaded again at every moment; with
//! a step at every 20 seconds. The messages have to be the same. `UPDATE=1 cargo test -p rackside-notify --test scenarios` writes the messages
//! anew, to be read before they are committed.
//!
//! ```text
//! [policy]          as in hub.toml
//! [story]           moment, what happens
//! 1m5s  fires StreamDown site=hall severity=critical
//! [messages]        moment, receiver, status, group, alerts
//! 1m6s  crew firing all:{site="hall"} critical | StreamDown@hall firing
//! ```

mod player;
mod random;

mod world;

use std::fs;
use std::path::{Path, PathBuf};

use player::{Manner, Story};

fn stories() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/stories");
    let files = fs::read_dir(&folder).expect("the stories are there");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("readable").path()).collect();
    files.sort();
    files
}

#[test]
fn every_story_gives_its_messages_however_it_is_played() {
    let mut wrong = Vec::new();
    for file in stories() {
        let text = fs::read_to_string(&file).expect("a story is text");
        let story = Story::read(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let plain = story.play(Manner::Plain);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, story.with_messages(&plain)).expect("a story can be written");
            continue;
        }
        for manner in [Manner::Plain, Manner::Restored, Manner::Loaded, Manner::Often] {
            let played = story.play(manner);
            if played != story.messages {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                wrong.push(format!(
                    "{name}, {manner:?}:\n{}\nwanted:\n{}",
                    played.join("\n"),
                    story.messages.join("\n")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn there_are_stories() {
    assert!(stories().len() >= 12, "{:?}", stories());
}
