//! What is looked for once and then kept for a minute: where the kernel shows something, and what moves too slowly to ask each time.
//!
//! A reading comes every few seconds, and walking `/sys` for it would be most of its cost. What has vanished is looked for again at the next
//! reading ([`Kept::forget`]), and what has come (a driver loaded late) within the minute.

use rackside_proto::Value;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than any tick that watches something closely, shorter than anybody's patience after plugging something in.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// Something found, and when.
#[derive(Debug)]
pub(super) struct Kept<T>(Option<(Instant, T)>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Kept<T> {
    /// What is kept, or what `look` finds if that has been too long ago.
    pub(super) fn at(&mut self, now: Instant, look: impl FnOnce() -> T) -> &mut T {
        if self.0.as_ref().is_some_and(|(since, _)| now.saturating_duration_since(*since) >= KEPT_FOR) {
            self.0 = None;
        }
        &mut self.0.get_or_insert_with(|| (now, look())).1
    }

    /// Looks again the next time.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

/// The number in one of the kernel's small files: `None` where there is no such file (any more) or it is not for us, unknown where it
/// cannot tell right now or says something else.
pub(super) fn number(path: &Path) -> Option<Value> {
    let word = word(path).transpose()?;
    Some(word.ok().and_then(|word| word.parse().ok()).map_or(Value::Unknown, Value::Known))
}

/// As [`number`], of something that is never negative.
pub(super) fn count(path: &Path) -> Option<Value> {
    number(path)
        .map(|value| if value.known().is_some_and(|number| number < 0) { Value::Unknown } else { value })
}

/// What one of the kernel's small files says, without the white space around it: `None` where there is no such file, an error where it cannot
/// tell right now.
pub(super) fn word(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if is_nothing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error says that there is nothing to ask, and not that it does not answer.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    let gone = [rustix::io::Errno::NODEV, rustix::io::Errno::NXIO].map(|errno| Some(errno.raw_os_error()));
    matches!(error.kind(), NotFound | PermissionDenied | NotADirectory | IsADirectory)
        || gone.contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use rustix::io::Errno;

    #[test]
    fn it_is_looked_for_once_a_minute_and_when_it_has_vanished() {
        let (mut kept, start, mut looks) = (Kept::default(), Clock::now(), 0);
        let mut looks_at = |kept: &mut Kept<()>, after: u64| {
            kept.at(start + Duration::from_secs(after), || looks += 1);
            looks
        };
        assert_eq!([0, 10, 59].map(|after| looks_at(&mut kept, after)), [1, 1, 1]);
        assert_eq!([60, 119].map(|after| looks_at(&mut kept, after)), [2, 2]);
        kept.forget();
        assert_eq!([119, 120].map(|after| looks_at(&mut kept, after)), [3, 3]);
    }

    #[test]
    fn a_file_that_is_gone_is_nothing_and_one_that_does_not_answer_is_unknown() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("temp");
        assert_eq!(number(&file), None);
        for (text, value) in [
            ("48312\n", Value::Known(48_312)),
            ("-1", Value::Known(-1)),
            ("", Value::Unknown),
            ("hot\n", Value::Unknown),
        ] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(number(&file), Some(value), "{text:?}");
        }
        std::fs::write(&file, "-1\n").expect("written");
        assert_eq!(count(&file), Some(Value::Unknown));
        let failed = |errno: Errno| is_nothing(&io::Error::from(errno));
        assert_eq!([Errno::NODEV, Errno::NXIO, Errno::NOENT, Errno::ACCESS].map(failed), [true; 4]);
        assert_eq!([Errno::IO, Errno::AGAIN, Errno::INVAL, Errno::TIMEDOUT].map(failed), [false; 4]);
    }

    /// A real file that answers with EIO: the memory of a process at an address that it does not have.
    #[test]
    fn an_input_output_error_is_unknown() {
        assert!(
            word(Path::new("/proc/self/mem"))
                .is_err_and(|error| error.raw_os_error() == Some(Errno::IO.raw_os_error()))
        );
        assert_eq!(number(Path::new("/proc/self/mem")), Some(Value::Unknown));
    }
}
