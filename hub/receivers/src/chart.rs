//! A small picture of the last hour, for receivers that take one: light, and readable on a phone.
//!
//! A line that breaks where nothing was measured, the largest and the smallest value beside it, a dashed line where the alert's threshold is known, and
//! the time on the venue's wall below. No axis is from zero by force: what matters is how it moved. [`last_hour`] asks for the points.
//!
//! Invariant: any points give a picture of [`WIDTH`] by [`HEIGHT`], or none if there is nothing to draw.
//!
//! ```text
//! Chart { points: [(1_795_141_500_000, 71.2), …], from: …, until: …, step: 30_000, threshold: Some(75.0), unit: Celsius, zone: Europe/Berlin }
//! ```

mod font;
mod hour;

pub use hour::last_hour;

use crate::quantity::Unit;
use rackside_onair::Zone;
use rackside_pages::chart::{Tick, time_ticks};

/// Across, in pixels.
pub const WIDTH: u32 = 480;
/// Down, in pixels.
pub const HEIGHT: u32 = 160;

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Milliseconds since 1970 and value, in the order of time; what is not finite is a gap.
    pub points: Vec<(i64, f64)>,
    /// The left edge, in milliseconds since 1970.
    pub from: i64,
    /// The right edge.
    pub until: i64,
    /// How far apart points are, in milliseconds; a pause of more than two and a half of these is a gap.
    pub step: i64,
    /// Where the alert begins, if that is known.
    pub threshold: Option<f64>,
    /// What is measured in.
    pub unit: Unit,
    /// The venue's time zone.
    pub zone: Zone,
}

type Colour = [u8; 3];

const PAPER: Colour = [255, 255, 255];
const GRID: Colour = [222, 226, 230];
const INK: Colour = [60, 66, 72];
const LINE: Colour = [20, 92, 184];
const ALARM: Colour = [200, 30, 30];

/// Letters are drawn with dots of two pixels: on a phone the picture is shown at about its own size.
const DOT: i32 = 2;
/// Of the letters and a dot between them.
const ADVANCE: i32 = (font::WIDTH + 1) * DOT;
const LEFT: i32 = 10;
const TOP: i32 = 10;
/// Where the plot ends below: room for the times.
const BOTTOM: i32 = HEIGHT as i32 - 26;
/// Half of the line's thickness.
const RADIUS: f64 = 1.3;
/// More points than that say nothing in so few pixels, and cost time.
const MOST_POINTS: usize = 8_192;

/// Draws a chart as PNG. `None`: there is no point within its hour, or the hour has no length.
pub fn draw(chart: &Chart) -> Option<Vec<u8>> {
    let plot = Plot::of(chart)?;
    let mut canvas = Canvas::new();
    plot.frame(&mut canvas, chart);
    plot.curve(&mut canvas, chart);
    Some(canvas.png())
}

/// Where what is drawn.
struct Plot {
    from: i64,
    until: i64,
    /// The values at the lower and the upper edge.
    low: f64,
    high: f64,
    /// The values that are named.
    least: f64,
    most: f64,
    /// Where the plot ends on the right: room for the names.
    right: i32,
}

