//! The templates in labels and annotations of alerts: Go's text/template with Prometheus's functions, as Prometheus 2.42 expands them.
//!
//! `token.rs` finds words, `parse.rs` makes a tree of them, `run.rs` writes the text; `function.rs` and `builtin.rs` are what can be called. What a
//! template does differently here is in the crate's `DIFFERENCES.md`. It is bound in text, steps, depth and queries, so a rule file from
//! anywhere can be loaded.
//!
//! Sample: `{{ $labels.site }} has {{ $value | humanize }}`.

mod builtin;
mod effort;
mod float;
mod format;
mod function;
pub(crate) mod literal;
mod moment;
mod node;
mod parse;
mod run;
mod token;
mod value;

use rackside_promql::{Labels, Point};
use std::fmt;
use std::sync::Arc;

/// The longest template, and the longest text that one makes, in bytes: a page of text is 3,000.
const MOST_TEXT: usize = 64 << 10;
/// All texts together that an expansion makes on its way.
const MOST_BYTES: usize = 1 << 20;
/// Steps of an expansion; one goes through a thousand series with room to spare.
const MOST_STEPS: usize = 100_000;
/// Queries of an expansion.
const MOST_QUERIES: usize = 32;

/// What Prometheus puts before each template. It is parsed as a part of the text, so that places in messages are Prometheus's.
const BEFORE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// What a template can ask about the alert that it is expanded for.
pub struct Context<'a> {
    /// The rule's name, which messages about a template that failed begin with.
    pub alert: &'a str,
    /// `$labels`: the labels of the expression's result, the metric's name among them.
    pub labels: &'a Labels,
    /// `$externalLabels`: those of the hub.
    pub external_labels: &'a Labels,
    /// `$value`.
    pub value: f64,
    /// `$externalURL`: where the hub's pages are.
    pub external_url: &'a str,
    /// What `query` asks: an instant vector at the moment of the evaluation, or why there is none.
    pub query: &'a dyn Fn(&str) -> Result<Vec<Point>, String>,
}

/// Why a template cannot be read, or not be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError(pub String);

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TemplateError {}

/// A text that is written anew for each alert.
#[derive(Clone)]
pub struct Template(Arc<Parsed>);

struct Parsed {
    /// The text with [`BEFORE`] before it.
    whole: String,
    /// None, if the text has no actions and so is what it makes.
    trees: Option<parse::Trees>,
}

impl Template {
    /// Reads a template.
    ///
    /// ```
    /// use rackside_alerting::template::Template;
    ///
    /// let error = Template::parse("hot:\n{{ $value | humanise }}").err().map(|error| error.to_string());
    /// assert_eq!(error.as_deref(), Some("template: line 2: function \"humanise\" not defined"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MOST_TEXT {
            let length = text.len();
            return Err(TemplateError(format!(
                "template: {length} bytes long, and may have {MOST_TEXT}; shorten it"
            )));
        }
        let whole = format!("{BEFORE}{text}");
        if !text.contains("{{") {
            return Ok(Self(Arc::new(Parsed { whole, trees: None })));
        }
        let trees = parse::parse(&token::tokens(&whole)).map_err(|(at, problem)| {
            let line = token::line_of(&whole, at);
            let place = if text.trim_end().contains('\n') { format!("line {line}: ") } else { String::new() };
            TemplateError(format!("template: {place}{problem}"))
        })?;
        Ok(Self(Arc::new(Parsed { whole, trees: Some(trees) })))
    }

    /// The text for this alert.
    pub fn expand(&self, context: &Context<'_>) -> Result<String, TemplateError> {
        let Some(trees) = &self.0.trees else { return Ok(self.text().to_owned()) };
        let failed =
            |what| TemplateError(format!("error executing template __alert_{}: {what}", context.alert));
        run::run(trees, &self.0.whole, context).map_err(failed)
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.0.whole[BEFORE.len()..]
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.text())
    }
}

#[cfg(test)]
mod tests;
