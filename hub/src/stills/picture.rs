//! Whether bytes are a picture that a browser may be given, and how large it is. Pure: the frame of the file is read, never the picture.
//!
//! What an agent sends is served under the hub's own name, so it has to be what it says: a JPEG or a WebP, whole, of the size that was
//! told. What is in it a browser decodes, under a content type that it may not guess around.
//!
//! ```text
//! ff d8 │ ff e0 0010 JFIF… │ ff db … │ ff c0 0011 08 00b4 0140 03 … │ ff da … │ … ff d9      JPEG, 180 lines of 320
//! RIFF size WEBP │ VP8  size │ 3 bytes │ 9d 01 2a │ 4001 b400 …                                 WebP, 320 by 180
//! ```

use rackside_proto::Format;

/// Width and height of the picture that these bytes are in this format, if they are one.
pub fn size(format: Format, bytes: &[u8]) -> Option<(u16, u16)> {
    let (width, height) = match format {
        Format::Jpeg => jpeg(bytes)?,
        Format::Webp => webp(bytes)?,
    };
    (width > 0 && height > 0).then_some((width, height))
}

/// By its segments: what comes before the first scan has a length each.
fn jpeg(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?.strip_suffix(&[0xff, 0xd9])?;
    let mut found = None;
    loop {
        let [0xff, marker, high, low, ..] = *rest else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Behind the marker; its length counts itself.
        let (_, behind) = rest.split_at_checked(2)?;
        let (segment, after) = behind.split_at_checked(length)?;
        match marker {
            // Baseline, extended, progressive: eight bits, one colour or three.
            0xc0..=0xc2 => {
                let [_, _, 8, h1, h0, w1, w0, 1 | 3, ..] = *segment else { return None };
                found = Some((u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])));
            }
            // A scan begins, and with it what has no length.
            0xda => return found.filter(|_| !after.is_empty()),
            // Tables, restarts' distance, applications' own, a comment.
            0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe if length >= 2 => {}
            _ => return None,
        }
        rest = after;
    }
}

/// By its first chunk.
fn webp(bytes: &[u8]) -> Option<(u16, u16)> {
    let (head, chunk) = bytes.split_at_checked(12)?;
    let told = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
    if !head.starts_with(b"RIFF")
        || !head.ends_with(b"WEBP")
        || usize::try_from(told).ok()? != bytes.len() - 8
    {
        return None;
    }
    let (name, rest) = chunk.split_at_checked(4)?;
    let (length, body) = rest.split_at_checked(4)?;
    let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let body = body.get(..length)?;
    match name {
        // RFC 6386, 9.1: a key frame.
        b"VP8 " => {
            let [first, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *body else { return None };
            let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
            (first & 1 == 0).then(|| (side(w0, w1), side(h0, h1)))
        }
        // Without loss: 14 bits each, one less than it is.
        b"VP8L" => {
            let [0x2f, a, b, c, d, ..] = *body else { return None };
            let bits = u32::from_le_bytes([a, b, c, d]);
            Some(((bits & 0x3fff) as u16 + 1, ((bits >> 14) & 0x3fff) as u16 + 1))
        }
        // Extended files are for colour profiles, transparency and things that move.
        _ => None,
    }
}

/// Whatever the bytes, nothing panics; and a picture with its end cut off is none.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    for format in [Format::Jpeg, Format::Webp] {
        let Some((width, height)) = size(format, bytes) else { continue };
        assert!(width > 0 && height > 0);
        let cut = bytes.get(..bytes.len() - 1).unwrap_or_default();
        // A JPEG may have the mark of its end twice.
        assert!(size(format, cut).is_none() || cut.ends_with(&[0xff, 0xd9]));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What ffmpeg 5.1 made of a test picture, 64 by 36.
    pub(crate) const JPEG: &[u8] = include_bytes!("../../../tests/fuzz/corpus/picture/jpeg");
    const WEBP: &[u8] = include_bytes!("../../../tests/fuzz/corpus/picture/webp");
    /// 32 by 18.
    const LOSSLESS: &[u8] = include_bytes!("../../../tests/fuzz/corpus/picture/webp-lossless");

    #[test]
    fn what_ffmpeg_makes_is_a_picture_of_its_size() {
        assert_eq!(size(Format::Jpeg, JPEG), Some((64, 36)));
        assert_eq!(size(Format::Webp, WEBP), Some((64, 36)));
        assert_eq!(size(Format::Webp, LOSSLESS), Some((32, 18)));
    }

    #[test]
    fn what_is_another_format_than_it_says_is_none() {
        assert_eq!(size(Format::Webp, JPEG), None);
        assert_eq!(size(Format::Jpeg, WEBP), None);
        for rubbish in
            [&b""[..], b"<svg onload=alert(1)>", b"GIF89a", b"\x89PNG\r\n\x1a\n", &[0xff, 0xd8, 0xff, 0xd9]]
        {
            assert_eq!(
                (size(Format::Jpeg, rubbish), size(Format::Webp, rubbish)),
                (None, None),
                "{rubbish:?}"
            );
        }
    }

    #[test]
    fn what_is_cut_short_or_has_something_behind_it_is_none() {
        for (format, picture) in [(Format::Jpeg, JPEG), (Format::Webp, WEBP), (Format::Webp, LOSSLESS)] {
            for end in 0..picture.len() {
                assert_eq!(size(format, &picture[..end]), None, "{end} bytes of {}", format.as_str());
            }
            assert_eq!(size(format, &[picture, b"<script>"].concat()), None, "{}", format.as_str());
        }
    }

    #[test]
    fn a_picture_of_no_pixels_or_no_scan_is_none() {
        let frame = JPEG.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("it has one");
        let mut flat = JPEG.to_vec();
        flat[frame + 5..frame + 7].fill(0);
        assert_eq!(size(Format::Jpeg, &flat), None);
        let mut headless = JPEG.to_vec();
        headless[frame + 1] = 0xfe;
        assert_eq!(size(Format::Jpeg, &headless), None, "its frame is a comment");
        let scan = JPEG.windows(2).position(|pair| pair == [0xff, 0xda]).expect("it has one");
        let unseen = [&JPEG[..scan], &[0xff, 0xd9]].concat();
        assert_eq!(size(Format::Jpeg, &unseen), None);
    }
}
