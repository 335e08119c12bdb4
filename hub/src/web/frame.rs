//! What a page has around it, of this hub: who looks at it, and what is wrong with the hub itself.

use super::Web;
use crate::clock;
use rackside_pages::{Banner, Frame, Here, Who};

impl Web {
    /// The frame of a page that is made now.
    pub(super) fn frame(&self, title: &str, here: Here) -> Frame {
        let mut frame = bare(title, here);
        let troubles = self.troubles();
        let of_the_hub = [
            ("trouble", "No telemetry can come in.", troubles.way),
            ("history", "The hub's disk:", troubles.history),
        ];
        frame.banners.extend(of_the_hub.into_iter().map(|(id, head, text)| {
            let hidden = text.is_empty();
            Banner { id, state: "critical", head: head.to_owned(), text, hidden }
        }));
        frame
    }
}

/// The frame of a page that is made where nothing is known.
pub(super) fn bare(title: &str, here: Here) -> Frame {
    Frame::new(title, here, &Who::default(), env!("CARGO_PKG_VERSION"), clock::now().utc_ms)
}
