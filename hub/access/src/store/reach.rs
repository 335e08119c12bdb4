//! Reaches as two columns: the ids of sites and tags, apart by spaces; nothing at all for every site.

use crate::Reach;
use crate::error::ChangeError;
use std::collections::BTreeSet;

/// Longest word, and most of them.
const LONGEST: usize = 64;
const MOST: usize = 1000;

pub(super) fn columns(reach: &Reach) -> (Option<String>, Option<String>) {
    let line = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    match reach {
        Reach::All => (None, None),
        Reach::Some { sites, tags } => (Some(line(sites)), Some(line(tags))),
    }
}

/// One column alone is still a limit.
pub(super) fn of(sites: Option<String>, tags: Option<String>) -> Reach {
    if sites.is_none() && tags.is_none() {
        return Reach::All;
    }
    let words =
        |line: Option<String>| line.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    Reach::Some { sites: words(sites), tags: words(tags) }
}

/// Whether it can be kept.
pub(super) fn check(reach: &Reach) -> Result<(), ChangeError> {
    let Reach::Some { sites, tags } = reach else { return Ok(()) };
    if sites.len() + tags.len() > MOST {
        return Err(ChangeError::Many("sites and tags of one user or token", MOST));
    }
    let is_word = |word: &str| {
        (1..=LONGEST).contains(&word.len()) && !word.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    match sites.iter().chain(tags).find(|word| !is_word(word)) {
        Some(word) => Err(ChangeError::Reach(word.clone())),
        None => Ok(()),
    }
}
