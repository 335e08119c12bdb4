//! What nobody should ask, asked of us alone: nothing panics, and nothing outlasts its limits.
//!
//! How long a query may take is counted in its own work, not in time: it is told to stop at the thousandth question whether it should.

use crate::grammar::Grammar;
use crate::question::{broken, memory};
use crate::world::World;
use fastrand::Rng;
use rackside_promql::{Answer, Limits, Memory, Query, Stop};
use rackside_tests::measure;
use std::cell::Cell;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Beyond every reason on a machine that does much else; what is still busy then never asked whether it should stop.
const PATIENCE: Duration = Duration::from_secs(100);
/// What all of it may take.
const MEMORY_KIB: u64 = 1 << 19;
/// How often a query may ask before it is stopped.
const LOOKS: u32 = 1000;

/// What random texts are made of, beside random characters.
const WORDS: &str = r#"sum by without ( ) ( ) { } [ ] [5m] [1h:] : , load site = =~ != "tent" "(" " ' ` + - * / % ^ == > bool on ignoring
    group_left group_right and or unless offset @ start() end() 1 0.5 1e308 NaN Inf 0x 5m 1y - rate topk quantile count_values
    label_replace histogram_quantile time() vector scalar absent # \ ü __name__ atan2 "\xff" 9999999999999999999y"#;

/// What is too much, too early, too late or no question at all; one a line.
const QUESTIONS: &str = r#"
topk(1e308, load)
topk(-1e308, load)
topk(NaN, load)
bottomk(Inf, load)
quantile(1e308, load)
count_values("", load)
count_values("x", {__name__=~".+"})
load[100y]
rate(load[100y])
sum_over_time(load[100y:1ms])
sum_over_time((load)[100y:1ms] @ 9e99)
max_over_time((time())[200y:1ms])
avg_over_time(rate(load[1h:1ms])[1h:1ms])
load @ 9e99
load @ -9e99
load @ NaN
load @ Inf
load @ 9223372036854775
load @ -9223372036854775 offset 290y
load offset 290y
load offset -290y
load offset 9999999999999999999y
rate(load[290y] offset 290y)
rate(load[290y] offset -290y)
predict_linear(load[5m], 1e308)
predict_linear(load[5m], NaN)
holt_winters(load[100y:1ms], 0.5, 0.5)
round(load, 1e-320)
round(load, 0)
load % 0
0 % 0
-9e99 % -1
1e308 ^ 1e308
hour(vector(1e308))
year(vector(-1e308))
day_of_year(vector(NaN))
days_in_month(vector(9.3e15))
month(vector(-6.8e16))
histogram_quantile(1e308, {__name__=~".+"})
quantile_over_time(1e308, load[1h])
{__name__=~".+"} * on() group_left() {__name__=~".+"}
{__name__=~".+"} or {__name__!~"x",site=~".*"}
absent({a="b",a="c",a=~"d"})
clamp(load, NaN, -Inf)
load[0s]
load[5m:0s]
sum_over_time(load[1ms:1ms])
load[5m:100y]
label_replace(load, "a", "${", "", "")
label_replace(load, "a", "$99999999999999999999", "site", "(.*)")
timestamp(timestamp(load @ 9e15))
load{site="\ud800"}
load{site="\777"}
load{site=~"(a*)*b"}
load{site=~"((((a{100}){100}){100}){100})"}
load{site=~"(?:x{0,1000}){0,1000}"}
load{site=~"\\pL{500}"}
label_replace(load, "a", "$1", "site", "(a*)*b")
label_replace(load, "a", "$1", "site", "((((a{100}){100}){100}){100})")
label_replace(load, "a", "$1", "site", "(?:x{0,1000}){0,1000}")
label_replace(load, "a", "$1", "site", "(.*)(.*)(.*)(.*)(.*)x")
1e
0x
Inf1
5m
"#;

/// Who asks: in a thread, so that one that never ends can be named.
fn survives(texts: impl Iterator<Item = String> + Send + 'static) {
    let (said, heard) = mpsc::channel();
    let asking = thread::spawn(move || {
        let world = World::new(1);
        let memory = memory(&world);
        for text in texts {
            if said.send(text.clone()).is_err() {
                return;
            }
            ask(&memory, world.start, &text);
        }
    });
    let mut last = String::new();
    loop {
        match heard.recv_timeout(PATIENCE) {
            Ok(text) => last = text,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("never ends: {}", shown(&last)),
        }
    }
    assert!(asking.join().is_ok(), "panicked: {}", shown(&last));
    // Of this program, with all its tests; what the limits leave to one query is some ten MiB.
    let peak = measure::peak(std::process::id());
    assert!((1..MEMORY_KIB).contains(&peak), "took {peak} KiB");
}

