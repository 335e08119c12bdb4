//! From a chart to the text of its SVG.
//!
//! From back to front: when the site was on air, gaps, the grid, the band between least and largest, the line of means, the alert's threshold, alerts and the
//! log above and below, the axes' words. Everything is drawn with attributes that show without a style sheet, and has a class by which one paints it.

use super::axis::{Values, time_ticks};
use super::path::{escaped, line, number, rectangle};
use super::words::summary;
use super::{BELOW, Chart, Column, LEFT, MarkKind, RIGHT, Size, TOP};
use std::fmt::Write;

/// Adds to the text of a picture.
macro_rules! put {
    ($to:expr, $($what:tt)*) => {
        write!($to, $($what)*).expect("a String takes every write")
    };
}

/// Room for the title of a picture that stands alone.
const TITLE: f64 = 18.0;
/// How high the strip of alerts is.
const ALERTS: f64 = 3.0;
/// A time's text and some room.
const TEXT: f64 = 68.0;
/// Words within a picture need so much room.
const WORDS: f64 = 42.0;
/// More than so many marks of one kind are not told apart.
const MOST_MARKS: usize = 80;

/// The least size of a picture: below it there is no room for the axes.
const LEAST: Size = Size { width: 120, height: 48 };

/// Draws a chart. Any data give a picture of its size.
pub fn svg(chart: &Chart) -> String {
    if chart.size.width < LEAST.width || chart.size.height < LEAST.height {
        let (width, height) = (chart.size.width.max(LEAST.width), chart.size.height.max(LEAST.height));
        return svg(&Chart { size: Size { width, height }, ..chart.clone() });
    }
    let plot = Plot::of(chart);
    let mut out = String::with_capacity(8 * 1024);
    let (width, height) = (chart.size.width, chart.size.height);
    let (title, said) = (escaped(&chart.title), escaped(&summary(chart)));
    put!(
        out,
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" font-size=\"12\" font-family=\"system-ui, sans-serif\" fill=\"currentColor\">"
    );
    put!(out, "<title>{title}</title><desc>{said}</desc>");
    if chart.is_titled {
        put!(
            out,
            "<text class=\"chart-title\" x=\"4\" y=\"13\" font-size=\"13\" font-weight=\"600\">{title}</text>"
        );
    }
    plot.on_air(&mut out, chart);
    plot.gaps(&mut out, chart);
    match &chart.states {
        Some(states) if states.is_switch() => plot.switch(&mut out, chart, states),
        Some(states) if chart.lanes().is_some() => plot.lanes(&mut out, chart, states),
        Some(_) | None => plot.curve(&mut out, chart),
    }
    plot.times(&mut out, chart);
    plot.marks(&mut out, chart);
    out.push_str("</svg>");
    out
}

