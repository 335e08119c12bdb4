//! What holds for every chart, and pictures that are kept: `UPDATE_GOLDEN=1 cargo test -p rackside-pages` writes them anew.

use super::*;
use crate::HOSTILE;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
pub(crate) const NOW: i64 = 1_795_145_000_000;

/// All points of the paths in a picture.
pub(crate) fn points(svg: &str) -> Vec<(f64, f64)> {
    let mut all = Vec::new();
    for path in svg.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let (mut at, mut start) = ((0.0, 0.0), (0.0, 0.0));
        for (command, numbers) in commands(path) {
            match command {
                'M' => (at, start) = ((numbers[0], numbers[1]), (numbers[0], numbers[1])),
                'l' => {
                    for step in numbers.chunks(2) {
                        at = (at.0 + step[0], at.1 + step[1]);
                        all.push(at);
                    }
                }
                'h' => at.0 += numbers[0],
                'v' => at.1 += numbers[0],
                'z' => at = start,
                other => panic!("{other} in {path}"),
            }
            all.push(at);
        }
    }
    all
}

fn commands(path: &str) -> Vec<(char, Vec<f64>)> {
    let mut commands = Vec::new();
    let mut rest = path;
    while let Some(command) = rest.chars().next() {
        let end = rest[1..].find(|c: char| c.is_ascii_alphabetic()).map_or(rest.len(), |at| at + 1);
        let mut numbers = Vec::new();
        for part in rest[1..end].replace('-', " -").split_whitespace() {
            numbers.push(part.parse().unwrap_or_else(|_| panic!("{part} in {path}")));
        }
        commands.push((command, numbers));
        rest = &rest[end..];
    }
    commands
}

fn stays_in_the_box(chart: &Chart) -> String {
    let drawn = svg(chart);
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    let size = drawn.split("viewBox=\"0 0 ").nth(1).and_then(|rest| rest.split('"').next()).expect("a size");
    let (wide, high) = size.split_once(' ').expect("two numbers");
    let (wide, high): (f64, f64) = (wide.parse().expect("a number"), high.parse().expect("a number"));
    for (x, y) in points(&drawn) {
        // Points are rounded to a tenth.
        let within = (-0.1..=wide + 0.1).contains(&x) && (-0.1..=high + 0.1).contains(&y);
        assert!(within, "{x} {y} in {drawn}");
    }
    for attribute in [" x=\"", " y=\""] {
        for value in drawn.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
            let value: f64 = value.parse().expect("a number");
            assert!((-0.1..=wide.max(high) + 0.1).contains(&value), "{value} in {drawn}");
        }
    }
    drawn
}

fn berlin() -> Zone {
    "Europe/Berlin".parse().expect("a zone")
}

fn of(moves: Moves, samples: impl IntoIterator<Item = (i64, f64)>, range: &Range<i64>) -> Curve {
    let mut gather = Gather::new(range.clone(), Size::SMALL.columns(), moves, 25_000);
    for (at, value) in samples {
        gather.sample(at, Some(value));
    }
    gather.finish(range.end)
}

/// An evening: a box that gets warm, with a spike, a pause, a show, an alert and lines of the log.
pub(crate) fn evening() -> Chart {
    let range = NOW - 24 * HOUR..NOW;
    let samples = (0..8640).filter(|nth| !(3000..4400).contains(nth)).map(|nth| {
        let t = f64::from(nth);
        let spike = if nth == 6000 { 22.0 } else { 0.0 };
        let value = 52.0 + (t / 900.0).sin() * 6.0 + (t * 0.7).sin() * 1.5 + spike;
        (range.start + i64::from(nth) * 10_000, value)
    });
    let mark = |kind, from: i64, until: i64, text: &str| Mark {
        kind,
        from: NOW - from * HOUR,
        until: NOW - until * HOUR,
        text: text.to_owned(),
    };
    Chart {
        curve: of(Moves::Gauge, samples, &range),
        marks: vec![
            mark(MarkKind::OnAir, 10, 7, "On air 18:23 – 21:23"),
            mark(MarkKind::Alert, 8, 7, "SocHot, critical"),
            mark(MarkKind::Event, 9, 9, "stream_codec main: h264"),
            mark(MarkKind::Event, 5, 5, "track: Interval"),
        ],
        threshold: Some(80.0),
        ..Chart::new("SoC temperature", Unit::Celsius, range, berlin())
    }
}

