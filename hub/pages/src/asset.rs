//! `/static/`: styles, scripts and the icon. They are part of the binary and change only with it.
//!
//! Each has two names: `base.css`, and `base.8f14e45fceea167a.css` with the digest of its content. Pages name the second, which a browser may keep for
//! good; the first is for people, and is asked for anew each time (`ETag`).

use std::sync::LazyLock;

/// One file.
#[derive(Debug)]
pub struct Asset {
    /// `base.css`.
    pub name: &'static str,
    /// `base.8f14e45fceea167a.css`.
    pub lasting: String,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// What it holds.
    pub body: &'static str,
    /// `"8f14e45fceea167a"`, with its quotes.
    pub tag: String,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("base.css", CSS, include_str!("../static/base.css")),
    ("theme.js", JS, include_str!("../static/theme.js")),
    ("icon.svg", SVG, include_str!("../static/icon.svg")),
    ("fleet.css", CSS, include_str!("../static/fleet.css")),
    ("site.css", CSS, include_str!("../static/site.css")),
    ("fleet.js", JS, include_str!("../static/fleet.js")),
    ("live.js", JS, include_str!("../static/live.js")),
    ("times.js", JS, include_str!("../static/times.js")),
    ("alerts.js", JS, include_str!("../static/alerts.js")),
    ("log.css", CSS, include_str!("../static/log.css")),
    ("log.js", JS, include_str!("../static/log.js")),
    ("status.css", CSS, include_str!("../static/status.css")),
    ("appliance.css", CSS, include_str!("../static/appliance.css")),
    ("chart.css", CSS, include_str!("../static/chart.css")),
    ("chart.js", JS, include_str!("../static/chart.js")),
    ("appliance.js", JS, include_str!("../static/appliance.js")),
    ("alerts.css", CSS, include_str!("../static/alerts.css")),
    ("settings.css", CSS, include_str!("../static/settings.css")),
    ("boxes.css", CSS, include_str!("../static/boxes.css")),
    ("stills.css", CSS, include_str!("../static/stills.css")),
    ("wall.js", JS, include_str!("../static/wall.js")),
    ("clock.js", JS, include_str!("../static/clock.js")),
    ("site.js", JS, include_str!("../static/site.js")),
    ("stills.js", JS, include_str!("../static/stills.js")),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let made = FILES.iter().map(|&(name, content_type, body)| {
        let digest = format!("{:016x}", fingerprint(body));
        let (stem, ending) = name.rsplit_once('.').expect("every file has an ending");
        let (lasting, tag) = (format!("{stem}.{digest}.{ending}"), format!("\"{digest}\""));
        Asset { name, lasting, content_type, body, tag }
    });
    made.collect()
});

/// The file of that name, with its digest or without.
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name || asset.lasting == name)
}

/// A template's text with the lasting names in place of the plain ones.
pub(crate) fn with_lasting_names(template: &str) -> String {
    ASSETS.iter().fold(template.to_owned(), |text, asset| {
        text.replace(&format!("\"/static/{}\"", asset.name), &format!("\"/static/{}\"", asset.lasting))
    })
}

/// FNV-1a: the same content has the same tag on every machine.
fn fingerprint(body: &str) -> u64 {
    body.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_name_for_people_and_one_that_lasts() {
        let icon = asset("icon.svg").expect("it is there");
        assert!(icon.lasting == format!("icon.{}.svg", icon.tag.trim_matches('"')));
        assert!(std::ptr::eq(icon, asset(&icon.lasting).expect("the same")));
        assert!(asset("icon.0000000000000000.svg").is_none(), "that content is no longer there");
    }

    #[test]
    fn a_template_names_files_that_are_there() {
        let text = with_lasting_names("<link href=\"/static/base.css\"><link href=\"/static/none.css\">");
        assert!(text.contains("href=\"/static/base.") && !text.contains("/static/base.css"), "{text}");
        assert!(text.contains("/static/none.css"), "{text}");
    }
}
