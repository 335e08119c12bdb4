//! What the disk has of the hub's configuration: files in the state directory, of mode 0600, each written whole or not at all. The text stands as it came, so that its
//! lines are those that errors name; the last line says what it is.
//!
//! ```text
//! configuration.trial.toml     written before it is tried ─┬─ renamed ─► configuration.toml           it counts
//!                                                          └─ renamed ─► configuration.failed.toml    it is not tried again
//!
//! tick = "5s"
//! # revision 7 for arena-north/rack-1 by the hub 00112233445566778899aabbccddeeff
//! ```
//!
//! A trial that is there at a start was cut short: it is given up. So a box that somebody switches off and on because it is not heard any more comes back with
//! what it ran on before.

use super::Handed;
use crate::join::{Identity, Store, StoreError};
use std::fs;
use std::path::PathBuf;

const COUNTS: &str = "configuration.toml";
const TRIAL: &str = "configuration.trial.toml";
const FAILED: &str = "configuration.failed.toml";
/// How the last line begins.
const MARK: &str = "\n# revision ";
/// As long as two of the longest: a file that is longer is none of ours.
const LONGEST: u64 = 2 * rackside_proto::limits::CONFIGURATION as u64;

/// The files of one box.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    store: Store,
    /// What stands behind the revision in the last line: another box's, or another hub's, does not count.
    whose: String,
}

impl Kept {
    /// In this state directory.
    pub(crate) fn new(directory: PathBuf, identity: &Identity) -> Self {
        let hub = u128::from_be_bytes(identity.fingerprint);
        Self { store: Store::new(directory), whose: format!(" for {} by the hub {hub:032x}", identity.name) }
    }

    fn read(&self, file: &str) -> Option<Handed> {
        let path = self.store.directory().join(file);
        if fs::metadata(&path).ok()?.len() > LONGEST {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        let (text, mark) = text.rsplit_once(MARK)?;
        let revision = mark.trim_end().strip_suffix(&self.whose)?.parse().ok()?;
        Some(Handed { revision, text: text.into() })
    }

    /// What counts.
    pub(crate) fn counts(&self) -> Option<Handed> {
        self.read(COUNTS)
    }

    /// The newest revision that was given up; 0 for none.
    pub(crate) fn failed(&self) -> u32 {
        self.read(FAILED).map_or(0, |failed| failed.revision)
    }

    /// Writes down what is about to be tried.
    pub(crate) fn put(&self, handed: &Handed) -> Result<(), StoreError> {
        let Handed { revision, text } = handed;
        self.store.put(TRIAL, format!("{text}{MARK}{revision}{}\n", self.whose).as_bytes())
    }

    /// What was tried counts.
    pub(crate) fn keep(&self) -> Result<(), StoreError> {
        self.store.rename(TRIAL, COUNTS)
    }

    /// What was tried is given up. Says which it was, if there was one.
    pub(crate) fn give_up(&self) -> Result<Option<u32>, StoreError> {
        let Some(tried) = self.read(TRIAL) else { return Ok(None) };
        self.store.rename(TRIAL, FAILED).map(|()| Some(tried.revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::joined;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn handed(revision: u32, text: &str) -> Handed {
        Handed { revision, text: text.into() }
    }

    fn kept(directory: &Path) -> (Kept, Identity) {
        let (identity, _) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        (Kept::new(directory.join("state"), &identity), identity)
    }

    fn files(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory.join("state")).into_iter().flatten().flatten();
        let mut files: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        files
    }

    #[test]
    fn what_is_tried_counts_or_is_given_up() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (kept, _) = kept(dir.path());
        assert_eq!((kept.counts(), kept.failed(), kept.give_up().expect("nothing to do")), (None, 0, None));
        let texts = ["tick = \"5s\"\n", "", "no line's end", "# revision 9 for x\n"];
        for (text, revision) in texts.into_iter().zip(1..) {
            kept.put(&handed(revision, text)).expect("written");
            assert_eq!(kept.counts().map_or(0, |counts| counts.revision), revision - 1, "it is on trial");
            kept.keep().expect("renamed");
            assert_eq!(kept.counts(), Some(handed(revision, text)));
        }
        assert_eq!(files(dir.path()), [COUNTS]);
        let mode =
            fs::metadata(dir.path().join("state").join(COUNTS)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        kept.put(&handed(8, "tick = \"6s\"\n")).expect("written");
        assert_eq!(kept.give_up().expect("renamed"), Some(8));
        assert_eq!((kept.counts().map(|counts| counts.revision), kept.failed()), (Some(4), 8));
        assert_eq!(files(dir.path()), [FAILED, COUNTS]);
    }

    #[test]
    fn what_is_not_whole_or_of_another_box_or_hub_does_not_count() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (kept, identity) = kept(dir.path());
        kept.put(&handed(7, "tick = \"5s\"\n")).expect("written");
        kept.keep().expect("renamed");
        let path = dir.path().join("state").join(COUNTS);
        let whole = fs::read_to_string(&path).expect("it is there");
        let name = rackside_proto::AgentName::new("arena-north", "rack-2").expect("a name");
        for other in [Identity { fingerprint: [9; 16], ..identity.clone() }, Identity { name, ..identity }] {
            assert_eq!(Kept::new(dir.path().join("state"), &other).counts(), None);
        }
        for end in 0..whole.len() - 1 {
            fs::write(&path, &whole[..end]).expect("written");
            assert_eq!(kept.counts(), None, "cut at {end}");
        }
        fs::write(&path, format!("{}{whole}", " ".repeat(LONGEST as usize))).expect("written");
        assert_eq!(kept.counts(), None, "too long");
        fs::write(&path, [0xff; 100]).expect("written");
        assert_eq!(kept.counts(), None, "no text");
    }
}
