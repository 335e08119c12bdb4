//! Templates as a whole: what they write, what they say when they fail, and that nothing makes them panic, hang or grow. What a real Prometheus makes
//! of the same templates is looked at in `tests/template.rs`.

use super::*;
use proptest::prelude::*;
use rackside_promql::Sample;

fn hall() -> Labels {
    Labels::new([("__name__", "soc"), ("site", "hall"), ("instance", "rack-1.example:80")])
}

/// Answers `soc` with two series, `many` with a thousand, anything else with none.
fn answer(query: &str) -> Result<Vec<Point>, String> {
    let point =
        |site: String, value| Point { labels: Labels::new([("site", site)]), sample: Sample::new(0, value) };
    match query {
        "soc" => Ok(vec![point("hall".into(), 81.25), point("attic".into(), 75.0)]),
        "many" => Ok((0..1000).map(|at| point(at.to_string(), 1.0)).collect()),
        "bad" => Err("no such thing".to_owned()),
        _ => Ok(Vec::new()),
    }
}

fn expand(text: &str) -> Result<String, String> {
    let external = Labels::new([("hub", "north")]);
    let context = Context {
        alert: "SocHot",
        labels: &hall(),
        external_labels: &external,
        value: 81.25,
        external_url: "https://hub.example/rackside",
        query: &answer,
    };
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    assert_eq!(template.text(), text);
    template.expand(&context).map_err(|error| error.to_string())
}

#[test]
fn what_rules_write_is_expanded() {
    for (text, expected) in [
        ("plain }} text", "plain }} text"),
        ("{{ $labels.site }}: {{ $value | printf \"%.1f\" }} °C", "hall: 81.2 °C"),
        (
            "{{ .Labels.site }}/{{ .Value }}/{{ $externalLabels.hub }}/{{ $externalURL }}",
            "hall/81.25/north/https://hub.example/rackside",
        ),
        ("[{{ $labels.nope }}]", "[]"),
        ("{{ with query \"soc\" }}{{ . | first | value | humanize }}{{ end }}", "81.25"),
        (
            "{{ range $i, $e := query \"soc\" }}{{ if $i }}, {{ end }}{{ $i }}={{ .Labels.site }}{{ end }}",
            "0=hall, 1=attic",
        ),
        ("{{ range query \"soc\" | sortByLabel \"site\" }}{{ .Labels.site }} {{ end }}", "attic hall "),
        ("{{ range query \"none\" }}x{{ else }}none{{ end }}", "none"),
        ("{{ $n := 0 }}{{ range query \"soc\" }}{{ $n = .Value }}{{ end }}{{ $n }}", "75"),
        ("{{ range query \"soc\" }}{{ .Value }}{{ break }}{{ end }}", "81.25"),
        (
            "{{ define \"d\" }}<{{ .arg0 }}{{ .arg1 }}{{ .arg2 }}>{{ end }}{{ template \"d\" (args 1 \"b\") }}",
            "<1b<no value>>",
        ),
        (
            "{{ if and (gt $value 80.0) (eq $labels.site \"hall\" \"attic\") }}yes{{ else if true }}no{{ end }}",
            "yes",
        ),
        ("{{ $labels.instance | stripPort | stripDomain | toUpper }}", "RACK-1"),
        ("{{ reReplaceAll \"(.*)-(\\\\d)\" \"$2:$1\" \"rack-1\" }}", "1:rack"),
        ("{{ (toTime 1795145096).Format \"2 Jan 2006\" }}", "20 Nov 2026"),
        ("{{ index (query \"soc\") 1 | label \"site\" }}", "attic"),
        ("{{ len $labels }} {{ slice \"abcd\" 1 3 }} {{ pathPrefix }}", "3 bc /rackside"),
        ("{{ $labels }}", "map[__name__:soc instance:rack-1.example:80 site:hall]"),
    ] {
        assert_eq!(expand(text), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn what_fails_says_where_as_prometheus_does() {
    for (text, expected) in [
        (
            "a\n {{ query \"none\" | first }}",
            "error executing template __alert_SocHot: template: __alert_SocHot:2:19: executing \"__alert_SocHot\" at <first>: error calling first: first() called on vector with no elements",
        ),
        (
            "{{ template \"x\" }}",
            "error executing template __alert_SocHot: template: __alert_SocHot:1:124: executing \"__alert_SocHot\" at <{{template \"x\"}}>: template \"x\" not defined",
        ),
    ] {
        assert_eq!(expand(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn an_expansion_has_bounds() {
    let doubled = format!("{{{{ $a := \"{}\" }}}}", "x".repeat(100)) + &"{{ $a = print $a $a }}".repeat(20);
    let patterns = "{{ $x := match \"a{1000}\" \"b\" }}".repeat(400);
    for (text, what) in [
        (doubled.as_str(), "texts longer than"),
        ("{{ printf \"%999999d\" 1 }}", "texts longer than"),
        ("{{ printf \"%.999999f\" 1.0 }}", "texts longer than"),
        ("{{ range query \"many\" }}{{ range query \"many\" }}{{ end }}{{ end }}", "more than 32 queries"),
        (
            "{{ $m := query \"many\" }}{{ range $m }}{{ range $m }}{{ end }}{{ end }}",
            "more than 100000 steps",
        ),
        ("{{ define \"d\" }}{{ template \"d\" }}{{ end }}{{ template \"d\" }}", "nested more than"),
        (patterns.as_str(), "more than 100000 steps"),
        (
            "{{ reReplaceAll \"x*\" (printf \"%60000s\" \"\") (printf \"%60000s\" \"\") }}",
            "texts longer than",
        ),
    ] {
        let error = expand(text).expect_err(text);
        assert!(error.contains(what), "{error}");
    }
}

/// Pieces of which most random templates parse.
const PIECES: [&str; 40] = [
    "{{",
    "}}",
    " ",
    "{{- ",
    " -}}",
    "$labels",
    ".site",
    "$value",
    ".",
    "$",
    "|",
    "(",
    ")",
    "\"a\"",
    "`b`",
    "1",
    "-2.5",
    "'c'",
    "true",
    "nil",
    "if ",
    "range ",
    "with ",
    "else ",
    "end",
    "define \"d\"",
    "template \"d\" ",
    "$x := ",
    "$x = ",
    ",",
    "printf \"%5.2v\" ",
    "query \"soc\" ",
    "first ",
    "index ",
    "slice ",
    "eq ",
    "lt ",
    "toTime ",
    "humanize ",
    "args ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_template_panic(text in any::<String>()) {
        let _ = expand(&text);
    }

    #[test]
    fn no_template_panics(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30)) {
        let _ = expand(&pieces.concat());
        let _ = expand(&format!("{{{{ {} }}}}", pieces.concat()));
    }

    #[test]
    fn no_call_panics(name in prop::sample::select(&PIECES[..]), format in "[%a-zA-Z0-9.*#+ \\[\\]-]{0,12}", number in any::<f64>()) {
        let _ = expand(&format!("{{{{ printf {format:?} {name} {number:e} (query \"soc\") $labels (toTime {number:e}) }}}}"));
        let _ = expand(&format!("{{{{ humanizeDuration {number:e} }}}}{{{{ (toTime {number:e}).Format {format:?} }}}}"));
    }
}
