//! Templates against a real Prometheus: promtool expands the annotations of a unit test, and they are what we make of them, to the letter, errors
//! included.
//!
//! Each template is an annotation of an alert that fires for series with all sorts of values. A unit test expects of it what we have expanded, and
//! promtool is the judge. Beside those that are written here there are random formats of `printf`.

use std::fmt::Write as _;
use std::process::Command;

use rackside_alerting::template::{Context, Template};
use rackside_promql::{Answer, Labels, Limits, Memory, Point, Query, Sample};

/// Values as promtool's notation has them.
const VALUES: [(&str, f64); 12] = [
    ("0", 0.0),
    ("1", 1.0),
    ("-1.5", -1.5),
    ("81.25", 81.25),
    ("1234567.891", 1_234_567.891),
    ("0.00012345", 0.000_123_45),
    ("-0.05", -0.05),
    ("1795145096.123", 1_795_145_096.123),
    ("1e21", 1e21),
    ("NaN", f64::NAN),
    ("Inf", f64::INFINITY),
    ("-Inf", f64::NEG_INFINITY),
];

/// Each of these is expanded for every value.
const TEMPLATES: &[&str] = &[
    "plain",
    "{{ $value }} {{ .Value }} {{ $labels.name }} {{ .Labels.name }} [{{ $labels.nope }}] {{ $externalLabels.hub }} {{ $externalURL }} {{ .ExternalURL }}",
    "{{ $labels }} {{ .ExternalLabels }}",
    "{{ humanize $value }}|{{ humanize1024 $value }}|{{ if lt $value 1e18 }}{{ humanizeDuration $value }}{{ end }}|{{ humanizePercentage $value }}",
    "{{ humanizeTimestamp $value }}",
    "{{ toTime $value }}",
    "{{ (toTime 1795145096.123).Format \"Mon Jan _2 15:04:05.000 2006 Z07:00 PM 01/02 06 3:4:5 MST January Monday 002\" }}",
    "{{ with toTime 1795145096 }}{{ .Year }} {{ .Month }} {{ .Day }} {{ .Weekday }} {{ .YearDay }} {{ .Hour }} {{ .Minute }} {{ .Second }} {{ .Unix }} {{ printf \"%d %s %v %q\" .Month .Month .Weekday .Month }}{{ end }}",
    "{{ humanize \"12345\" }} {{ humanize 12345 }} {{ humanizeDuration \"90061.5\" }} {{ humanize1024 -2048 }}",
    "{{ humanize \"x\" }}",
    "{{ humanize true }}",
    "{{ humanize nil }}",
    "{{ humanizeDuration \"1e400\" }}",
    "{{ printf \"%v %s %q %d %f %.2f %e %g %x %t %5.1f %-10s|%%\" $value $value $value $value $value $value $value $value $value $value $value $labels.name }}",
    "{{ printf \"%d\" 1.5 }} {{ printf \"%s\" 1 }} {{ printf \"%t\" \"x\" }} {{ printf \"%d\" }} {{ printf \"%d\" 1 2 }} {{ printf \"%\" }} {{ printf \"%!\" }} {{ printf \"%z\" 1 }}",
    "{{ printf \"%[2]d %[1]d\" 1 2 }} {{ printf \"%[3]d\" 1 }} {{ printf \"%*d|%-*d|%.*f\" 5 1 5 1 2 3.14159 }} {{ printf \"%T %T %T %T\" $value $labels 1 \"a\" }}",
    "{{ printf \"%v %d %s %q %x %#v %+v\" $labels $labels $labels $labels $labels $externalLabels $externalLabels }}",
    "{{ printf \"%x|%X|% x|%#x|%.2s|%.2q|%5q|%+q|%#q|%c|%U|%#U\" \"hé\" \"hé\" \"hé\" \"hé\" \"héllo\" \"héllo\" \"a\" \"é\" \"a\" 'x' 'x' 'é' }}",
    "{{ printf \"%06d|%+d|% d|%x|%#o|%O|%b|%08.3d|%.0d|\" -42 5 5 255 8 8 5 5 0 }} {{ printf \"%08.2f|%+.2f|% f|%-8.1f|%#g|%G\" $value $value $value $value $value $value }}",
    "{{ print 1 2 \"a\" \"b\" 3 true }} {{ println 1 \"a\" }} {{ print }} {{ print nil 1 }}",
    "{{ html \"<a href='x'>&\\\"\" }} {{ js \"it's <\\\"> & = \\\\ \\n é\" }} {{ urlquery \"a b&c=d/é~\" }} {{ html 1 nil }} {{ urlquery $value }}",
    "{{ safeHtml \"<b>\" }} {{ len (safeHtml \"abc\") }} {{ eq (safeHtml \"a\") \"a\" }}",
    "{{ toUpper (safeHtml \"a\") }}",
    "{{ len $labels }} {{ len \"héllo\" }} {{ index $labels \"name\" }} [{{ index $labels \"nope\" }}] {{ slice \"abcdef\" 1 3 }} {{ slice \"abc\" }} {{ slice \"abc\" 1 }} {{ index \"abc\" 1 }}",
    "{{ index \"abc\" 9 }}",
    "{{ index \"abc\" 3 }}",
    "{{ index $labels 1 }}",
    "{{ index $value 1 }}",
    "{{ index nil 1 }}",
    "{{ slice \"abc\" 2 1 }}",
    "{{ slice \"abc\" 0 1 2 }}",
    "{{ slice $labels 1 }}",
    "{{ slice \"abc\" 0 9 }}",
    "{{ len 1 }}",
    "{{ len nil }}",
    "{{ and 0 1 }} {{ and 1 2 }} {{ or 0 \"\" }} {{ or \"\" \"x\" }} {{ not 0 }} {{ not $labels }} {{ and }}",
    "{{ and 1 0 (index nil 1) }} {{ or 1 (index nil 1) }} {{ \"x\" | and 1 }} {{ \"x\" | or 0 }}",
    "{{ eq $labels.name \"x\" }} {{ eq 1 2 1 }} {{ ne 1 1 }} {{ lt 1 2 }} {{ le 1 1 }} {{ gt \"b\" \"a\" }} {{ ge 1.5 1.5 }} {{ eq 'a' 97 }} {{ eq true true }} {{ eq (index \"a\" 0) 97 }} {{ lt (index \"a\" 0) 98 }}",
    "{{ gt $value 1.0 }} {{ ge $value 1.0 }} {{ lt $value 1.0 }} {{ le $value 1.0 }} {{ eq $value 1.0 }} {{ ne $value 1.0 }}",
    "{{ gt $value 1 }}",
    "{{ eq 1 1.0 }}",
    "{{ eq $labels $labels }}",
    "{{ eq \"a\" $labels }}",
    "{{ eq $labels (args 1) }}",
    "{{ $q := query \"count(other)\" }}{{ eq (first $q) (first $q) }} {{ ne (first $q) nil }}",
    "{{ eq (query \"count(other)\" | first) (query \"count(other)\" | first) }}",
    "{{ eq 1 }}",
    "{{ eq }}",
    "{{ lt true false }}",
    "{{ lt $labels 1 }}",
    "{{ lt nil 1 }}",
    "{{ eq nil nil }} {{ eq 1 nil }}",
    "{{ ne $labels 1 }}",
    "{{ if $value }}yes{{ else }}no{{ end }} {{ if eq $value 1.0 }}one{{ else if eq $value 0.0 }}zero{{ else if $labels.nope }}nope{{ else }}more{{ end }}",
    "{{ with $labels.name }}{{ . }}{{ else }}none{{ end }} {{ with $labels.nope }}{{ . }}{{ else }}none{{ end }} {{ with $x := 5 }}{{ $x }}{{ . }}{{ end }}",
    "{{ range $name, $text := $externalLabels }}{{ $name }}={{ $text }},{{ end }} {{ range $externalLabels }}{{ . }}{{ end }} {{ range $labels.nope }}x{{ else }}none{{ end }}",
    "{{ range $labels.name }}{{ . }}{{ end }}",
    "{{ range 3 }}{{ . }}{{ end }}",
    "{{ range $i, $e := query \"other\" | sortByLabel \"k\" }}{{ $i }}:{{ $e.Labels.k }}={{ $e.Value }} {{ end }}",
    "{{ range query \"other\" | sortByLabel \"k\" }}{{ .Labels.k }} {{ . | value }} {{ label \"k\" . }} {{ . }} [{{ strvalue . }}] {{ end }}",
    "{{ range $i, $e := query \"other\" | sortByLabel \"k\" }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ if eq $i 2 }}{{ break }}{{ end }}{{ $i }}{{ end }}",
    "{{ range query \"nope\" }}x{{ else }}none{{ end }} {{ len (query \"other\") }} {{ query \"count(other)\" | first | value }} {{ query \"5\" | first | value }}",
    "{{ $n := 0 }}{{ range query \"other\" | sortByLabel \"k\" }}{{ $n = .Value }}{{ end }}{{ $n }} {{ $m := 1 }}{{ if true }}{{ $m := 2 }}{{ $m }}{{ end }}{{ $m }}",
    "{{ printf \"%v %+v %T\" (query \"count(other)\" | first) (query \"count(other)\" | first) (query \"other\") }}",
    "{{ query \"nope\" | first }}",
    "{{ query \"nope\" | first | value }}",
    "{{ (query \"count(other)\" | first).Labels.x }}[{{ (query \"count(other)\" | first).Value }}]",
    "{{ (query \"count(other)\" | first).Nope }}",
    "{{ label \"k\" nil }}",
    "{{ value nil }}",
    "{{ first nil }}",
    "{{ value $value }}",
    "{{ first \"x\" }}",
    "{{ sortByLabel 1 (query \"other\") }}",
    "{{ index (query \"count(other)\") 0 | value }} {{ len (slice (query \"other\") 1) }}",
    "{{ index (query \"other\") 9 }}",
    "{{ eq (query \"other\") 1 }}",
    "{{ args 1 \"a\" true }} {{ (args 1 2).arg1 }} [{{ (args 1).arg5 }}] {{ len (args 1 2 3) }} {{ range $k, $v := args 5 6 }}{{ $k }}{{ $v }}{{ end }}",
    "{{ define \"d\" }}<{{ .arg0 }} {{ .arg1 }}>{{ end }}{{ template \"d\" (args 1 $value) }}{{ template \"d\" }}",
    "{{ define \"d\" }}{{ $ }}{{ end }}{{ template \"d\" \"x\" }} {{ block \"b\" 5 }}{{ . }}{{ end }}",
    "{{ define \"d\" }}{{ .Nope.x }}{{ end }}{{ template \"d\" \"text\" }}",
    "{{ template \"nope\" }}",
    "{{ reReplaceAll \"(.*)-([0-9])\" \"${2}:$1x:${1}x\" \"rack-1\" }} {{ reReplaceAll \"a*\" \"-\" \"baac\" }} {{ match \"^r.ck\" \"rack-1\" }} {{ match \"x\" \"rack\" }} {{ reReplaceAll \"b\" \"$$\" \"abc\" }}",
    "{{ reReplaceAll \"(?i)HALL\" \"x\" \"hall Hall\" }} {{ reReplaceAll \"\\\\bh\" \"X\" \"hall ah\" }} {{ reReplaceAll \"^\" \"X\" \"a\" }} {{ reReplaceAll \"(?P<n>a)\" \"<$n>\" \"banana\" }}",
    "{{ title \"on-air now_then élan 1st o'clock\" }} {{ toUpper \"straße é\" }} {{ toLower \"ÀB İ\" }}",
    "{{ stripPort \"hall.example:80\" }} {{ stripPort \"[2001:db8::1]:80\" }} {{ stripPort \"a:b:c\" }} {{ stripDomain \"hall.example.com:80\" }} {{ stripDomain \"192.0.2.1:80\" }} {{ stripDomain \"a.b\" }} {{ stripDomain \"[2001:db8::1]:80\" }} {{ stripDomain \"\" }} {{ stripPort \":80\" }}",
    "{{ graphLink \"up{a=\\\"b c\\\"} > 1\" }} {{ tableLink \"rate(x[5m])/2\" }}",
    "{{ parseDuration \"1h30m\" }} {{ parseDuration \"500ms\" }} {{ parseDuration \"0\" }}",
    "{{- \" a \" -}} | {{- /* comment */ -}} b {{- 'x' }} {{ `raw\\n` }} {{ 0x1F }} {{ 017 }} {{ 1_000 }} {{ 1e3 }} {{ .5 }} {{ -2 }} {{ +3 }} {{ 1.0 }} {{ 1e100 }} {{ 0b11 }} {{ 0o17 }}",
    "{{ \"a\\tb\\x41\\u00e9\\101\\\"\" }} {{ '\\n' }} {{ true }} {{ 9223372036854775807 }}",
    "{{ 18446744073709551615 }}",
    "{{ nil }}",
    "{{ $value.x }}",
    "{{ $labels.name.x }}",
    "{{ .Nope }}",
    "{{ .Labels.name 1 }}",
    "{{ $value 1 }}",
    "{{ 1 | $value }}",
    "{{ \"a\" | .Value }}",
    "{{ printf }}",
    "{{ printf 1 }}",
    "{{ printf nil }}",
    "{{ toUpper }}",
    "{{ toUpper 1 }}",
    "{{ toUpper $value }}",
    "{{ toUpper .Nope }}",
    "{{ 1 | toUpper }}",
    "{{ \"a\" \"b\" }}",
    "{{ (1) 2 }}",
    "{{ call 1 }}",
    "{{ (toTime 1).Nope }}",
    "{{ (toTime 1).Year 1 }}",
    "{{ (toTime 1).Format }}",
    "{{ (toTime 1).Format 1 }}",
    "{{ $value | printf \"%.1f\" | toUpper | len }} {{ (print 1 2) | printf \"%s\" }}",
    "line one\n line two {{ query \"nope\" | first }}",
    "{{ with $x := 1 }}{{ $y := 2 }}{{ end }}{{ if and (eq $labels.name \"v1\") (gt $value 0.5) }}big{{ end }}",
];

