//! Secrets: where they are, never what they are.
//!
//! A configuration file says `password = { file = "/etc/rackside/password" }` or `{ env = "RACKSIDE_PASSWORD" }`; a
//! secret that stands in the file itself is refused, because such files are shown, mailed and committed.

use crate::ConfigError;
use rustix::fs::FsWord;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::env::VarError;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Where a secret is. Reading it is a step of its own, so that each reload reads it afresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret(Source);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Env(String),
}

/// A secret that was read: not empty, without the line end that editors put there. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// More than any password or token; a path that leads to something else by mistake ends here.
const LONGEST: u64 = 64 * 1024;
/// File systems whose files have no permissions of their own (`statfs(2)`): FAT, which a Pi's boot partition is, and exFAT.
const WITHOUT_PERMISSIONS: [FsWord; 2] = [0x4d44, 0x2011_bab0];
/// Where systemd puts a unit's credentials (`systemd.exec(5)`).
const HANDED_ON: &str = "/run/credentials";
const ELSEWHERE: &str = "a secret does not belong in this file; \
                         write { file = \"/path/of/the/secret\" } or { env = \"NAME\" }";

impl Secret {
    /// A secret in a file that not everybody may read.
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// A secret in an environment variable.
    pub fn in_env(name: impl Into<String>) -> Self {
        Self(Source::Env(name.into()))
    }

    /// The file that it is in, if that is on a file system without permissions: everybody with an account on this machine may
    /// read it, and whoever takes the card. There it is allowed all the same, because nobody could do it better there.
    pub fn exposed(&self) -> Option<&Path> {
        let Source::File(path) = &self.0 else { return None };
        let file = File::open(path).ok()?;
        (is_open_to_all(&file) && !has_permissions(&file)).then_some(path)
    }

    /// The file that it is in, if root alone may read it there: who asks as root then finds it, and a service that runs as a user
    /// of its own does not. What systemd hands on is not meant: who may read that, an access list says.
    pub fn of_root_alone(&self) -> Option<&Path> {
        let Source::File(path) = &self.0 else { return None };
        let found = std::fs::metadata(path).ok()?;
        (!path.starts_with(HANDED_ON) && is_of_root_alone(found.uid(), found.gid(), found.mode()))
            .then_some(path)
    }

    /// Reads the secret.
    pub fn read(&self) -> Result<SecretText, ConfigError> {
        match &self.0 {
            Source::File(path) => read_file(path),
            Source::Env(name) => {
                let told = format!("environment variable {name}");
                let text = std::env::var(name).map_err(|error| match error {
                    VarError::NotPresent => ConfigError::file(&told, "is not set; it should hold a secret"),
                    VarError::NotUnicode(_) => ConfigError::file(&told, "is not UTF-8 text"),
                })?;
                SecretText::of(text, &told)
            }
        }
    }
}

/// Whether a file with this owner, group and mode is for nobody but root.
const fn is_of_root_alone(owner: u32, group: u32, mode: u32) -> bool {
    owner == 0 && mode & 0o004 == 0 && (group == 0 || mode & 0o040 == 0)
}

