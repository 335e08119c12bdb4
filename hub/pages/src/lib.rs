//! What people see: the hub's pages, with their styles and scripts. Pure: structs that are ready to be read go in, HTML comes out.
//!
//! Knows no fleet, no HTTP, no disk and no clock. The hub's handlers (`hub/src/web`, one file a page) gather what is so, put it into the page's struct,
//! every number already in words, and call [`render`]. Templates hold nothing but `if`, `for` and `call`: the engine knows no comparisons, so
//! each decision is a field. What agents and operators chose is escaped by the engine wherever it stands; nothing is marked as safe but the SVG of
//! charts, which is made here.
//!
//! # How a page is added
//!
//! 1. **Module** `src/venue.rs`: `pub struct Venue { pub frame: Frame, … }`, `Serialize`, and a line in the list below. `frame` is what every page has.
//! 2. **Template** `templates/venue.html` and its row in `engine::TEMPLATES`:
//!
//!    ```html
//!    {{ call head with frame }}<link rel="stylesheet" href="/static/venue.css">
//!    <script src="/static/venue.js" defer></script>
//!    </head>
//!    <body data-now="{frame.now_ms}">
//!    {{ call top with frame }}<main id="main">
//!    <h1>{name}</h1>
//!    </main>
//!    {{ call foot with frame }}
//!    ```
//! 3. **Style** `static/venue.css`, **script** `static/venue.js`, if it needs any: a row each in `asset::FILES`. `base.css` has the tokens (colours of light and dark,
//!    space, type), forms, buttons, tables that become cards, badges, marks, lamps; its head lists them. A template names a file plainly, as above; the engine
//!    puts the name with the digest there. No inline script or style: the policy forbids both. A page is whole without its script.
//! 4. **Way there**: [`Here`] names what the page is part of; `frame::NAV` is the row of links, and has only pages that there are.
//! 5. **Test**, last in the module: fill every text with [`HOSTILE`] and ask `engine::tests::assert_tame(&html)`, which sees that no name becomes markup and
//!    that elements are closed in order.
//! 6. **Handler** `hub/src/web/venue.rs`: `page::whole(headers, move || …)` runs it on a thread that may block; `web.frame(title, Here::…, &visitor)` makes the frame. Then
//!    a row in the table of pages in `tests/e2e/page.rs`: it is looked at with axe at both widths, light and dark.
//!
//! Words: a span is `3 min` ([`moment::span`]), state is shape and word and colour, never colour alone.

pub mod alert;
pub mod alerts;
pub mod appliance;
pub mod asset;
pub mod boxes;
pub mod chart;
pub mod commands;
pub mod commissioning;
pub mod configuration;
mod engine;
pub mod fleet;
mod frame;
pub mod log;
pub mod login;
pub mod maintenance;
pub mod missing;
pub mod moment;
pub mod quantity;
pub mod runbook;
pub mod series;
pub mod settings;
pub mod site;
pub mod status;
pub mod stills;
mod when;

pub use engine::render;
pub use frame::{Banner, Frame, Here, Who};
pub use when::When;

/// A name that tries to be markup, for the tests of pages.
pub const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
