//! TSL UMD 3.1 and 5.0: what a switcher or its tally box says about its displays. Parsing only.
//!
//! Pure, and of bytes that anybody may have sent: nothing panics, nothing is kept that grows, and what is cut short or does not add up is an
//! error, never half a tally. Texts are not looked at.
//!
//! ```text
//! 3.1  85 32 43 41 4D 20 35 20 ..           18 bytes: display 5, tally 2 and brightness 3, "CAM 5"
//! 5.0  0E 00 | 00 00 00 00 | 01 00 D1 00 04 00 43 41 4D 31
//!      length  version, flags, screen   display 1, both lamps red, 4 bytes of text
//!      over TCP with FE 02 before, and each FE inside sent twice
//! ```

use std::fmt;

/// A message of version 3.1.
const V3: usize = 18;
/// The largest packet of version 5.0.
const V5: usize = 2048;
/// The bytes of a packet before its displays, and of a display before its text.
const V5_HEAD: usize = 6;
const V5_DISPLAY: usize = 6;
/// Begins a packet of version 5.0 over TCP.
const DLE: u8 = 0xfe;
const STX: u8 = 0x02;
/// Every display, every screen.
pub(super) const EVERY: u16 = 0xffff;

/// One display's lamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Display {
    /// The screen of version 5.0; 0 in version 3.1.
    pub screen: u16,
    /// Its address or index.
    pub index: u16,
    pub lamps: Lamps,
}

/// What is lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lamps {
    /// Version 3.1: tallies 1 to 4, in bits 0 to 3. What they mean is the sender's choice.
    Numbered(u8),
    /// Version 5.0: whether any of the three lamps is red, or green; amber is both.
    Coloured { red: bool, green: bool },
}

/// Why bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TslError {
    /// Not as long as it must be.
    Length { is: usize, must: usize },
    /// The first byte is no address.
    Start(u8),
    /// A version other than 0, which 5.0 calls itself.
    Version(u8),
    /// A display's text is longer than what is left.
    Text { is: usize, left: usize },
}

impl fmt::Display for TslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { is, must } => write!(f, "a packet has {is} bytes and should have {must}"),
            Self::Start(byte) => write!(f, "a packet begins with {byte:#04x}, which is no display's address"),
            Self::Version(version) => write!(f, "a packet is of version {version}, which is not TSL 5.0's 0"),
            Self::Text { is, left } => {
                write!(f, "a display's text is said to have {is} bytes where {left} are left")
            }
        }
    }
}

impl std::error::Error for TslError {}

/// A datagram of version 3.1: one message, or several back to back.
pub(super) fn v3_datagram(bytes: &[u8], mut display: impl FnMut(Display)) -> Result<(), TslError> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(V3) {
        return Err(TslError::Length { is: bytes.len(), must: V3 });
    }
    let mut displays = Vec::with_capacity(bytes.len() / V3);
    for message in bytes.chunks_exact(V3) {
        displays.push(v3(message)?);
    }
    displays.into_iter().for_each(&mut display);
    Ok(())
}

/// One message of version 3.1.
fn v3(message: &[u8]) -> Result<Display, TslError> {
    let [start, control, ..] = *message else {
        return Err(TslError::Length { is: message.len(), must: V3 });
    };
    let index = start.checked_sub(0x80).filter(|index| *index < 0x7f).ok_or(TslError::Start(start))?;
    // Above the tallies stands the brightness; senders put it there in more than one place.
    let lamps = Lamps::Numbered(control & 0x0f);
    Ok(Display { screen: 0, index: index.into(), lamps })
}

/// A packet of version 5.0, without what TCP adds to it.
pub(super) fn v5_packet(bytes: &[u8], mut display: impl FnMut(Display)) -> Result<(), TslError> {
    let word = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let must = word(0).map_or(V5_HEAD, |count| usize::from(count) + 2);
    let (Some(version), Some(flags), Some(screen), true) =
        (bytes.get(2), bytes.get(3), word(4), bytes.len() >= must && must >= V5_HEAD)
    else {
        return Err(TslError::Length { is: bytes.len(), must: must.max(V5_HEAD) });
    };
    if *version != 0 {
        return Err(TslError::Version(*version));
    }
    if flags & 0x02 != 0 {
        // For the screen itself, not for its displays.
        return Ok(());
    }
    let (mut at, mut displays) = (V5_HEAD, Vec::new());
    while at + V5_DISPLAY <= must {
        let (Some(index), Some(control), Some(text)) = (word(at), word(at + 2), word(at + 4)) else { break };
        if control & 0x8000 != 0 {
            // Control data have no form that anybody defined; what follows cannot be found.
            break;
        }
        at += V5_DISPLAY;
        let text = usize::from(text);
        if text > must - at {
            return Err(TslError::Text { is: text, left: must - at });
        }
        at += text;
        let colours = [control & 3, control >> 2 & 3, control >> 4 & 3];
        let any = |bit: u16| colours.iter().any(|colour| colour & bit != 0);
        displays.push(Display { screen, index, lamps: Lamps::Coloured { red: any(1), green: any(2) } });
    }
    displays.into_iter().for_each(&mut display);
    Ok(())
}