/// Numbers from a seed: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn of<'a>(&mut self, these: &[&'a str]) -> &'a str {
        these[self.below(these.len())]
    }

    /// A call of `printf` with a few verbs.
    fn printf(&mut self) -> String {
        let (mut format, mut values) = (String::new(), String::new());
        for _ in 0..=self.below(4) {
            format.push('%');
            for _ in 0..self.below(3) {
                format += self.of(&["-", "+", "#", "0", " "]);
            }
            format += self.of(&["", "", "3", "8", "12"]);
            format += self.of(&["", "", ".0", ".2", ".5", "."]);
            format += self.of(&[
                "v", "d", "s", "q", "f", "e", "g", "G", "E", "x", "X", "t", "c", "b", "o", "U", "T", "F",
                "O", "%", "z",
            ]);
            format += self.of(&["|", " ", "é"]);
            values += " ";
            values += self.of(&[
                "$value",
                "1",
                "-42",
                "\"hé\\\"<\"",
                "true",
                "'é'",
                "2.5",
                "nil",
                "$externalLabels",
                "1e9",
                "(index \"a\" 0)",
                "\"\"",
                "0",
            ]);
        }
        format!("{{{{ printf {}{values} }}}}", serde_json::Value::from(format))
    }

    /// Something that has a value, or fails.
    fn value(&mut self, depth: usize) -> String {
        if depth > 0 && self.below(2) == 0 {
            return format!("({})", self.pipe(depth - 1));
        }
        let values = [
            "$value",
            "$labels",
            "$labels.name",
            "$labels.nope",
            ".",
            ".Value",
            "$",
            "1",
            "0",
            "-2.5",
            "\"text\"",
            "\"\"",
            "\"7.5\"",
            "true",
            "nil",
            "'x'",
            "$externalLabels",
            "(query \"count(other)\")",
            "(query \"nope\")",
            "(first (query \"count(other)\"))",
            "(toTime 5)",
            "(args 1 \"b\")",
            "(safeHtml \"<i>\")",
            "(query \"count(other)\" | first).Labels",
            "(args 1).arg0",
        ];
        self.of(&values).to_owned()
    }

    /// A call of a function with what may not suit it.
    fn pipe(&mut self, depth: usize) -> String {
        let functions = [
            "len",
            "index",
            "slice",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "and",
            "or",
            "not",
            "print",
            "println",
            "html",
            "js",
            "urlquery",
            "first",
            "label",
            "value",
            "strvalue",
            "args",
            "match \"a\"",
            "reReplaceAll \"t\" \"[$0]\"",
            "title",
            "toUpper",
            "toLower",
            "graphLink",
            "sortByLabel \"k\"",
            "stripPort",
            "stripDomain",
            "humanize",
            "humanize1024",
            "humanizePercentage",
            "toTime",
            "safeHtml",
            "call",
            "printf \"%v %v\"",
            "printf \"%s|%v\"",
        ];
        let mut pipe = self.of(&functions).to_owned();
        for _ in 0..self.below(4) {
            pipe += " ";
            pipe += &self.value(depth);
        }
        if self.below(3) == 0 {
            pipe += " | ";
            pipe += self.of(&functions);
        }
        pipe
    }
}