impl Plot {
    fn of(chart: &Chart) -> Option<Self> {
        let (from, until) = (chart.from, chart.until);
        if until <= from {
            return None;
        }
        let values = || visible(chart).map(|(_, value)| value).filter(|value| value.is_finite());
        let least = values().reduce(f64::min)?;
        let most = values().reduce(f64::max)?;
        let threshold = chart.threshold.filter(|value| value.is_finite());
        let (mut low, mut high) =
            threshold.map_or((least, most), |limit| (least.min(limit), most.max(limit)));
        // What stands still is drawn in the middle.
        if high / 2.0 - low / 2.0 <= low.abs().max(high.abs()) * 1e-9 {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low, high) = (low - room, high + room);
        }
        let names = [Some(least), Some(most), threshold].into_iter().flatten();
        let widest = names.map(|value| chart.unit.show(value).chars().count()).max().unwrap_or(0);
        let right = WIDTH as i32 - 14 - ADVANCE * i32::try_from(widest).unwrap_or(0);
        Some(Self { from, until, low, high, least, most, right: right.max(WIDTH as i32 / 3) })
    }

    fn x(&self, at: i64) -> f64 {
        let share = (at - self.from) as f64 / (self.until - self.from) as f64;
        f64::from(LEFT) + share * f64::from(self.right - LEFT)
    }

    /// Halved first, so that the whole range of numbers has a place.
    fn y(&self, value: f64) -> f64 {
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        f64::from(BOTTOM - 6) - share * f64::from(BOTTOM - 6 - TOP)
    }

    /// Times below, names beside, the threshold across.
    fn frame(&self, canvas: &mut Canvas, chart: &Chart) {
        for tick in self.ticks(chart.zone) {
            let x = self.x(tick.at) as i32;
            canvas.box_of(x, TOP - 4, 1, BOTTOM - TOP + 8, GRID);
            let text = chart.zone.local(tick.at).format("%H:%M").to_string();
            let wide = ADVANCE * 5;
            canvas.text((x - wide / 2).clamp(2, WIDTH as i32 - wide), BOTTOM + 8, &text, INK);
        }
        canvas.box_of(LEFT, BOTTOM, self.right - LEFT, 1, INK);
        let names = self.right + 8;
        let above = |value: f64| self.y(value) as i32 - font::HEIGHT * DOT / 2;
        let limit = chart.threshold.filter(|limit| limit.is_finite());
        if let Some(limit) = limit {
            let y = self.y(limit) as i32;
            for x in (LEFT..self.right).step_by(10) {
                canvas.box_of(x, y, 6.min(self.right - x), 2, ALARM);
            }
            canvas.text(names, above(limit), &chart.unit.show(limit), ALARM);
        }
        let mut taken: Vec<i32> = limit.map(above).into_iter().collect();
        for value in [self.most, self.least] {
            let y = above(value);
            // A name that would stand upon another is left out: they are about the same.
            if taken.iter().all(|other| (other - y).abs() > font::HEIGHT * DOT + 1) {
                canvas.text(names, y, &chart.unit.show(value), INK);
                taken.push(y);
            }
        }
    }

    /// Moments at which the wall shows a round time, as in the charts of pages.
    fn ticks(&self, zone: Zone) -> Vec<Tick> {
        time_ticks(&(self.from..self.until), zone, 6)
    }

    fn curve(&self, canvas: &mut Canvas, chart: &Chart) {
        let pause = chart.step.max(1).saturating_mul(5) / 2;
        let mut before: Option<(i64, f64)> = None;
        let mut cover = vec![0.0; canvas.pixels.len()];
        for (at, value) in visible(chart) {
            if !value.is_finite() {
                before = None;
                continue;
            }
            let here = (self.x(at), self.y(value));
            let there = before
                .filter(|(then, _)| at.saturating_sub(*then) <= pause)
                .map_or(here, |(then, value)| (self.x(then), self.y(value)));
            stroke(&mut cover, there, here);
            before = Some((at, value));
        }
        canvas.lay(&cover, LINE);
    }
}

/// The points within the hour, thinned if there are far too many.
fn visible(chart: &Chart) -> impl Iterator<Item = (i64, f64)> {
    let every = chart.points.len().div_ceil(MOST_POINTS).max(1);
    let hour = chart.from..=chart.until;
    chart.points.iter().copied().step_by(every).filter(move |(at, _)| hour.contains(at))
}

/// How much of each pixel near a stretch of line it covers.
fn stroke(cover: &mut [f64], from: (f64, f64), to: (f64, f64)) {
    let reach = RADIUS + 1.0;
    let span = |a: f64, b: f64, most: u32| {
        let low = (a.min(b) - reach).max(0.0) as u32;
        let high = (a.max(b) + reach).clamp(0.0, f64::from(most - 1)) as u32;
        low..=high
    };
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx * dx + dy * dy;
    for y in span(from.1, to.1, HEIGHT) {
        for x in span(from.0, to.0, WIDTH) {
            let (px, py) = (f64::from(x) + 0.5 - from.0, f64::from(y) + 0.5 - from.1);
            let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
            let distance = (px - along * dx).hypot(py - along * dy);
            let share = (RADIUS + 0.5 - distance).clamp(0.0, 1.0);
            if let Some(pixel) = cover.get_mut((y * WIDTH + x) as usize) {
                *pixel = f64::max(*pixel, share);
            }
        }
    }
}

/// The picture.
struct Canvas {
    pixels: Vec<Colour>,
}

impl Canvas {
    fn new() -> Self {
        Self { pixels: vec![PAPER; (WIDTH * HEIGHT) as usize] }
    }

    fn box_of(&mut self, left: i32, top: i32, wide: i32, high: i32, colour: Colour) {
        for y in top.max(0)..(top + high).min(HEIGHT as i32) {
            for x in left.max(0)..(left + wide).min(WIDTH as i32) {
                if let Some(pixel) = self.pixels.get_mut((y * WIDTH as i32 + x) as usize) {
                    *pixel = colour;
                }
            }
        }
    }

    fn text(&mut self, left: i32, top: i32, text: &str, colour: Colour) {
        for (nth, letter) in text.chars().enumerate() {
            let left = left + i32::try_from(nth).unwrap_or(0) * ADVANCE;
            for (row, bits) in font::glyph(letter).into_iter().enumerate() {
                for column in 0..font::WIDTH {
                    if bits >> (font::WIDTH - 1 - column) & 1 == 1 {
                        self.box_of(left + column * DOT, top + row as i32 * DOT, DOT, DOT, colour);
                    }
                }
            }
        }
    }

