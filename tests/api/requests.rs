//! What is asked: a few hundred requests, good, bad and odd, over the same series.
//!
//! `GET /api/v1/query_range?query=load&start=1709247600&end=1709249400&step=1m`

use rackside_tests::prometheus::urlencoded;

/// The first moment of the series, in seconds since 1970.
pub(crate) const START: i64 = 1_709_247_600;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    /// Below `/api/v1`, with what follows the question mark.
    pub(crate) path: String,
    /// The type of the body, and the body.
    pub(crate) body: Option<(&'static str, String)>,
}

impl Asked {
    /// Whether one of Go's first and last moments is in it.
    pub(crate) fn is_at_the_end_of_time(&self) -> bool {
        let body = self.body.as_ref().map_or("", |(_, text)| text.as_str());
        [self.path.as_str(), body].iter().any(|text| text.contains("292273086") || text.contains("292277025"))
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn get(path: &str, pairs: &[(&str, &str)]) -> Asked {
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", urlencoded(pairs)) };
    Asked { method: "GET", path: format!("{path}{query}"), body: None }
}

fn post(path: &str, pairs: &[(&str, &str)]) -> Asked {
    Asked { method: "POST", path: path.to_owned(), body: Some((FORM, urlencoded(pairs))) }
}

fn raw(method: &'static str, path: &str, body: Option<(&'static str, &str)>) -> Asked {
    Asked { method, path: path.to_owned(), body: body.map(|(kind, text)| (kind, text.to_owned())) }
}

const EXPRESSIONS: &[&str] = &[
    "load",
    "load{site=\"tent\"}",
    "load{site=~\"t.*\",rack!=\"2\"}",
    "odd",
    "odd * 2",
    "-load",
    "{__name__=~\"load|odd\"}",
    "ended",
    "nothing",
    "sum(load)",
    "sum by (site) (load)",
    "max without (rack) (load)",
    "count_values(\"value\", round(load))",
    "sort_desc(load)",
    "topk(2, load)",
    "rate(sent_total[5m])",
    "increase(sent_total[2m30s])",
    "load[2m]",
    "load[2m:30s]",
    "max_over_time(load[3m:1m])",
    "load offset 1m",
    "load @ end()",
    "load @ 1709248000",
    "load > bool 20",
    "load > 20",
    "load + on(site, rack) sent_total",
    "load * on(site) group_left(zone) site_info",
    "absent(nothing{site=\"x\"})",
    "label_replace(load, \"kind\", \"<$1>&\", \"site\", \"(.)(.*)\")",
    "1 + 1",
    "time()",
    "vector(1)",
    "vector(1e22)",
    "vector(-1e-9)",
    "vector(NaN)",
    "1e22",
    "-Inf",
    "0.1 + 0.2",
    "\"a<b>&\\\"c\\\"\"",
    "'\\u2028 \\x07 é'",
    "scalar(load{site=\"tent\",rack=\"1\"})",
    // Right, and not to be had.
    "load * on(site) odd",
    "load + on(site) site_info",
    "label_replace(load, \"rack\", \"\", \"\", \"\")",
    "label_join(load, \"0\", \"\", \"site\")",
    "quantile_over_time(2, load[5m])",
    // Wrong.
    "",
    " ",
    "1 +",
    "load{",
    "load{site=}",
    "load{site=\"x\"",
    "sum(load",
    "nofunction(load)",
    "rate(load)",
    "sum(1)",
    "load[5m",
    "load[5x]",
    "load and 1",
    "\"a\" + 1",
    "load{site=~\"(\"}",
    "{}",
    "{site!=\"x\"}",
    "load{site=\"tent\"}{rack=\"1\"}",
    "a b",
    "a @ start(",
    "é",
];

const TIMES: &[&str] = &[
    "1709248000",
    "1709248000.123",
    "1709248000.0004",
    "-1.5",
    "+5",
    ".5",
    "1.709248e9",
    "0",
    "2024-02-29T23:05:00Z",
    "2024-02-29T23:05:00.25Z",
    "2024-03-01T00:05:00.5+01:00",
    "2024-02-29T3:05:00Z",
    "2024-02-29T23:05:00,5Z",
    "-292273086-05-16T16:47:06Z",
    "292277025-08-18T07:12:54.999999999Z",
    "x",
    "1709248000s",
    " 1",
    "0x10",
    "0x1p4",
    "NaN",
    "Inf",
    "1e30",
    "1_000",
    "1__0",
    "1e400",
    "2024-02-30T00:00:00Z",
    "2024-02-29",
    "2024-02-29T23:05:00",
    "2024-02-29T23:05:60Z",
    "2024-02-29t23:05:00z",
    "\"<&>\\",
    "\u{7}\u{200b}é\n",
];

/// What a moment is in Go and nowhere else, as it is quoted.
pub(crate) const IN_GO_ONLY: &[&str] = &["\"NaN\"", "\"Inf\"", "\"1e30\"", "\"0x1p4\""];

const DURATIONS: &[&str] = &[
    "60", "60.5", "1m", "1m30s", "1h", "90s", "1d2h", "250ms", "1y", "0", "0s", "-1", "-1m", "", "x", "1.5m",
    "30s1m", "1m1m", "NaN", "1e30", "Inf", "300y", "1M", "5 s",
];

const MATCHES: &[&str] = &[
    "load",
    "{site=\"tent\"}",
    "{site=~\"t.*\"}",
    "{__name__=~\"load|odd\"}",
    "load{rack!=\"1\"}",
    "load{site=\"nowhere\"}",
    "nothing",
    "ended",
    "{}",
    "{site!=\"x\"}",
    "{site=~\".*\"}",
    "{site=~\".+\"}",
    "",
    "load[5m]",
    "load offset 5m",
    "sum(load)",
    "1",
    "load{",
    "x-",
];

/// Everything that is asked.
pub(crate) fn all() -> Vec<Asked> {
    let mut all = instant();
    all.extend(range());
    all.extend(series());
    all.extend(beside());
    all.extend(forms());
    all
}

fn instant() -> Vec<Asked> {
    let mut all = Vec::new();
    for (at, query) in EXPRESSIONS.iter().enumerate() {
        let pairs = [("query", *query), ("time", "1709248000.5")];
        all.push(if at % 2 == 0 { get("/query", &pairs) } else { post("/query", &pairs) });
        all.push(get("/format_query", &pairs[..1]));
    }
    for time in TIMES {
        all.push(get("/query", &[("query", "load"), ("time", time)]));
        all.push(post("/query", &[("query", "time()"), ("time", time)]));
    }
    for timeout in DURATIONS {
        all.push(get("/query", &[("query", "vector(1)"), ("time", "0"), ("timeout", timeout)]));
    }
    all.push(get("/query", &[]));
    all.push(get("/query", &[("time", "x"), ("timeout", "x")]));
    all.push(get("/query", &[("query", "1 +"), ("timeout", "x")]));
    all
}

fn range() -> Vec<Asked> {
    let mut all = Vec::new();
    for (at, query) in EXPRESSIONS.iter().enumerate() {
        let pairs = [("query", *query), ("start", "1709247600.5"), ("end", "1709248200"), ("step", "45")];
        all.push(if at % 2 == 1 { get("/query_range", &pairs) } else { post("/query_range", &pairs) });
    }
    for time in TIMES {
        all.push(get("/query_range", &[("query", "load"), ("start", time), ("end", time), ("step", "1m")]));
        all.push(get("/query_range", &[("query", "load"), ("start", "0"), ("end", time), ("step", "1d")]));
        all.push(get(
            "/query_range",
            &[("query", "load"), ("start", time), ("end", "1709248000"), ("step", "30d")],
        ));
    }
    for step in DURATIONS {
        let pairs = [("query", "load"), ("start", "1709248000"), ("end", "1709248030"), ("step", step)];
        all.push(get("/query_range", &pairs));
        all.push(get("/query_range", &[&pairs[..3], &[("step", "15"), ("timeout", step)]].concat()));
    }
    // The most steps, and one more.
    all.push(get("/query_range", &[("query", "vector(1)"), ("start", "0"), ("end", "11"), ("step", "1ms")]));
    all.push(get(
        "/query_range",
        &[("query", "vector(1)"), ("start", "0"), ("end", "11.001"), ("step", "1ms")],
    ));
    all.push(get(
        "/query_range",
        &[("query", "vector(1)"), ("start", "0"), ("end", "11"), ("step", "0.0009")],
    ));
    all.push(get("/query_range", &[("query", "load"), ("start", "1"), ("end", "1"), ("step", "0.0001")]));
    for missing in 0..4 {
        let mut pairs =
            vec![("query", "load"), ("start", "1709248000"), ("end", "1709248030"), ("step", "15")];
        pairs.remove(missing);
        all.push(get("/query_range", &pairs));
    }
    all
}

fn series() -> Vec<Asked> {
    let mut all = Vec::new();
    for (at, selector) in MATCHES.iter().enumerate() {
        let pairs = [("match[]", *selector)];
        all.push(if at % 2 == 0 { get("/series", &pairs) } else { post("/series", &pairs) });
        all.push(if at % 2 == 1 { get("/labels", &pairs) } else { post("/labels", &pairs) });
        all.push(get("/label/site/values", &pairs));
        all.push(get(
            "/label/__name__/values",
            &[("match[]", *selector), ("start", "1709247600"), ("end", "1709249400")],
        ));
    }
    let two = [("match[]", "load{rack=\"1\"}"), ("match[]", "{site=\"tent\"}")];
    all.extend(["/series", "/labels", "/label/site/values"].map(|path| get(path, &two)));
    all.push(get("/series", &[two[0], ("match[]", "{")]));
    for time in TIMES.iter().filter(|time| !time.starts_with("29")) {
        for path in ["/series", "/labels", "/label/site/values"] {
            // Before or after all series, or wrong: which series there are in a part of their time is not told as exactly.
            all.push(get(path, &[("match[]", "load"), ("start", "0"), ("end", "1")]));
            all.push(get(path, &[("match[]", "load"), ("start", time), ("end", "1809248000")]));
            all.push(get(path, &[("match[]", "load"), ("end", time), ("start", "1609248000")]));
        }
    }
    all.push(get("/series", &[]));
    all.push(get("/series", &[("start", "x")]));
    all.push(get("/series", &[("match[]", "load"), ("start", "2"), ("end", "1")]));
    for path in [
        "/labels",
        "/label/site/values",
        "/label/__name__/values",
        "/label/rack/values",
        "/label/nothing/values",
    ] {
        all.push(get(path, &[]));
    }
    for name in ["a-b", "0a", "a%20b", "%C3%A9", "_", "a:b"] {
        all.push(raw("GET", &format!("/label/{name}/values"), None));
    }
    all
}

fn beside() -> Vec<Asked> {
    let mut all =
        vec![get("/targets", &[]), get("/alertmanagers", &[]), get("/alerts", &[]), get("/rules", &[])];
    all.extend(["alert", "record", "ALERT", "x", "\"<"].map(|kind| get("/rules", &[("type", kind)])));
    all.push(get("/metadata", &[]));
    all.push(get("/metadata", &[("metric", "load")]));
    all.extend(["0", "1", "-1", "+1", "x", "1.5", ""].map(|limit| get("/metadata", &[("limit", limit)])));
    for query in ["load", "1", "load + odd", "", "load{", "rate(load[5m])"] {
        all.push(get("/query_exemplars", &[("query", query)]));
        all.push(post("/query_exemplars", &[("query", query), ("start", "2"), ("end", "1")]));
    }
    for time in TIMES {
        all.push(get("/query_exemplars", &[("query", "load"), ("end", time)]));
    }
    // What is not there, and what cannot be done.
    all.extend(
        ["/nope", "/query/", "/", "/label", "/status", "/status/nope"].map(|path| raw("GET", path, None)),
    );
    for path in ["/query", "/series", "/labels", "/metadata", "/rules", "/label/site/values"] {
        all.push(raw("PUT", path, None));
        all.push(raw("OPTIONS", path, None));
    }
    for path in ["/metadata", "/rules", "/alerts", "/label/site/values", "/status/buildinfo", "/targets"] {
        all.push(raw("POST", path, Some((FORM, ""))));
    }
    all.push(raw("DELETE", "/series?match[]=load", None));
    all.push(raw("DELETE", "/query?query=1", None));
    all
}

/// Ways to write parameters.
fn forms() -> Vec<Asked> {
    let time = format!("time={START}");
    let mut all = vec![
        raw("POST", &format!("/query?query=1&{time}"), None),
        raw("POST", &format!("/query?query=1&{time}"), Some((FORM, "query=2"))),
        raw("POST", "/query?query=1", Some((FORM, "time=5&time=6"))),
        raw("POST", &format!("/query?query=1&{time}"), Some(("application/json", "{\"query\":\"2\"}"))),
        raw("POST", "/query", Some(("application/json", "query=2"))),
        raw("POST", "/query", Some(("text/plain", "query=2"))),
        raw("POST", "/query", Some(("application/x-www-form-urlencoded; charset=utf-8", "query=2&time=0"))),
        raw("POST", "/query", Some(("APPLICATION/X-WWW-FORM-URLENCODED", "query=2&time=0"))),
        raw("GET", "/query", Some((FORM, "query=2"))),
        raw("GET", &format!("/query?query=1+%2B+1&{time}"), None),
        raw("GET", &format!("/query?query=1%2b1&{time}"), None),
        raw("GET", &format!("/query?query=1&query=2&{time}"), None),
        raw("GET", &format!("/query?&&query=1&&{time}&"), None),
        raw("GET", &format!("/query?query=%zz&{time}"), None),
        raw("GET", &format!("/query?x=%zz&query=1&{time}"), None),
        raw("GET", &format!("/query?query=1;{time}"), None),
        raw("GET", &format!("/query?query=%FF&{time}"), None),
        raw("GET", &format!("/query?query&{time}"), None),
        raw("GET", &format!("/query?query==1&{time}"), None),
        raw("GET", &format!("/query?Query=1&{time}"), None),
    ];
    for broken in ["%zz", "a=%z", "a=%1", "a=%", "x;y", "a=1;b=2", "%C3", "=", "a", "+"] {
        all.push(raw("GET", &format!("/series?match[]=load&{broken}"), None));
        all.push(raw("GET", &format!("/labels?match[]=load&{broken}"), None));
        all.push(Asked {
            method: "POST",
            path: "/series?match[]=odd".to_owned(),
            body: Some((FORM, format!("match[]=load&{broken}"))),
        });
    }
    all
}
