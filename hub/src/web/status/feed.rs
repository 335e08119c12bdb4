//! `/status/feed`: incidents and maintenance for readers of feeds, in Atom (RFC 4287). What it says is what the public page says, and no more.
//!
//! An entry's id is made of what the entry is, so it stays the same over restarts, and what is told further, or is over, is the same entry with a later `updated`.
//!
//! ```text
//! <entry><id>urn:uuid:8c0f…</id><title>The stream is interrupted (The arena)</title><updated>2026-11-21T08:31:00.000Z</updated>
//! <published>2026-11-21T08:19:32.000Z</published><category term="incident"/><content>Over after 11 min. It was the carrier.</content></entry>
//! ```

use super::told::{AHEAD, OneIncident, OneMaintenance, Told};
use crate::moment::{rfc3339, span};
use rackside_pages::When;
use std::fmt::Write as _;

const DAY: i64 = 86_400_000;

/// One entry, before it is written.
struct Entry {
    id: String,
    title: String,
    kind: &'static str,
    published: i64,
    updated: i64,
    text: String,
}

impl Told {
    /// The feed. `external` is where people reach the hub; without it links are relative.
    pub(super) fn feed(&self, external: &str) -> String {
        let mut entries: Vec<Entry> = self.incidents.iter().map(|one| self.of_incident(one)).collect();
        entries.extend(self.maintenance.iter().map(|one| self.of_maintenance(one)));
        entries.sort_by(|one, other| (other.updated, &other.id).cmp(&(one.updated, &one.id)));
        let base = external.trim_end_matches('/');
        // Without an entry it is of today, so that it does not change with each look.
        let updated = entries.first().map_or(self.now.div_euclid(DAY) * DAY, |one| one.updated);
        let (title, page) = (escaped(&self.title), escaped(&format!("{base}/status")));
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\">\n\
             <id>{}</id>\n<title>{title}</title>\n<updated>{}</updated>\n<author><name>{title}</name></author>\n\
             <link rel=\"self\" type=\"application/atom+xml\" href=\"{page}/feed\"/>\n<link rel=\"alternate\" type=\"text/html\" href=\"{page}\"/>\n",
            id(&["feed", base, &self.title]),
            at(updated),
        );
        for one in &entries {
            let _ = writeln!(
                text,
                "<entry><id>{}</id><title>{}</title><updated>{}</updated><published>{}</published>\
                 <category term=\"{}\"/><link rel=\"alternate\" type=\"text/html\" href=\"{page}\"/><content type=\"text\">{}</content></entry>",
                one.id,
                escaped(&one.title),
                at(one.updated),
                at(one.published),
                one.kind,
                escaped(&one.text),
            );
        }
        text.push_str("</feed>\n");
        text
    }

    fn of_incident(&self, one: &OneIncident) -> Entry {
        let number = one.id.to_string();
        let from = one.from.to_string();
        let stands = match one.until {
            None => format!("Since {}, going on.", self.told_at(one.from, one)),
            Some(until) => format!(
                "Since {}, over after {}.",
                self.told_at(one.from, one),
                span((until - one.from).max(0) as u64)
            ),
        };
        Entry {
            // What somebody wrote has a number; what is made of alerts is known by where, what and since when.
            id: if one.id > 0 {
                id(&["written", &number])
            } else {
                id(&["alerts", &one.place, &one.title, &from])
            },
            title: format!("{} ({})", one.title, one.place),
            kind: "incident",
            published: one.from,
            updated: one.changed,
            text: if one.text.is_empty() { stands } else { format!("{stands}\n{}", one.text) },
        }
    }

    fn of_maintenance(&self, one: &OneMaintenance) -> Entry {
        // It is announced when it comes near, and is news once more when it begins.
        let announced = one.from - AHEAD;
        let moment = |ms| {
            let when = When::new(ms, one.zone, self.now);
            when.text
        };
        Entry {
            id: id(&["maintenance", &one.name, &one.place, &one.from.to_string()]),
            title: format!("Maintenance: {} ({})", one.name, one.place),
            kind: "maintenance",
            published: announced,
            updated: if one.from <= self.now { one.from } else { announced },
            text: format!("From {} to {} ({}).", moment(one.from), moment(one.until), one.zone.name()),
        }
    }

    fn told_at(&self, ms: i64, of: &OneIncident) -> String {
        format!("{} ({})", When::new(ms, of.zone, self.now).text, of.zone.name())
    }
}

