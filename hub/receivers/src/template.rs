//! Templates of title and body: tinytemplate over a [`View`], in the receiver's own words or in ours.
//!
//! A template makes plain text; what a receiver's marks are is escaped afterwards, by its format, so that no template can get it wrong. The
//! payload of a webhook is the exception: there a template is the whole JSON text, and each value is escaped for the inside of a JSON string.
//! tinytemplate finds most faults when it renders, so [`check`] renders samples of every kind and state. A fault that shows up later all the same
//! costs the words, not the message: ours take their place.
//!
//! ```text
//! title = "{word}: {what}"   body = "{{ for alert in alerts }}{alert.what}, since {alert.since}\n{{ endfor }}"
//! ```

use crate::sample;
use crate::view::View;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use tinytemplate::TinyTemplate;

/// Our title.
pub const TITLE: &str = "{word}: {what}";

/// Our body.
pub const BODY: &str = "\
{{ if late }}Told late: this was written at {at}.
{{ endif }}{{ if escalated }}Nobody has acknowledged this so far; you are step {step}.
{{ endif }}{{ if text }}{text}
{{ endif }}{{ if cause }}Probable cause: {cause}{{ if explains }} (explains {explains} alerts){{ endif }}
{{ endif }}{{ if outage }}{{ if firing_count }}Gone: {firing_count}
{{ endif }}{{ if resolved_count }}Back: {resolved_count}
{{ endif }}{{ else }}{{ for alert in alerts }}{{ if many }}
{alert.word}: {alert.what}
{{ else }}{{ if not alert.resolved }}{{ if alert.description }}{alert.description}
{{ endif }}{{ endif }}{{ endif }}Since {alert.since}{{ if alert.resolved }}, over at {alert.until}, after {alert.lasted}{{ else }}, for {alert.lasted}{{ if alert.value }}, value {alert.value}{{ endif }}{{ endif }}
{{ if alert.unknown }}Its appliance cannot be heard: nobody knows whether this goes on.
{{ endif }}{{ if alert.flapping }}It comes and goes.
{{ endif }}{{ if alert.acknowledged }}Acknowledged by {alert.acknowledged_by} at {alert.acknowledged_at}{{ if alert.acknowledged_note }}: {alert.acknowledged_note}{{ endif }}
{{ endif }}{{ if not alert.resolved }}{{ if alert.runbook }}What to do: {alert.runbook}
{{ endif }}{{ endif }}{{ if many }}{{ if not acknowledge_url }}{{ if alert.acknowledge_url }}Acknowledge: {alert.acknowledge_url}
{{ endif }}{{ endif }}{{ endif }}{{ endfor }}{{ if more }}
… and {more} more alerts.
{{ endif }}{{ endif }}{{ if sites }}
{{ endif }}{{ for site in sites }}{site.title} is {{ if site.on_air }}ON AIR{{ else }}off air{{ endif }}.
{{ if firing }}{{ for contact in site.contacts }}Call {contact.role}{{ if contact.name }} ({contact.name}){{ endif }}: {contact.phone}{{ if contact.hours }}, {contact.hours}{{ endif }}{{ if contact.email }}, {contact.email}{{ endif }}
{{ endfor }}{{ if site.access }}Access: {site.access}
{{ endif }}{{ endif }}{{ endfor }}{{ if more_sites }}… and {more_sites} more sites.
{{ endif }}{{ if outage }}{{ if not acknowledge_url }}
{{ for alert in alerts }}{{ if alert.acknowledge_url }}Acknowledge {alert.what}: {alert.acknowledge_url}
{{ endif }}{{ endfor }}{{ endif }}{{ endif }}";

/// What a template is called inside: with a space in it no `call` can name it, so that none calls itself for ever.
const NAME: &str = "the template";
/// A template that makes more than this of a hundred alerts is no message any more.
const MOST: usize = 1024 * 1024;

/// Finds what is wrong with a template of a title or a body, by rendering samples of every kind and state of message.
pub fn check(template: &str) -> Result<(), String> {
    sample::views().iter().try_for_each(|view| words(template, view).map(drop))
}

