//! The words and signs of a template: text, and what stands between `{{` and `}}`. Not their grammar: `parse.rs`.
//!
//! As Go's text/template reads them: a run of spaces within an action is a token of its own, since it parts arguments; `{{- ` and ` -}}` eat
//! the spaces of the text beside them; comments are gone. Positions are bytes of the text that was given.
//!
//! Sample: `a {{- $x.y }}` is `Text("a")`, `Open`, `Variable("$x")`, `Field(".y")`, `Space`, `Close`, `End`.

/// What Go takes for spaces.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// A word or sign, with the place where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// Kinds of tokens; texts are as they were written, quotes and dots included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text(String),
    Open,
    Close,
    Space,
    Declare,
    Assign,
    Pipe,
    OpenParen,
    CloseParen,
    Sign(char),
    Bool(bool),
    Char(String),
    Number(String),
    Quoted(String),
    Raw(String),
    Word(String),
    Keyword(&'static str),
    Dot,
    Nil,
    Field(String),
    Variable(String),
    /// The text cannot be read further, and why.
    Wrong(String),
    End,
}

/// Words that are no functions.
const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// As Go's parser writes a token into its messages.
impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let written = match self {
            Self::End => return f.write_str("EOF"),
            Self::Wrong(problem) => return f.write_str(problem),
            Self::Keyword(word) => return write!(f, "<{word}>"),
            Self::Dot => return f.write_str("<.>"),
            Self::Nil => return f.write_str("<nil>"),
            Self::Open => "{{",
            Self::Close => "}}",
            Self::Space => " ",
            Self::Declare => ":=",
            Self::Assign => "=",
            Self::Pipe => "|",
            Self::OpenParen => "(",
            Self::CloseParen => ")",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Sign(sign) => return write!(f, "{:?}", sign.to_string()),
            Self::Text(text)
            | Self::Char(text)
            | Self::Number(text)
            | Self::Quoted(text)
            | Self::Raw(text)
            | Self::Word(text)
            | Self::Field(text)
            | Self::Variable(text) => text,
        };
        match written.char_indices().nth(10) {
            Some((at, _)) => write!(f, "{:?}...", &written[..at]),
            None => write!(f, "{written:?}"),
        }
    }
}

/// All tokens of `text`. The last one is [`Kind::End`] or [`Kind::Wrong`], and no other is.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut reader = Reader { text, at: 0, found: Vec::new() };
    if let Err((at, problem)) = reader.all() {
        reader.put(at, Kind::Wrong(problem));
    }
    reader.found
}

/// The line of a place, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

type Problem = (usize, String);

