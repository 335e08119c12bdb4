//! Expressions that once had other values than Prometheus gives them, as small as they got; none has any more.

use crate::expression::Expression;
use crate::question::{Agreement, Sides, When};
use crate::world::World;

/// Each with what was wrong.
const FOUND: &[(&str, &str)] = &[
    ("a range's end need not be a step", "load @ end()"),
    ("a range's end need not be a step", "avg_over_time(errors_total[1h] @ end() offset 1m)"),
    ("a range's end need not be a step", "max_over_time((rate(load[10m] @ end()))[5m:])"),
];

#[test]
fn what_once_differed_does_not_any_more() {
    let world = World::new(0);
    let mut sides = Sides::with(&world);
    let middle = i64::midpoint(world.start, world.end) / 1000 * 1000;
    let mut moments = vec![When::At(middle), When::At(middle + 7), When::At(world.end + 100_000)];
    moments.push(When::Range(middle - 900_000, middle + 600_000, 30_000));
    moments.push(When::Range(world.start - 60_000, world.end + 360_000, 61_001));
    for (what, text) in FOUND {
        let mut values = 0;
        for when in &moments {
            match sides.compare(&Expression::new().text(*text), *when) {
                Ok(agreement) => values += u32::from(agreement == Agreement::Value),
                Err(how) => panic!("{what}: {text} {when}\n{how}"),
            }
        }
        assert!(values > 0, "{what}: {text} has a value at none of the moments");
    }
}