/// Finds what is wrong with the template of a webhook's payload: as [`check`] does, and what comes out must be JSON.
pub fn check_payload(template: &str) -> Result<(), String> {
    sample::views().iter().try_for_each(|view| payload(template, view).map(drop))
}

/// Renders words.
pub(crate) fn words(template: &str, view: &View) -> Result<String, String> {
    render(template, view, write_plain)
}

/// Renders our title or body, or the receiver's if it has one and that works.
pub(crate) fn words_or_ours(own: Option<&str>, ours: &str, view: &View) -> String {
    let own = own.and_then(|template| words(template, view).ok());
    own.unwrap_or_else(|| words(ours, view).expect("our own templates render, which a test shows"))
}

/// Renders JSON.
pub(crate) fn payload(template: &str, view: &View) -> Result<Vec<u8>, String> {
    let text = render(template, view, write_quoted)?;
    match serde_json::from_str::<Value>(&text) {
        Ok(_) => Ok(text.into_bytes()),
        Err(error) => Err(format!("what it makes of a message about {} is not JSON: {error}", view.kind)),
    }
}

type Formatter = fn(&Value, &mut String) -> tinytemplate::error::Result<()>;

fn render(template: &str, view: &View, formatter: Formatter) -> Result<String, String> {
    let mut engine = TinyTemplate::new();
    engine.set_default_formatter(&formatter);
    engine.add_formatter("json", |value, text| {
        text.push_str(&value.to_string());
        Ok(())
    });
    engine.add_template(NAME, template).map_err(|error| plainly(&error))?;
    engine.render(NAME, &Context(view)).map_err(|error| plainly(&error))
}

/// A wrapper, so that nothing but a view is rendered.
#[derive(Serialize)]
#[serde(transparent)]
struct Context<'a>(&'a View);

/// A value as words: what is no word is a fault of the template's, not nothing.
fn write_plain(value: &Value, text: &mut String) -> tinytemplate::error::Result<()> {
    if text.len() > MOST {
        return Err(fault(format!("it makes more than {MOST} bytes of one message")));
    }
    match value {
        Value::Null => Ok(()),
        Value::Bool(truth) => Ok(write!(text, "{truth}")?),
        Value::Number(number) => Ok(write!(text, "{number}")?),
        Value::String(words) => {
            text.push_str(words);
            Ok(())
        }
        Value::Array(_) | Value::Object(_) => Err(fault(
            "a list or a table cannot be written as it is; loop over it, or name one of its values"
                .to_owned(),
        )),
    }
}

/// A value as words inside of a JSON string's quotes.
fn write_quoted(value: &Value, text: &mut String) -> tinytemplate::error::Result<()> {
    let mut plain = String::new();
    write_plain(value, &mut plain)?;
    let quoted = Value::from(plain).to_string();
    text.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
    if text.len() > MOST {
        Err(fault(format!("it makes more than {MOST} bytes of one message")))
    } else {
        Ok(())
    }
}

fn fault(msg: String) -> tinytemplate::error::Error {
    tinytemplate::error::Error::GenericError { msg }
}