fn at(ms: i64) -> String {
    rfc3339(ms.max(0) as u64)
}

/// A name that is made of these words and of nothing else: an UUID of version 8, whose bits are two FNV-1a sums.
fn id(words: &[&str]) -> String {
    let sum = |seed: u64| {
        let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
        bytes.fold(seed, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let (high, low) = (sum(0xcbf2_9ce4_8422_2325), sum(0x8422_2325_cbf2_9ce4));
    let (high, low) = (high & !0xf000 | 0x8000, low & (u64::MAX >> 2) | 1 << 63);
    format!(
        "urn:uuid:{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Text within XML; what XML has no way to say is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_onair::Zone;

    const NOW: i64 = 20_777 * DAY + 9 * 3_600_000;

    fn told() -> Told {
        let incident = |id, title: &str, until| OneIncident {
            id,
            title: title.to_owned(),
            place: "The <arena>".to_owned(),
            text: "We are at it & \u{1}\u{ffff}hurry.\nSoon.".to_owned(),
            zone: Zone::UTC,
            from: NOW - 600_000,
            until,
            changed: until.unwrap_or(NOW - 300_000),
        };
        Told {
            title: "Our \"streams\"".to_owned(),
            now: NOW,
            sites: Vec::new(),
            incidents: vec![incident(7, "No picture", None), incident(0, "No sound", Some(NOW - 60_000))],
            maintenance: vec![OneMaintenance {
                name: "switches".to_owned(),
                place: "Hall".to_owned(),
                zone: Zone::UTC,
                from: NOW + DAY,
                until: NOW + DAY + 3_600_000,
            }],
        }
    }

    #[test]
    fn the_newest_is_first_and_nothing_breaks_the_markup() {
        let feed = told().feed("https://hub.example.org/");
        let titles: Vec<&str> =
            feed.split("<title>").skip(2).map(|rest| rest.split('<').next().unwrap()).collect();
        assert_eq!(
            titles,
            [
                "No sound (The &lt;arena&gt;)",
                "No picture (The &lt;arena&gt;)",
                "Maintenance: switches (Hall)"
            ]
        );
        assert!(feed.contains("We are at it &amp; hurry.\nSoon."), "{feed}");
        assert!(feed.contains("href=\"https://hub.example.org/status/feed\""), "{feed}");
        assert!(feed.contains("over after 9 min."), "{feed}");
    }

    #[test]
    fn what_is_told_further_is_the_same_entry() {
        let ids = |told: &Told| {
            let feed = told.feed("");
            let mut ids: Vec<String> = feed.split("<id>").skip(1).map(|rest| rest[..45].to_owned()).collect();
            ids.sort();
            ids.dedup();
            ids
        };
        let before = told();
        let mut after = told();
        after.now += 60_000;
        for one in &mut after.incidents {
            (one.text, one.until, one.changed) = ("It is mended.".to_owned(), Some(NOW), NOW);
        }
        assert_eq!(ids(&before).len(), 4, "the feed's own, and each another");
        assert_eq!(ids(&before), ids(&after));
        let mut other = told();
        other.incidents[1].from += 1;
        assert_ne!(ids(&before), ids(&other), "another disturbance of the same words is another");
    }

    #[test]
    fn an_empty_one_is_of_today() {
        let empty = Told { incidents: Vec::new(), maintenance: Vec::new(), ..told() };
        assert!(empty.feed("").contains("<updated>2026-11-20T00:00:00.000Z</updated>"), "{}", empty.feed(""));
    }
}
