//! Where the identity is: two files in the state directory, of mode 0600, each written whole or not at all.
//!
//! `joining.pem` is the key of a box that asks and has no answer yet: an answer may get lost, and the same code gives the same key its answer
//! again. `identity.toml` is all that a joined box has. Nothing else is written, and these only when something is joined or renewed.
//!
//! Invariant: whenever the power is cut, there is a whole identity or none, and the key of a question that was asked is not lost.
//!
//! ```text
//! joining.pem        the key is made            ┐ the hub is asked, perhaps many times
//! identity.toml.new  written, synced, renamed   ┤ identity.toml
//! joining.pem        removed                    ┘
//! ```

use super::identity::{Identity, pem};
use rackside_config::ConfigError;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What a joined box has.
pub const IDENTITY: &str = "identity.toml";
/// The key of one that asks.
const JOINING: &str = "joining.pem";

/// Why the state directory takes no identity.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    why: io::Error,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why } = self;
        write!(f, "{} cannot be written: {why}; ", path.display())?;
        f.write_str(match why.kind() {
            ErrorKind::PermissionDenied => "run this as root (sudo), or name another directory with --state",
            ErrorKind::ReadOnlyFilesystem => {
                "an identity outlives a restart on a disk that can be written only"
            }
            ErrorKind::StorageFull => "make room there",
            _ => "look at that directory, or name another one with --state",
        })
    }
}

impl std::error::Error for StoreError {}

/// The state directory, as far as it is about the identity.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// That in a state directory, which need not be there.
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where the identity is, or would be.
    pub fn path(&self) -> PathBuf {
        self.directory.join(IDENTITY)
    }

    /// The state directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The identity, if this box has joined.
    pub fn read(&self) -> Result<Option<Identity>, ConfigError> {
        let path = self.path();
        match fs::read_to_string(&path) {
            Ok(text) => Identity::parse(&text, &path.display().to_string()).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ConfigError::unreadable(&path, &error)),
        }
    }

    /// The key to ask with: that of a question that had no answer, else a new one, which is on the disk when this returns. One that an identity has
    /// already is not used again.
    pub(super) fn key(&self, joined: Option<&Identity>) -> Result<Vec<u8>, StoreError> {
        let path = self.directory.join(JOINING);
        let kept = fs::read(&path).ok().and_then(|pem| PrivatePkcs8KeyDer::from_pem_slice(&pem).ok());
        let is_fresh = |key: &Vec<u8>| {
            let is_key =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key, &SystemRandom::new()).is_ok();
            is_key && joined.is_none_or(|joined| joined.key != *key)
        };
        if let Some(kept) = kept.map(|kept| kept.secret_pkcs8_der().to_vec()).filter(is_fresh) {
            return Ok(kept);
        }
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let made = made.map_err(|_| StoreError {
            path: path.clone(),
            why: io::Error::other("the system gives no random numbers"),
        })?;
        self.put(JOINING, pem("PRIVATE KEY", made.as_ref()).as_bytes())?;
        Ok(made.as_ref().to_vec())
    }

    /// Keeps what was granted.
    pub(super) fn write(&self, identity: &Identity) -> Result<(), StoreError> {
        self.put(IDENTITY, identity.text().as_bytes())?;
        // Left behind, it is known for what it is.
        let _ = fs::remove_file(self.directory.join(JOINING));
        Ok(())
    }

    /// Writes a file whole: beside it first, then in its place, synced. It belongs to whom the directory belongs: root joins, and a service reads.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.directory.join(name);
        let put = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
            let beside = self.directory.join(format!("{name}.new"));
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            give(&file, &self.directory)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        put().map_err(|why| StoreError { path: path.clone(), why })
    }
}

impl Store {
    /// Puts a file in the place of another.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let path = self.directory.join(to);
        let rename = || {
            fs::rename(self.directory.join(from), &path)?;
            File::open(&self.directory)?.sync_all()
        };
        rename().map_err(|why| StoreError { path: path.clone(), why })
    }
}

/// Gives the file to the owner of the directory, if we are somebody else.
fn give(file: &File, directory: &Path) -> io::Result<()> {
    let (owner, own) = (fs::metadata(directory)?, file.metadata()?);
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) && rustix::process::geteuid().is_root() {
        let (user, group) = (rustix::fs::Uid::from_raw(owner.uid()), rustix::fs::Gid::from_raw(owner.gid()));
        rustix::fs::fchown(file, Some(user), Some(group))?;
    }
    Ok(())
}
