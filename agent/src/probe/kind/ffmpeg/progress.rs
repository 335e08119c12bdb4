//! What ffmpeg tells with `-progress`: blocks of `key=value` lines, each ended by `progress=`. Pure.
//!
//! Lines that are none of these are passed over, so an HTTP head and the lengths of chunks between blocks do no harm. `out_time_ms` is in
//! microseconds (ffmpeg's own mistake of old) and not read; values may begin with spaces, and be `N/A`.
//!
//! ```text
//! frame=104 · fps=25.00 · bitrate=2170.6kbits/s · total_size=1128960 · out_time_us=4160000 · dup_frames=0 · drop_frames=2 · speed=1.02x · progress=continue
//! ```

/// Longer than any line of ffmpeg's.
const LINE: usize = 512;

/// One block.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Block {
    /// Pictures so far; nothing for sound alone.
    pub(super) frame: Option<u64>,
    /// Bytes so far; nothing where ffmpeg does not count them.
    pub(super) size: Option<u64>,
    /// How much of the stream is through, in microseconds.
    pub(super) time_us: Option<u64>,
    /// Pictures shown twice.
    pub(super) duplicated: Option<u64>,
    /// Pictures left out.
    pub(super) dropped: Option<u64>,
    /// Seconds of the stream in a second.
    pub(super) speed: Option<f64>,
    /// Whether it is the last one.
    pub(super) is_end: bool,
}

impl Block {
    /// How far the stream is; what stands still here is frozen.
    pub(super) fn position(&self) -> Option<u64> {
        self.frame.or(self.time_us)
    }
}

/// Puts blocks together from pieces.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    is_too_long: bool,
    block: Block,
}

impl Reader {
    /// Takes a piece, and gives what is complete.
    pub(super) fn feed(&mut self, bytes: &[u8], mut complete: impl FnMut(Block)) {
        for byte in bytes {
            match byte {
                b'\n' if std::mem::take(&mut self.is_too_long) => self.line.clear(),
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    if self.read(&String::from_utf8_lossy(&line)) {
                        complete(std::mem::take(&mut self.block));
                    }
                }
                _ if self.line.len() < LINE => self.line.push(*byte),
                _ => self.is_too_long = true,
            }
        }
    }

    /// Reads a line; true if it ends a block.
    fn read(&mut self, line: &str) -> bool {
        let Some((key, value)) = line.trim().split_once('=') else { return false };
        let value = value.trim();
        let number = || value.parse().ok();
        match key {
            "frame" => self.block.frame = number(),
            "total_size" => self.block.size = number(),
            "out_time_us" => self.block.time_us = number(),
            "dup_frames" => self.block.duplicated = number(),
            "drop_frames" => self.block.dropped = number(),
            "speed" => {
                let speed = value.strip_suffix('x').and_then(|value| value.parse().ok());
                self.block.speed = speed.filter(|speed: &f64| speed.is_finite());
            }
            "progress" => {
                self.block.is_end = value == "end";
                return true;
            }
            _ => {}
        }
        false
    }
}

/// However bytes are cut, the same blocks are read.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let read = |piece: usize| {
        let (mut reader, mut blocks) = (Reader::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            reader.feed(piece, |block| blocks.push(block));
            assert!(reader.line.len() <= LINE);
        }
        blocks
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(read(7), whole);
    assert!(whole.iter().filter_map(|block| block.speed).all(f64::is_finite));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOLD: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nd4\r\nframe=104\nfps=25.00\nstream_0_0_q=-0.0\nbitrate=2170.6kbits/s\n\
        total_size=1128960\nout_time_us=4160000\nout_time_ms=4160000\nout_time=00:00:04.160000\ndup_frames=1\ndrop_frames=2\n\
        speed= 1.02x\nprogress=continue\n\r\n20\r\nframe=110\ntotal_size=N/A\nspeed=N/A\nprogress=end\n\r\n0\r\n\r\n";

    fn blocks(pieces: &[&[u8]]) -> Vec<Block> {
        let (mut reader, mut blocks) = (Reader::default(), Vec::new());
        for piece in pieces {
            reader.feed(piece, |block| blocks.push(block));
        }
        blocks
    }

    #[test]
    fn blocks_are_read_from_a_file_or_a_post_alike() {
        let first = Block {
            frame: Some(104),
            size: Some(1_128_960),
            time_us: Some(4_160_000),
            duplicated: Some(1),
            dropped: Some(2),
            speed: Some(1.02),
            is_end: false,
        };
        let last = Block { frame: Some(110), is_end: true, ..Block::default() };
        assert_eq!(blocks(&[TOLD.as_bytes()]), [first, last]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cut in 0_usize..400) {
            let cut = cut.min(TOLD.len());
            let (one, two) = TOLD.as_bytes().split_at(cut);
            prop_assert_eq!(blocks(&[one, two]), blocks(&[TOLD.as_bytes()]));
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = Reader::default();
            reader.feed(&bytes, |_| {});
            prop_assert!(reader.line.len() <= LINE);
        }
    }
}
