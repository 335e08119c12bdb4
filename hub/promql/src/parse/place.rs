//! Where a text stops being PromQL. The parser does not say; it is asked about beginnings of the text instead.
//!
//! A beginning may be right as far as it goes if there is something with which it goes on to be PromQL. Brackets that are open have to be
//! closed, and for what may be missing before that a few words are enough: an operand, a list of labels, a duration. The first word or sign with
//! which nothing does is where the error is. Halving finds it, because what goes wrong does not become right again.
//!
//! Invariant: whatever the parser takes can be cut after any word, and goes on with one of the [`Tail`]s. A test cuts everything that is known.
//!
//! Sample: of `sum(up) foo > 1`, `sum(up)` is right as it is and `sum(up) foo` with nothing.

use promql_parser::parser as tree;

use super::scan::Scanned;

/// In longer texts nobody looks: the parser is asked some hundred times.
const WORDS: usize = 400;

/// What the parser says when no rule of its grammar fits.
pub(super) const NO_RULE: &str = "invalid promql query";

/// The number of the first word with which nothing goes on; that of the end of the text, if all of it might.
pub(super) fn of_error(scanned: &Scanned) -> Option<usize> {
    let words = scanned.words.len();
    if words > WORDS {
        return None;
    }
    let (mut right, mut wrong) = (0, words + 1);
    while wrong - right > 1 {
        let middle = usize::midpoint(right, wrong);
        if goes_on(scanned.beginning(middle)) {
            right = middle;
        } else {
            wrong = middle;
        }
    }
    Some(right)
}

/// What may come before the closing brackets: text in the innermost bracket, and text behind it.
type Tail = (&'static str, &'static str);

/// An operand, its rest, nothing; a list of labels and what follows it; what follows `offset` and `@`.
const ANYWHERE: &[Tail] =
    &[("", ""), ("x", ""), ("(x)", ""), ("(a)(x)", ""), ("(a)x", ""), ("5m", ""), ("1", ""), ("()", "")];

/// In parentheses that hold labels, before an operand with parentheses and one without.
const IN_PARENTHESES: &[Tail] = &[("", "(x)"), ("", " x"), ("a", ""), ("a", "(x)"), ("a", " x")];

/// A matcher, and the rest of one. As `scan` writes them.
const IN_BRACES: &[Tail] = &[("", ""), ("=\"=0\"", ""), ("a=\"=0\"", "")];

const IN_BRACKETS: &[Tail] = &[("", ""), ("5m", "")];

fn goes_on(beginning: &str) -> bool {
    let mut closing: Vec<char> = Vec::new();
    for c in beginning.chars() {
        match c {
            '(' => closing.push(')'),
            '[' => closing.push(']'),
            '{' => closing.push('}'),
            ')' | ']' | '}' => drop(closing.pop()),
            _ => {}
        }
    }
    let innermost = closing.pop();
    let tails: &[&[Tail]] = match innermost {
        Some('}') => &[IN_BRACES],
        Some(']') => &[IN_BRACKETS],
        Some(_) => &[ANYWHERE, IN_PARENTHESES],
        None => &[ANYWHERE],
    };
    let innermost = innermost.map(String::from).unwrap_or_default();
    let others: String = closing.into_iter().rev().collect();
    tails.iter().copied().flatten().any(|(inside, behind)| {
        let text = format!("{beginning}\t{inside}{innermost}{behind}{others}");
        // What has words and rules may have no sense all the same.
        tree::lexer(&text).is_ok() && tree::parse(&text).err().is_none_or(|problem| problem != NO_RULE)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{know_holt_winters, parse, scan};
    use super::*;

    fn error(query: &str) -> String {
        parse(query).map_or_else(|error| error.to_string(), |_| panic!("{query} was taken"))
    }

    #[test]
    fn the_first_word_that_does_not_fit_is_named() {
        for (query, text) in [
            ("sum(up) foo > 1", r#"1:9: parse error: unexpected "foo""#),
            ("up\n  +\n  * 2", r#"3:3: parse error: unexpected "*""#),
            ("sum by site (up)", r#"1:8: parse error: unexpected "site""#),
            ("sum by (site (up)", r#"1:14: parse error: unexpected "(""#),
            (
                "up{a='b' c='d'}",
                "1:10: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\"",
            ),
            ("up > > 1", r#"1:6: parse error: unexpected ">""#),
            ("up == == 1", r#"1:7: parse error: unexpected "==""#),
            ("rate(up[5m]", "1:12: parse error: unclosed left parenthesis"),
            ("rate(up[5m]))", "1:13: parse error: unexpected right parenthesis ')'"),
            ("up[5m", "1:6: parse error: unexpected end of input inside brackets"),
            ("up + ", "1:6: parse error: unexpected end of input"),
            ("up and on(site)", "1:16: parse error: unexpected end of input"),
            ("up ü", "1:4: parse error: unexpected character: 'ü'"),
            (
                "up{='b'}",
                "1:4: parse error: unexpected \"=\" in label matching, expected identifier or \"}\"",
            ),
            ("up up 5m", r#"1:4: parse error: unexpected "up""#),
            (
                "up > 5m up",
                "1:6: parse error: unexpected duration \"5m\": a duration stands in brackets or after offset",
            ),
            ("up # why\n up", r#"2:2: parse error: unexpected "up""#),
            ("up offset", "1:10: parse error: unexpected end of input in offset, expected duration"),
        ] {
            assert_eq!(error(query), text, "{query}");
        }
        let long = format!("{} foo", vec!["up"; 300].join(" + "));
        assert_eq!(error(&long), "parse error: invalid promql query");
    }

    #[test]
    fn what_is_a_query_can_be_cut_after_any_word_and_goes_on() {
        know_holt_winters();
        let expressions = include_str!("../../tests/functions/expressions.txt").lines().step_by(5);
        let more = include_str!("../../../../tests/promql/printed.rs").lines();
        let mut taken = 0;
        for query in expressions.chain(more).filter(|query| parse(query).is_ok()) {
            let scanned = scan::scan(query).expect("it was taken");
            for word in 0..=scanned.words.len() {
                let beginning = scanned.beginning(word);
                assert!(goes_on(beginning), "{query}: nothing goes on with {beginning}");
            }
            taken += 1;
        }
        assert!(taken > 150, "only {taken} are queries");
    }
}
