//! A mail: text and HTML, the chart inside the HTML. Mails of one group are one conversation.
//!
//! Nothing here is encoded for the wire; but what goes into headers is one line already, so that no text can add a header.
//!
//! ```text
//! Subject: Critical: Arena North/rack-1: SoC at 84.2 °C     Message-ID: <rackside.7.9f…@example.org>     References: <rackside.group.51…@example.org>
//! ```

use super::text::{Piece, html, line, pieces, units};
use super::{Letter, short_hash};
use crate::{Attachment, MailParcel};
use std::fmt::Write as _;

/// What phones and mail programs show of a subject is far less.
const SUBJECT: usize = 200;
/// More than anybody reads, and a small mail.
const BODY: usize = 50_000;
const CONTENT_ID: &str = "chart@rackside";

pub(super) fn parcel(letter: &Letter, from: &str, to: &[String]) -> MailParcel {
    let message = letter.message;
    let subject = letter.title(SUBJECT, units);
    let body = letter.body(BODY, units);
    let picture = letter.picture();
    let domain = domain(from);
    let at = message.at.to_string();
    let (id, receiver) = (message.id.to_string(), letter.receiver.name.as_str());
    let links = letter.links().into_iter().map(|(label, url)| format!("{label}: {url}"));
    let text = std::iter::once(body.clone()).chain([String::new()]).chain(links);
    let text = format!("{}\n", text.collect::<Vec<_>>().join("\n").trim());
    MailParcel {
        from: line(from, 1_000),
        to: to.iter().map(|address| line(address, 1_000)).collect(),
        html: page(letter, &subject, &body, picture.is_some()),
        subject,
        text,
        attachments: picture
            .map(|bytes| Attachment {
                content_id: CONTENT_ID.to_owned(),
                file_name: "chart.png".to_owned(),
                content_type: "image/png",
                bytes,
            })
            .into_iter()
            .collect(),
        message_id: format!(
            "rackside.{id}.{}@{domain}",
            short_hash(&[receiver, &id, &at, &message.group_key])
        ),
        references: format!("rackside.group.{}@{domain}", short_hash(&[receiver, &message.group_key])),
    }
}

/// The domain of `Rackside <hub@example.org>`.
fn domain(from: &str) -> String {
    let domain = from.rsplit_once('@').map_or("", |(_, rest)| rest);
    let domain: String =
        domain.chars().take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    if domain.is_empty() { "rackside.invalid".to_owned() } else { domain }
}

/// The HTML part: no scripts, no outside pictures, readable where styles are dropped.
fn page(letter: &Letter, subject: &str, body: &str, pictured: bool) -> String {
    let view = &letter.view;
    let colour = match (view.resolved || view.heartbeat, view.severity) {
        (true, _) => "#1a7f37",
        (false, "critical") => "#c0201e",
        (false, "warning") => "#a86200",
        (false, _) => "#2f6fd0",
    };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n\
         <body style=\"font-family:sans-serif;font-size:16px;line-height:1.4;color:#222;margin:12px\">\n\
         <h1 style=\"font-size:20px;margin:0 0 12px;padding-left:10px;border-left:6px solid {colour}\">{symbol} {title}</h1>\n",
        title = html(subject),
        symbol = view.symbol,
    );
    for paragraph in body.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let lines = paragraph.split('\n').map(linked).collect::<Vec<_>>().join("<br>\n");
        writeln!(page, "<p>{lines}</p>").expect("text takes text");
    }
    if pictured {
        writeln!(page, "<p><img src=\"cid:{CONTENT_ID}\" alt=\"the last hour\" width=\"480\" style=\"max-width:100%\"></p>")
            .expect("text takes text");
    }
    let links = letter.links();
    let links = links.iter().map(|(label, url)| format!("<a href=\"{}\">{label}</a>", html(url)));
    let links = links.collect::<Vec<_>>().join(" · ");
    if !links.is_empty() {
        writeln!(page, "<p>{links}</p>").expect("text takes text");
    }
    page.push_str("</body></html>\n");
    page
}

fn linked(line: &str) -> String {
    pieces(line)
        .map(|piece| match piece {
            Piece::Words(words) => html(words),
            Piece::Url(url) => format!("<a href=\"{0}\">{0}</a>", html(url)),
        })
        .collect()
}