/// Whether everybody may read it.
fn is_open_to_all(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

/// Whether its file system knows permissions, so that they could be other ones.
fn has_permissions(file: &File) -> bool {
    !rustix::fs::fstatfs(file).is_ok_and(|found| WITHOUT_PERMISSIONS.contains(&found.f_type))
}

fn read_file(path: &Path) -> Result<SecretText, ConfigError> {
    let told = path.display().to_string();
    let unreadable = |error: io::Error| ConfigError::unreadable(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if found.is_dir() {
        return Err(ConfigError::file(told, "is a directory; name the file with the secret in it"));
    }
    if is_open_to_all(&file) && has_permissions(&file) {
        return Err(ConfigError::file(
            &told,
            format_args!("everybody may read this secret; run: chmod 600 {told}"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(ConfigError::file(told, "is longer than 64 KiB, which is no secret"));
    }
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::file(&told, "is not UTF-8 text"))?;
    SecretText::of(text, &told)
}

impl SecretText {
    fn of(mut text: String, told: &str) -> Result<Self, ConfigError> {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        if text.is_empty() {
            Err(ConfigError::file(told, "is empty; it should hold a secret"))
        } else {
            Ok(Self(text))
        }
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

/// Refuses whatever is not a table without showing it, as serde's own messages would.
struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ file = \"/path/of/the/secret\" } or { env = \"NAME\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let mut source = None;
        while let Some(key) = map.next_key::<String>()? {
            let next = match key.as_str() {
                "file" => Source::File(map.next_value()?),
                "env" => Source::Env(map.next_value()?),
                _ => return Err(A::Error::custom(ELSEWHERE)),
            };
            if source.replace(next).is_some() {
                return Err(A::Error::custom("both `file` and `env` are given; keep one of them"));
            }
        }
        source.map(Secret).ok_or_else(|| A::Error::custom(ELSEWHERE))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secret, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Err(A::Error::custom(ELSEWHERE))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Secret, E> {
        Err(E::custom(ELSEWHERE))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(ELSEWHERE))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(ELSEWHERE))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(ELSEWHERE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A file of its own in a directory that goes away.
    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    fn refusal(content: &[u8], mode: u32) -> String {
        let (_directory, path) = file(content, mode);
        let error = Secret::in_file(&path).read().expect_err("not a good secret").to_string();
        error.replace(path.to_str().unwrap(), "/secret")
    }

    #[test]
    fn a_secret_loses_its_line_end_and_nothing_else() {
        for (content, secret) in [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), (" s 3 ", " s 3 ")] {
            let (_directory, path) = file(content.as_bytes(), 0o640);
            assert_eq!(Secret::in_file(path).read().unwrap().expose(), secret);
        }
    }

    #[test]
    fn a_secret_that_everybody_may_read_is_refused() {
        assert_eq!(
            refusal(b"s3cret", 0o644),
            "/secret: everybody may read this secret; run: chmod 600 /secret"
        );
    }

    #[test]
    fn what_has_permissions_is_not_said_to_have_none() {
        for mode in [0o600, 0o644] {
            let (_directory, path) = file(b"s3cret", mode);
            assert_eq!(Secret::in_file(path).exposed(), None);
        }
        assert_eq!(Secret::in_env("RACKSIDE_NO_SUCH_SECRET").exposed(), None);
    }

    #[test]
    fn a_file_is_of_root_alone_when_no_user_and_no_group_but_roots_may_read_it() {
        for (owner, group, mode) in [(0, 0, 0o600), (0, 0, 0o640), (0, 995, 0o100_600), (0, 0, 0o400)] {
            assert!(is_of_root_alone(owner, group, mode), "{owner}:{group} {mode:o}");
        }
        for (owner, group, mode) in [(995, 0, 0o600), (0, 995, 0o640), (0, 0, 0o644), (995, 995, 0o100_600)] {
            assert!(!is_of_root_alone(owner, group, mode), "{owner}:{group} {mode:o}");
        }
        assert_eq!(Secret::in_file("/nowhere/secret").of_root_alone(), None);
        assert_eq!(Secret::in_env("RACKSIDE_NO_SUCH_SECRET").of_root_alone(), None);
    }

    #[test]
    fn a_directory_is_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let error = Secret::in_file(directory.path().to_owned()).read().unwrap_err().to_string();
        let told = directory.path().display();
        assert_eq!(error, format!("{told}: is a directory; name the file with the secret in it"));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert_eq!(refusal(b"\n", 0o600), "/secret: is empty; it should hold a secret");
    }

    #[test]
    fn what_is_no_text_is_refused_and_not_shown() {
        assert_eq!(refusal(b"\xff\xfe", 0o600), "/secret: is not UTF-8 text");
        assert_eq!(refusal(&vec![b'a'; 70_000], 0o600), "/secret: is longer than 64 KiB, which is no secret");
    }

    #[test]
    fn a_missing_secret_is_named() {
        assert_eq!(
            Secret::in_file("/nowhere/secret").read().unwrap_err().to_string(),
            "/nowhere/secret: cannot be read: No such file or directory (os error 2)"
        );
        assert_eq!(
            Secret::in_env("RACKSIDE_NO_SUCH_SECRET").read().unwrap_err().to_string(),
            "environment variable RACKSIDE_NO_SUCH_SECRET: is not set; it should hold a secret"
        );
    }

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        let (_directory, path) = file(b"hunter2", 0o600);
        let text = Secret::in_file(path).read().unwrap();
        assert_eq!(format!("{text:?}"), "SecretText(..)");
    }
}
