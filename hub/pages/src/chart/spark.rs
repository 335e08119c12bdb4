//! The small picture beside a number: how it moved, without axes. It says nothing that the number's own words do not, so readers pass it by.
//!
//! All pictures of a quantity have one scale, so that two racks can be compared and a tenth of a degree is no cliff.
//!
//! `<svg class="spark" viewBox="0 0 100 24" aria-hidden="true"><path class="spark-line" d="M0 12l…"/></svg>`

use super::path;

const WIDTH: f64 = 100.0;
const HEIGHT: f64 = 24.0;
/// So that the line's thickness stays within.
const EDGE: f64 = 2.0;

/// Draws points that are evenly apart, from the first value of `scale` at the bottom to the second at the top; what is beyond lies on the edge. `None`, or what is no
/// number, is a gap. The picture is as wide as its place.
pub fn sparkline(points: &[Option<f64>], (low, high): (f64, f64)) -> String {
    let known = |value: &Option<f64>| value.filter(|value| value.is_finite());
    let step = (WIDTH - 2.0 * EDGE) / points.len().saturating_sub(1).max(1) as f64;
    let place = |nth: usize, value: f64| {
        let share = (value.clamp(low, high) - low) / (high - low);
        (EDGE + nth as f64 * step, HEIGHT - EDGE - share * (HEIGHT - 2.0 * EDGE))
    };
    let mut drawn = String::new();
    let numbered: Vec<(usize, Option<f64>)> = points.iter().map(known).enumerate().collect();
    for stretch in numbered.chunk_by(|one, next| one.1.is_some() == next.1.is_some()) {
        path::line(&mut drawn, stretch.iter().filter_map(|&(nth, value)| Some(place(nth, value?))));
    }
    let line = if drawn.is_empty() {
        String::new()
    } else {
        format!(
            "<path class=\"spark-line\" d=\"{drawn}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\" vector-effect=\"non-scaling-stroke\"/>"
        )
    };
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\" \
         focusable=\"false\">{line}</svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_breaks_the_line_and_nothing_is_an_empty_picture() {
        let drawn = sparkline(&[Some(1.0), Some(2.0), None, Some(1.0)], (1.0, 2.0));
        assert!(drawn.contains("d=\"M2 22l32-20M98 22h0\""), "{drawn}");
        let scale = (0.0, 1.0);
        assert!(!sparkline(&[], scale).contains("path"));
        assert!(!sparkline(&[None, Some(f64::NAN)], scale).contains("path"));
    }

    #[test]
    fn a_tenth_of_a_degree_is_no_cliff_and_what_is_beyond_lies_on_the_edge() {
        let drawn = sparkline(&[Some(48.0), Some(48.1), Some(48.0)], (20.0, 90.0));
        assert!(drawn.contains("d=\"M2 14l48 0l48 0\"") || drawn.contains("d=\"M2 14l96 0\""), "{drawn}");
        assert!(sparkline(&[Some(200.0); 3], (0.0, 10.0)).contains("d=\"M2 2l96 0\""));
    }

    proptest! {
        #[test]
        fn any_points_stay_in_the_box(points in prop::collection::vec(any::<Option<f64>>(), 0..200)) {
            let drawn = sparkline(&points, (20.0, 90.0));
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
            for (x, y) in crate::chart::tests::points(&drawn) {
                prop_assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{x} {y} in {drawn}");
            }
        }
    }
}
