//! File names with `*`, `?` and `[a-z]`, as Go's `filepath.Glob` finds them. Not a walk through directories: `*` ends at a slash.
//!
//! Sample: `../*.yml` beside `tests/box.yml` is `box.yml`, `network.yml` and so on, in the order of their names.

use std::path::{Path, PathBuf};

/// The files that match, sorted; none, if there are none.
pub fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[', '\\']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let pattern: Vec<char> = text.chars().collect();
        // Go looks at the pattern even where there is no name to match.
        matches(&pattern, &[])?;
        let mut next = Vec::new();
        for directory in found {
            let looked_in = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
            let Ok(entries) = std::fs::read_dir(looked_in) else { continue };
            let mut names: Vec<String> =
                entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
            names.sort();
            for name in names {
                if matches(&pattern, &name.chars().collect::<Vec<_>>())? {
                    next.push(directory.join(name));
                }
            }
        }
        found = next;
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    Ok(found)
}

/// Whether a name matches a pattern.
fn matches(pattern: &[char], name: &[char]) -> Result<bool, String> {
    let Some((first, rest)) = pattern.split_first() else { return Ok(name.is_empty()) };
    match first {
        '*' => {
            for taken in 0..=name.len() {
                if matches(rest, &name[taken..])? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        '?' => Ok(!name.is_empty() && matches(rest, &name[1..])?),
        '[' => {
            let (is_in, rest) = set(rest, name.first().copied())?;
            let fits = matches(rest, name.get(1..).unwrap_or_default())?;
            Ok(is_in && fits)
        }
        '\\' => {
            let (literal, rest) = rest.split_first().ok_or("`\\` at the end of a pattern")?;
            Ok(name.first() == Some(literal) && matches(rest, &name[1..])?)
        }
        literal => match name.split_first() {
            Some((c, name)) if c == literal => matches(rest, name),
            // The rest is looked at for its syntax.
            _ => matches(rest, &[]).map(|_| false),
        },
    }
}

/// Whether the set behind a `[` has the character, and what follows its `]`.
fn set(pattern: &[char], c: Option<char>) -> Result<(bool, &[char]), String> {
    let unclosed = || "a `[` in a pattern without its `]`".to_owned();
    let (negated, mut rest) = match pattern.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    let (mut found, mut ranges) = (false, 0);
    let bound = |rest: &mut &[char]| {
        let (first, behind) = rest.split_first()?;
        let (bound, behind) = if *first == '\\' { behind.split_first()? } else { (first, behind) };
        *rest = behind;
        Some(*bound)
    };
    loop {
        match rest.split_first() {
            Some((']', behind)) if ranges > 0 => {
                return Ok((c.is_some() && found != negated, behind));
            }
            Some((']' | '-', _)) => return Err("a set in a pattern begins with `]` or `-`".to_owned()),
            _ => {}
        }
        let low = bound(&mut rest).ok_or_else(unclosed)?;
        let high = match rest.split_first() {
            Some(('-', behind)) => {
                rest = behind;
                bound(&mut rest).ok_or_else(unclosed)?
            }
            _ => low,
        };
        found |= c.is_some_and(|c| (low..=high).contains(&c));
        ranges += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
            .expect("a good pattern")
    }

    #[test]
    fn patterns_match_as_gos_do() {
        for (pattern, name) in [
            ("*.yml", "box.yml"),
            ("b?x.*", "box.yml"),
            ("[a-c]ox*", "box.yml"),
            ("[^x]*", "b"),
            ("\\*", "*"),
            ("a*b*c", "aXbYc"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.yml", "box.yaml"), ("?", ""), ("[a-c]", "d"), ("[^b]*", "box"), ("a*b", "abc")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        for pattern in ["[", "[]", "[-]", "a\\", "[a"] {
            assert!(matches(&pattern.chars().collect::<Vec<_>>(), &[]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn files_are_found_in_the_order_of_their_names() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["b.yml", "a.yml", "c.txt"] {
            std::fs::write(directory.path().join(name), "").expect("written");
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = matching(&directory.path().join(pattern)).expect("a good pattern");
            found
                .iter()
                .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names("*.yml"), ["a.yml", "b.yml"]);
        assert_eq!(names("c.txt"), ["c.txt"]);
        assert!(names("d.*").is_empty() && names("d.yml").is_empty());
    }
}
