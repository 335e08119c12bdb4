//! What a page has around it, of this hub: who looks at it, and what is wrong with the hub itself.

use super::Web;
use super::visitor::Visitor;
use crate::clock;
use rackside_access::{How, Right};
use rackside_pages::{Banner, Frame, Here, Who};

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Web {
    /// The frame of a page that is made now for `visitor`.
    pub(super) fn frame(&self, title: &str, here: Here, visitor: &Visitor) -> Frame {
        let who = Who {
            name: visitor.name.as_deref(),
            csrf: &visitor.csrf,
            is_in: visitor.how == How::Session,
            may_log_in: matches!(visitor.how, How::Anonymous | How::Nobody | How::Link),
            has_settings: matches!(visitor.how, How::Open | How::Session),
        };
        let mut frame = Frame::new(title, here, &who, VERSION, clock::now().utc_ms);
        let troubles = self.troubles();
        let of_the_hub = [
            ("trouble", "No telemetry can come in.", troubles.way),
            ("history", "The hub's disk:", troubles.history),
            ("watch", "Nobody may be told:", troubles.watch),
        ];
        // What is wrong here is nobody's business who may not see the hub.
        let of_the_hub = of_the_hub.into_iter().filter(|_| visitor.may(Right::See));
        frame.banners.extend(of_the_hub.map(|(id, head, text)| {
            let hidden = text.is_empty();
            Banner { id, state: "critical", head: head.to_owned(), text, hidden }
        }));
        if visitor.may(Right::See) {
            frame.banners.push(Banner {
                id: "starting",
                state: "info",
                head: String::new(),
                hidden: troubles.starting.is_empty(),
                text: troubles.starting,
            });
        }
        if visitor.how == How::Open {
            frame.banners.push(Banner {
                id: "open",
                state: "info",
                head: "Open.".to_owned(),
                text: "There are no users yet: whoever is on the hub's own machine sees and changes everything. Make the \
                       first user in Settings."
                    .to_owned(),
                hidden: false,
            });
        }
        frame
    }

    /// The frame of a page that a script keeps fresh, and that says when it no longer does.
    pub(super) fn live_frame(&self, title: &str, here: Here, visitor: &Visitor) -> Frame {
        let mut frame = self.frame(title, here, visitor);
        frame.banners.push(Banner {
            id: "lost",
            state: "critical",
            head: "Not live.".to_owned(),
            text: "The hub does not answer; what you see is old.".to_owned(),
            hidden: true,
        });
        frame
    }
}

/// The frame of a page that is made where nobody knows for whom.
pub(super) fn bare(title: &str, here: Here) -> Frame {
    Frame::new(title, here, &Who::default(), VERSION, clock::now().utc_ms)
}
