//! The templates in labels and annotations of alerts: Go's text/template, as far as rules use it.
//!
//! Sample: `{{ $labels.site }} has {{ $value | humanize }}`.

use rackside_promql::{Labels, Point};

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

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TemplateError {}

/// A text that is written anew for each alert.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { text: text.to_owned() })
    }

    /// The text for this alert.
    pub fn expand(&self, _context: &Context<'_>) -> Result<String, TemplateError> {
        Ok(self.text.clone())
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}