/// Cuts a stream of version 3.1 into messages.
#[derive(Debug, Default)]
pub(super) struct V3Stream {
    bytes: Vec<u8>,
    /// Whether bytes are being skipped, until one may be an address.
    lost: bool,
}

impl V3Stream {
    /// Takes bytes. Every message in them is either shown or an error, and an error is told once for a run of nonsense.
    pub(super) fn take(&mut self, bytes: &[u8], mut display: impl FnMut(Display)) -> Result<(), TslError> {
        let mut result = Ok(());
        for byte in bytes {
            if self.bytes.is_empty() && !(0x80..0xff).contains(byte) {
                if !std::mem::replace(&mut self.lost, true) {
                    result = result.and(Err(TslError::Start(*byte)));
                }
                continue;
            }
            self.lost = false;
            self.bytes.push(*byte);
            if self.bytes.len() == V3 {
                match v3(&self.bytes) {
                    Ok(shown) => display(shown),
                    Err(error) => result = result.and(Err(error)),
                }
                self.bytes.clear();
            }
        }
        result
    }
}

/// Cuts a stream of version 5.0 into packets.
#[derive(Debug, Default)]
pub(super) struct V5Stream {
    /// The packet so far; `None` until one begins.
    packet: Option<Vec<u8>>,
    /// Whether the byte before was a DLE that nothing has been made of.
    escaped: bool,
    lost: bool,
}

impl V5Stream {
    /// Takes bytes. A packet that is cut short by the next one, or does not add up, is an error.
    pub(super) fn take(&mut self, bytes: &[u8], mut display: impl FnMut(Display)) -> Result<(), TslError> {
        let mut result = Ok(());
        for byte in bytes {
            let escaped = std::mem::take(&mut self.escaped);
            match (escaped, *byte) {
                (true, STX) => {
                    if let Some(cut) = self.packet.replace(Vec::new()) {
                        result = result.and(Err(TslError::Length { is: cut.len(), must: expected(&cut) }));
                    }
                    self.lost = false;
                }
                (false, DLE) => self.escaped = true,
                // A DLE that was sent twice is one; before anything else it is nonsense.
                (_, byte) => {
                    let Some(packet) = &mut self.packet else {
                        if !std::mem::replace(&mut self.lost, true) {
                            result = result.and(Err(TslError::Start(byte)));
                        }
                        continue;
                    };
                    packet.push(byte);
                    let (is, must) = (packet.len(), expected(packet));
                    if must > V5 || (escaped && byte != DLE) {
                        (self.packet, self.lost) = (None, true);
                        result = result.and(Err(TslError::Length { is, must: must.min(V5) }));
                    } else if is == must {
                        let packet = self.packet.take().unwrap_or_default();
                        result = result.and(v5_packet(&packet, &mut display));
                    }
                }
            }
        }
        result
    }
}

/// How long a packet says that it is; as long as a shortest one before it says so.
fn expected(packet: &[u8]) -> usize {
    match packet {
        [low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])) + 2,
        _ => V5_HEAD,
    }
    .max(V5_HEAD)
}