fn shown(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Asks as much as one may, at moments where there is something and where there is no time any more.
fn ask(memory: &Memory, begin: i64, text: &str) {
    let Ok(query) = Query::parse(text) else { return };
    for (start, end, step) in [
        (begin + 3_600_000, begin + 3_600_000, 1),
        (begin, begin + 3_600_000, 60_000),
        (i64::MIN, i64::MIN, i64::MAX),
        (i64::MIN, i64::MAX, i64::MAX),
        (i64::MAX - 5, i64::MAX, 1),
        (0, 10_999, 1),
    ] {
        let looks = Cell::new(0);
        let stop = || {
            looks.set(looks.get() + 1);
            (looks.get() > LOOKS).then_some(Stop::Timeout)
        };
        let limits =
            Limits { series: 1000, samples: 10_000_000, cells: 1_000_000, points: 11_000, stop: Some(&stop) };
        if let Ok(Answer::Vector(points)) = query.instant(memory, end, &limits).map(|outcome| outcome.answer)
        {
            assert!(points.len() <= 1_000_000, "{} series", points.len());
        }
        if let Ok(Answer::Matrix(lines)) =
            query.range(memory, start, end, step, &limits).map(|outcome| outcome.answer)
        {
            let points: usize = lines.iter().map(|line| line.samples.len()).sum();
            assert!(points <= 1_000_000, "{points} points");
        }
        assert!(looks.get() <= LOOKS + 10, "asked on after it was told to stop");
    }
}

#[test]
fn random_texts_do_no_harm() {
    let mut rng = Rng::with_seed(5);
    survives((0..60_000).map(move |_| {
        let words = rng.usize(1..25);
        let known: Vec<&str> = WORDS.split_ascii_whitespace().collect();
        let word = |rng: &mut Rng| match rng.u32(..30) {
            0 => rng.char(..).to_string(),
            1 => rng.char('\0'..'\u{7f}').to_string(),
            _ => known[rng.usize(..known.len())].to_owned(),
        };
        let separator = ["", " "][rng.usize(..2)];
        (0..words).map(|_| word(&mut rng)).collect::<Vec<_>>().join(separator)
    }));
}

#[test]
fn expressions_that_were_damaged_do_no_harm() {
    let world = World::new(1);
    let mut rng = Rng::with_seed(6);
    survives((0..2000).map(move |_| {
        let mut expression = Grammar::new(&mut rng, &world).expression();
        for _ in 0..rng.u32(..4) {
            expression = broken(&expression, &mut rng);
        }
        expression.to_string()
    }));
}

#[test]
fn what_is_deep_long_or_endless_meets_a_limit() {
    let deep = |open: &str, inner: &str, close: &str| {
        [10, 100, 1000, 100_000]
            .map(|times| format!("{}{inner}{}", open.repeat(times), close.repeat(times)))
            .to_vec()
    };
    let mut texts = [
        deep("(", "load", ")"),
        deep("-", "load", ""),
        deep("- ", "1", ""),
        deep("sum(", "load", ")"),
        deep("sum by (site) (", "load", ")"),
        deep("abs(", "load", ")"),
        deep("rate((", "load", ")[1h:1s])"),
        deep("max_over_time((", "load", ")[100y:1ms])"),
        deep("load + (", "1", ")"),
        deep("", "1", " + 1"),
        deep("2 ^ ", "load", ""),
        deep("load or ", "load", ""),
        deep("label_replace(", "load", ", \"a\", \"$1$1$1$1\", \"site\", \"(.*)\")"),
        deep("label_join(", "load", ", \"a\", \"\", \"a\", \"a\", \"a\", \"a\", \"site\")"),
        deep("[", "", "]"),
        deep("{", "", "}"),
        deep("load{", "", "site=\"tent\","),
        deep("load", "", " offset 1m"),
        deep("(", "load", ""),
        deep("\"", "", "\\"),
        deep("#", "", "\n"),
        deep("1", "", "0"),
        deep("sum by (", "load", ",site"),
        deep("vector(scalar(", "load", "))"),
    ]
    .concat();
    let many: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    texts.push(format!("load{{site=~\"{}\"}}", many.join("|")));
    texts.push(format!("sum by (a{}) (load)", many.join(",a")));
    texts.push(format!("label_join(load, \"a\", \"-\", \"{}\")", many.join("\",\"")));
    texts.extend(["", " ", "\0", "\u{feff}load"].map(str::to_owned));
    texts.extend(QUESTIONS.lines().map(str::to_owned));
    survives(texts.into_iter());
}