    fn lay(&mut self, cover: &[f64], colour: Colour) {
        for (pixel, share) in self.pixels.iter_mut().zip(cover) {
            for (below, above) in pixel.iter_mut().zip(colour) {
                *below = (f64::from(*below) * (1.0 - share) + f64::from(above) * share).round() as u8;
            }
        }
    }

    fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, WIDTH, HEIGHT);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().expect("a header fits into memory");
        writer.write_image_data(self.pixels.as_flattened()).expect("as many pixels as the header says");
        writer.finish().expect("an end fits into memory");
        file
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const HOUR: i64 = 3_600_000;
    const NOW: i64 = 1_795_145_000_000;

    /// A box that gets hot, with a pause of eight minutes in it.
    pub(crate) fn sample() -> Chart {
        let from = NOW - HOUR;
        let points = (0..=120)
            .filter(|nth| !(40..56).contains(nth))
            .map(|nth| {
                let t = f64::from(nth);
                (from + i64::from(nth) * 30_000, 62.0 + t * t * 0.0016 + (t * 0.7).sin() * 1.5)
            })
            .collect();
        let zone = "Europe/Berlin".parse().expect("a zone");
        Chart { points, from, until: NOW, step: 30_000, threshold: Some(75.0), unit: Unit::Celsius, zone }
    }

    fn pixels(file: &[u8]) -> Vec<Colour> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (WIDTH, HEIGHT, png::ColorType::Rgb));
        bytes.as_chunks::<3>().0.to_vec()
    }

    fn columns_with(pixels: &[Colour], colour: Colour) -> Vec<usize> {
        let columns = 0..WIDTH as usize;
        columns.filter(|x| pixels.iter().skip(*x).step_by(WIDTH as usize).any(|p| *p == colour)).collect()
    }

    #[test]
    fn the_line_rises_breaks_and_ends_with_the_hour() {
        let chart = sample();
        let file = draw(&chart).unwrap();
        if let Ok(path) = std::env::var("RACKSIDE_CHART") {
            std::fs::write(path, &file).unwrap();
        }
        assert!(file.len() < 20_000, "{} bytes", file.len());
        let columns = columns_with(&pixels(&file), LINE);
        let right = Plot::of(&chart).unwrap().right as usize;
        assert!(columns[0] <= LEFT as usize + 1 && *columns.last().unwrap() >= right - 2, "{columns:?}");
        let widest = columns.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        let minutes = widest as f64 * 60.0 / (right as f64 - f64::from(LEFT));
        assert!((7.0..9.0).contains(&minutes), "a gap of {minutes} minutes");
    }

    #[test]
    fn the_threshold_is_drawn_where_it_is_known() {
        let mut chart = sample();
        assert!(columns_with(&pixels(&draw(&chart).unwrap()), ALARM).len() > 100);
        chart.threshold = None;
        assert_eq!(columns_with(&pixels(&draw(&chart).unwrap()), ALARM), Vec::<usize>::new());
    }

    #[test]
    fn ticks_are_round_on_the_venues_wall() {
        let mut chart = sample();
        let shown = |chart: &Chart| {
            let plot = Plot::of(chart).unwrap();
            plot.ticks(chart.zone).iter().map(|tick| tick.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(shown(&chart), ["03:30", "03:45", "04:00", "04:15"]);
        chart.zone = "Asia/Kathmandu".parse().unwrap();
        assert_eq!(shown(&chart), ["08:15", "08:30", "08:45", "09:00"]);
    }

    #[test]
    fn odd_points_give_a_picture_or_none_and_no_panic() {
        let chart = |points: &[(i64, f64)]| Chart { points: points.to_vec(), ..sample() };
        let within = NOW - 1000;
        assert!(draw(&chart(&[])).is_none());
        assert!(draw(&chart(&[(within, f64::NAN)])).is_none());
        assert!(draw(&chart(&[(NOW - 2 * HOUR, 3.0)])).is_none(), "before the hour");
        assert!(draw(&Chart { until: 0, ..sample() }).is_none());
        for values in [
            [f64::MAX, f64::MIN],
            [0.0, 0.0],
            [f64::INFINITY, 1.0],
            [1e-300, -1e-300],
            [7.0, 7.0 + 1e-15],
            [f64::MIN_POSITIVE, 0.0],
        ] {
            for threshold in [None, Some(f64::NAN), Some(f64::MAX), Some(0.0)] {
                let points = [(NOW - HOUR, values[0]), (within, values[1])];
                let file = draw(&Chart { threshold, ..chart(&points) }).unwrap();
                assert!(!columns_with(&pixels(&file), LINE).is_empty(), "{values:?} {threshold:?}");
            }
        }
        let many: Vec<_> = (0..100_000).map(|nth| (NOW - HOUR + nth * 36, (nth as f64).sin())).collect();
        assert!(draw(&chart(&many)).is_some());
        assert!(draw(&Chart { step: i64::MAX, ..sample() }).is_some());
    }
}
