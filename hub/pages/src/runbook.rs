//! What to do about the alerts that ship with the hub: the paragraphs of `docs/alerts.md`, as HTML.
//!
//! Reads the Markdown that this file is written in (paragraphs, lists, tables, code, bold, links), not all that there is. Every text is escaped. A link within
//! the documentation stays a word, since the hub has no such page.
//!
//! ```text
//! ### SocHot  \n  Warning. Above 75 °C …   →   "sochot": <p>Warning. Above 75 °C …</p>
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// The manual of alerts as it stands in the repository. A static, so that it is in the program once, whoever else reads in it.
pub static MANUAL: &str = include_str!("../../../docs/alerts.md");

static PARAGRAPHS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let sections = MANUAL.split("\n### ").skip(1);
    sections
        .filter_map(|section| {
            let (name, body) = section.split_once('\n')?;
            // Up to the next larger heading.
            let body = body.split("\n## ").next().unwrap_or(body);
            Some((name.trim().to_lowercase(), html(body)))
        })
        .collect()
});

/// The paragraph that a rule's `runbook` names, as HTML: `docs/alerts.md#sochot`.
pub fn paragraph(runbook: &str) -> Option<&'static str> {
    let (file, anchor) = runbook.split_once('#')?;
    PARAGRAPHS.get(anchor).filter(|_| file == "docs/alerts.md").map(String::as_str)
}

fn html(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            write!(out, "<pre>{}</pre>", escape(&code.join("\n"))).expect("a String takes everything");
        } else if let Some(first) = line.strip_prefix("- ") {
            out.push_str("<ul>");
            let mut item = first.to_owned();
            while let Some(next) = lines.next_if(|line| !line.trim().is_empty()) {
                if let Some(text) = next.strip_prefix("- ") {
                    write!(out, "<li>{}</li>", inline(&item)).expect("a String takes everything");
                    text.clone_into(&mut item);
                } else {
                    item.push(' ');
                    item.push_str(next.trim());
                }
            }
            write!(out, "<li>{}</li></ul>", inline(&item)).expect("a String takes everything");
        } else if line.starts_with('|') {
            out.push_str("<table class=\"plain\">");
            row(&mut out, line, "th");
            while let Some(next) = lines.next_if(|line| line.starts_with('|')) {
                if !next.starts_with("|--") {
                    row(&mut out, next, "td");
                }
            }
            out.push_str("</table>");
        } else {
            let mut paragraph = line.to_owned();
            while let Some(next) =
                lines.next_if(|line| !line.trim().is_empty() && !line.starts_with(['-', '|', '`']))
            {
                paragraph.push(' ');
                paragraph.push_str(next.trim());
            }
            write!(out, "<p>{}</p>", inline(&paragraph)).expect("a String takes everything");
        }
    }
    out
}

fn row(out: &mut String, line: &str, cell: &str) {
    out.push_str("<tr>");
    for text in line.trim_matches('|').split('|') {
        write!(out, "<{cell}>{}</{cell}>", inline(text.trim())).expect("a String takes everything");
    }
    out.push_str("</tr>");
}

/// Bold, code and links of a line.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['*', '`', '[']) {
        let (before, mark) = rest.split_at(at);
        out.push_str(&escape(before));
        let (piece, behind) = if let Some((bold, behind)) = between(mark, "**", "**") {
            (format!("<b>{}</b>", inline(bold)), behind)
        } else if let Some((code, behind)) = between(mark, "`", "`") {
            (format!("<code>{}</code>", escape(code)), behind)
        } else if let Some((word, behind)) = between(mark, "[", "](") {
            let (target, behind) = behind.split_once(')').unwrap_or((behind, ""));
            let word = inline(word);
            if target.starts_with("https://") {
                (format!("<a href=\"{}\" rel=\"noreferrer noopener\">{word}</a>", escape(target)), behind)
            } else {
                (word, behind)
            }
        } else {
            let (one, behind) = mark.split_at(1);
            (one.to_owned(), behind)
        };
        out.push_str(&piece);
        rest = behind;
    }
    out.push_str(&escape(rest));
    out
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(open)?.split_once(close)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paragraph_of_a_shipped_rule_is_there_and_ends_where_the_next_begins() {
        let text = paragraph("docs/alerts.md#sochot").expect("it ships");
        assert!(text.starts_with("<p>Warning. Above 75 °C"), "{text}");
        assert!(text.contains("<li><b>Do</b>: open the rack"), "{text}");
        assert!(text.contains("<code>rackside_soc_temperature_celsius</code>"), "{text}");
        assert!(!text.contains("Above 82 °C"), "{text}");
        for none in ["docs/alerts.md#nothing", "docs/other.md#sochot", "sochot", ""] {
            assert_eq!(paragraph(none), None, "{none}");
        }
    }

    #[test]
    fn marks_become_elements_and_everything_else_is_text() {
        let said = html(
            "a < b & **bold `c`** [x](#y) [z](https://e.org/)\nmore * 2\n\n- one\n  on\n- two\n\n| a | b |\n|---|---|\n| 1 | `<` |\n\n```sh\n<x>\n```\n",
        );
        assert_eq!(
            said,
            "<p>a &lt; b &amp; <b>bold <code>c</code></b> x <a href=\"https://e.org/\" rel=\"noreferrer noopener\">z</a> more * 2</p>\
             <ul><li>one on</li><li>two</li></ul>\
             <table class=\"plain\"><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><code>&lt;</code></td></tr></table>\
             <pre>&lt;x&gt;</pre>"
        );
    }

    #[test]
    fn every_paragraph_closes_what_it_opens() {
        assert!(PARAGRAPHS.len() > 50, "{} paragraphs", PARAGRAPHS.len());
        for (name, text) in PARAGRAPHS.iter() {
            for element in ["p", "ul", "li", "b", "code", "table", "tr"] {
                let count = |tag: &str| text.matches(tag).count();
                let open = count(&format!("<{element}>")) + count(&format!("<{element} "));
                assert_eq!(open, count(&format!("</{element}>")), "{element} in {name}: {text}");
            }
        }
    }
}
