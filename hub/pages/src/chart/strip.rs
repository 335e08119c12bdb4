//! States as strips. One that is on or off is a band; one of several has a lane for each that it was in, from the largest number down. Never a curve: between two states
//! there is nothing.
//!
//! ```text
//!    well ▁▁▁▁▁▁████▁▁▁████████        critical       ███
//!  failed                                well ███████     ██████
//! ```

use super::axis::shortened;
use super::draw::{Plot, put};
use super::path::{escaped, number, rectangle};
use super::words::{Tone, said};
use super::{Chart, Column, States};
use crate::quantity::Unit;
use std::fmt::Write;

/// Room between two lanes.
const BETWEEN: f64 = 2.0;

impl Plot {
    /// A state that is on or off: bands, high where it was on, half as high where it changed within a pixel.
    pub(super) fn switch(&self, out: &mut String, chart: &Chart, states: &States) {
        let (mut on, mut off, mut both) = (String::new(), String::new(), String::new());
        let inner = (self.top + 6.0).min(self.bottom);
        let high = self.bottom - inner;
        let middle = inner + high / 2.0;
        let level = |column: &Column| match (column.min >= 0.5, column.max >= 0.5) {
            (true, true) => 2,
            (false, true) => 1,
            _ => 0,
        };
        for (level, from, until) in self.pieces(chart, level) {
            match level {
                2 => rectangle(&mut on, (from, inner), (until - from, high)),
                1 => rectangle(&mut both, (from, middle), (until - from, self.bottom - middle)),
                _ => rectangle(&mut off, (from, self.bottom - 2.0), (until - from, 2.0)),
            }
        }
        let (tone, colour) = match states.tone {
            Tone::Good => ("good", "#1e8449"),
            Tone::Bad => ("bad", "#c0392b"),
            Tone::Plain => ("plain", "#2471a3"),
        };
        put!(out, "<g class=\"chart-state {tone}\" fill=\"{colour}\">");
        for (class, opacity, path) in [("on", ".75", &on), ("both", ".75", &both), ("off", ".9", &off)] {
            if !path.is_empty() {
                put!(out, "<path class=\"{class}\" d=\"{path}\" opacity=\"{opacity}\"/>");
            }
        }
        out.push_str("</g>");
        let word = |at: usize| states.words.get(at).cloned().unwrap_or_default();
        self.words(out, [(word(1), inner + 8.0), (word(0), self.bottom)]);
    }

    /// One of several states: a lane for each that it was in, thinner where it was in more than one within a pixel.
    pub(super) fn lanes(&self, out: &mut String, chart: &Chart, states: &States) {
        let Some(lanes) = chart.lanes() else { return };
        let high = (self.bottom - self.top) / lanes.len().max(1) as f64;
        out.push_str("<g class=\"chart-state plain\" fill=\"#2471a3\">");
        let mut words = Vec::new();
        for (nth, value) in lanes.iter().rev().enumerate() {
            let top = self.top + nth as f64 * high + BETWEEN;
            let is_in = |column: &Column| match (column.min <= *value, *value <= column.max) {
                (true, true) if column.min.to_bits() == column.max.to_bits() => 2,
                (true, true) => 1,
                _ => 0,
            };
            let (mut whole, mut part) = (String::new(), String::new());
            for (level, from, until) in self.pieces(chart, is_in) {
                match level {
                    2 => rectangle(&mut whole, (from, top), (until - from, high - BETWEEN)),
                    1 => rectangle(&mut part, (from, top + high / 2.0), (until - from, high / 2.0 - BETWEEN)),
                    _ => {}
                }
            }
            for (class, path) in [("on", &whole), ("both", &part)] {
                if !path.is_empty() {
                    put!(out, "<path class=\"{class}\" d=\"{path}\" opacity=\".75\"/>");
                }
            }
            words.push((said(*value, Unit::Number, Some(states)), top + high / 2.0 + 3.5));
        }
        out.push_str("</g>");
        self.words(out, words);
    }

    /// What is alike side by side, from where to where.
    fn pieces(&self, chart: &Chart, level: impl Fn(&Column) -> u8) -> Vec<(u8, f64, f64)> {
        let mut all = Vec::new();
        for stretch in chart.curve.stretches() {
            let ends = stretch.iter().skip(1).map(|column| column.x);
            let ends = ends.chain(stretch.last().map(|column| column.x + 1));
            let pieces: Vec<(u8, u32, u32)> =
                stretch.iter().zip(ends).map(|(column, end)| (level(column), column.x, end)).collect();
            all.extend(pieces.chunk_by(|one, next| one.0 == next.0).map(|run| {
                (run[0].0, self.column(run[0].1, chart), self.column(run[run.len() - 1].2, chart))
            }));
        }
        all
    }

    fn words(&self, out: &mut String, words: impl IntoIterator<Item = (String, f64)>) {
        out.push_str("<g class=\"chart-axis\" text-anchor=\"end\" opacity=\".8\">");
        for (word, y) in words {
            let word = escaped(&shortened(&word));
            put!(out, "<text x=\"{}\" y=\"{}\">{word}</text>", number(self.left - 5.0), number(y));
        }
        out.push_str("</g>");
    }
}
