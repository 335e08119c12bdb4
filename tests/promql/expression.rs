//! An expression as a tree whose leaves are text, so that a failing one can be made smaller.
//!
//! It knows nothing of types: a smaller expression may be nonsense, which both sides refuse, so that it does not fail and is not kept.
//!
//! ```text
//! [Text("sum"), Spare(" by (site)"), Text("("), Part([Text("temp_celsius"), Spare("{site=\"tent\"}")]), Text(")")]
//! ```

use std::fmt;

/// A piece of PromQL.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Expression(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    /// Text that can be left out.
    Spare(String),
    Part(Expression),
}

impl Expression {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With text behind it.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }

    /// With text behind it that need not be there.
    pub(crate) fn spare(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Spare(text.into()));
        self
    }

    /// With an expression behind it.
    pub(crate) fn part(mut self, part: Expression) -> Self {
        self.0.push(Piece::Part(part));
        self
    }

    /// With an expression in parentheses behind it.
    pub(crate) fn within(self, part: Expression) -> Self {
        self.text("(").part(part).text(")")
    }

    /// With that gap behind each space and parenthesis.
    pub(crate) fn spread(&self, gap: &str) -> Self {
        let text = |text: &str| -> String {
            let words = text.split_inclusive([' ', '(', ')']);
            words.flat_map(|word| [word, if word.ends_with([' ', '(', ')']) { gap } else { "" }]).collect()
        };
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(part) => Piece::Text(text(part)),
            Piece::Spare(part) => Piece::Spare(text(part)),
            Piece::Part(part) => Piece::Part(part.spread(gap)),
        });
        Self(pieces.collect())
    }

    /// Expressions that are a little smaller than this one, the smallest first.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut smaller: Vec<Self> = self.parts().cloned().collect();
        for (place, piece) in self.0.iter().enumerate() {
            let mut put = |piece: Option<Piece>| {
                let mut pieces = self.0.clone();
                pieces.splice(place..=place, piece);
                smaller.push(Self(pieces));
            };
            match piece {
                Piece::Text(_) => {}
                Piece::Spare(_) => put(None),
                Piece::Part(part) => {
                    part.smaller().into_iter().for_each(|smaller| put(Some(Piece::Part(smaller))));
                }
            }
        }
        smaller
    }

    /// Whether it is nothing but a call of one of these functions.
    pub(crate) fn is_call_of(&self, functions: &[&str]) -> bool {
        let Some(Piece::Text(first)) = self.0.first() else { return false };
        functions.contains(&first.as_str()) && self.parts().count() == 1
    }

    /// The one part of a call.
    pub(crate) fn argument(&self) -> Option<&Self> {
        self.parts().next()
    }

    /// Whether nothing in it can be left out but in its parts.
    pub(crate) fn is_bare(&self) -> bool {
        !self.0.iter().any(|piece| matches!(piece, Piece::Spare(_)))
    }

    fn parts(&self) -> impl Iterator<Item = &Self> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Part(part) => Some(part),
            _ => None,
        })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) | Piece::Spare(text) => out.write_str(text),
            Piece::Part(part) => part.fmt(out),
        })
    }
}

#[test]
fn smaller_expressions_are_the_parts_and_what_lacks_a_spare_text() {
    let selector = Expression::new().text("a").spare("{b=\"c\"}");
    let sum = Expression::new().text("sum").spare(" by (d)").within(selector);
    assert_eq!(sum.to_string(), "sum by (d)(a{b=\"c\"})");
    let smaller: Vec<String> = sum.smaller().iter().map(Expression::to_string).collect();
    assert_eq!(sum.spread("\n").to_string(), "sum \nby \n(\nd)\n(\na{b=\"c\"})\n");
    assert_eq!(smaller, ["a{b=\"c\"}", "sum(a{b=\"c\"})", "sum by (d)(a)"]);
}
