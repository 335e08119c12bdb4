//! What to do, in words. The rules that ship with the hub name a paragraph of the manual, `docs/alerts.md#sochot`, which nobody can open from a phone at night: so
//! messages and pages say what that paragraph says under **Do**. The manual is the one that pages read. Other texts, and addresses, are left as they are.
//!
//! ```text
//! docs/alerts.md#sochot                  open the rack's door, clean the filter, give the box a hand's breadth of air.
//! docs/alerts.md#throttlednow            SocHot: open the rack's door, … UndervoltageRepeated: the supply made for the board, …
//! https://wiki.example.org/hot           https://wiki.example.org/hot
//! ```

use rackside_pages::runbook::MANUAL;

const FILE: &str = "docs/alerts.md#";

/// What a rule's `runbook` says to people.
pub fn said(runbook: &str) -> String {
    runbook.strip_prefix(FILE).and_then(steps).unwrap_or_else(|| runbook.to_owned())
}

/// What is to be done by the paragraph of this anchor.
fn steps(anchor: &str) -> Option<String> {
    let own = to_do(anchor)?;
    let others: Vec<(&str, &str)> =
        if own.starts_with("as for ") { links(&own).collect() } else { Vec::new() };
    let said = |(_, anchor): &(&str, &str)| to_do(anchor.strip_prefix('#')?).map(|text| plain(&text));
    match others.as_slice() {
        [] => Some(plain(&own)),
        [one] => said(one),
        several => {
            let each = several.iter().filter_map(|one| Some(format!("{}: {}", one.0, said(one)?)));
            Some(each.collect::<Vec<_>>().join(" "))
        }
    }
}

/// The entry **Do** of a paragraph, as the manual has it, in one line.
fn to_do(anchor: &str) -> Option<String> {
    let is_it =
        |title: &str| title.chars().filter(|c| *c != ' ').flat_map(char::to_lowercase).eq(anchor.chars());
    let mut lines = MANUAL.lines();
    lines.find(|line| line.strip_prefix("### ").is_some_and(is_it))?;
    let mut entry = lines.take_while(|line| !line.starts_with('#')).skip_while(|line| !line.starts_with(DO));
    let first = entry.next()?.strip_prefix(DO)?;
    let more = entry.take_while(|line| line.starts_with("  "));
    Some(std::iter::once(first).chain(more).map(str::trim).collect::<Vec<_>>().join(" "))
}

const DO: &str = "- **Do**:";

/// The links of a text: what they say, and where to.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('[').skip(1).filter_map(|rest| {
        let (words, rest) = rest.split_once("](")?;
        Some((words, rest.split_once(')')?.0))
    })
}

/// Without marks: links are their words, code is as it is.
fn plain(text: &str) -> String {
    let without =
        |plain: String, (words, to): (&str, &str)| plain.replace(&format!("[{words}]({to})"), words);
    links(text).fold(text.to_owned(), without).replace('`', "").replace("**", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_paragraph_of_the_manual_is_its_steps_and_anything_else_is_itself() {
        assert_eq!(
            said("docs/alerts.md#sochot"),
            "open the rack's door, clean the filter, give the box a hand's breadth of air."
        );
        assert_eq!(
            said("docs/alerts.md#hubhistorydown"),
            "what /health/readiness says; see operations.md. Do not delete history.db."
        );
        assert_eq!(said("docs/alerts.md#diskfull"), said("docs/alerts.md#diskfilling"));
        let two = said("docs/alerts.md#throttlednow");
        assert!(
            two.starts_with("SocHot: open the rack's door")
                && two.contains(" UndervoltageRepeated: the supply")
        );
        for other in ["", "https://wiki.example.org/hot", "docs/alerts.md#nosuchalert", "call the desk"] {
            assert_eq!(said(other), other);
        }
    }

    #[test]
    fn every_rule_that_ships_says_what_to_do() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules");
        let mut names = BTreeSet::new();
        for file in std::fs::read_dir(folder).expect("the rules are there") {
            let path = file.expect("readable").path();
            if path.extension().is_none_or(|extension| extension != "yml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("rules are text");
            let runbooks = text.lines().filter_map(|line| line.trim().strip_prefix("runbook: "));
            names.extend(runbooks.map(str::to_owned));
        }
        assert!(names.len() > 40, "{names:?}");
        for name in names {
            let said = said(&name);
            assert!(!said.starts_with(FILE) && !said.is_empty(), "{name} says nothing");
            assert!(
                !said.contains('`') && !said.contains("](") && !said.starts_with("as for"),
                "{name}: {said}"
            );
        }
    }
}
