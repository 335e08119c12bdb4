//! Random expressions, mostly valid and mostly with a value: every operator, function and modifier of Prometheus 2.42.
//!
//! An expression has a theme, two metrics of which most of its selectors are, so that operands have labels in common.
//!
//! Invariant: what the last bit of a number would decide (a comparison, a rounding, a rank) stands above arithmetic only that is the
//! same everywhere. `exp`, `sin` or `^` may differ in the last bit from one library of mathematics to another; they stand where
//! that stays a last bit. The parameter `exact` says so from above.

use crate::expression::Expression;
use crate::world::{METRICS, Metric, World, values};
use fastrand::Rng;

/// With their lengths in seconds.
const WINDOWS: [(&str, u32); 18] = [
    ("100ms", 0),
    ("15s", 15),
    ("1m", 60),
    ("1m30s", 90),
    ("90s", 90),
    ("2m", 120),
    ("2m", 120),
    ("3m", 180),
    ("3m", 180),
    ("4m", 240),
    ("5m", 300),
    ("5m", 300),
    ("5m", 300),
    ("5m", 300),
    ("10m", 600),
    ("10m", 600),
    ("1h", 3600),
    ("1h", 3600),
];
/// Of subqueries; the one without a word is a minute.
const STEPS: [(&str, u32); 8] =
    [("7s", 7), ("15s", 15), ("30s", 30), ("1m", 60), ("", 60), ("1m30s", 90), ("2m", 120), ("11m", 660)];
const OFFSETS: &str = "30s 1m 5m 7m13s -1m -30s -5m 1h";
const NUMBERS: &str = "0 1 2 3 10 100 0.5 -1 -2.5 1e3 1e-3 0x1F 3.14 .5 1. 1e300 Inf -Inf NaN 010 2^3^2 -2^2";

const WINDOWED: &str = "rate rate irate increase delta idelta deriv changes resets avg_over_time \
    min_over_time max_over_time sum_over_time count_over_time stddev_over_time stdvar_over_time last_over_time";
const ROUGH: &str = "exp ln log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp";
const STEPWISE: &str = "abs ceil floor round sgn sqrt abs";
const DATES: &str = "minute hour day_of_week day_of_month day_of_year days_in_month month year";
/// The second one is for native histograms, and finds none.
const HISTOGRAMS: &str = "histogram_quantile histogram_quantile histogram_quantile histogram_fraction";
const FOLDS: &str = "sum sum avg min max count group stddev stdvar";
const ARITHMETIC: [&str; 8] = [" + ", " - ", " * ", " / ", "+", "*", " - ", " / "];
const COMPARISONS: [&str; 6] = [" > ", " < ", " >= ", " <= ", " == ", " != "];

/// Makes the expressions of one question.
#[derive(Debug)]
pub(crate) struct Grammar<'a> {
    rng: &'a mut Rng,
    world: &'a World,
    theme: [Metric; 2],
}

impl<'a> Grammar<'a> {
    /// Draws the theme.
    pub(crate) fn new(rng: &'a mut Rng, world: &'a World) -> Self {
        let mut metric = || {
            let most = if rng.u32(..3) == 0 { METRICS.len() } else { 9 };
            METRICS[rng.usize(..most)]
        };
        let theme = [metric(), metric()];
        Self { rng, world, theme }
    }

