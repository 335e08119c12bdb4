//! Where ffmpeg's progress comes from: a file that it writes, a named pipe, or a port of this box that it posts to.
//!
//! Nothing here waits: each look takes what is there, [`MOST`] bytes of it at most. A pipe is kept open for reading and writing, so that ffmpeg
//! can come and go; whoever posts last is heard. Invariant: what stood in a file before the first look is not heard.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Three minutes of progress; who says more than that in a second is no ffmpeg.
const MOST: usize = 64 * 1024;
/// Callers that are looked at in one look.
const CALLERS: usize = 4;

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Whether all that came before belongs to another ffmpeg.
    pub(super) is_anew: bool,
    pub(super) bytes: Vec<u8>,
    /// Whether ffmpeg has closed its connection.
    pub(super) hung_up: bool,
}

/// Where it comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A file, which one it was, and up to where it was read.
    File { path: PathBuf, read: Option<(u64, u64)> },
    /// A named pipe.
    Pipe { path: PathBuf, pipe: Option<File> },
    /// A port.
    Port { address: SocketAddr, listener: Option<TcpListener>, caller: Option<TcpStream> },
}

impl Source {
    pub(super) fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), read: None }
    }

    pub(super) const fn port(address: SocketAddr) -> Self {
        Self::Port { address, listener: None, caller: None }
    }

    /// Takes what is there; why nothing can be had, for people.
    pub(super) fn look(&mut self) -> Result<Heard, String> {
        if let Self::File { path, .. } = self
            && path.metadata().is_ok_and(|found| found.file_type().is_fifo())
        {
            *self = Self::Pipe { path: std::mem::take(path), pipe: None };
        }
        match self {
            Self::File { path, read } => {
                look_at_file(path, read).map_err(|why| format!("{}: {why}", path.display()))
            }
            Self::Pipe { path, pipe } => {
                look_at_pipe(path, pipe).map_err(|why| format!("{}: {why}", path.display()))
            }
            Self::Port { address, listener, caller } => look_at_port(*address, listener, caller)
                .map_err(|why| format!("cannot listen on {address}: {why}")),
        }
    }

    /// The port that it listens on, once it does.
    #[cfg(test)]
    pub(super) fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Port { listener: Some(listener), .. } => listener.local_addr().ok(),
            _ => None,
        }
    }
}

fn look_at_file(path: &Path, read: &mut Option<(u64, u64)>) -> io::Result<Heard> {
    let mut heard = Heard::default();
    let mut file = match File::open(path) {
        Ok(file) => file,
        // It may come; all of it will be new.
        Err(why) if why.kind() == ErrorKind::NotFound => {
            *read = Some((0, 0));
            return Ok(heard);
        }
        Err(why) => return Err(why),
    };
    let found = file.metadata()?;
    let (inode, length) = (found.ino(), found.len());
    let from = match *read {
        None => length,
        Some((before, at)) if before == inode && at <= length => at,
        Some(_) => {
            heard.is_anew = true;
            0
        }
    };
    // What is too much to be read is passed over, but for its end.
    let from = from.max(length.saturating_sub(MOST as u64));
    file.seek(SeekFrom::Start(from))?;
    file.take(MOST as u64).read_to_end(&mut heard.bytes)?;
    *read = Some((inode, from + heard.bytes.len() as u64));
    Ok(heard)
}

fn look_at_pipe(path: &Path, pipe: &mut Option<File>) -> io::Result<Heard> {
    if pipe.is_none() {
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        *pipe = Some(OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?);
    }
    let mut heard = Heard::default();
    if let Some(file) = pipe {
        drain(file, &mut heard)?;
    }
    Ok(heard)
}

fn look_at_port(
    address: SocketAddr,
    listener: &mut Option<TcpListener>,
    caller: &mut Option<TcpStream>,
) -> io::Result<Heard> {
    if listener.is_none() {
        let fresh = TcpListener::bind(address)?;
        fresh.set_nonblocking(true)?;
        *listener = Some(fresh);
    }
    let mut heard = Heard::default();
    for _ in 0..CALLERS {
        let Some(Ok((mut stream, _))) = listener.as_ref().map(TcpListener::accept) else { break };
        if stream.set_nonblocking(true).is_ok() {
            // ffmpeg asks for an answer when it is through, and does not mind having it before.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            heard.is_anew = true;
            *caller = Some(stream);
        }
    }
    if let Some(stream) = caller
        && !matches!(drain(stream, &mut heard), Ok(true))
    {
        (*caller, heard.hung_up) = (None, true);
    }
    Ok(heard)
}

/// Takes what is there; false if that is the end.
fn drain(source: &mut impl Read, heard: &mut Heard) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    while heard.bytes.len() < MOST {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(bytes) => heard.bytes.extend_from_slice(buffer.get(..bytes).unwrap_or_default()),
            Err(why) if why.kind() == ErrorKind::WouldBlock => break,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(true)
}
