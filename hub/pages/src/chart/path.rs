//! The text of SVG: numbers as short as they can be, paths of small steps, escaped texts.
//!
//! A point is rounded to a tenth, and steps are counted from where the rounded points before have led, so that nothing drifts. What goes on in the same
//! direction is one step.
//!
//! `M44 60.2l1-.3 1 0 12 .4` is four points.

use std::fmt::Write;

/// A tenth of a pixel, as whole numbers.
fn tenths(value: f64) -> i64 {
    if value.is_finite() { (value * 10.0).round().clamp(-1e6, 1e6) as i64 } else { 0 }
}

/// Writes a number of tenths: `-3` is `-.3`, `120` is `12`.
fn put(text: &mut String, tenths: i64) {
    let (whole, rest) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
    if tenths < 0 {
        text.push('-');
    }
    let wrote = match (whole, rest) {
        (whole, 0) => write!(text, "{whole}"),
        (0, rest) => write!(text, ".{rest}"),
        (whole, rest) => write!(text, "{whole}.{rest}"),
    };
    wrote.expect("a String takes every write");
}

/// A number for an attribute.
pub(super) fn number(value: f64) -> String {
    let mut text = String::new();
    put(&mut text, tenths(value));
    text
}

/// A line through points, added to what is in `text`.
pub(super) fn line(text: &mut String, points: impl IntoIterator<Item = (f64, f64)>) {
    let mut points = points.into_iter().map(|(x, y)| (tenths(x), tenths(y)));
    let Some(start) = points.next() else { return };
    text.push('M');
    pair(text, start);
    let mut steps: Vec<(i64, i64)> = Vec::new();
    let mut before = start;
    for point in points {
        let step = (point.0 - before.0, point.1 - before.1);
        before = point;
        match steps.last_mut() {
            _ if step == (0, 0) => {}
            // Level, and on in the same direction: one step. Others hardly ever go on exactly.
            Some(last) if last.1 == 0 && step.1 == 0 && (last.0 > 0) == (step.0 > 0) => last.0 += step.0,
            _ => steps.push(step),
        }
    }
    if steps.is_empty() {
        // A line of no length, whose round ends make it a dot.
        text.push_str("h0");
        return;
    }
    text.push('l');
    for (nth, step) in steps.into_iter().enumerate() {
        if nth > 0 && step.0 >= 0 {
            text.push(' ');
        }
        pair(text, step);
    }
}

fn pair(text: &mut String, (x, y): (i64, i64)) {
    put(text, x);
    if y >= 0 {
        text.push(' ');
    }
    put(text, y);
}

/// A box, added to what is in `text`.
pub(super) fn rectangle(text: &mut String, (left, top): (f64, f64), (wide, high): (f64, f64)) {
    text.push('M');
    pair(text, (tenths(left), tenths(top)));
    text.push('h');
    put(text, tenths(wide));
    text.push('v');
    put(text, tenths(high));
    text.push('h');
    put(text, -tenths(wide));
    text.push('z');
}

/// A text between tags or quotes. What XML does not know is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let shown = [0.0, -0.04, 0.3, -0.3, 12.0, 12.34, f64::NAN, f64::INFINITY, 1e300].map(number);
        assert_eq!(shown, ["0", "0", ".3", "-.3", "12", "12.3", "0", "0", "100000"]);
    }

    #[test]
    fn a_level_line_is_one_step_and_steps_do_not_drift() {
        let mut text = String::new();
        line(&mut text, (0..100).map(|x| (f64::from(x), 5.0)));
        assert_eq!(text, "M0 5l99 0");
        text.clear();
        line(&mut text, [(0.0, 0.04), (1.0, 0.08), (2.0, 0.12), (2.0, 0.5)]);
        assert_eq!(text, "M0 0l1 .1 1 0 0 .4");
        text.clear();
        line(&mut text, [(3.0, 4.0)]);
        assert_eq!(text, "M3 4h0");
    }

    #[test]
    fn what_an_agent_chooses_stays_text() {
        assert_eq!(escaped("<script>\"a\" & 'b'\u{0}\n"), "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39; ");
    }
}
