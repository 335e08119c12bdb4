//! Tokens to a tree: the grammar of Go's text/template, as of Go 1.19, with which Prometheus 2.42 is built. Knows no values.
//!
//! Everything that Go finds at this time is found here, above all functions and variables that do not exist; texts are Go's. Depth is bound, since
//! `run.rs` and this file work by recursion.

use super::function::Function;
use super::literal;
use super::node::{Branches, Kind, Node, Nodes, Pipe};
use super::token::{Kind as Word, Token};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Actions within actions and parentheses within parentheses, together. People write three.
const MOST_DEPTH: usize = 100;

/// A place in the text, and what is wrong there.
pub(super) type Problem = (usize, String);

/// The template itself, and those that it defines by name.
#[derive(Debug, Default)]
pub(super) struct Trees {
    pub(super) root: Nodes,
    pub(super) defined: BTreeMap<Arc<str>, Nodes>,
}

/// Reads what [`tokens`](super::token::tokens) found.
pub(super) fn parse(tokens: &[Token]) -> Result<Trees, Problem> {
    let mut parser = Parser {
        tokens,
        next: 0,
        variables: vec!["$".into()],
        ranges: 0,
        depth: 0,
        defined: BTreeMap::new(),
    };
    let root = parser.root()?;
    Ok(Trees { root, defined: parser.defined })
}

/// What ended a list of nodes.
enum Ending {
    End,
    Else,
    ElseIf,
}

/// What an action is.
enum Action {
    Node(Node),
    Ending(Ending),
}

