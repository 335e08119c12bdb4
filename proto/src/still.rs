//! A picture of a stream: what an operator sees of it without a player.
//!
//! The only message outside custody: sent with QoS 0, kept by nobody on its way, and the newest one says it all. The bytes of the picture
//! are not looked at here; whoever shows it has to see that they are one.
//!
//! ```text
//! Still { probe: "programme", time: Utc { ms: 1_795_145_096_123 }, clock: Ntp, width: 320, height: 180, format: Jpeg, picture: [ff, d8, …] }
//! ```

use crate::codec::{Input, checked, put};
use crate::{ClockSource, DecodeError, EncodeError, Sink, Time, WIRE, limits};
use serde::{Deserialize, Serialize};

/// A picture of a stream, as its agent took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Still<'a> {
    /// The name of the probe that looks at the stream; never empty. There is one newest picture for each.
    pub probe: &'a str,
    /// When the picture was taken.
    pub time: Time,
    /// Where the clock comes from that says so.
    pub clock: ClockSource,
    /// Pixels from left to right, 1 to [`limits::SIDE`].
    pub width: u16,
    /// Pixels from top to bottom, 1 to [`limits::SIDE`].
    pub height: u16,
    /// What the bytes are.
    pub format: Format,
    /// The bytes of the file, never none.
    pub picture: &'a [u8],
}

/// The format of a picture. New ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl Format {
    /// `jpeg` or `webp`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }

    /// As HTTP calls it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

impl<'a> Still<'a> {
    /// Appends the body.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        checked(self.probe, "probe")?;
        if let Some(what) = self.beyond() {
            return Err(EncodeError::Limit(what));
        }
        sink.put(&[WIRE])?;
        put(sink, self)
    }

    /// Reads a body.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let still: Self = Input::body(bytes, limits::SMALL)?.take("still")?;
        if checked(still.probe, "").is_err() {
            return Err(DecodeError::Limit("probe"));
        }
        still.beyond().map_or(Ok(still), |what| Err(DecodeError::Limit(what)))
    }

    /// What of it is beyond a bound.
    fn beyond(&self) -> Option<&'static str> {
        let is_side = |side| (1..=limits::SIDE).contains(&side);
        if self.probe.is_empty() {
            Some("probe")
        } else if !is_side(self.width) || !is_side(self.height) {
            Some("size of the picture")
        } else if self.picture.is_empty() || self.picture.len() > limits::PICTURE {
            Some("bytes of the picture")
        } else {
            None
        }
    }
}