/// Where what is drawn.
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Plot {
    fn of(chart: &Chart) -> Self {
        let top = f64::from(TOP) + if chart.is_titled { TITLE } else { 0.0 };
        let (wide, high) = (f64::from(chart.size.width), f64::from(chart.size.height));
        Self {
            left: f64::from(LEFT),
            right: wide - f64::from(RIGHT),
            top,
            bottom: (high - f64::from(BELOW)).max(top),
        }
    }

    fn time(&self, at: i64, chart: &Chart) -> f64 {
        let span = chart.range.end.saturating_sub(chart.range.start).max(1) as f64;
        let share = at.saturating_sub(chart.range.start) as f64 / span;
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// The left edge of a column.
    pub(super) fn column(&self, x: u32, chart: &Chart) -> f64 {
        let share = f64::from(x) / f64::from(chart.curve.width.max(1));
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    fn spans<'a>(&self, chart: &'a Chart, kind: MarkKind) -> Vec<(f64, f64, &'a str)> {
        let range = &chart.range;
        let touches = |from: i64, until: i64| from < range.end && until >= range.start && from <= until;
        let of = chart.marks.iter().filter(|mark| mark.kind == kind && touches(mark.from, mark.until));
        of.take(MOST_MARKS)
            .map(|mark| (self.time(mark.from, chart), self.time(mark.until, chart), mark.text.as_str()))
            .collect()
    }

    /// When the site was on air: a shade over the whole height, with a line along its top.
    fn on_air(&self, out: &mut String, chart: &Chart) {
        let high = self.bottom - self.top;
        let spans = self.spans(chart, MarkKind::OnAir);
        if spans.is_empty() {
            return;
        }
        out.push_str("<g class=\"chart-onair\" fill=\"#c0392b\">");
        for (from, until, text) in spans {
            let wide = (until - from).max(1.0).min(self.right - from).max(0.0);
            let mut shade = String::new();
            rectangle(&mut shade, (from, self.top), (wide, high));
            let mut edge = String::new();
            rectangle(&mut edge, (from, self.top), (wide, 1.5));
            let told =
                if chart.is_telling { format!("<title>{}</title>", escaped(text)) } else { String::new() };
            put!(out, "<path d=\"{shade}\" opacity=\".12\">{told}</path><path d=\"{edge}\"/>");
            if chart.is_telling && wide >= WORDS {
                let (x, y) = (number(from + 2.0), number(self.top + 11.0));
                put!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"11\">ON AIR</text>");
            }
        }
        out.push_str("</g>");
    }

    /// Where nothing is known: hatched, and said where there is room for it.
    fn gaps(&self, out: &mut String, chart: &Chart) {
        let mut hatch = String::new();
        let mut shade = String::new();
        let mut words = Vec::new();
        let whole = std::iter::once(0..1).filter(|_| chart.curve.width == 0);
        let gaps = chart.curve.gaps().into_iter();
        for gap in gaps.chain(whole) {
            let is_whole = chart.curve.width == 0;
            let from = if is_whole { self.left } else { self.column(gap.start, chart) };
            let until = if is_whole { self.right } else { self.column(gap.end, chart) };
            if until - from < 0.5 {
                continue;
            }
            rectangle(&mut shade, (from, self.top), (until - from, self.bottom - self.top));
            self.hatch(&mut hatch, from, until);
            if until - from >= WORDS {
                words.push(from.midpoint(until));
            }
        }
        if shade.is_empty() {
            return;
        }
        put!(
            out,
            "<g class=\"chart-gap\"><path d=\"{shade}\" opacity=\".07\"/><path d=\"{hatch}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".22\" stroke-width=\".7\"/>"
        );
        let y = number(self.top.midpoint(self.bottom) + 3.5);
        for x in words {
            put!(out, "<text x=\"{}\" y=\"{y}\" text-anchor=\"middle\">no data</text>", number(x));
        }
        out.push_str("</g>");
    }

    /// Lines from the lower left to the upper right that end at the edges of their box.
    fn hatch(&self, out: &mut String, from: f64, until: f64) {
        let high = self.bottom - self.top;
        let mut foot = ((from - high) / 7.0).floor() * 7.0;
        while foot < until {
            let (left, right) = (foot.max(from), (foot + high).min(until));
            if right > left {
                line(out, [(left, self.bottom - (left - foot)), (right, self.bottom - (right - foot))]);
            }
            foot += 7.0;
        }
    }

    /// Numbers: the axis on the left, a band from least to largest, the line of means.
    fn curve(&self, out: &mut String, chart: &Chart) {
        let known = chart.curve.extremes();
        let threshold = chart.threshold.filter(|limit| limit.is_finite());
        let (low, high) = match (known, threshold) {
            (Some((low, high)), Some(limit)) => (low.min(limit), high.max(limit)),
            (Some(both), None) => both,
            (None, Some(limit)) => (limit, limit),
            (None, None) => return,
        };
        let wanted = ((self.bottom - self.top) / 26.0).max(2.0) as usize;
        let axis = match &chart.states {
            Some(states) => Values::of_states(states, low, high),
            None => Values::of(chart.unit, low, high, wanted),
        };
        let y = |value: f64| self.bottom - axis.share(value) * (self.bottom - self.top);
        self.values(out, &axis, &y);
        let (mut band, mut means) = (String::new(), String::new());
        let is_stepped = chart.states.is_some();
        for stretch in chart.curve.stretches() {
            let middle =
                |column: &Column| self.column(column.x, chart).midpoint(self.column(column.x + 1, chart));
            if stretch.iter().any(|column| y(column.min) - y(column.max) > 0.4) {
                let above = stretch.iter().map(|column| (middle(column), y(column.max)));
                let below = stretch.iter().rev().map(|column| (middle(column), y(column.min)));
                line(&mut band, above.chain(below));
                band.push('z');
            }
            if is_stepped {
                line(&mut means, steps(stretch.iter().map(|column| (middle(column), y(column.last)))));
            } else {
                line(&mut means, stretch.iter().map(|column| (middle(column), y(column.mean))));
            }
        }
        out.push_str(
            "<g class=\"chart-line\" stroke=\"#2471a3\" stroke-linejoin=\"round\" stroke-linecap=\"round\">",
        );
        if !band.is_empty() {
            // Its own thin edge, so that a spike of one column is seen.
            put!(
                out,
                "<path class=\"band\" d=\"{band}\" fill=\"#2471a3\" fill-opacity=\".25\" stroke-opacity=\".45\" stroke-width=\".8\"/>"
            );
        }
        if !means.is_empty() {
            put!(out, "<path class=\"mean\" d=\"{means}\" fill=\"none\" stroke-width=\"1.5\"/>");
        }
        out.push_str("</g>");
        if let Some(limit) = threshold {
            let mut level = String::new();
            line(&mut level, [(self.left, y(limit)), (self.right, y(limit))]);
            let told = escaped(&format!("alert from {}", chart.unit.show(limit)));
            put!(
                out,
                "<path class=\"chart-limit\" d=\"{level}\" fill=\"none\" stroke=\"#c0392b\" stroke-width=\"1.2\" stroke-dasharray=\"5 3\"><title>{told}</title></path>"
            );
            // Above its line, or below it where there is no room.
            let above = y(limit) - 3.0;
            let at = if above - 9.0 < self.top { y(limit) + 11.0 } else { above };
            let (x, base) = (number(self.right - 2.0), number(at.min(self.bottom - 2.0)));
            put!(
                out,
                "<text class=\"chart-limit-text\" x=\"{x}\" y=\"{base}\" text-anchor=\"end\" font-size=\"11\">{told}</text>"
            );
        }
    }

    /// The axis on the left, with its grid.
    fn values(&self, out: &mut String, axis: &Values, y: &dyn Fn(f64) -> f64) {
        let mut grid = String::new();
        let mut texts = String::new();
        let mut last = f64::INFINITY;
        for (value, text) in &axis.ticks {
            let at = y(*value);
            line(&mut grid, [(self.left, at), (self.right, at)]);
            // Two that would touch are one.
            if last - at >= 10.0 {
                let (x, base) = (number(self.left - 5.0), number((at + 3.5).min(self.bottom + 3.0)));
                put!(texts, "<text x=\"{x}\" y=\"{base}\">{}</text>", escaped(text));
                last = at;
            }
        }
        put!(
            out,
            "<path class=\"chart-grid\" d=\"{grid}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".14\"/><g class=\"chart-axis\" text-anchor=\"end\" opacity=\".8\">{texts}"
        );
        if !axis.unit.is_empty() {
            let (x, y) = (number(self.left - 5.0), number(self.top - 8.0));
            put!(out, "<text x=\"{x}\" y=\"{y}\">{}</text>", escaped(&axis.unit));
        }
        out.push_str("</g>");
    }

    /// Times below, a line where each is.
    fn times(&self, out: &mut String, chart: &Chart) {
        let most = ((self.right - self.left) / TEXT).max(1.0) as usize;
        let (mut grid, mut days, mut texts) = (String::new(), String::new(), String::new());
        for tick in time_ticks(&chart.range, chart.zone, most) {
            let x = self.time(tick.at, chart);
            let to = if tick.is_major { &mut days } else { &mut grid };
            line(to, [(x, self.top), (x, self.bottom + 3.0)]);
            let half = tick.text.chars().count() as f64 * 2.9;
            let middle = x.clamp(half, (f64::from(chart.size.width) - half).max(half));
            let weight = if tick.is_major { " font-weight=\"600\"" } else { "" };
            let (x, y) = (number(middle), number(self.bottom + 13.5));
            put!(texts, "<text x=\"{x}\" y=\"{y}\"{weight}>{}</text>", escaped(&tick.text));
        }
        let mut base = String::new();
        line(&mut base, [(self.left, self.bottom), (self.right, self.bottom)]);
        for (path, opacity) in [(grid, ".1"), (days, ".3"), (base, ".45")] {
            if !path.is_empty() {
                put!(
                    out,
                    "<path class=\"chart-grid\" d=\"{path}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"{opacity}\"/>"
                );
            }
        }
        put!(out, "<g class=\"chart-axis\" text-anchor=\"middle\" opacity=\".8\">{texts}</g>");
    }

    /// Alerts along the top, the log's lines on the axis below.
    fn marks(&self, out: &mut String, chart: &Chart) {
        let told = |text: &str| {
            if chart.is_telling { format!("<title>{}</title>", escaped(text)) } else { String::new() }
        };
        let alerts = self.spans(chart, MarkKind::Alert);
        if !alerts.is_empty() {
            out.push_str("<g class=\"chart-alert\" fill=\"#c0392b\">");
            for (from, until, text) in alerts {
                let mut strip = String::new();
                let wide = (until - from).max(2.0).min(self.right - from).max(0.0);
                rectangle(&mut strip, (from, self.top - ALERTS), (wide, ALERTS));
                put!(out, "<path d=\"{strip}\">{}</path>", told(text));
            }
            out.push_str("</g>");
        }
        let events = self.spans(chart, MarkKind::Event);
        if !events.is_empty() {
            out.push_str("<g class=\"chart-event\" fill=\"#b9770e\">");
            let mut all = String::new();
            for (at, _, text) in events {
                let x = at.clamp(self.left, self.right);
                let mut peak = String::new();
                line(&mut peak, [(x, self.bottom - 6.0), (x + 3.0, self.bottom), (x - 3.0, self.bottom)]);
                peak.push('z');
                if chart.is_telling {
                    put!(out, "<path d=\"{peak}\">{}</path>", told(text));
                } else if !all.ends_with(&peak) {
                    all.push_str(&peak);
                }
            }
            if !all.is_empty() {
                put!(out, "<path d=\"{all}\"/>");
            }
            out.push_str("</g>");
        }
    }
}

pub(super) use put;

/// Points of a state: level until the next.
fn steps(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if let Some(&(_, before)) = all.last() {
            all.push((point.0, before));
        }
        all.push(point);
    }
    all
}