struct Reader<'t> {
    text: &'t str,
    at: usize,
    found: Vec<Token>,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn put(&mut self, at: usize, kind: Kind) {
        self.found.push(Token { at, kind });
    }

    fn all(&mut self) -> Result<(), Problem> {
        loop {
            let from = self.at;
            let Some(length) = self.rest().find("{{") else {
                if !self.rest().is_empty() {
                    self.put(from, Kind::Text(self.rest().to_owned()));
                }
                self.at = self.text.len();
                self.put(self.at, Kind::End);
                return Ok(());
            };
            let open = from + length;
            let trims = trims_before(&self.text[open + 2..]);
            let text = &self.text[from..open];
            let text = if trims { text.trim_end_matches(SPACES) } else { text };
            if !text.is_empty() {
                self.put(from, Kind::Text(text.to_owned()));
            }
            self.at = open + 2 + if trims { 2 } else { 0 };
            if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                self.put(open, Kind::Open);
                self.action(open)?;
            }
        }
    }

    fn comment(&mut self) -> Result<(), Problem> {
        let from = self.at;
        let Some(end) = self.rest()[2..].find("*/") else {
            return Err((from, "unclosed comment".to_owned()));
        };
        self.at += 2 + end + 2;
        if !self.close() {
            return Err((from, "comment ends before closing delimiter".to_owned()));
        }
        Ok(())
    }

    /// Steps over `}}` or ` -}}` with the spaces behind it, if one stands here.
    fn close(&mut self) -> bool {
        let rest = self.rest();
        if let Some(behind) = trims_after(rest) {
            self.at = self.text.len() - behind.trim_start_matches(SPACES).len();
            return true;
        }
        if rest.starts_with("}}") {
            self.at += 2;
            return true;
        }
        false
    }

    fn action(&mut self, open: usize) -> Result<(), Problem> {
        let mut parens = 0_usize;
        loop {
            let from = self.at;
            if parens == 0 && self.close() {
                self.put(from, Kind::Close);
                return Ok(());
            }
            if self.rest().starts_with("}}") || trims_after(self.rest()).is_some() {
                return Err((from, "unclosed left paren".to_owned()));
            }
            let Some(next) = self.next() else { return Err((open, "unclosed action".to_owned())) };
            let kind = match next {
                ' ' | '\t' | '\r' | '\n' => {
                    self.spaces();
                    Kind::Space
                }
                '=' => Kind::Assign,
                ':' if self.next() == Some('=') => Kind::Declare,
                ':' => return Err((from, "expected :=".to_owned())),
                '|' => Kind::Pipe,
                '"' => self.quoted(from, '"')?,
                '\'' => self.quoted(from, '\'')?,
                '`' => self.raw(from)?,
                '$' => self.named(from)?,
                '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => self.named(from)?,
                '.' | '+' | '-' | '0'..='9' => {
                    self.at = from;
                    self.number(from)?
                }
                '(' => {
                    parens += 1;
                    Kind::OpenParen
                }
                ')' if parens > 0 => {
                    parens -= 1;
                    Kind::CloseParen
                }
                ')' => return Err((from, "unexpected right paren".to_owned())),
                next if is_alphanumeric(next) => self.word(from)?,
                next if next.is_ascii_graphic() => Kind::Sign(next),
                other => return Err((from, format!("unrecognized character in action: {other:?}"))),
            };
            self.put(from, kind);
        }
    }

    /// The rest of a run of spaces, but for the one that belongs to ` -}}`.
    fn spaces(&mut self) {
        while self.peek().is_some_and(|next| SPACES.contains(&next)) && trims_after(self.rest()).is_none() {
            self.at += 1;
        }
    }

    fn quoted(&mut self, from: usize, quote: char) -> Result<Kind, Problem> {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|next| next != '\n') => drop(self.next()),
                Some(next) if next == quote => break,
                Some('\\' | '\n') | None => {
                    let what = if quote == '"' { "quoted string" } else { "character constant" };
                    return Err((from, format!("unterminated {what}")));
                }
                Some(_) => {}
            }
        }
        let written = self.text[from..self.at].to_owned();
        Ok(if quote == '"' { Kind::Quoted(written) } else { Kind::Char(written) })
    }

    fn raw(&mut self, from: usize) -> Result<Kind, Problem> {
        let end = self.rest().find('`').ok_or((from, "unterminated raw quoted string".to_owned()))?;
        self.at += end + 1;
        Ok(Kind::Raw(self.text[from..self.at].to_owned()))
    }

    /// What follows a `$` or a dot.
    fn named(&mut self, from: usize) -> Result<Kind, Problem> {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        self.terminated(from)?;
        let written = &self.text[from..self.at];
        Ok(match written {
            "." => Kind::Dot,
            name if name.starts_with('.') => Kind::Field(name.to_owned()),
            name => Kind::Variable(name.to_owned()),
        })
    }

    fn word(&mut self, from: usize) -> Result<Kind, Problem> {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        self.terminated(from)?;
        let word = &self.text[from..self.at];
        Ok(match word {
            "true" | "false" => Kind::Bool(word == "true"),
            "nil" => Kind::Nil,
            word => KEYWORDS
                .iter()
                .find(|keyword| **keyword == word)
                .map_or_else(|| Kind::Word(word.to_owned()), |keyword| Kind::Keyword(keyword)),
        })
    }

    /// A name ends where something can follow it.
    fn terminated(&self, from: usize) -> Result<(), Problem> {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => Ok(()),
            Some(_) if self.rest().starts_with("}}") => Ok(()),
            Some(other) => Err((from, format!("bad character U+{:04X} {other:?}", u32::from(other)))),
        }
    }

    fn number(&mut self, from: usize) -> Result<Kind, Problem> {
        let bad = |end: usize| (from, format!("bad number syntax: {:?}", &self.text[from..end]));
        let rest = self.rest();
        let mut length = usize::from(rest.starts_with(['+', '-']));
        let run = |at: usize, digits: &str| {
            at + rest[at..].find(|c| !digits.contains(c)).unwrap_or(rest.len() - at)
        };
        let mut digits = "0123456789_";
        if rest[length..].starts_with('0') {
            length += 1;
            digits = match rest[length..].chars().next() {
                Some('x' | 'X') => "0123456789abcdefABCDEF_",
                Some('o' | 'O') => "01234567_",
                Some('b' | 'B') => "01_",
                _ => digits,
            };
            length += usize::from(digits != "0123456789_");
        }
        length = run(length, digits);
        if rest[length..].starts_with('.') {
            length = run(length + 1, digits);
        }
        let exponent: &[char] = match digits.len() {
            11 => &['e', 'E'],
            23 => &['p', 'P'],
            _ => &[],
        };
        if rest[length..].starts_with(exponent) {
            length += 1;
            length += usize::from(rest[length..].starts_with(['+', '-']));
            length = run(length, "0123456789_");
        }
        length += usize::from(rest[length..].starts_with('i'));
        if let Some(next) = rest[length..].chars().next().filter(|next| is_alphanumeric(*next)) {
            return Err(bad(from + length + next.len_utf8()));
        }
        if rest[length..].starts_with(['+', '-']) {
            return Err(bad(from + length + 1));
        }
        self.at += length;
        Ok(Kind::Number(rest[..length].to_owned()))
    }
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