fn labels(at: usize) -> Labels {
    Labels::new([("__name__", "v".to_owned()), ("name", format!("v{at}")), ("at", at.to_string())])
}

/// The series of the unit test, at its only moment.
fn series() -> Memory {
    let mut memory = Memory::new();
    for (at, (_, value)) in VALUES.iter().enumerate() {
        memory.push(labels(at), [Sample::new(0, *value)]);
    }
    for (at, name) in ["b", "a", "c", "d"].into_iter().enumerate() {
        memory.push(Labels::new([("__name__", "other"), ("k", name)]), [Sample::new(0, at as f64)]);
    }
    memory
}

/// What we make of a template for a value.
fn expanded(template: &Template, alert: &str, at: usize, memory: &Memory) -> String {
    let query = |text: &str| -> Result<Vec<Point>, String> {
        let query = Query::parse(text).map_err(|error| error.to_string())?;
        match query.instant(memory, 0, &Limits::default()).map_err(|error| error.to_string())?.answer {
            Answer::Vector(points) => Ok(points),
            Answer::Scalar(sample) => Ok(vec![Point { labels: Labels::empty(), sample }]),
            _ => Err("rule result is not a vector or scalar".to_owned()),
        }
    };
    let context = Context {
        alert,
        labels: &labels(at),
        external_labels: &Labels::new([("hub", "north"), ("area", "a")]),
        value: VALUES[at].1,
        external_url: "https://hub.example/rackside",
        query: &query,
    };
    template.expand(&context).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}

