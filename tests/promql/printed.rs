//! How an expression is printed: on one line, as Prometheus shows that of a rule, and over several, as it formats a query.
//!
//! What is asked are the expressions of the grammar in one world, and those of a list with what it never makes.

use crate::grammar::Grammar;
use crate::world::World;
use fastrand::Rng;
use rackside_promql::{Query, format_query};
use rackside_tests::prometheus::Prometheus;
use std::fmt::Write as _;

/// How many random expressions are printed.
const EXPRESSIONS: u64 = 1500;

/// One a line.
const LISTED: &str = r#"
up
up{}
{__name__="up"}
{__name__="up",a="b"}
{b="1",a="2",c=~"x|y",a!~"z"}
up{b="1",a="2",b!="3"}
up{z="a",}
up{a='it\'s "q"', b=`raw \d "q"`}
up{a="\a\b\f\n\r\t\v\x00\x7f\\"}
up{a="Bühne ½ 中 \u00a0\u200b\U0001F600\U0010ffff\u0085"}
"a \"text\" \n ü"
'one'
1
-1
- 1
-(1)
-up
- - 1
-  -up
--up
-(-up)
-1^2
-up^2
0x1F
0777
1e3
100000
1000000
123456789
1.5e6
1e20
1e21
123456789012345678901234567890
0.0001
0.00001
1e-5
1.25e-7
1e300
Inf
-inf
+Inf
nan
0.1+0.2
.5
1.
up[300s]
up[90s]
up[1d12h]
up[14d]
up[15d]
up[365d]
up[366d]
up[1y1d]
up[1h1ms]
up[5m]offset 90s
up offset 1w @ 1.5
up @ 1.5 offset 1w
up @ -1.5
up @ 1e9
up @ 1.23456
up @ 0.0005
up @ 0.0015
up @ start() offset -5m
up[5m] @ end() offset 5m
up offset 0s
up[5m:]
up[5m:30s]
up[5m:60s] offset -1h @ 1e3
rate(up[5m])[1h:]
(up + up)[1h:5m] @ end()
((up))
sum(up)
SUM(up)
sum by()(up)
sum by(a,b)(up)
sum(up)by(a , b)
sum by(b,a,b,)(up)
sum without()(up)
avg without(a)(up)
topk(5,up)
topk by(a)(5,up)
quantile without(a) (0.9, up)
count_values("v",up)
a+b
a AND b
a or b unless c
a == bool b
a > bool 1
a+on()b
a+ignoring()b
1+on()b
a*on(x,y)group_left b
a*on(x)group_left()b
a*on(x)group_left(y,z)b
a*ignoring(x)group_right(y)b
a*ignoring()group_left(y)b
a*on()group_left(y)b
a and on(x) b
a and on() b
a unless ignoring(x) b
a ^ b ^ c
(a ^ b) ^ c
a - (b - c)
a atan2 b
a % 2
hour()
time()
pi()
round(up)
round(up,5)
clamp(up,0,1)
label_replace(up,"a","$1","b","(.*)\\.x")
label_join(up,"a",",","b","c")
histogram_quantile(0.9,sum by(le)(rate(x_bucket[5m])))
absent(up{a="b"})
offset offset 1m
sum by (on, by, group_left) (sum)
up # a comment
  up   +
  up
"#;