struct Parser<'t> {
    tokens: &'t [Token],
    next: usize,
    variables: Vec<Arc<str>>,
    /// How many `range` are open.
    ranges: usize,
    depth: usize,
    defined: BTreeMap<Arc<str>, Nodes>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> &'t Token {
        let last = self.tokens.len() - 1;
        &self.tokens[self.next.min(last)]
    }

    fn take(&mut self) -> &'t Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Word::Space {
            self.next += 1;
        }
    }

    fn take_beyond_space(&mut self) -> &'t Token {
        self.skip_space();
        self.take()
    }

    fn peek_beyond_space(&mut self) -> &'t Token {
        self.skip_space();
        self.peek()
    }

    fn expect_close(&mut self, within: &str) -> Result<(), Problem> {
        match self.take_beyond_space() {
            Token { kind: Word::Close, .. } => Ok(()),
            other => unexpected(other, within),
        }
    }

    fn deeper<T>(
        &mut self,
        at: usize,
        what: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if self.depth == MOST_DEPTH {
            return Err((at, format!("actions and parentheses are nested more than {MOST_DEPTH} deep")));
        }
        self.depth += 1;
        let done = what(self);
        self.depth -= 1;
        done
    }

    /// The whole text; only here can templates be defined.
    fn root(&mut self) -> Result<Nodes, Problem> {
        let mut nodes = Vec::new();
        loop {
            let token = self.peek();
            if token.kind == Word::End {
                return Ok(nodes);
            }
            if token.kind == Word::Open {
                let open = self.next;
                self.next += 1;
                if self.take_beyond_space().kind == Word::Keyword("define") {
                    self.definition()?;
                    continue;
                }
                self.next = open;
            }
            match self.text_or_action()? {
                Action::Node(node) => nodes.push(node),
                Action::Ending(Ending::End) => return Err((token.at, "unexpected {{end}}".to_owned())),
                Action::Ending(_) => return Err((token.at, "unexpected {{else}}".to_owned())),
            }
        }
    }

    fn definition(&mut self) -> Result<(), Problem> {
        let within = "define clause";
        let at = self.peek().at;
        let name = self.template_name(within)?;
        self.expect_close(within)?;
        let (variables, ranges) = (std::mem::replace(&mut self.variables, vec!["$".into()]), self.ranges);
        self.ranges = 0;
        let (nodes, ending) = self.list()?;
        (self.variables, self.ranges) = (variables, ranges);
        match ending {
            Ending::End => self.define(at, name, nodes),
            Ending::Else | Ending::ElseIf => Err((at, format!("unexpected {{{{else}}}} in {within}"))),
        }
    }

    fn define(&mut self, at: usize, name: Arc<str>, nodes: Nodes) -> Result<(), Problem> {
        let says_something = |nodes: &Nodes| {
            nodes.iter().any(|node| !matches!(&node.kind, Kind::Text(text) if text.trim().is_empty()))
        };
        match self.defined.get(&name) {
            Some(known) if says_something(known) && says_something(&nodes) => {
                Err((at, format!("template: multiple definition of template {name:?}")))
            }
            Some(known) if says_something(known) => Ok(()),
            _ => {
                self.defined.insert(name, nodes);
                Ok(())
            }
        }
    }

    fn template_name(&mut self, within: &str) -> Result<Arc<str>, Problem> {
        let token = self.take_beyond_space();
        match &token.kind {
            Word::Quoted(written) | Word::Raw(written) => {
                literal::text(written).map(Into::into).map_err(|problem| (token.at, problem))
            }
            _ => unexpected(token, within),
        }
    }

    /// Nodes up to `end` or `else`.
    fn list(&mut self) -> Result<(Nodes, Ending), Problem> {
        let mut nodes = Vec::new();
        loop {
            let token = self.peek_beyond_space();
            if token.kind == Word::End {
                return Err((token.at, "unexpected EOF".to_owned()));
            }
            match self.text_or_action()? {
                Action::Node(node) => nodes.push(node),
                Action::Ending(ending) => return Ok((nodes, ending)),
            }
        }
    }

    fn text_or_action(&mut self) -> Result<Action, Problem> {
        let token = self.take_beyond_space();
        match &token.kind {
            Word::Text(text) => Ok(Action::Node(Node { at: token.at, kind: Kind::Text(text.clone()) })),
            Word::Open => self.action(),
            _ => unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Result<Action, Problem> {
        let token = self.peek_beyond_space();
        let Word::Keyword(keyword) = token.kind else {
            let pipe = self.pipe("command", &Word::Close)?;
            return Ok(Action::Node(Node { at: token.at, kind: Kind::Action(Box::new(pipe)) }));
        };
        self.next += 1;
        let at = token.at;
        let kind = match keyword {
            "end" => {
                self.expect_close("end")?;
                return Ok(Action::Ending(Ending::End));
            }
            "else" => return self.else_(),
            "if" => Kind::If(self.branches(at, "if")?),
            "with" => Kind::With(self.branches(at, "with")?),
            "range" => Kind::Range(self.branches(at, "range")?),
            "template" | "block" => {
                // Go names the place of the name.
                let at = self.peek_beyond_space().at;
                let kind = if keyword == "template" { self.template()? } else { self.block(at)? };
                return Ok(Action::Node(Node { at, kind }));
            }
            "break" | "continue" => {
                self.expect_close(&format!("{{{{{keyword}}}}}"))?;
                if self.ranges == 0 {
                    return Err((at, format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
                }
                if keyword == "break" { Kind::Break } else { Kind::Continue }
            }
            _ => return unexpected(token, "command"),
        };
        Ok(Action::Node(Node { at, kind }))
    }

    fn else_(&mut self) -> Result<Action, Problem> {
        if self.peek_beyond_space().kind == Word::Keyword("if") {
            self.next += 1;
            return Ok(Action::Ending(Ending::ElseIf));
        }
        self.expect_close("else")?;
        Ok(Action::Ending(Ending::Else))
    }

    fn branches(&mut self, at: usize, what: &'static str) -> Result<Branches, Problem> {
        let known = self.variables.len();
        let branches = self.deeper(at, |parser| {
            let pipe = Box::new(parser.pipe(what, &Word::Close)?);
            let ranges = usize::from(what == "range");
            parser.ranges += ranges;
            let (then, ending) = parser.list()?;
            parser.ranges -= ranges;
            let otherwise = match ending {
                Ending::End => Vec::new(),
                Ending::ElseIf if what == "if" => {
                    let at = parser.peek().at;
                    vec![Node { at, kind: Kind::If(parser.branches(at, "if")?) }]
                }
                Ending::ElseIf => return Err((at, format!("unexpected <if> in else of {what}"))),
                Ending::Else => match parser.list()? {
                    (nodes, Ending::End) => nodes,
                    (_, Ending::Else | Ending::ElseIf) => {
                        return Err((at, "expected end; found {{else}}".to_owned()));
                    }
                },
            };
            Ok(Branches { pipe, then, otherwise })
        });
        self.variables.truncate(known);
        branches
    }

    fn template(&mut self) -> Result<Kind, Problem> {
        let within = "template clause";
        let name = self.template_name(within)?;
        if self.peek_beyond_space().kind == Word::Close {
            self.next += 1;
            return Ok(Kind::Template { name, pipe: None });
        }
        Ok(Kind::Template { name, pipe: Some(Box::new(self.pipe(within, &Word::Close)?)) })
    }

    fn block(&mut self, at: usize) -> Result<Kind, Problem> {
        let within = "block clause";
        let name = self.template_name(within)?;
        let pipe = self.pipe(within, &Word::Close)?;
        let (variables, ranges) = (std::mem::replace(&mut self.variables, vec!["$".into()]), self.ranges);
        self.ranges = 0;
        let (nodes, ending) = self.deeper(at, Self::list)?;
        (self.variables, self.ranges) = (variables, ranges);
        if !matches!(ending, Ending::End) {
            return Err((at, format!("unexpected {{{{else}}}} in {within}")));
        }
        self.define(at, name.clone(), nodes)?;
        Ok(Kind::Template { name, pipe: Some(Box::new(pipe)) })
    }

    /// Declarations and calls up to `until`, which is taken.
    fn pipe(&mut self, within: &str, until: &Word) -> Result<Node, Problem> {
        let at = self.peek_beyond_space().at;
        let (variables, assigns) = self.declarations(within)?;
        let mut calls = Vec::new();
        loop {
            let token = self.peek_beyond_space();
            match &token.kind {
                kind if kind == until => {
                    self.next += 1;
                    break;
                }
                Word::Bool(_)
                | Word::Char(_)
                | Word::Dot
                | Word::Field(_)
                | Word::Word(_)
                | Word::Number(_)
                | Word::Nil
                | Word::Raw(_)
                | Word::Quoted(_)
                | Word::Variable(_)
                | Word::OpenParen => calls.push(self.call()?),
                _ => return unexpected(token, within),
            }
        }
        if calls.is_empty() {
            return Err((at, format!("missing value for {within}")));
        }
        for (place, call) in calls.iter().enumerate().skip(1) {
            let Kind::Call(parts) = &call.kind else { continue };
            let first = parts.first().map(|part| &part.kind);
            if let Some(Kind::Bool(_) | Kind::Dot | Kind::Nil | Kind::Number(_) | Kind::Quoted { .. }) = first
            {
                return Err((call.at, format!("non executable command in pipeline stage {}", place + 1)));
            }
        }
        Ok(Node { at, kind: Kind::Pipe(Pipe { variables, assigns, calls }) })
    }

    /// `$x :=`, `$x =` and, for a range, `$i, $x :=`.
    fn declarations(&mut self, within: &str) -> Result<(Vec<Arc<str>>, bool), Problem> {
        let mut found: Vec<Arc<str>> = Vec::new();
        loop {
            let before = self.next;
            let Word::Variable(name) = &self.peek_beyond_space().kind else { break };
            self.next += 1;
            let sign = self.take_beyond_space();
            match &sign.kind {
                Word::Declare | Word::Assign => {
                    found.push(name.as_str().into());
                    self.variables.push(name.as_str().into());
                    return Ok((found, sign.kind == Word::Assign));
                }
                Word::Sign(',') => {
                    found.push(name.as_str().into());
                    self.variables.push(name.as_str().into());
                    if within != "range" || found.len() > 1 {
                        return Err((sign.at, format!("too many declarations in {within}")));
                    }
                    let next = self.peek_beyond_space();
                    if !matches!(next.kind, Word::Variable(_) | Word::Close | Word::CloseParen) {
                        return Err((next.at, "range can only initialize variables".to_owned()));
                    }
                }
                _ => {
                    self.next = before;
                    break;
                }
            }
        }
        Ok((found, false))
    }

    fn call(&mut self) -> Result<Node, Problem> {
        let at = self.peek_beyond_space().at;
        let mut parts = Vec::new();
        loop {
            self.skip_space();
            if let Some(part) = self.operand()? {
                parts.push(part);
            }
            let token = self.peek();
            match token.kind {
                Word::Space => self.next += 1,
                Word::Close | Word::CloseParen => break,
                Word::Pipe => {
                    self.next += 1;
                    break;
                }
                _ => return unexpected(token, "operand"),
            }
        }
        if parts.is_empty() {
            return Err((at, "empty command".to_owned()));
        }
        Ok(Node { at, kind: Kind::Call(parts) })
    }

    /// A term and the fields behind it.
    fn operand(&mut self) -> Result<Option<Node>, Problem> {
        let Some(term) = self.term()? else { return Ok(None) };
        let chained = self.peek().at;
        let mut names: Vec<Arc<str>> = Vec::new();
        while let Word::Field(name) = &self.peek().kind {
            names.push(name[1..].into());
            self.next += 1;
        }
        if names.is_empty() {
            return Ok(Some(term));
        }
        let kind = match term.kind {
            Kind::Field(mut fields) => {
                fields.extend(names);
                Kind::Field(fields)
            }
            Kind::Variable(mut fields) => {
                fields.extend(names);
                Kind::Variable(fields)
            }
            Kind::Bool(_) | Kind::Quoted { .. } | Kind::Number(_) | Kind::Nil | Kind::Dot => {
                return Err((chained, format!("unexpected . after term {:?}", term.to_string())));
            }
            _ => Kind::Chain(Box::new(term), names),
        };
        Ok(Some(Node { at: chained, kind }))
    }

    fn term(&mut self) -> Result<Option<Node>, Problem> {
        let token = self.peek_beyond_space();
        let at = token.at;
        let failed = |problem| (at, problem);
        self.next += 1;
        let kind = match &token.kind {
            Word::Word(name) => match Function::named(name) {
                Some(function) => Kind::Function(function),
                None => return Err((at, format!("function {name:?} not defined"))),
            },
            Word::Dot => Kind::Dot,
            Word::Nil => Kind::Nil,
            Word::Variable(name) if self.variables.iter().any(|known| **known == **name) => {
                Kind::Variable(vec![name.as_str().into()])
            }
            Word::Variable(name) => return Err((at, format!("undefined variable {name:?}"))),
            Word::Field(name) => Kind::Field(vec![name[1..].into()]),
            Word::Bool(value) => Kind::Bool(*value),
            Word::Char(written) => Kind::Number(literal::character(written).map_err(failed)?),
            Word::Number(written) => Kind::Number(literal::number(written).map_err(failed)?),
            Word::Quoted(written) | Word::Raw(written) => {
                let text = literal::text(written).map_err(failed)?.into();
                Kind::Quoted { written: written.clone(), text }
            }
            Word::OpenParen => {
                let pipe = |parser: &mut Self| parser.pipe("parenthesized pipeline", &Word::CloseParen);
                return self.deeper(at, pipe).map(Some);
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Node { at, kind }))
    }
}

fn unexpected<T>(token: &Token, within: &str) -> Result<T, Problem> {
    let problem = match &token.kind {
        Word::Wrong(problem) => problem.clone(),
        kind => format!("unexpected {kind} in {within}"),
    };
    Err((token.at, problem))
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    fn written(text: &str) -> Result<String, String> {
        let trees = parse(&tokens(text)).map_err(|(_, problem)| problem)?;
        Ok(trees.root.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn trees_are_written_as_go_writes_them() {
        for text in [
            "a{{.}}b",
            "{{$x := .Labels.a | toUpper}}{{$x.b.c}}",
            "{{printf \"%d\" (len .Labels).x 1.5 'a' true nil}}",
            "{{range $i, $e := query \"up\"}}",
            "{{template \"a\" .}}",
        ] {
            let whole =
                if text.contains("{{range") { format!("{text}x{{{{end}}}}") } else { text.to_owned() };
            assert_eq!(written(&whole), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_words() {
        for (text, problem) in [
            ("{{ nope }}", "function \"nope\" not defined"),
            ("{{ $nope }}", "undefined variable \"$nope\""),
            ("{{ if true }}", "unexpected EOF"),
            ("{{ end }}", "unexpected {{end}}"),
            ("{{ if true }}{{ else }}{{ else }}{{ end }}", "expected end; found {{else}}"),
            ("{{ break }}", "{{break}} outside {{range}}"),
            ("{{ if }}{{ end }}", "missing value for if"),
            ("{{ 1 | 2 }}", "non executable command in pipeline stage 2"),
            ("{{ \"a\".b }}", "unexpected . after term \"\\\"a\\\"\""),
            ("{{ 1,2 }}", "unexpected \",\" in operand"),
            (
                "{{ define \"x\" }}a{{ end }}{{ define \"x\" }}b{{ end }}",
                "template: multiple definition of template \"x\"",
            ),
        ] {
            assert_eq!(written(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn variables_end_with_their_block() {
        assert!(written("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}").is_err());
        assert!(written("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}").is_ok());
        assert!(written("{{ $x := 1 }}{{ define \"d\" }}{{ $x }}{{ end }}").is_err());
    }

    #[test]
    fn depth_is_bound() {
        let nested = |depth| format!("{{{{ {}1{} }}}}", "(".repeat(depth), ")".repeat(depth));
        assert!(written(&nested(MOST_DEPTH)).is_ok());
        assert!(written(&nested(MOST_DEPTH + 1)).is_err_and(|problem| problem.contains("nested more than")));
        assert!(
            written(&"{{ if true }}".repeat(10_000))
                .is_err_and(|problem| problem.contains("nested more than"))
        );
    }
}
