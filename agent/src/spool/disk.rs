//! What the spool asks of a disk, and the disk that machines have: a directory of append-only files.
//!
//! The trait is as narrow as the spool's habits: files are made, appended to, synced, read and removed, never rewritten or
//! renamed. So the disk for tests (`cut`) can say for every byte whether a power cut may take it.
//!
//! Not here: what is in the files (`layout`) and which file is next ([`Spool`](super::Spool)).
//!
//! ```text
//! /var/lib/rackside/spool/arena-north/rack-1/lock
//! /var/lib/rackside/spool/arena-north/rack-1/0000000000000001-7a3f01bc.seg
//! ```

use super::layout::Label;
use rackside_proto::{AgentName, Id};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fsync, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// More other names than this are not listed.
const LEFTOVERS_MOST: usize = 32;

/// A directory of append-only files.
///
/// What [`append`](Self::append) wrote is there after a power cut only if [`sync`](Self::sync) returned since; a file that was
/// made is there only if [`sync_directory`](Self::sync_directory) returned since; one that was removed may come back.
pub trait Disk: fmt::Debug + Send {
    /// The names of the files, in any order.
    fn list(&mut self) -> io::Result<Vec<String>>;
    /// Makes an empty file, which must not exist.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Adds to the end of a file made by [`create`](Self::create). After an error any part of it may be there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Returns when the file's bytes are on the medium.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Returns when the files that were made are in the directory on the medium.
    fn sync_directory(&mut self) -> io::Result<()>;
    /// Reads up to `into.len()` bytes from `offset`; fewer only at the end.
    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// How many bytes the file has.
    fn length(&mut self, name: &str) -> io::Result<u64>;
    /// Removes a file. Not synced: whoever removes does not mind if it comes back.
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// The agent's own directory on a real disk. Held under a lock as long as this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    directory: OwnedFd,
    /// Keeps other agents out.
    _lock: OwnedFd,
    /// The file that is appended to.
    writing: Option<(String, File)>,
    /// The file that was read last.
    reading: Option<(String, File)>,
}

impl Folder {
    /// Opens, and makes if need be, `<state>/spool/<site>/<appliance>`. `state` exists. What is there is opened on a read-only
    /// file system, too: it can be read and sent.
    pub fn open(state: &Path, agent: &AgentName) -> Result<Self, FolderError> {
        let path = path(state, agent);
        let failed = |doing: &'static str| {
            let path = path.clone();
            move |error: Errno| FolderError::Io { doing, path, error: error.into() }
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut directory = rustix::fs::open(state, flags, Mode::empty()).map_err(failed("open"))?;
        for name in ["spool", agent.site.as_str(), agent.appliance.as_str()] {
            match mkdirat(&directory, name, Mode::RWXU) {
                Ok(()) => fsync(&directory).map_err(failed("sync"))?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("make")(error)),
            }
            // Nobody may lead us elsewhere by a link.
            directory =
                openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed("open"))?;
        }
        let readable = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let lock = match openat(&directory, "lock", flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::ROFS) => openat(&directory, "lock", readable, Mode::empty()),
            lock => lock,
        };
        let lock = lock.map_err(failed("lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(FolderError::Taken { path }),
            Err(error) => return Err(failed("lock")(error)),
        }
        Ok(Self { path, directory, _lock: lock, writing: None, reading: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn reader(&mut self, name: &str) -> io::Result<&File> {
        if self.reading.as_ref().is_none_or(|(open, _)| open != name) {
            // A pipe of that name must not hold us up.
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let file = openat(&self.directory, name, flags, Mode::empty())?;
            self.reading = None;
            return Ok(&self.reading.insert((name.to_owned(), file.into())).1);
        }
        self.reading.as_ref().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn writer(&mut self, name: &str) -> io::Result<&mut File> {
        match &mut self.writing {
            Some((open, file)) if open == name => Ok(file),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "only the newest file is written")),
        }
    }
}

impl Disk for Folder {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR)?;
        self.writing = Some((name.to_owned(), file.into()));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.writer(name)?;
        // Somebody removed it: what goes there goes nowhere.
        if file.metadata()?.nlink() == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        file.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        match &self.writing {
            Some((open, file)) if open == name => file.sync_data(),
            // Linux syncs the file, however it was opened.
            _ => self.reader(name)?.sync_data(),
        }
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        Ok(fsync(&self.directory)?)
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.reader(name)?;
        let mut read = 0;
        while let Some(rest) = into.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn length(&mut self, name: &str) -> io::Result<u64> {
        let found = self.reader(name)?.metadata()?;
        if found.is_file() { Ok(found.len()) } else { Err(io::Error::other("it is not a file")) }
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.writing.take_if(|(open, _)| open == name);
        self.reading.take_if(|(open, _)| open == name);
        Ok(unlinkat(&self.directory, name, AtFlags::empty())?)
    }
}

/// Where an agent's records are under a state directory.
pub fn path(state: &Path, agent: &AgentName) -> PathBuf {
    state.join("spool").join(agent.site.as_str()).join(agent.appliance.as_str())
}

/// Records under a state directory that were made under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// That name.
    pub agent: AgentName,
    /// How many segments there are.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, segments, bytes } = self;
        write!(
            f,
            "{bytes} bytes in {segments} segments were recorded as {agent}; they are sent when this machine is that again"
        )
    }
}

/// What was recorded under other names than this. It stays: to send it as this agent's would be wrong.
pub fn leftovers(state: &Path, own: &AgentName) -> Vec<Leftover> {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let name = |entry: &std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse().ok());
    let mut found = Vec::new();
    for (site, at_site) in
        entries(&state.join("spool")).filter_map(|entry| Some((name(&entry)?, entry.path())))
    {
        for appliance in entries(&at_site).filter_map(|entry| name(&entry)) {
            let agent = AgentName { site: Id::clone(&site), appliance };
            let files = entries(&path(state, &agent))
                .filter(|file| file.file_name().to_str().is_some_and(|name| Label::parse(name).is_some()));
            let (mut segments, mut bytes) = (0, 0);
            for file in files {
                segments += 1;
                bytes += file.metadata().map_or(0, |found| found.len());
            }
            if agent != *own && segments > 0 && found.len() < LEFTOVERS_MOST {
                found.push(Leftover { agent, segments, bytes });
            }
        }
    }
    found
}

/// Why a [`Folder`] cannot be had.
#[derive(Debug)]
pub enum FolderError {
    /// Another agent of that name runs on this machine and state directory.
    Taken {
        /// The directory that it holds.
        path: PathBuf,
    },
    /// The system refused.
    Io {
        /// What was tried: `open`, `make`, `lock`, `sync`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { path } => write!(
                f,
                "{} is in use by another rackside-agent; stop it, or give this one a state directory or a name of its own",
                path.display()
            ),
            Self::Io { doing, path, error } => write!(f, "cannot {doing} {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for FolderError {}
