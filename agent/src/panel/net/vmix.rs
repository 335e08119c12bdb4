//! vMix's tally, over its TCP interface: text lines, one digit for each input.
//!
//! [`Lines`] and [`parse`] are pure; [`talk`] is one connection. There is no keep-alive, so the tally is asked for in each silence; an
//! answer that does not come in time means that vMix is gone.
//!
//! ```text
//! > VERSION OK 27.0.0.49
//! < SUBSCRIBE TALLY
//! > SUBSCRIBE OK TALLY
//! > TALLY OK 0121          input 2 is on program, 3 on preview, 4 on program
//! ```

use super::dial::{self, Address, dial, say};
use crate::clock::Clock;
use std::io;
use std::time::Duration;

/// vMix's port.
pub(super) const PORT: u16 = 8099;
/// A silence after which the tally is asked for.
const SILENCE: Duration = Duration::from_secs(2);
/// An answer that takes longer does not come.
const GONE: Duration = Duration::from_secs(6);
/// 1,000 inputs and the words before them, with room.
const LINE: usize = 2048;

/// One input's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Input {
    pub program: bool,
    pub preview: bool,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Every input, the first one's first.
    Tally(Vec<Input>),
    /// It refuses something.
    Refused(String),
    /// Anything else.
    Other,
}

/// Reads one line, without its end.
pub(super) fn parse(line: &[u8]) -> Result<Line, String> {
    if let Some(digits) = line.strip_prefix(b"TALLY OK") {
        let inputs = digits.trim_ascii().iter().map(|digit| match digit {
            b'0' => Ok(Input { program: false, preview: false }),
            b'1' => Ok(Input { program: true, preview: false }),
            b'2' => Ok(Input { program: false, preview: true }),
            other => Err(format!("a tally of {:?}, where 0, 1 and 2 are known", char::from(*other))),
        });
        return inputs.collect::<Result<Vec<Input>, String>>().map(Line::Tally);
    }
    let text = String::from_utf8_lossy(line);
    if line.starts_with(b"TALLY ER") || line.starts_with(b"SUBSCRIBE ER") {
        return Ok(Line::Refused(text.into_owned()));
    }
    Ok(Line::Other)
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    /// Takes bytes, and shows each whole line. A line that does not end is an error.
    pub(super) fn take(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) -> Result<(), String> {
        for byte in bytes {
            if *byte == b'\n' {
                line(self.bytes.trim_ascii_end());
                self.bytes.clear();
            } else if self.bytes.len() < LINE {
                self.bytes.push(*byte);
            } else {
                self.bytes.clear();
                return Err(format!("a line of more than {LINE} bytes"));
            }
        }
        Ok(())
    }
}

/// One connection. `heard` gets each tally; what is returned is why it ended.
pub(super) async fn talk(address: &Address, mut heard: impl FnMut(&[Input])) -> io::Error {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut stream = match dial(address).await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    if let Err(error) = say(&mut stream, b"SUBSCRIBE TALLY\r\n").await {
        return error;
    }
    let (mut lines, mut buffer) = (Lines::default(), [0; 1024]);
    let mut told = Clock::now();
    loop {
        let bytes = match dial::within(SILENCE, dial::some(&mut stream, &mut buffer)).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                if Clock::now() >= told + GONE {
                    return io::Error::new(io::ErrorKind::TimedOut, format!("no tally within {GONE:?}"));
                }
                if let Err(error) = say(&mut stream, b"TALLY\r\n").await {
                    return error;
                }
                continue;
            }
            Err(error) => return error,
        };
        let mut refused = None;
        let cut = lines.take(&buffer[..bytes], |line| match parse(line) {
            Ok(Line::Tally(inputs)) => {
                told = Clock::now();
                heard(&inputs);
            }
            Ok(Line::Refused(why)) | Err(why) => refused = Some(why),
            Ok(Line::Other) => {}
        });
        if let Some(why) = cut.err().or(refused) {
            return wrong(why);
        }
    }
}

/// However bytes are cut, the same lines are read.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let read = |piece: usize| {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            if let Err(why) = lines.take(piece, |line| all.push(parse(line))) {
                all.push(Err(why));
                break;
            }
            assert!(lines.bytes.len() <= LINE);
        }
        all
    };
    assert_eq!(read(7), read(bytes.len().max(1)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tally_has_a_digit_for_each_input() {
        let inputs = match parse(b"TALLY OK 0121") {
            Ok(Line::Tally(inputs)) => inputs,
            other => panic!("{other:?}"),
        };
        let told: Vec<(bool, bool)> = inputs.iter().map(|input| (input.program, input.preview)).collect();
        assert_eq!(told, [(false, false), (true, false), (false, true), (true, false)]);
        assert_eq!(parse(b"TALLY OK "), Ok(Line::Tally(Vec::new())));
        assert!(parse(b"TALLY OK 013").is_err());
    }

    #[test]
    fn other_lines_are_greetings_or_refusals() {
        for line in [&b"VERSION OK 27.0.0.49"[..], b"SUBSCRIBE OK TALLY", b"ACTS OK Recording 1", b""] {
            assert_eq!(parse(line), Ok(Line::Other));
        }
        assert_eq!(parse(b"TALLY ER busy"), Ok(Line::Refused("TALLY ER busy".to_owned())));
    }

    #[test]
    fn a_line_that_does_not_end_is_an_error() {
        let mut lines = Lines::default();
        assert!(lines.take(&[b'0'; LINE + 1], |_| panic!("no line")).is_err());
        let mut seen = Vec::new();
        lines.take(b"TALLY OK 1\r\nrest", |line| seen.push(line.to_vec())).expect("lines");
        assert_eq!(seen, [b"TALLY OK 1"]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(text in "[0-2A-Z \r\n]{0,200}", cuts in proptest::collection::vec(1_usize..20, 1..20)) {
            let collect = |cuts: &[usize]| {
                let (mut lines, mut seen, mut rest) = (Lines::default(), Vec::new(), text.as_bytes());
                for cut in cuts.iter().cycle() {
                    let (piece, after) = rest.split_at((*cut).min(rest.len()));
                    lines.take(piece, |line| seen.push(line.to_vec())).expect("short lines");
                    rest = after;
                    if rest.is_empty() {
                        break;
                    }
                }
                seen
            };
            prop_assert_eq!(collect(&cuts), collect(&[1000]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let mut lines = Lines::default();
            let _ = lines.take(&bytes, |line| drop(parse(line)));
            prop_assert!(lines.bytes.len() <= LINE);
        }
    }
}