/// Long ones, which nothing makes by chance: each way of breaking a line.
fn long() -> Vec<String> {
    let selector = |letter: &str| format!("{}{{site=\"{}\"}}", letter.repeat(30), letter.repeat(40));
    let [a, b, c] = ["a", "b", "c"].map(selector);
    vec![
        format!("{a} + {b} + {c}"),
        format!("{a} + on(site) group_left(x) {b} > bool {c}"),
        format!("{a} ^ {b} ^ {c}"),
        format!("({a} + {b}) * {c}"),
        format!("-({a} + {b})"),
        format!("-{a} - -{b}"),
        format!("-(-sum({a} + {b}))"),
        format!("sum by (site) (rate({a}[5m]) + rate({b}[5m]))"),
        format!("topk(5, {a} + {b})"),
        format!("topk(scalar({a} + {b}), {c})"),
        format!("quantile without (a) (0.5, {a} / {b}) > 0.5"),
        format!("label_replace({a} + {b}, \"x\", \"$1\", \"y\", \"(.*)\")"),
        format!("clamp({a}, scalar({b}), scalar({c}))"),
        format!("max_over_time(({a} + {b})[1h:5m] @ end() offset 1d)"),
        format!("max_over_time({a}[1h:5m])"),
        format!("max_over_time(rate({a}[5m])[1h:5m]) + {b}"),
        format!("(({a} + {b})[1h:5m])"),
        format!("({a} + {b})[1h:5m]"),
        format!("{a}[1h:5m]"),
        format!("sum(max_over_time({a}[1h:5m]) + max_over_time({b}[1h:5m]))"),
        format!("{}[5m]", selector("long")),
        format!("\"{}\"", "text ".repeat(30)),
        format!("absent({{a=\"{}\"}})", "ü".repeat(60)),
        vec!["up"; 24].join(" + "),
        vec!["up"; 25].join(" + "),
        vec!["(up)"; 60].join(" or "),
        vec!["up"; 60].join(" ^ "),
        format!("sum(sum(sum({})))", vec!["up"; 30].join(" == ")),
        format!("a + {} + b", "up".repeat(60)),
    ]
}

fn expressions() -> Vec<String> {
    let world = World::new(7);
    let mut rng = Rng::with_seed(7);
    let random = (0..EXPRESSIONS).map(|_| Grammar::new(&mut rng, &world).expression().to_string());
    // We do not see a plus sign.
    let mut expressions: Vec<String> = random.filter(|text| !text.starts_with('+')).collect();
    expressions.extend(LISTED.lines().filter(|line| !line.is_empty()).map(str::to_owned));
    expressions.extend(long());
    expressions
}

#[test]
fn expressions_are_spread_over_lines_as_prometheus_spreads_them() {
    let mut prometheus = Prometheus::start();
    let (mut differences, mut broken) = (String::new(), 0);
    for expression in expressions() {
        let theirs = prometheus.format(&expression).map_err(|refusal| refusal.text);
        let ours = format_query(&expression).map_err(|error| error.to_string());
        broken += u32::from(theirs.as_ref().is_ok_and(|text| text.contains('\n')));
        if ours != theirs && (ours.is_ok() || theirs.is_ok()) {
            let _ = writeln!(differences, "{expression}\nours:   {ours:?}\ntheirs: {theirs:?}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(broken > 100, "only {broken} of them are broken into lines");
}

#[test]
fn the_expressions_of_rules_are_printed_as_prometheus_prints_them() {
    // A rule has a value for each series: no text, no window.
    let taken: Vec<(String, Query)> = expressions()
        .into_iter()
        .filter_map(|text| Query::parse(&text).ok().map(|query| (text, query)))
        .collect();
    let mut rules = "groups:\n- name: printed\n  rules:\n".to_owned();
    for (expression, _) in &taken {
        let quoted = serde_json::Value::from(expression.as_str());
        let _ = writeln!(rules, "  - {{record: \"x\", expr: {quoted}}}");
    }
    let theirs = Prometheus::with_rules(&rules).rules();
    assert_eq!(theirs.len(), taken.len(), "rules are taken");
    let mut differences = String::new();
    for ((expression, query), theirs) in taken.iter().zip(theirs) {
        let again = Query::parse(&query.to_string()).map(|query| query.to_string());
        if query.to_string() != theirs || again != Ok(query.to_string()) {
            let _ =
                writeln!(differences, "{expression}\nours:   {query}\ntheirs: {theirs}\nagain:  {again:?}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