/// Rules and their unit test as two files: every template an alert, every value a series.
fn files(templates: &[String]) -> (String, String) {
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let memory = series();
    let mut rules = "groups:\n- name: templates\n  rules:\n".to_owned();
    let mut test = "rule_files: [rules.yml]\ntests:\n- interval: 1m\n  external_labels: {hub: north, area: a}\n  external_url: https://hub.example/rackside\n  input_series:\n".to_owned();
    for (at, (value, _)) in VALUES.iter().enumerate() {
        writeln!(test, "  - {{series: 'v{{name=\"v{at}\",at=\"{at}\"}}', values: '{value}'}}")
            .expect("written");
    }
    for (at, name) in ["b", "a", "c", "d"].into_iter().enumerate() {
        writeln!(test, "  - {{series: 'other{{k=\"{name}\"}}', values: '{at}'}}").expect("written");
    }
    test += "  alert_rule_test:\n";
    for (number, text) in templates.iter().enumerate() {
        let alert = format!("T{number:03}");
        let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        writeln!(rules, "  - {{alert: {alert}, expr: v, annotations: {{text: {}}}}}", json(text))
            .expect("written");
        writeln!(test, "  - eval_time: 0s\n    alertname: {alert}\n    exp_alerts:").expect("written");
        for at in 0..VALUES.len() {
            let expected = json(&expanded(&template, &alert, at, &memory));
            writeln!(
                test,
                "    - {{exp_labels: {{name: v{at}, at: '{at}'}}, exp_annotations: {{text: {expected}}}}}"
            )
            .expect("written");
        }
    }
    (rules, test)
}