/// However a stream is cut, it shows the same; and what is a packet is one as a stream carries it.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let v3 = |piece: usize| {
        let (mut stream, mut shown) = (V3Stream::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            let _ = stream.take(piece, |display| shown.push(display));
            assert!(stream.bytes.len() < V3);
        }
        shown
    };
    assert_eq!(v3(1), v3(bytes.len().max(1)));
    let v5 = |bytes: &[u8], piece: usize| {
        let (mut stream, mut shown) = (V5Stream::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            let _ = stream.take(piece, |display| shown.push(display));
            assert!(stream.packet.as_ref().is_none_or(|packet| packet.len() < V5));
        }
        shown
    };
    assert_eq!(v5(bytes, 1), v5(bytes, bytes.len().max(1)));
    let mut datagram = Vec::new();
    if v3_datagram(bytes, |display| datagram.push(display)).is_ok() {
        assert_eq!(v3(1), datagram);
    }
    let mut packet = Vec::new();
    if v5_packet(bytes, |display| packet.push(display)).is_ok()
        && expected(bytes) == bytes.len()
        && bytes.len() <= V5
    {
        let escaped = bytes.iter().flat_map(|byte| vec![*byte; if *byte == DLE { 2 } else { 1 }]);
        let wrapped: Vec<u8> = [DLE, STX].into_iter().chain(escaped).collect();
        assert_eq!(v5(&wrapped, 7), packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const CAM5: [u8; 18] = *b"\x85\x32CAM 5           ";
    const CAM1: [u8; 16] = *b"\x0e\x00\x00\x00\x00\x00\x01\x00\xd1\x00\x04\x00CAM1";

    fn shown(
        take: impl FnOnce(&mut dyn FnMut(Display)) -> Result<(), TslError>,
    ) -> Result<Vec<Display>, TslError> {
        let mut all = Vec::new();
        take(&mut |display| all.push(display)).map(|()| all)
    }

    fn v5(bytes: &[u8]) -> Result<Vec<Display>, TslError> {
        shown(|each| v5_packet(bytes, each))
    }

    fn red(index: u16) -> Display {
        Display { screen: 0, index, lamps: Lamps::Coloured { red: true, green: false } }
    }

    /// As TCP carries it.
    fn wrapped(packet: &[u8]) -> Vec<u8> {
        let mut bytes = vec![DLE, STX];
        for byte in packet {
            bytes.push(*byte);
            if *byte == DLE {
                bytes.push(DLE);
            }
        }
        bytes
    }

    fn packet(displays: &[(u16, u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0];
        for (index, control, text) in displays {
            for word in [*index, *control, text.len() as u16] {
                body.extend(word.to_le_bytes());
            }
            body.extend_from_slice(text);
        }
        let mut packet = (body.len() as u16).to_le_bytes().to_vec();
        packet.extend(body);
        packet
    }

    #[test]
    fn version_3_1_has_an_address_and_four_tallies() {
        let cam5 = Display { screen: 0, index: 5, lamps: Lamps::Numbered(0b0010) };
        assert_eq!(shown(|each| v3_datagram(&CAM5, each)), Ok(vec![cam5]));
        let two = [CAM5, CAM5].concat();
        assert_eq!(shown(|each| v3_datagram(&two, each)).map(|all| all.len()), Ok(2));
        let mut padded = CAM5;
        padded[7..].fill(0);
        assert_eq!(shown(|each| v3_datagram(&padded, each)), Ok(vec![cam5]), "NUL for spaces");
        padded[1] = 0b1100_0010;
        assert_eq!(shown(|each| v3_datagram(&padded, each)), Ok(vec![cam5]), "brightness in bits 6 and 7");
    }

    #[test]
    fn version_3_1_of_a_wrong_length_or_without_an_address_is_refused() {
        assert_eq!(shown(|each| v3_datagram(&CAM5[..17], each)), Err(TslError::Length { is: 17, must: 18 }));
        assert_eq!(shown(|each| v3_datagram(&[], each)), Err(TslError::Length { is: 0, must: 18 }));
        let mut wrong = [CAM5, CAM5].concat();
        wrong[18] = 0x20;
        assert_eq!(
            shown(|each| v3_datagram(&wrong, each)),
            Err(TslError::Start(0x20)),
            "and nothing is shown"
        );
        wrong[18] = 0xff;
        assert_eq!(shown(|each| v3_datagram(&wrong, each)), Err(TslError::Start(0xff)));
    }

    #[test]
    fn version_5_has_three_lamps_of_which_any_counts() {
        assert_eq!(v5(&CAM1), Ok(vec![red(1)]));
        for (control, red, green) in [
            (0, false, false),
            (1, true, false),
            (2 << 2, false, true),
            (3 << 4, true, true),
            (0xc0, false, false),
        ] {
            let shown = v5(&packet(&[(9, control, b"")])).expect("a packet");
            assert_eq!(shown[0].lamps, Lamps::Coloured { red, green }, "{control:#x}");
        }
    }

    #[test]
    fn version_5_carries_several_displays_and_tolerates_what_stands_behind() {
        let mut two = packet(&[(1, 1, b"A"), (2, 2, b"")]);
        assert_eq!(v5(&two).map(|all| all.len()), Ok(2));
        two.extend([1, 2, 3]);
        assert_eq!(v5(&two).map(|all| all.len()), Ok(2));
        let control_data = packet(&[(1, 1, b""), (2, 0x8000, b""), (3, 1, b"")]);
        assert_eq!(v5(&control_data), Ok(vec![red(1)]));
        let mut screen = CAM1;
        screen[3] = 2;
        assert_eq!(v5(&screen), Ok(vec![]));
    }

    #[test]
    fn version_5_cut_short_or_of_a_wrong_length_is_refused_whole() {
        assert_eq!(v5(&CAM1[..15]), Err(TslError::Length { is: 15, must: 16 }));
        assert_eq!(v5(&CAM1[..3]), Err(TslError::Length { is: 3, must: 16 }));
        assert_eq!(v5(&[]), Err(TslError::Length { is: 0, must: 6 }));
        assert_eq!(
            v5(&[0; 6]),
            Err(TslError::Length { is: 6, must: 6 }),
            "it says that it has none of its head"
        );
        let mut two = packet(&[(1, 1, b"A"), (2, 2, b"BC")]);
        let text = two.len() - 4;
        two[text] = 3;
        assert_eq!(v5(&two), Err(TslError::Text { is: 3, left: 2 }), "nor is the first display shown");
        let mut newer = CAM1;
        newer[2] = 1;
        assert_eq!(v5(&newer), Err(TslError::Version(1)));
    }

    #[test]
    fn a_stream_of_version_3_1_finds_its_way_back() {
        let mut stream = V3Stream::default();
        let mut bytes = b"xyz".to_vec();
        bytes.extend(CAM5);
        let mut seen = 0;
        assert_eq!(stream.take(&bytes, |_| seen += 1), Err(TslError::Start(b'x')));
        assert_eq!(stream.take(&CAM5, |_| seen += 1), Ok(()));
        assert_eq!(seen, 2);
    }

    #[test]
    fn a_packet_of_version_5_that_the_next_one_cuts_short_is_an_error() {
        let mut stream = V5Stream::default();
        let mut bytes = wrapped(&CAM1)[..10].to_vec();
        bytes.extend(wrapped(&CAM1));
        let mut seen = Vec::new();
        assert_eq!(
            stream.take(&bytes, |display| seen.push(display)),
            Err(TslError::Length { is: 8, must: 16 })
        );
        assert_eq!(seen, [red(1)]);
        let endless = [DLE, STX, 0xff, 0xff, 0, 0];
        assert_eq!(stream.take(&endless, |_| {}), Err(TslError::Length { is: 2, must: 2048 }));
        assert_eq!(stream.take(&wrapped(&CAM1), |_| {}), Ok(()));
    }

    proptest! {
        #[test]
        fn streams_give_the_same_however_they_are_cut(
            texts in vec((any::<u16>(), 0_u16..0x100, vec(any::<u8>(), 0..20)), 1..5), cuts in vec(1_usize..40, 1..50)
        ) {
            let displays: Vec<(u16, u16, &[u8])> = texts.iter().map(|(i, c, t)| (*i, *c, t.as_slice())).collect();
            let packet = packet(&displays);
            let expected = v5(&packet).expect("a packet");
            let bytes = [wrapped(&packet), wrapped(&packet)].concat();
            let (mut stream, mut seen, mut rest) = (V5Stream::default(), Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                prop_assert_eq!(stream.take(piece, |display| seen.push(display)), Ok(()));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(seen, [expected.clone(), expected].concat());
        }

        #[test]
        fn no_bytes_make_anything_panic_or_grow(bytes in vec(any::<u8>(), 0..5000)) {
            let _ = v3_datagram(&bytes, |_| {});
            let _ = v5_packet(&bytes, |_| {});
            let (mut three, mut five) = (V3Stream::default(), V5Stream::default());
            let _ = three.take(&bytes, |_| {});
            let _ = five.take(&bytes, |_| {});
            prop_assert!(three.bytes.len() < V3 && five.packet.map_or(0, |packet| packet.len()) <= V5);
        }

        #[test]
        fn a_packet_cut_anywhere_shows_nothing(
            texts in vec((any::<u16>(), 0_u16..0x100, vec(any::<u8>(), 0..20)), 1..5), cut in any::<prop::sample::Index>()
        ) {
            let displays: Vec<(u16, u16, &[u8])> = texts.iter().map(|(i, c, t)| (*i, *c, t.as_slice())).collect();
            let packet = packet(&displays);
            let cut = cut.index(packet.len());
            prop_assert!(v5(&packet[..cut]).is_err());
        }
    }
}