/// Whether what follows `{{` begins with `- `.
fn trims_before(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}

/// What is behind ` -}}`, if that stands here.
fn trims_after(text: &str) -> Option<&str> {
    text.strip_prefix(SPACES)?.strip_prefix("-}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn text_and_actions_are_told_apart() {
        assert_eq!(kinds("plain }}"), [Kind::Text("plain }}".into()), Kind::End]);
        let expected = [
            Kind::Text("a".into()),
            Kind::Open,
            Kind::Variable("$x".into()),
            Kind::Field(".y".into()),
            Kind::Space,
            Kind::Close,
            Kind::End,
        ];
        assert_eq!(kinds("a {{- $x.y }}"), expected);
    }

    #[test]
    fn trim_marks_eat_the_spaces_beside_them() {
        assert_eq!(
            kinds(" \n{{- 1 -}}\t b"),
            [Kind::Open, Kind::Number("1".into()), Kind::Close, Kind::Text("b".into()), Kind::End]
        );
        assert_eq!(kinds("a {{- /* c */ -}} b"), [Kind::Text("a".into()), Kind::Text("b".into()), Kind::End]);
        assert_eq!(kinds("{{-3}}"), [Kind::Open, Kind::Number("-3".into()), Kind::Close, Kind::End]);
    }

    #[test]
    fn what_cannot_be_read_ends_the_tokens() {
        for (text, problem) in [
            ("{{ x", "unclosed action"),
            ("{{ (x }}", "unclosed left paren"),
            ("{{ ) }}", "unexpected right paren"),
            ("{{ \"x }}", "unterminated quoted string"),
            ("{{ 'x }}", "unterminated character constant"),
            ("{{ `x }}", "unterminated raw quoted string"),
            ("{{/* x }}", "unclosed comment"),
            ("{{/* x */ y}}", "comment ends before closing delimiter"),
            ("{{ $x+2 }}", "bad character U+002B '+'"),
            ("{{ 1x }}", "bad number syntax: \"1x\""),
            ("{{ x : y }}", "expected :="),
        ] {
            assert_eq!(kinds(text).last(), Some(&Kind::Wrong(problem.to_owned())), "{text}");
        }
    }
}