#[test]
fn annotations_are_promtools_to_the_letter() {
    let mut random = Random(0x5eed_1234_abcd_0001);
    let mut templates: Vec<String> = TEMPLATES.iter().map(|text| (*text).to_owned()).collect();
    templates.extend((0..400).map(|_| random.printf()));
    templates.extend((0..400).map(|_| format!("{{{{ {} }}}}", random.pipe(2))));
    let (rules, test) = files(&templates);
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("rules.yml"), rules).expect("written");
    std::fs::write(directory.path().join("test.yml"), test).expect("written");
    let output = Command::new("promtool")
        .args(["test", "rules", "test.yml"])
        .current_dir(directory.path())
        .output()
        .expect("promtool is not installed; ./tests/run installs what the tests need");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut different = String::new();
    for part in said.split("alertname: T").skip(1) {
        let number =
            part.get(..3).and_then(|number| number.parse::<usize>().ok()).expect("the number of a template");
        let texts: Vec<&str> = part.lines().filter(|line| line.contains("Annotations:")).collect();
        let (expected, got) = texts.split_at(texts.len() / 2);
        let mut pairs: Vec<_> = expected.iter().zip(got).filter(|(expected, got)| expected != got).collect();
        pairs.truncate(2);
        writeln!(different, "{}", templates[number]).expect("written");
        for (expected, got) in pairs {
            writeln!(different, "  ours     {}\n  promtool {}", expected.trim(), got.trim())
                .expect("written");
        }
    }
    assert!(
        output.status.success(),
        "promtool says otherwise:\n{different}\n{}",
        said.get(..2000).unwrap_or(&said)
    );
}
