//! What is allowed in a rule file and hardly meant: promtool tells it and says yes all the same, and so does `rules check`.
//!
//! Sample: `box.yml:20: 2 rules are the same in name and labels, first in line 8: alert "SocHot"{severity="warning"}`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rackside_promql::Type;

use super::RuleFile;

/// Something to look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// What, and why it matters.
    pub what: String,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

pub(super) fn lints(file: &RuleFile) -> Vec<Lint> {
    let mut same: BTreeMap<(Arc<str>, String), Vec<usize>> = BTreeMap::new();
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        same.entry((Arc::clone(&rule.name), rule.labels().to_string())).or_default().push(rule.line);
    }
    let mut found: Vec<Lint> = same
        .into_iter()
        .filter(|(_, lines)| lines.len() > 1)
        .map(|((name, labels), lines)| Lint {
            file: Arc::clone(&file.name),
            line: lines[1],
            what: format!(
                "{} rules are the same in name and labels, first in line {}: {name:?}{labels}; their series may collide, give them different labels",
                lines.len(),
                lines[0]
            ),
        })
        .collect();
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        if !matches!(rule.query.value_type(), Type::Scalar | Type::Vector) {
            let what = format!(
                "the expression of {:?} gives no vector and no number, so the rule will fail each time",
                rule.name
            );
            found.push(Lint { file: Arc::clone(&file.name), line: rule.line, what });
        }
    }
    found.extend(file.further.map(|line| Lint {
        file: Arc::clone(&file.name),
        line,
        what: "a further document begins here, and is not read; make it a file of its own".to_owned(),
    }));
    found.sort_by_key(|lint| lint.line);
    found
}
