//! What a Raspberry Pi's revision code says: the one number that a board carries about itself.
//!
//! A table and nothing else: the code comes from the agent, which takes it from the kernel, and whoever shows it decodes it here, so that a
//! newer hub knows boards that an older agent has never heard of. The bits and tables are those of the Raspberry Pi documentation
//! (`revision-codes.adoc`), written down from it and from memory; what is not in them is shown as not known.
//!
//! ```text
//! c03111   4B, 4 GB, BCM2711, Sony UK, revision 1.1
//! a02082   3B, 1 GB, BCM2837, Sony UK, revision 1.2
//! 0010     B+, 512 MB, BCM2835, Sony UK, revision 1.2    (the old style: a number without a meaning)
//! ```

use core::fmt;

/// Set in the codes of the new style, whose bits mean something.
const NEW: u32 = 1 << 23;

/// A revision code as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(pub u32);

/// What a revision code says. What the tables do not have is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// `4B`, `Zero 2 W`.
    pub model: Option<&'static str>,
    /// In MB, of 1,024 × 1,024 bytes.
    pub memory_mb: Option<u32>,
    /// `BCM2711`.
    pub processor: Option<&'static str>,
    /// Who made it: `Sony UK`.
    pub manufacturer: Option<&'static str>,
    /// The board's own revision, before and behind the dot.
    pub revision: (u32, u32),
}

impl Revision {
    /// What it says; `None` for one of the old style that was never given.
    pub fn board(self) -> Option<Board> {
        let Self(code) = self;
        if code & NEW == 0 {
            return old(code & 0xffff);
        }
        let field = |lowest: u32, bits: u32| code >> lowest & ((1 << bits) - 1);
        Some(Board {
            model: model(field(4, 8)),
            memory_mb: match field(20, 3) {
                power @ 0..=6 => Some(256 << power),
                _ => None,
            },
            processor: ["BCM2835", "BCM2836", "BCM2837", "BCM2711", "BCM2712"]
                .get(field(12, 4) as usize)
                .copied(),
            manufacturer: ["Sony UK", "Egoman", "Embest", "Sony Japan", "Embest", "Stadium"]
                .get(field(16, 4) as usize)
                .copied(),
            revision: (1, field(0, 4)),
        })
    }
}

/// The codes from before there was a rule. A bit above them says that the warranty is void.
fn old(code: u32) -> Option<Board> {
    let (model, memory_mb, manufacturer, revision) = match code {
        0x02 | 0x03 => ("B", 256, "Egoman", (1, 0)),
        0x04 => ("B", 256, "Sony UK", (2, 0)),
        0x05 => ("B", 256, "Qisda", (2, 0)),
        0x06 => ("B", 256, "Egoman", (2, 0)),
        0x07 => ("A", 256, "Egoman", (2, 0)),
        0x08 => ("A", 256, "Sony UK", (2, 0)),
        0x09 => ("A", 256, "Qisda", (2, 0)),
        0x0d | 0x0f => ("B", 512, "Egoman", (2, 0)),
        0x0e => ("B", 512, "Sony UK", (2, 0)),
        0x10 => ("B+", 512, "Sony UK", (1, 2)),
        0x11 => ("CM1", 512, "Sony UK", (1, 0)),
        0x12 => ("A+", 256, "Sony UK", (1, 1)),
        0x13 => ("B+", 512, "Embest", (1, 2)),
        0x14 => ("CM1", 512, "Embest", (1, 0)),
        // Made with 256 and with 512 MB under the same code.
        0x15 => ("A+", 0, "Embest", (1, 1)),
        _ => return None,
    };
    Some(Board {
        model: Some(model),
        memory_mb: Some(memory_mb).filter(|mb| *mb > 0),
        processor: Some("BCM2835"),
        manufacturer: Some(manufacturer),
        revision,
    })
}

const fn model(number: u32) -> Option<&'static str> {
    Some(match number {
        0x00 => "A",
        0x01 => "B",
        0x02 => "A+",
        0x03 => "B+",
        0x04 => "2B",
        0x06 => "CM1",
        0x08 => "3B",
        0x09 => "Zero",
        0x0a => "CM3",
        0x0c => "Zero W",
        0x0d => "3B+",
        0x0e => "3A+",
        0x10 => "CM3+",
        0x11 => "4B",
        0x12 => "Zero 2 W",
        0x13 => "400",
        0x14 => "CM4",
        0x15 => "CM4S",
        0x17 => "5",
        0x18 => "CM5",
        0x19 => "500",
        0x1a => "CM5 Lite",
        0x1b => "CM0",
        _ => return None,
    })
}

impl fmt::Display for Revision {
    /// As the kernel writes it: `c03111`, `0010`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

impl fmt::Display for Board {
    /// What a person asks about beside the model's name: `4 GB, BCM2711, Sony UK, revision 1.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory_mb {
            Some(mb) if mb >= 1024 => write!(f, "{} GB, ", mb / 1024)?,
            Some(mb) => write!(f, "{mb} MB, ")?,
            None => {}
        }
        for known in [self.processor, self.manufacturer].into_iter().flatten() {
            write!(f, "{known}, ")?;
        }
        write!(f, "revision {}.{}", self.revision.0, self.revision.1)
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::format;

    /// Model, megabytes and the board's revision.
    type Told = (Option<&'static str>, Option<u32>, (u32, u32));

    fn told(code: u32) -> Option<Told> {
        Revision(code).board().map(|board| (board.model, board.memory_mb, board.revision))
    }

    #[test]
    fn the_documented_codes_say_what_is_documented() {
        for (code, model, gigabytes, revision) in [
            (0x00c0_3111, "4B", 4, (1, 1)),
            (0x00b0_3111, "4B", 2, (1, 1)),
            (0x00d0_3114, "4B", 8, (1, 4)),
            (0x00c0_4170, "5", 4, (1, 0)),
            (0x00d0_4170, "5", 8, (1, 0)),
            (0x00e0_4171, "5", 16, (1, 1)),
            (0x00b0_4170, "5", 2, (1, 0)),
        ] {
            assert_eq!(told(code), Some((Some(model), Some(gigabytes * 1024), revision)), "{code:06x}");
        }
        let shown = |code| format!("{}", Revision(code).board().expect("of the new style"));
        assert_eq!(shown(0x00c0_3111), "4 GB, BCM2711, Sony UK, revision 1.1");
        assert_eq!(shown(0x0090_2120), "512 MB, BCM2837, Sony UK, revision 1.0");
    }

    #[test]
    fn a_void_warranty_and_burnt_fuses_make_no_other_board() {
        assert_eq!(told(0xe2c0_3111), told(0x00c0_3111));
        assert_eq!(told(0x0100_0010), told(0x0010));
    }

    #[test]
    fn the_old_style_is_a_table() {
        assert_eq!(told(0x0010), Some((Some("B+"), Some(512), (1, 2))));
        assert_eq!(told(0x0015), Some((Some("A+"), None, (1, 1))), "which of two nobody knows");
        assert_eq!([told(0), told(0x16), told(0x0a)], [None; 3]);
    }

    #[test]
    fn a_board_of_the_future_is_told_as_far_as_it_is_known() {
        let board = Revision(0x00ff_5ff3).board().expect("of the new style");
        let known = (board.model, board.memory_mb, board.processor, board.manufacturer);
        assert_eq!(known, (None, None, None, None));
        assert_eq!(format!("{board}"), "revision 1.3");
        assert_eq!(format!("{} {}", Revision(0x00c0_3111), Revision(0x10)), "c03111 0010");
    }
}
