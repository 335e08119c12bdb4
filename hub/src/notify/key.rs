//! The hub's own key, with which links in messages are signed: whoever was sent a link to an alert may acknowledge it, and nobody else.
//!
//! A signature is of one alert, since one moment, for one receiver: it says who was told, and is worth nothing when the alert fires again. The key
//! is 32 random bytes in `notify.key` in the data directory, for the hub's user alone; whoever deletes it makes all links worthless.
//!
//! Invariant: no `Debug` shows the key; signatures are compared in constant time.
//!
//! ```text
//! /alerts/274019e265251482?by=crew&since=1795145096120&key=3f0c…
//! ```

use data_encoding::HEXLOWER;
use rackside_notify::AlertId;
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// The file in the data directory.
const FILE: &str = "notify.key";
const BYTES: usize = 32;

/// The key. Cheap to clone.
#[derive(Clone)]
pub struct LinkKey(Arc<hmac::Key>);

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(..)")
    }
}

impl LinkKey {
    /// The key of this data directory, made if there is none. Without a disk it is one for this run: links that were sent then end with it.
    pub fn open(directory: &Path) -> Self {
        let bytes = Self::read(directory).unwrap_or_else(|error| {
            let path = directory.join(FILE);
            log::error!("{}: {error}; links in messages are good until this hub stops", path.display());
            random()
        });
        Self(Arc::new(hmac::Key::new(HMAC_SHA256, &bytes)))
    }

    /// A key for this run alone.
    pub(crate) fn of_this_run() -> Self {
        Self(Arc::new(hmac::Key::new(HMAC_SHA256, &random())))
    }

    fn read(directory: &Path) -> io::Result<[u8; BYTES]> {
        let path = directory.join(FILE);
        let mut bytes = [0; BYTES];
        match OpenOptions::new().read(true).open(&path).and_then(|mut file| file.read_exact(&mut bytes)) {
            Ok(()) => Ok(bytes),
            // None yet, or cut short where the power went while it was made.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
                let bytes = random();
                let unfinished = directory.join(format!("{FILE}.new"));
                let mut options = OpenOptions::new();
                let mut file =
                    options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(&unfinished, &path)?;
                Ok(bytes)
            }
            Err(error) => Err(error),
        }
    }

    /// The signature in a link, for a receiver, to an alert that fires since then (milliseconds since 1970).
    pub fn sign(&self, alert: AlertId, since: i64, receiver: &str) -> String {
        let tag = hmac::sign(&self.0, text(alert, since, receiver).as_bytes());
        HEXLOWER.encode(tag.as_ref())
    }

    /// Whether it is that.
    pub fn signed(&self, alert: AlertId, since: i64, receiver: &str, signature: &str) -> bool {
        let text = text(alert, since, receiver);
        HEXLOWER
            .decode(signature.as_bytes())
            .is_ok_and(|tag| hmac::verify(&self.0, text.as_bytes(), &tag).is_ok())
    }
}

fn text(alert: AlertId, since: i64, receiver: &str) -> String {
    format!("acknowledge\n{alert}\n{since}\n{receiver}")
}

fn random() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes: TLS stands on it as well");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_signature_is_good_for_one_alert_one_moment_one_receiver_and_over_a_restart() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let key = LinkKey::open(directory.path());
        let (alert, other) = (AlertId(7), AlertId(8));
        let signature = key.sign(alert, 1000, "crew");
        let key = LinkKey::open(directory.path());
        assert!(key.signed(alert, 1000, "crew", &signature));
        for (alert, since, receiver) in [(other, 1000, "crew"), (alert, 1001, "crew"), (alert, 1000, "desk")]
        {
            assert!(!key.signed(alert, since, receiver, &signature), "{alert} {since} {receiver}");
        }
        for bad in [
            "",
            "00",
            &signature[2..],
            &format!("{signature}00"),
            "é",
            &signature.replace(char::is_numeric, "x"),
        ] {
            assert!(!key.signed(alert, 1000, "crew", bad), "{bad}");
        }
        let mode = std::fs::metadata(directory.path().join(FILE)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{key:?}").contains(&signature));
    }

    #[test]
    fn a_key_that_was_cut_short_is_made_anew_and_lasts() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::write(directory.path().join(FILE), [7; BYTES - 1]).expect("the directory can be written");
        let signature = LinkKey::open(directory.path()).sign(AlertId(7), 1, "crew");
        assert!(LinkKey::open(directory.path()).signed(AlertId(7), 1, "crew", &signature));
        assert!(!directory.path().join(format!("{FILE}.new")).exists());
    }

    #[test]
    fn another_hubs_links_are_not_ours() {
        let (one, other) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let signature = LinkKey::open(one.path()).sign(AlertId(7), 1, "crew");
        assert!(!LinkKey::open(other.path()).signed(AlertId(7), 1, "crew", &signature));
    }
}