/// A probe that fails now and then.
fn probe() -> Chart {
    let range = NOW - HOUR..NOW;
    let samples = (0..300).map(|nth| {
        let value = if (80..110).contains(&nth) || nth == 200 { 0.0 } else { 1.0 };
        (range.start + i64::from(nth) * 10_000, value)
    });
    Chart {
        curve: of(Moves::State, samples, &range),
        states: Some(States::of_metric("rackside_probe_success", "")),
        size: Size::STRIP,
        is_telling: false,
        ..Chart::new("Probe main", Unit::Number, range, berlin())
    }
}

/// What the LED said in an hour: well, for a moment more than that, critical, well.
fn led() -> Chart {
    let range = NOW - HOUR..NOW;
    let value = |nth: i64| match nth {
        60 => 2.0,
        120..180 => 3.0,
        _ => 1.0,
    };
    let samples = (0..360).map(|nth| (range.start + nth * 10_000, value(nth)));
    let help = "What the LED says: 0 dark, 1 well, 2 warning, 3 critical";
    let chart = Chart {
        curve: of(Moves::State, samples, &range),
        states: Some(States::of_metric("rackside_led_state", help)),
        ..Chart::new("LED, status", Unit::Number, range, berlin())
    };
    Chart { size: Size::of(&chart), ..chart }
}