/// tinytemplate's words, in one line and without its preface.
fn plainly(error: &tinytemplate::error::Error) -> String {
    use tinytemplate::error::Error;
    let said = match error {
        Error::ParseError { msg, line, column } | Error::RenderError { msg, line, column } => {
            format!("line {line}, column {column}: {msg}")
        }
        other => other.to_string(),
    };
    said.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_templates_are_sound() {
        assert_eq!(check(TITLE), Ok(()));
        assert_eq!(check(BODY), Ok(()));
    }

    #[test]
    fn faults_that_show_up_only_in_rendering_are_found() {
        let said = |template: &str| check(template).unwrap_err();
        assert!(
            said("{wat}").starts_with("line 1, column 1: Failed to find value 'wat'"),
            "{}",
            said("{wat}")
        );
        // In a branch that only one kind of message takes.
        for branch in ["heartbeat", "outage", "test", "escalated", "late", "cause", "more", "more_sites"] {
            let template = format!("{{{{ if {branch} }}}}{{nothing}}{{{{ endif }}}}");
            assert!(said(&template).contains("'nothing'"), "{template}");
        }
        for branch in [
            "resolved",
            "acknowledged",
            "acknowledged_note",
            "unknown",
            "flapping",
            "on_air",
            "runbook",
            "value",
        ] {
            let template = format!(
                "{{{{ for alert in alerts }}}}{{{{ if alert.{branch} }}}}{{nothing}}{{{{ endif }}}}{{{{ endfor }}}}"
            );
            assert!(said(&template).contains("'nothing'"), "{template}");
            let template = template.replace("if alert", "if not alert");
            assert!(said(&template).contains("'nothing'"), "{template}");
        }
        assert!(said("{{ if temp > 3 }}x{{ endif }}").contains("temp"));
        assert!(said("{alerts}").contains("loop over it"), "{}", said("{alerts}"));
        assert!(said("{what | shout}").contains("shout"));
        assert!(said("{{ call the template with @root }}").starts_with("line"));
        assert!(said("{{ for x in what }}{{ endfor }}").starts_with("line"));
        assert!(said("{{ if firing }}").starts_with("line 1"));
    }

    #[test]
    fn a_payload_has_to_be_json_and_its_values_stay_inside_their_strings() {
        assert_eq!(check_payload(r#"\{"text": "{word}: {what}", "alerts": {alerts | json}}"#), Ok(()));
        let said = check_payload(r#"\{"text": {what}}"#).unwrap_err();
        assert!(said.starts_with("what it makes of a message about alerts is not JSON"), "{said}");
        let mut view = sample::views().remove(0);
        view.what = "a\"}, \\ \u{1f}\n\"".to_owned();
        let made = payload(r#"\{"text": "{what}"}"#, &view).unwrap();
        let made: Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(made["text"], view.what);
    }

    #[test]
    fn a_template_that_fails_on_one_message_gives_way_to_ours() {
        let view = sample::views().remove(0);
        assert_eq!(words_or_ours(Some("{nothing}"), TITLE, &view), words(TITLE, &view).unwrap());
        assert_eq!(words_or_ours(Some("! {word}"), TITLE, &view), "! Critical");
    }

    /// The part of the documentation that is about templates.
    fn documented() -> String {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/notifications.md");
        let text = std::fs::read_to_string(file).unwrap();
        text.split_once("\n## Templates\n").expect("a section about templates").1.to_owned()
    }

    /// The names in the first column of the table with this head.
    fn names(text: &str, head: &str) -> Vec<String> {
        let rows =
            text.split_once(head).expect(head).1.lines().skip(2).take_while(|row| row.starts_with('|'));
        let first = rows.map(|row| row.split('|').nth(1).unwrap());
        let mut names: Vec<String> =
            first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_documentation_names_what_there_is() {
        let text = documented();
        let view = serde_json::to_value(&sample::views()[0]).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&text, "| of the message |"), keys(&view));
        assert_eq!(names(&text, "| of an alert |"), keys(&view["alerts"][0]));
        let rest = text.split_once("Of a site: ").unwrap().1;
        let (site, contact) = rest.split_once("each of these").unwrap();
        let named = |text: &str| {
            let mut names: Vec<String> = text.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(named(site), keys(&view["sites"][0]));
        assert_eq!(named(contact), keys(&view["sites"][0]["contacts"][0]));
    }

    #[test]
    fn the_examples_of_the_documentation_work() {
        let text = documented();
        let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let templates =
            blocks.map(|block| block.parse::<toml::Table>().unwrap()["receiver"][0]["template"].clone());
        let part = |template: &toml::Value, key: &str| {
            template.get(key).map(|text| text.as_str().unwrap().to_owned())
        };
        let templates: Vec<_> = templates.collect();
        assert_eq!(templates.len(), 2);
        assert_eq!(check(&part(&templates[0], "title").unwrap()), Ok(()));
        assert_eq!(check(&part(&templates[0], "body").unwrap()), Ok(()));
        assert_eq!(check_payload(&part(&templates[1], "body").unwrap()), Ok(()));
    }
}