    /// A whole expression, of any type.
    pub(crate) fn expression(&mut self) -> Expression {
        let depth = self.rng.u32(1..5);
        match self.rng.u32(..100) {
            0..5 => self.scalar(depth),
            5 | 6 => self.matrix(depth),
            7 => Expression::new().text(self.quoted("a \\ \"text\" 'ü' `")),
            8..11 => {
                let function = self.one(&["sort", "sort_desc"]);
                Expression::new().text(function).within(self.vector(depth, true))
            }
            11..15 => {
                let vector = self.vector(depth, true);
                self.highest(vector)
            }
            // Only here: promql-parser does not see it, and `absent(+(x))` is another thing than `absent(x)`.
            15 => self.call("+", |grammar| grammar.vector(depth, false)),
            _ => self.vector(depth, false),
        }
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    fn word(&mut self, of: &'static str) -> &'static str {
        let words: Vec<&str> = of.split_ascii_whitespace().collect();
        self.one(&words)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    fn vector(&mut self, depth: u32, exact: bool) -> Expression {
        if depth == 0 {
            return self.selector();
        }
        let depth = depth - 1;
        match self.rng.u32(..100) {
            0..8 => self.selector(),
            8..31 => self.windowed(depth),
            31..49 => self.fold(depth, exact),
            49..65 => self.paired(depth, exact),
            65..75 => self.with_scalar(depth, exact),
            75..81 => self.stepwise(depth),
            81..86 if !exact => self.rough(depth),
            81..89 => self.relabelled(depth, exact),
            89..92 => self.quantile(depth),
            92..95 => self.dated(depth),
            95 => Expression::new().text("-").within(self.vector(depth, exact)),
            96 => self.call("vector", |grammar| grammar.scalar(depth)),
            97 => {
                let function = self.word("absent sort sort_desc histogram_count histogram_sum");
                self.call(function, |grammar| grammar.vector(depth, true))
            }
            98 => {
                let distinct = self.distinct();
                self.highest(distinct)
            }
            _ => {
                let function = self.one(&["deg", "rad", ""]);
                self.call(function, |grammar| grammar.vector(depth, exact))
            }
        }
    }

    fn call(&mut self, function: &str, argument: impl FnOnce(&mut Self) -> Expression) -> Expression {
        Expression::new().text(function).within(argument(self))
    }

    fn scalar(&mut self, depth: u32) -> Expression {
        if depth == 0 || self.chance(70) {
            return match self.rng.u32(..20) {
                0 => Expression::new().text("time()"),
                1 => Expression::new().text("pi()"),
                _ => Expression::new().text(self.word(NUMBERS)),
            };
        }
        let depth = depth - 1;
        match self.rng.u32(..6) {
            0 => self.call("-", |grammar| grammar.scalar(depth)),
            1..3 => self.call("scalar", |grammar| grammar.vector(depth, true)),
            3 => {
                let comparison = self.one(&COMPARISONS);
                let text = format!("{comparison}bool ");
                let left = self.scalar(depth);
                self.joined(left, Expression::new().text(text), true, |grammar| grammar.scalar(depth))
            }
            _ => {
                let operator = self.one(&[" + ", " - ", " * ", " / ", " % "]);
                let left = self.scalar(depth);
                self.joined(left, Expression::new().text(operator), true, |grammar| grammar.scalar(depth))
            }
        }
    }

    /// Two operands, in parentheses unless precedence is to decide, if they may be bare: it could bring together what `exact` keeps apart.
    fn joined(
        &mut self,
        left: Expression,
        operator: Expression,
        bare: bool,
        right: impl FnOnce(&mut Self) -> Expression,
    ) -> Expression {
        let right = right(self);
        if bare && self.chance(30) {
            return Expression::new().part(left).part(operator).part(right);
        }
        Expression::new().within(left).part(operator).within(right)
    }

    fn metric(&mut self) -> Metric {
        match self.rng.u32(..20) {
            0 => self.one(&METRICS),
            1..12 => self.theme[0],
            _ => self.theme[1],
        }
    }

    fn selector(&mut self) -> Expression {
        let series = self.series();
        self.moved(series)
    }

    /// A name and matchers.
    fn series(&mut self) -> Expression {
        let metric = self.metric();
        let mut matchers = Vec::new();
        while self.chance(17) {
            matchers.push(self.matcher(metric));
        }
        let other = self.metric();
        match self.rng.u32(..60) {
            0 => matchers.push(format!("__name__=~\"{}|{}\"", metric.name, other.name)),
            1 => matchers.push(format!("__name__=\"{}\"", metric.name)),
            2 => matchers.push(format!("__name__!=\"{}\"", metric.name)),
            3 => matchers.push(format!("__name__=~\"{}.*\",__name__!=\"{}\"", &metric.name[..1], other.name)),
            _ => {
                let list = match matchers.len() {
                    0 => String::new(),
                    _ => format!("{{{}}}", matchers.join(", ")),
                };
                return Expression::new().text(metric.name).spare(list);
            }
        }
        Expression::new().text(format!("{{{}}}", matchers.join(",")))
    }

    fn matcher(&mut self, metric: Metric) -> String {
        let label = match metric.labels {
            [] => "site",
            _ if self.chance(4) => "missing",
            labels => self.one(labels),
        };
        let value = self.one(values(label));
        let operator = self.one(&["=", "=", "!=", "!=", "=~", "!~"]);
        let value = match self.rng.u32(..8) {
            _ if !operator.contains('~') => value.to_owned(),
            0 => ".*".to_owned(),
            1 => ".+".to_owned(),
            2 => String::new(),
            3 => format!("{value}|{}", self.one(values(label))),
            4 => "[a-h]+-\\d".to_owned(),
            5 => "(?i:HALL.*)|x?".to_owned(),
            _ => format!("{}.*", value.chars().take(2).collect::<String>()),
        };
        format!("{label}{operator}{}", self.quoted(&value))
    }

    /// Sometimes at another time.
    fn moved(&mut self, of: Expression) -> Expression {
        let offset = self.offset(&of);
        let at = match self.rng.u32(..6) {
            0 => " @ start()".to_owned(),
            1 => " @ end()".to_owned(),
            2 => " @ -1.5e3".to_owned(),
            _ => {
                let at = self.rng.i64(self.world.start..self.world.end);
                format!(" @ {}.{:03}", at / 1000, at % 1000)
            }
        };
        match self.rng.u32(..40) {
            0..3 => of.spare(offset),
            3..6 => of.spare(at),
            6 => of.spare(offset).spare(at),
            7 => of.spare(at).spare(offset),
            _ => of,
        }
    }

    /// Sometimes with an offset.
    fn shifted(&mut self, of: Expression) -> Expression {
        if self.chance(90) {
            return of;
        }
        let offset = self.offset(&of);
        of.spare(offset)
    }

    fn offset(&mut self, of: &Expression) -> String {
        // Not a negative one of a subquery with an `@` in it: 2.42 adds it to the `@` when the subquery then begins with the query.
        let offset = match self.word(OFFSETS) {
            negative if negative.starts_with('-') && of.to_string().contains('@') => "30s",
            offset => offset,
        };
        format!(" offset {offset}")
    }

    fn matrix(&mut self, depth: u32) -> Expression {
        let window = self.window(depth);
        self.moved(window)
    }

    fn window(&mut self, depth: u32) -> Expression {
        let (window, length) = self.one(&WINDOWS);
        if depth == 0 || self.chance(80) {
            return self.series().text(format!("[{window}]"));
        }
        // Always with a step in the window: without one, 2.42 does not see errors, and sees a value of what has an `@`.
        let fitting: Vec<&str> =
            STEPS.iter().filter(|(_, step)| *step <= length).map(|(step, _)| *step).collect();
        let Some(step) = self.rng.choice(&fitting).copied() else {
            return self.series().text(format!("[{window}]"));
        };
        let inner = if self.chance(10) { self.scalar(depth - 1) } else { self.vector(depth - 1, true) };
        Expression::new().within(inner).text(format!("[{window}:{step}]"))
    }

    fn windowed(&mut self, depth: u32) -> Expression {
        // No `@` below what has parameters: in range queries 2.42 moves such a window on, beyond the samples that it has fetched.
        let kind = self.rng.u32(..40);
        let matrix = self.window(depth);
        let matrix = if (4..12).contains(&kind) { self.shifted(matrix) } else { self.moved(matrix) };
        match kind {
            0..2 => Expression::new().text("present_over_time").within(matrix),
            2..4 => Expression::new().text("absent_over_time").within(matrix),
            4..7 => {
                let rank = self.rank();
                Expression::new().text("quantile_over_time(").part(rank).text(", ").part(matrix).text(")")
            }
            7..10 => {
                let ahead = self.scalar(depth);
                Expression::new().text("predict_linear(").part(matrix).text(", ").part(ahead).text(")")
            }
            10..12 => {
                let (level, trend) = (
                    self.one(&["0.1", "0.5", "0.9", "0.5", "0.1", "1.5"]),
                    self.one(&["0.3", "0.7", "0.3", "0.7", "0"]),
                );
                let factors = format!(", {level}, {trend})");
                Expression::new().text("holt_winters(").part(matrix).text(factors)
            }
            _ => Expression::new().text(self.word(WINDOWED)).within(matrix),
        }
    }

    /// A share from 0 to 1, mostly.
    fn rank(&mut self) -> Expression {
        match self.rng.u32(..8) {
            0 => self.scalar(1),
            _ => Expression::new().text(self.one(&["0", "0.25", "0.5", "0.9", "0.99", "1", "-0.1", "1.1"])),
        }
    }

    fn labels(&mut self) -> String {
        let mut labels: Vec<&str> = Vec::new();
        for metric in self.theme {
            for label in metric.labels {
                if self.chance(45) && !labels.contains(label) {
                    labels.push(label);
                }
            }
        }
        if self.chance(3) {
            labels.push(self.one(&["__name__", "missing", "site", "by", "sum"]));
        }
        labels.join(", ")
    }

    fn fold(&mut self, depth: u32, exact: bool) -> Expression {
        let labels = self.labels();
        let (word, place) = (self.one(&["by", "by", "by", "without"]), self.rng.u32(..5));
        self.folded(depth, exact, &format!(" {word} ({labels}) "), place)
    }

    /// An aggregation with that grouping before (0, 1) or behind (2) what is aggregated, or without it.
    fn folded(&mut self, depth: u32, exact: bool, grouping: &str, place: u32) -> Expression {
        let before = if place < 2 { grouping } else { "" };
        let kind = self.rng.u32(..20);
        let folded = match kind {
            0 => {
                let rank = self.rank();
                Expression::new().text("quantile").spare(before).text("(").part(rank).text(", ")
            }
            1 => {
                // One that sorts behind those of `by`: 2.42 takes the sorted groups for granted.
                let by = grouping.starts_with(" by") && place <= 2;
                let label = if by { "zone" } else { self.one(&["site", "le", "value", "zone"]) };
                let label = if self.chance(10) { "a b" } else { label };
                Expression::new().text("count_values").spare(before).text(format!("(\"{label}\", "))
            }
            _ => Expression::new().text(self.word(FOLDS)).spare(before).text("("),
        };
        // A deviation is the rest of a sum, and a value that becomes a label is all of it: the last bit decides, and Prometheus adds up in
        // any order, unless it is what comes from its store.
        let of = match self.rng.bool() {
            _ if kind == 1 => self.selector(),
            true if folded.to_string().starts_with("std") => self.selector(),
            false if folded.to_string().starts_with("std") => self.windowed(0),
            _ => self.vector(depth, exact || kind == 0),
        };
        let folded = folded.part(of).text(")");
        if place == 2 { folded.spare(grouping) } else { folded }
    }

    /// `topk` or `bottomk` of a vector.
    fn highest(&mut self, of: Expression) -> Expression {
        let count = match self.rng.u32(..10) {
            0 => self.one(&["0", "-1", "1.9", "time()", "NaN", "1e18"]),
            _ => self.one(&["1", "2", "3", "5"]),
        };
        let (function, place) = (self.one(&["topk", "bottomk"]), self.rng.u32(..4));
        let grouping = format!(" by ({}) ", self.labels());
        let ranked = Expression::new().text(function);
        let ranked = if place == 0 { ranked.spare(&grouping) } else { ranked };
        let ranked = ranked.text(format!("({count}, ")).part(of).text(")");
        if place == 1 { ranked.spare(grouping) } else { ranked }
    }

    /// Series of which no two have the same value: among equals Prometheus takes any.
    fn distinct(&mut self) -> Expression {
        let series =
            Expression::new().text("load").spare(self.one(&["", "{site!=\"tent\"}", "{cpu=~\".+\"}"]));
        let window = self.one(&["2m", "5m", "10m"]);
        let function = self.word("avg_over_time max_over_time min_over_time sum_over_time deriv");
        match self.rng.u32(..4) {
            0 => self.moved(series),
            1 => Expression::new().text("-").part(self.moved(series)),
            _ => {
                let series = series.text(format!("[{window}]"));
                Expression::new().text(function).within(self.moved(series))
            }
        }
    }

    /// Two vectors.
    fn paired(&mut self, depth: u32, exact: bool) -> Expression {
        let (operator, exact) = match self.rng.u32(..20) {
            0..9 => (self.one(&ARITHMETIC).to_owned(), exact),
            9..13 => {
                let bool = self.one(&["", "bool "]);
                (format!("{}{bool}", self.one(&COMPARISONS)), true)
            }
            13..18 => (self.one(&[" and ", " or ", " unless ", " AND ", " Or "]).to_owned(), exact),
            18 => (" % ".to_owned(), true),
            _ if exact => (" - ".to_owned(), exact),
            _ => (self.one(&[" ^ ", " atan2 "]).to_owned(), true),
        };
        let bare = exact && !operator.contains(['^', '2']);
        let labels = self.labels();
        // Sets are not grouped.
        let most = if operator.contains(['a', 'o', 'O', 'A']) && self.chance(90) { 15 } else { 20 };
        let operator = Expression::new().text(operator);
        match self.rng.u32(..most) {
            // The same labels on both sides.
            0..7 => {
                self.theme[1] = self.theme[0];
                let left = self.vector(depth, exact);
                self.joined(left, operator, bare, |grammar| grammar.vector(depth, exact))
            }
            7..12 => {
                let by = format!(" by ({labels}) ");
                let left = self.folded(depth, exact, &by, 0);
                self.joined(left, operator, bare, |grammar| grammar.folded(depth, exact, &by, 2))
            }
            12..15 => {
                let on = self.one(&["on", "on", "ignoring"]);
                let left = self.vector(depth, exact);
                let operator = operator.spare(format!("{on}({labels}) "));
                self.joined(left, operator, bare, |grammar| grammar.vector(depth, exact))
            }
            kind => {
                let more = self.one(&["", "()", "(version)", "(site)", "(missing)", "(le, sensor)"]);
                let (many, one) = (self.vector(depth, exact), format!(" by ({labels}) "));
                let one = self.folded(depth, exact, &one, 0);
                let on = self.one(&["on", "on", "ignoring"]);
                let side = if kind < 18 { "left" } else { "right" };
                let operator = operator.spare(format!("{on}({labels}) group_{side}{more} "));
                let (left, right) = if kind < 18 { (many, one) } else { (one, many) };
                self.joined(left, operator, bare, |_| right)
            }
        }
    }

    fn with_scalar(&mut self, depth: u32, exact: bool) -> Expression {
        let (operator, exact) = match self.rng.u32(..12) {
            0..6 => (self.one(&ARITHMETIC).to_owned(), exact),
            6..9 => {
                let bool = self.one(&["", "bool ", " bool "]);
                (format!("{}{bool}", self.one(&COMPARISONS)), true)
            }
            9 | 10 => (" % ".to_owned(), true),
            _ if exact => (" - ".to_owned(), exact),
            _ => (self.one(&["^", " atan2 "]).to_owned(), true),
        };
        let bare = exact && !operator.contains(['^', '2']);
        let (vector, scalar) = (self.vector(depth, exact), self.scalar(depth));
        let (left, right) = if self.rng.u32(..4) == 0 { (scalar, vector) } else { (vector, scalar) };
        self.joined(left, Expression::new().text(operator), bare, |_| right)
    }

    fn stepwise(&mut self, depth: u32) -> Expression {
        let vector = self.vector(depth, true);
        match self.rng.u32(..8) {
            0 => {
                let nearest = self.scalar(depth);
                Expression::new().text("round(").part(vector).text(", ").part(nearest).text(")")
            }
            1 => {
                let (low, high) = (self.scalar(depth), self.scalar(depth));
                let clamp = Expression::new().text("clamp(").part(vector).text(", ");
                clamp.part(low).text(", ").part(high).text(")")
            }
            2 => {
                let (function, limit) = (self.one(&["clamp_min(", "clamp_max("]), self.scalar(depth));
                Expression::new().text(function).part(vector).text(", ").part(limit).text(")")
            }
            _ => Expression::new().text(self.word(STEPWISE)).within(vector),
        }
    }

    fn rough(&mut self, depth: u32) -> Expression {
        let function = self.word(ROUGH);
        self.call(function, |grammar| match function {
            // Of 710, Go's are infinite already, and ours are the largest numbers.
            "sinh" | "cosh" => grammar.distinct(),
            _ => grammar.vector(depth, true),
        })
    }

    fn dated(&mut self, depth: u32) -> Expression {
        let function = self.word(DATES);
        match self.rng.u32(..6) {
            0 => Expression::new().text(function).text("()"),
            1 => Expression::new().text(function).within(self.timestamp()),
            2 => self.timestamp(),
            3 => {
                self.call(function, |grammar| Expression::new().text("vector").within(grammar.scalar(depth)))
            }
            _ => self.call(function, |grammar| grammar.vector(depth, true)),
        }
    }

    fn timestamp(&mut self) -> Expression {
        // Not with both `@` and `offset`: 2.42 takes the offset twice then.
        let series = self.series();
        let of = match self.rng.u32(..3) {
            0 => series.spare(" @ end()"),
            1 => self.with_scalar(0, true),
            _ => self.shifted(series),
        };
        Expression::new().text("timestamp").within(of)
    }

    fn relabelled(&mut self, depth: u32, exact: bool) -> Expression {
        let vector = self.vector(depth, exact);
        let target = self.one(&["site", "new", "new", "new", "new", "new", "__name__", "sensor", "1bad"]);
        let target = self.quoted(target);
        let source = self.one(&["site", "site", "__name__", "le", "port", "missing", "cpu"]);
        let function = if self.chance(60) { "label_replace(" } else { "label_join(" };
        let call = Expression::new().text(function).part(vector).text(format!(", {target}, "));
        if function == "label_replace(" {
            let with = self.one(&["$1", "${1}-$2", "$n", "", "$$", "fixed", "$10", "${n}x", "a$0b", "$1x"]);
            let regex = self.word("(.*) hall-(\\d) (?P<n>[a-z]+).* (.)(.+) x( .* a () (.*) (.+) (?s)(.*)");
            let (with, regex) = (self.quoted(with), self.quoted(regex));
            return call.text(format!("{with}, \"{source}\", {regex})"));
        }
        let separator = self.one(&["-", "", ", ", "ü"]);
        let more = self.one(&["", ", \"missing\"", ", \"port\", \"site\""]);
        call.text(format!("\"{separator}\", \"{source}\"{more})"))
    }

    fn quantile(&mut self, depth: u32) -> Expression {
        let (function, (window, _)) = (self.word(HISTOGRAMS), self.one(&WINDOWS));
        let rank =
            if function == "histogram_quantile" { self.rank() } else { Expression::new().text("0, 0.5") };
        let buckets = match self.rng.u32(..7) {
            0 => Expression::new().text("odd_bucket"),
            1 => Expression::new().text(format!("sum by (le, kind) (odd_bucket offset {window})")),
            2 => self.vector(depth, true),
            3 => self.moved(Expression::new().text("latency_seconds_bucket")),
            4 => Expression::new().text(format!("rate(latency_seconds_bucket[{window}])")),
            5 => Expression::new().text(format!("sum by (le) (rate(latency_seconds_bucket[{window}]))")),
            _ => Expression::new()
                .text(format!("sum without (site) (increase(latency_seconds_bucket[{window}]))")),
        };
        Expression::new().text(format!("{function}(")).part(rank).text(", ").part(buckets).text(")")
    }

    /// A string in one of the three kinds of quotes.
    fn quoted(&mut self, text: &str) -> String {
        match self.rng.u32(..6) {
            0 if !text.contains('`') => format!("`{text}`"),
            1 => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            _ => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    }
}
