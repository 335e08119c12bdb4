//! `still` in the configuration of a stream's probe: whether a picture of it is sent, how often, how large. Pure.
//!
//! ```toml
//! still = { every = "5m", width = 320, budget = "24 KiB" }
//! ```

use rackside_config::{Size, Span};
use rackside_proto::limits;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

const EVERY: Duration = Duration::from_mins(5);
const WIDTH: u16 = 320;
const BUDGET: Size = Size::kibibytes(24);

/// The table, as the file has it; without it nothing is sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StillTable {
    /// From one picture to the next; 5 minutes unless set.
    every: Option<Span>,
    /// The longer side, in pixels; 320 unless set.
    width: Option<u16>,
    /// Most bytes of a picture; 24 KiB unless set.
    budget: Option<Size>,
    /// Whether pictures are taken and sent over a metered interface as well.
    metered: bool,
}

/// How pictures of one stream are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// From one picture to the next.
    pub every: Duration,
    /// The longer side, in pixels; a smaller picture stays as small as it is.
    pub width: u16,
    /// Most bytes of a picture.
    pub budget: usize,
    /// Whether they are taken and sent over a metered interface as well.
    pub metered: bool,
}

impl StillTable {
    /// The plan, or the key that is wrong and how.
    pub fn plan(&self) -> Result<Plan, (&'static str, String)> {
        let (least, most) = (Span::seconds(30), Span::seconds(24 * 3600));
        if let Some(every) = self.every.filter(|every| !(least..=most).contains(every)) {
            let why = format!("\"{every}\" is out of range; from \"{least}\" to \"{most}\" is possible");
            return Err(("still.every", why));
        }
        let width = self.width.unwrap_or(WIDTH);
        if !(64..=640).contains(&width) {
            return Err((
                "still.width",
                format!("{width} is out of range; from 64 to 640 pixels is possible"),
            ));
        }
        let (least, most) = (Size::kibibytes(2), Size::from_bytes(limits::PICTURE as u64));
        let budget = self.budget.unwrap_or(BUDGET);
        if !(least..=most).contains(&budget) {
            let why = format!("\"{budget}\" is out of range; from \"{least}\" to \"63 KiB\" is possible");
            return Err(("still.budget", why));
        }
        let every = self.every.map_or(EVERY, Span::get);
        Ok(Plan { every, width, budget: budget.bytes() as usize, metered: self.metered })
    }
}

impl fmt::Display for Plan {
    /// `a picture every 5m, 320 pixels at most, 24 KiB at most`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { every, width, budget, metered } = self;
        let budget = Size::from_bytes(*budget as u64);
        write!(f, "a picture every {every:?}, {width} pixels and {budget} at most")?;
        f.write_str(if *metered { ", over a metered line as well" } else { "" })
    }
}
