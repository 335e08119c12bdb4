//! vMix's status over its TCP interface: lines of text, and after one of them so many bytes of XML.
//!
//! ```text
//! > VERSION OK 27.0.0.49
//! < XML
//! > XML 2912
//! > <vmix>…</vmix>
//! ```

use crate::probe::dial;
use async_io::Timer;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use std::time::Duration;

/// The longest line.
const LINE: usize = 2048;
/// More than a show with a thousand inputs takes.
const MOST: usize = 2 * 1024 * 1024;

/// The answer as it comes in. Pure.
#[derive(Debug, Default)]
struct Answer {
    bytes: Vec<u8>,
    /// How many there will be, once it said so.
    length: Option<usize>,
}

impl Answer {
    /// Takes bytes; whether all of it is there.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let mut rest = bytes;
        while self.length.is_none() {
            let Some((&byte, after)) = rest.split_first() else { return Ok(false) };
            rest = after;
            if byte == b'\n' {
                let line = std::mem::take(&mut self.bytes);
                self.length = length(&line)?;
            } else if self.bytes.len() < LINE {
                self.bytes.push(byte);
            } else {
                return Err(format!("a line of more than {LINE} bytes"));
            }
        }
        let room = self.length.unwrap_or(0) - self.bytes.len();
        self.bytes.extend_from_slice(rest.get(..room).unwrap_or(rest));
        Ok(rest.len() >= room)
    }
}

/// How long the XML is that follows a line, if it does.
fn length(line: &[u8]) -> Result<Option<usize>, String> {
    let line = String::from_utf8_lossy(line);
    let Some(told) = line.trim().strip_prefix("XML ") else { return Ok(None) };
    match told.trim().parse() {
        Ok(length) if length <= MOST => Ok(Some(length)),
        Ok(_) => Err(format!("its status is longer than {MOST} bytes")),
        Err(_) => Err("it refuses to tell its status".to_owned()),
    }
}

/// Asks for it.
pub(super) async fn ask(host: &str, port: u16, within: Duration) -> Result<Vec<u8>, String> {
    let late = async {
        Timer::after(within).await;
        Err(format!("{host}:{port} had not told its status after {within:?}"))
    };
    future::or(fetch(host, port), late).await
}

async fn fetch(host: &str, port: u16) -> Result<Vec<u8>, String> {
    let mut stream = dial::connect(host, port).await.map_err(|error| error.to_string())?.stream;
    let broken = |why: std::io::Error| format!("{host}:{port}: {why}");
    stream.write_all(b"XML\r\n").await.map_err(broken)?;
    let (mut answer, mut buffer, mut taken) = (Answer::default(), [0; 4096], 0);
    loop {
        let count = stream.read(&mut buffer).await.map_err(broken)?;
        taken += count;
        if count == 0 {
            return Err(format!("{host}:{port} closed the connection before it had told its status"));
        }
        if answer
            .take(buffer.get(..count).unwrap_or_default())
            .map_err(|why| format!("{host}:{port}: {why}"))?
        {
            return Ok(answer.bytes);
        }
        if taken > MOST + MOST / 2 {
            return Err(format!("{host}:{port} says more than a status takes"));
        }
        // Who sends faster than this reads must not have the agent's one thread for himself.
        future::yield_now().await;
    }
}

/// However bytes are cut, the same status is taken from them.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let read = |piece: usize| {
        let mut answer = Answer::default();
        for piece in bytes.chunks(piece) {
            if answer.take(piece)? {
                return Ok(Some(answer.bytes));
            }
            assert!(answer.bytes.len() <= answer.length.unwrap_or(LINE));
        }
        Ok::<_, String>(None)
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(read(1), whole);
    assert_eq!(read(7), whole);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Result<Option<Vec<u8>>, String> {
        let mut answer = Answer::default();
        for piece in pieces {
            if answer.take(piece)? {
                return Ok(Some(answer.bytes));
            }
        }
        Ok(None)
    }

    #[test]
    fn the_xml_is_what_follows_its_line_by_its_length() {
        let whole = b"VERSION OK 27.0.0.49\r\nTALLY OK 01\r\nXML 7\r\n<vmix/>\r\nTALLY OK 1\r\n";
        assert_eq!(all(&[whole]), Ok(Some(b"<vmix/>".to_vec())));
        assert_eq!(all(&[b"XML 7\r\n<vm"]), Ok(None));
        assert_eq!(all(&[b"XML 0\r\n"]), Ok(Some(Vec::new())));
    }

    #[test]
    fn what_is_refused_or_too_long_is_an_error() {
        assert!(all(&[b"XML ER busy\r\n"]).is_err_and(|why| why.contains("refuses")));
        assert!(all(&[b"XML 99999999999\r\n"]).is_err_and(|why| why.contains("longer than")));
        assert!(all(&[&[b'x'; LINE + 1]]).is_err_and(|why| why.contains("a line")));
    }

    proptest! {
        #[test]
        fn it_is_the_same_however_it_comes(body in "[<>a-z\r\n]{0,60}", cuts in vec(1_usize..20, 1..10)) {
            let text = format!("VERSION OK 27\r\nXML {}\r\n{body}", body.len());
            let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(all(&pieces), Ok(Some(body.into_bytes())));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..300), length in 0_usize..400) {
            let head = format!("XML {length}\n");
            let _ = (all(&[&bytes]), all(&[head.as_bytes(), &bytes, &bytes]));
        }
    }
}