fn kept(name: &str, drawn: &str) {
    let path = format!("{}/tests/charts/{name}.svg", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(format!("{}/tests/charts", env!("CARGO_MANIFEST_DIR"))).expect("a directory");
        std::fs::write(&path, drawn).expect("a file");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(drawn, kept, "{path} is another; UPDATE_GOLDEN=1 writes it anew, and then look at it");
}

#[test]
fn pictures_are_as_they_were() {
    kept("evening", &stays_in_the_box(&evening()));
    kept("probe", &stays_in_the_box(&probe()));
    kept("led", &stays_in_the_box(&led()));
    let range = NOW - HOUR..NOW;
    kept("nothing", &svg(&Chart::new("Nothing yet", Unit::Number, range.clone(), berlin())));
    let counter = of(
        Moves::Counter { per: 1 },
        (0..360).map(|nth| (range.start + nth * 10_000, (nth * nth) as f64 * 3e5)),
        &range,
    );
    let wide = Chart {
        curve: counter,
        size: Size::WIDE,
        is_titled: true,
        ..Chart::new("Received by eth0", Unit::BytesPerSecond, range, berlin())
    };
    kept("received", &stays_in_the_box(&wide));
}

#[test]
fn a_spike_is_drawn_a_gap_is_hatched_an_event_is_a_mark() {
    let drawn = svg(&evening());
    assert!(drawn.contains("highest 76.7 °C"), "the spike of one reading: {drawn}");
    assert!(drawn.contains(">no data</text>") && drawn.contains("No data for 3 h 5"), "{drawn}");
    assert!(drawn.contains("<title>stream_codec main: h264</title>"));
    assert!(drawn.contains(">ON AIR</text>") && drawn.contains("<title>SocHot, critical</title>"));
}

#[test]
fn a_day_is_a_few_kilobytes() {
    assert!(svg(&evening()).len() < 12_000, "{}", svg(&evening()).len());
    assert!(svg(&probe()).len() < 3_000, "{}", svg(&probe()).len());
}

#[test]
fn a_state_of_several_has_a_lane_for_each_that_it_was_in() {
    let drawn = svg(&led());
    let at = |word: &str| drawn.find(&format!(">{word}</text>")).unwrap_or_else(|| panic!("{word}: {drawn}"));
    assert!(at("critical") < at("warning") && at("warning") < at("well"), "{drawn}");
    assert!(!drawn.contains(">dark</text>") && !drawn.contains("class=\"mean\""), "{drawn}");
    let many: Vec<(i64, f64)> = (0..9).map(|nth| (NOW - HOUR + nth * 10_000, nth as f64)).collect();
    let many = Chart { curve: of(Moves::State, many, &(NOW - HOUR..NOW)), ..led() };
    assert_eq!(many.lanes(), None);
    assert!(stays_in_the_box(&many).contains("class=\"mean\""), "a line of steps");
}

#[test]
fn the_unit_does_not_touch_the_uppermost_number() {
    for high in 1..400 {
        let range = NOW - HOUR..NOW;
        let samples = [(range.start, 0.0), (range.end - 1000, f64::from(high) * 1.7)];
        let curve = of(Moves::Gauge, samples, &range);
        let drawn = svg(&Chart { curve, ..Chart::new("x", Unit::Celsius, range, Zone::UTC) });
        let axis = drawn.split("<g class=\"chart-axis\" text-anchor=\"end\"").nth(1).expect("an axis");
        let axis = axis.split("</g>").next().unwrap_or_default();
        let heights: Vec<f64> =
            axis.split(" y=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect();
        let unit = heights.last().expect("the unit stands last");
        for tick in &heights[..heights.len() - 1] {
            assert!(tick - unit >= 11.0, "{tick} and {unit}: {axis}");
        }
    }
}

#[test]
fn every_text_is_escaped() {
    let mut chart = Chart { title: HOSTILE.to_owned(), is_titled: true, ..evening() };
    for mark in &mut chart.marks {
        mark.text = HOSTILE.to_owned();
    }
    let mut states = Chart { title: HOSTILE.to_owned(), ..probe() };
    states.states = Some(States { words: vec![HOSTILE.to_owned(); 2], tone: words::Tone::Good });
    for drawn in [svg(&chart), svg(&states)] {
        assert!(!drawn.contains("<script") && !drawn.contains("<img") && !drawn.contains("\"'"), "{drawn}");
    }
}

#[test]
fn odd_values_look_like_what_they_are() {
    let range = NOW - HOUR..NOW;
    let chart = |values: &[f64]| {
        let samples =
            values.iter().enumerate().map(|(nth, value)| (range.start + nth as i64 * 10_000, *value));
        Chart {
            curve: of(Moves::Gauge, samples, &range),
            ..Chart::new("x", Unit::Number, range.clone(), Zone::UTC)
        }
    };
    for values in [
        &[][..],
        &[3.0],
        &[f64::NAN],
        &[f64::INFINITY, 1.0],
        &[7.0; 40],
        &[0.0; 40],
        &[1e15, 1e15 + 1.0],
        &[f64::MAX, f64::MIN],
        &[-5.0, -7.0],
        &[5e-324, 0.0],
    ] {
        let drawn = stays_in_the_box(&chart(values));
        let is_known = values.iter().any(|value| value.is_finite());
        assert_eq!(drawn.contains("class=\"mean\""), is_known, "{values:?}: {drawn}");
        assert_eq!(drawn.contains("No data in this time"), !is_known, "{values:?}");
    }
    let empty = Chart { range: NOW..NOW, ..chart(&[1.0]) };
    stays_in_the_box(&empty);
    let size = Size { width: 3, height: 2 };
    stays_in_the_box(&Chart { size, ..evening() });
}

proptest! {
    #[test]
    fn any_data_give_a_picture_within_its_box(
        samples in prop::collection::vec((0..4_000_000_i64, any::<f64>()), 0..60),
        marks in prop::collection::vec((any::<i64>(), any::<i64>(), 0..3_u8), 0..5),
        (kind, threshold) in (0..3_u8, any::<Option<f64>>()),
    ) {
        let mut samples = samples;
        samples.sort_by_key(|sample| sample.0);
        let range = 500_000..3_500_000;
        let moves = [Moves::Gauge, Moves::State, Moves::Counter { per: 60 }][kind as usize];
        let kinds = [MarkKind::OnAir, MarkKind::Alert, MarkKind::Event];
        let marks = marks.into_iter().map(|(from, until, kind)| Mark { kind: kinds[kind as usize], from, until, text: String::new() });
        let curve = of(moves, samples, &range);
        prop_assert!(curve.columns.is_sorted_by(|one, next| one.x < next.x));
        let states = (moves == Moves::State).then(|| States::of_metric("x_up", ""));
        let unit = [Unit::Number, Unit::Seconds, Unit::Date][kind as usize];
        let chart = Chart { curve, marks: marks.collect(), threshold, states, ..Chart::new("x", unit, range, Zone::UTC) };
        stays_in_the_box(&chart);
    }
}
