//! The hub in this process, over real sockets: what agents say is what pages, metrics and API show.

mod answers;
mod client;
mod desk;
mod rack;
mod watching;

use client::Client;
use desk::{Desk, promtool};
use rack::{Rack, series, vitals};
use rackside_proto::{Ack, Revision, Series, Verdict, metric};
use serde_json::Value as Json;
use std::time::Duration;

/// A hub, and a rack that shows 48.3 degrees.
fn running() -> (Desk, Client, Rack) {
    let desk = Desk::start();
    let mut rack = Rack::new("arena-north", "rack-1");
    let mut client = Client::connect(desk.mqtt(), "arena-north/rack-1/7261636b").expect("it connects");
    client.subscribe("rackside/1/arena-north/rack-1/+").expect("it subscribes");
    for sent in [rack.presence(true), rack.birth(), rack.catalog(&vitals())] {
        client.send(sent).expect("sent");
    }
    client.send(rack.numbers(&[483, 125, 1_258_291, 4_194_304, 0])).expect("sent");
    desk.eventually("the rack is up", |desk| {
        desk.metric("rackside_soc_temperature_celsius{site=\"arena-north\",appliance=\"rack-1\"}")
    });
    (desk, client, rack)
}

#[test]
fn what_an_agent_says_is_acked_and_answered_with_a_verdict() {
    let (_desk, mut client, rack) = running();
    Verdict::decode(&client.expect("/verdict")).expect("a verdict");
    let ack = loop {
        let ack = Ack::decode(&client.expect("/ack")).expect("an ack");
        if ack.safe.iter().any(|safe| safe.below == 2) {
            break ack;
        }
    };
    assert_eq!(ack.safe[0].run, rack.run);
    assert!(ack.wants.is_empty());
}

#[test]
fn the_page_shows_the_fleet_without_javascript() {
    let (desk, ..) = running();
    let page = desk.get("/");
    for text in ["arena-north", "rack-1", "<b data-text=\"word\">well</b>", "48.3 °C"] {
        assert!(page.contains(text), "{text} is not on the page:\n{page}");
    }
    assert!(!page.contains("No appliance"));
}

#[test]
fn an_empty_hub_says_how_to_begin() {
    let desk = Desk::start();
    let page = desk.get("/");
    assert!(page.contains("No appliance has been heard yet"));
    assert!(page.contains(&desk.mqtt().to_string()));
}

#[test]
fn every_answer_carries_the_headers_that_keep_a_browser_in() {
    let desk = Desk::start();
    for path in ["/", "/metrics", "/health/liveness", "/static/base.css", "/nothing"] {
        let head = desk.request("GET", path, &[]).head;
        let policy = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';";
        for line in [
            policy,
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: same-origin",
        ] {
            assert!(head.contains(line), "{path} lacks {line}:\n{head}");
        }
    }
    let page = desk.get("/");
    assert!(!page.contains("style=") && !page.contains("<style") && !page.contains("onclick"));
}

#[test]
fn static_files_are_asked_for_again_by_their_tag() {
    let desk = Desk::start();
    for (file, kind) in
        [("base.css", "text/css"), ("fleet.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
    {
        let path = format!("/static/{file}");
        let answer = desk.request("GET", &path, &[]);
        assert!(answer.status == 200 && answer.head.contains(kind));
        let tag = answer.head.split("etag: ").nth(1).and_then(|rest| rest.lines().next()).expect("a tag");
        assert_eq!(desk.request("GET", &path, &[("If-None-Match", tag)]).status, 304);
        assert_eq!(desk.request("GET", &path, &[("If-None-Match", "\"other\"")]).status, 200);
    }
}

#[test]
fn what_is_not_there_and_what_cannot_be_done_is_said_kindly() {
    let desk = Desk::start();
    let browser = [("Accept", "text/html,*/*;q=0.8")];
    let page = desk.request("GET", "/a'b&c", &browser);
    assert_eq!(page.status, 404);
    let page = page.text();
    assert!(page.contains("Not found") && page.contains("/a&#39;b&amp;c") && !page.contains("a'b"));
    let line = desk.request("GET", "/nothing", &[]);
    assert_eq!((line.status, line.text().as_str()), (404, "There is nothing at /nothing.\n"));
    let answer = desk.request("POST", "/metrics", &[]);
    assert_eq!(answer.status, 405);
    assert!(answer.head.contains("allow: get,head"));
    assert_eq!(answer.text(), "/metrics can be read with GET, not changed with POST.\n");
}

#[test]
fn head_is_get_without_the_body() {
    let desk = Desk::start();
    for path in ["/", "/metrics", "/api/sites", "/health/readiness", "/static/fleet.js", "/api/live"] {
        let answer = desk.request("HEAD", path, &[]);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
}

#[test]
fn promtool_has_no_complaint_about_the_whole_vocabulary() {
    let (desk, mut client, _) = running();
    let mut rack = Rack::new("town-hall", "rack-1");
    let list: Vec<Series<'_>> = metric::ALL
        .iter()
        .map(|metric| {
            let value = |label: &str| if label == "le" { "+Inf" } else { "of the vocabulary" };
            let labels: Vec<_> = metric.labels.iter().map(|label| (*label, value(label))).collect();
            Series { unit: metric.unit, kind: metric.kind, ..series(metric.name, &labels) }
        })
        .collect();
    client.send(rack.catalog(&list)).expect("sent");
    client.send(rack.numbers(&vec![1000; list.len()])).expect("sent");
    desk.eventually("it is served", |desk| {
        desk.metric("rackside_load15{site=\"town-hall\",appliance=\"rack-1\"}")
    });
    let text = desk.get("/metrics");
    assert_eq!(promtool(&text), "");
    for metric in metric::ALL {
        let mut histograms = metric::HISTOGRAMS.iter();
        let of = |part: &&str| metric.name.strip_suffix(*part);
        let stem = metric::Histogram::PARTS.iter().find_map(of);
        let (name, help) = histograms
            .find(|histogram| Some(histogram.name) == stem)
            .map_or((metric.name, metric.help), |histogram| (histogram.name, histogram.help));
        assert_eq!(text.matches(&format!("# HELP {name} {help}\n")).count(), 1, "{name}");
        assert!(text.contains(&format!("\n{}{{", metric.name)), "{}", metric.name);
    }
}

/// Two stations at one site and one at another, each with a histogram.
fn stations(desk: &Desk, client: &mut Client) -> &'static str {
    let name = "rackside_track_switch_duration_seconds";
    let [bucket, sum, count] = metric::Histogram::PARTS.map(|part| format!("{name}{part}"));
    let of = |name| metric::find(name).expect("a part of the histogram");
    for (site, probes) in [("arena-south", &["radio", "hall"][..]), ("town-hall", &["radio"])] {
        let mut rack = Rack::new(site, "rack-1");
        let mut list = Vec::new();
        for probe in probes {
            let series = |name, more: &[(&'static str, &'static str)]| {
                let labels = [&[("probe", *probe)], more].concat();
                Series { unit: of(name).unit, kind: of(name).kind, ..series(of(name).name, &labels) }
            };
            list.extend(["0.5", "+Inf", "10.0"].map(|le| series(&bucket, &[("le", le)])));
            list.extend([series(&sum, &[]), series(&count, &[])]);
        }
        client.send(rack.catalog(&list)).expect("sent");
        client.send(rack.numbers(&[1000, 3000, 2000, 12_500, 3000].repeat(probes.len()))).expect("sent");
        let newest = format!("{count}{{site=\"{site}\",appliance=\"rack-1\",probe=\"radio\"}}");
        desk.eventually("it is served", |desk| desk.metric(&newest));
    }
    name
}

#[test]
fn a_histogram_is_one_family_and_promtool_has_no_complaint() {
    let (desk, mut client, _) = running();
    let name = stations(&desk, &mut client);
    let text = desk.get("/metrics");
    assert_eq!(promtool(&text), "");
    let open = desk.request("GET", "/metrics", &[("Accept", "application/openmetrics-text")]).text();
    for text in [&text, &open] {
        for head in ["TYPE", "HELP"] {
            assert_eq!(text.matches(&format!("# {head} {name}")).count(), 1, "{head} once");
        }
        assert!(text.contains(&format!("# TYPE {name} histogram\n")), "{text}");
        let samples: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
        let of_one = ["_bucket", "_bucket", "_bucket", "_sum", "_count"];
        assert_eq!(samples.len(), 3 * of_one.len());
        for (line, part) in samples.iter().zip(of_one.iter().cycle()) {
            assert!(line.starts_with(&format!("{name}{part}{{")), "{line}");
        }
        let bounds: Vec<&str> = samples
            .iter()
            .filter_map(|line| line.split_once("le=\"")?.1.split_once('"'))
            .map(|(le, _)| le)
            .collect();
        assert_eq!(bounds, ["0.5", "10.0", "+Inf"].repeat(3));
    }
    let sites = desk.json("/api/sites");
    let south = sites["sites"].as_array().expect("sites").iter().find(|site| site["site"] == "arena-south");
    let series = &south.expect("it is listed")["appliances"][0]["reading"]["series"];
    let names: Vec<&str> =
        series.as_array().expect("series").iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"rackside_track_switch_duration_seconds_sum"), "each part for itself: {names:?}");
}

#[test]
fn openmetrics_is_served_to_who_asks_for_it() {
    let (desk, ..) = running();
    let accept = [("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")];
    let answer = desk.request("GET", "/metrics", &accept);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(answer.head.contains("vary: accept, accept-encoding"));
    let text = answer.text();
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    let mut families = std::collections::HashSet::new();
    let mut current: (String, &[&str]) = (String::new(), &[""]);
    for line in text.lines().filter(|line| *line != "# EOF") {
        assert!(!line.is_empty(), "OpenMetrics knows no empty line");
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("name and type");
            assert!(families.insert(name.to_owned()), "{name} is there twice");
            let endings: &[&str] = match kind {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            current = (name.to_owned(), endings);
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').expect("name and unit");
            assert!(name == current.0 && name.ends_with(&format!("_{unit}")), "{line}");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(rest.starts_with(&format!("{} ", current.0)), "{line}");
        } else {
            let name = line.split(['{', ' ']).next().expect("split gives one at least");
            let ending = name.strip_prefix(&*current.0).unwrap_or("not of it");
            assert!(current.1.contains(&ending), "{name} stands under {}", current.0);
        }
    }
    let plain = desk.request("GET", "/metrics", &[]);
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
}

#[test]
fn metrics_are_compressed_for_who_takes_it() {
    let (desk, ..) = running();
    let answer = desk.request("GET", "/metrics", &[("Accept-Encoding", "gzip")]);
    assert!(answer.head.contains("content-encoding: gzip"));
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(answer.body.as_slice());
    std::io::Read::read_to_string(&mut decoder, &mut text).expect("gzip");
    assert!(
        text.contains("rackside_soc_temperature_celsius{site=\"arena-north\",appliance=\"rack-1\"} 48.3\n")
    );
}

#[test]
fn what_agents_choose_cannot_leave_its_place() {
    let (desk, mut client, _) = running();
    let mut rack = Rack::new("town-hall", "rack-1");
    let evil = "</script><img src=x onerror=alert(1)>\"'&\n{{x}}";
    client.send(rack.catalog(&[series("x", &[("mount", evil)])])).expect("sent");
    client.send(rack.numbers(&[1000])).expect("sent");
    rack.model = evil;
    client.send(rack.birth()).expect("sent");
    let page = desk.eventually("its model is on the page", |desk| {
        Some(desk.get("/")).filter(|page| page.contains("alert(1)"))
    });
    assert!(
        !page.contains("<img src=x") && page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;")
    );
    let sites = desk.json("/api/sites");
    assert_eq!(sites["sites"][1]["appliances"][0]["reading"]["series"][0]["labels"]["mount"], evil);
    let metrics = desk.get("/metrics");
    let line = "mount=\"</script><img src=x onerror=alert(1)>\\\"'&\\n{{x}}\"} 1\n";
    assert!(metrics.contains(line));
    assert_eq!(promtool(&metrics), "");
    let line = desk.live().find(|line| line.starts_with("data: ")).expect("rows");
    let rows: Json = serde_json::from_str(&line["data: ".len()..]).expect("one line of JSON");
    assert_eq!(rows[1]["machine"], evil);
}

#[test]
fn a_raspberry_pi_is_shown_with_what_its_revision_code_says() {
    let (desk, mut client, _) = running();
    let mut rack = Rack::new("town-hall", "rack-1");
    client.send(rack.catalog(&[series("x", &[])])).expect("sent");
    client.send(rack.numbers(&[1000])).expect("sent");
    rack.revision = Some(Revision(0x00d0_3114));
    client.send(rack.birth()).expect("sent");
    desk.eventually("its memory is on the page", |desk| {
        Some(desk.get("/")).filter(|page| page.contains(">Raspberry Pi 4 Model B Rev 1.4, 8 GB<"))
    });
    let sites = desk.json("/api/sites");
    let agent = |site: usize| &sites["sites"][site]["appliances"][0]["agent"];
    let board = serde_json::json!({
        "revision": "d03114",
        "memory_bytes": 8_589_934_592_u64,
        "processor": "BCM2711",
        "manufacturer": "Sony UK",
    });
    assert_eq!(agent(1)["board"], board);
    assert_eq!(agent(0)["board"], Json::Null, "who does not tell it has none");
}

#[test]
fn health_is_told_with_a_status_a_message_a_time_and_details() {
    let (desk, ..) = running();
    for path in ["/health/liveness", "/health/readiness", "/health/detailed"] {
        let said = desk.json(path);
        assert_eq!(said["status"], "ok", "{path}");
        assert!(said["message"].is_string() && said["details"].is_object());
        assert!(said["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    }
    assert_eq!(desk.json("/health/detailed")["details"]["appliances"]["up"], 1);
}

#[test]
fn the_api_lists_sites_with_real_values() {
    let (desk, ..) = running();
    let said = desk.json("/api/sites");
    let appliance = &said["sites"][0]["appliances"][0];
    assert_eq!(
        (&said["sites"][0]["site"], &appliance["appliance"]),
        (&"arena-north".into(), &"rack-1".into())
    );
    assert_eq!((&appliance["up"], &appliance["live_runs"]), (&true.into(), &1.into()));
    let first = &appliance["reading"]["series"][0];
    assert_eq!(first.to_string(), r#"{"labels":{},"name":"rackside_soc_temperature_celsius","value":48.3}"#);
    assert_eq!(appliance["records"].to_string(), r#"{"duplicates":0,"lost":0,"taken":2}"#);
}

#[test]
fn live_tells_everything_first_and_then_what_changes() {
    let (desk, mut client, mut rack) = running();
    let mut lines = desk.live();
    let mut next = |event: &str| -> Json {
        lines.find(|line| line.strip_prefix("event: ") == Some(event)).expect("the stream goes on");
        let line = lines.find(|line| line.starts_with("data: ")).expect("the stream goes on");
        serde_json::from_str(&line["data: ".len()..]).expect("JSON")
    };
    assert_eq!(next("all")[0]["temperature"]["text"], "48.3 °C");
    assert_eq!(next("sites")[0]["site"], "arena-north");
    assert_eq!(
        (next("trouble"), next("history")),
        ("".into(), "".into()),
        "telemetry can come in, history can be written"
    );
    assert_eq!(desk.metric("rackside_hub_live_watchers"), Some("1".to_owned()));
    client.send(rack.numbers(&[512, 125, 1_258_291, 4_194_304, 0])).expect("sent");
    // Whatever else is told of the rack at its start may come between.
    let warm = (0..20).map(|_| next("rows")).find(|rows| rows[0]["temperature"]["text"] == "51.2 °C");
    assert!(warm.is_some());
    client.send(rack.presence(false)).expect("sent");
    let down = (0..20).map(|_| next("rows")).find(|rows| rows[0]["up"] == false);
    assert_eq!(down.expect("it is told")[0]["why"], "link lost");
}

#[test]
fn a_down_appliance_keeps_its_up_at_zero_and_nothing_else() {
    let (desk, mut client, rack) = running();
    client.send(rack.presence(false)).expect("sent");
    let up = "rackside_appliance_up{site=\"arena-north\",appliance=\"rack-1\"}";
    desk.eventually("it is down", |desk| desk.metric(up).filter(|up| up == "0"));
    assert!(!desk.get("/metrics").contains("rackside_soc_temperature_celsius"));
    assert!(desk.get("/").contains("48.3 °C"), "the page still tells what was seen last");
}

#[test]
fn a_second_machine_with_the_same_name_is_seen_everywhere() {
    let (desk, mut client, mut rack) = running();
    let mut second = rack.started_again(2);
    let mut other = Client::connect(desk.mqtt(), "arena-north/rack-1/2").expect("it connects");
    other.send(second.presence(true)).expect("sent");
    other.send(second.catalog(&vitals())).expect("sent");
    std::thread::sleep(Duration::from_millis(3100));
    client.send(rack.numbers(&[100, 0, 0, 4_194_304, 0])).expect("sent");
    other.send(second.numbers(&[700, 0, 0, 4_194_304, 0])).expect("sent");
    let runs = "rackside_hub_appliance_live_runs{site=\"arena-north\",appliance=\"rack-1\"}";
    desk.eventually("two runs", |desk| desk.metric(runs).filter(|runs| runs == "2"));
    desk.eventually("the newer one is shown", |desk| Some(()).filter(|()| desk.get("/").contains("70.0 °C")));
    assert!(desk.get("/").contains("2 machines use this name"));
    assert_eq!(desk.json("/api/sites")["sites"][0]["appliances"][0]["live_runs"], 2);
}

#[test]
fn garbage_on_every_topic_is_counted_and_nothing_else_changes() {
    let (desk, mut client, _) = running();
    let stable = |desk: &Desk| {
        let appliance = desk.json("/api/sites")["sites"][0]["appliances"][0].clone();
        (appliance["reading"].clone(), appliance["run"].clone(), appliance["records"].clone())
    };
    let before = stable(&desk);
    for channel in ["presence", "birth", "data", "event"] {
        for body in [vec![], vec![2, 1, 2], vec![1], vec![1, 255, 255, 255, 255, 255, 255], vec![1; 200_000]]
        {
            client.send((format!("rackside/1/arena-north/rack-1/{channel}"), body)).expect("sent");
        }
    }
    client.send(("rackside/1/Arena/rack-1/data".to_owned(), vec![1])).expect("sent");
    let count = |desk: &Desk, reason: &str| {
        let line = format!("rackside_hub_rejected_total{{reason=\"{reason}\"}}");
        desk.metric(&line).and_then(|count| count.parse::<u32>().ok()).unwrap_or(0)
    };
    desk.eventually("all are counted", |desk| Some(()).filter(|()| count(desk, "site") == 1));
    assert_eq!((count(&desk, "empty"), count(&desk, "newer")), (4, 4));
    assert_eq!(count(&desk, "malformed") + count(&desk, "too_long") + count(&desk, "limit"), 12);
    assert_eq!(stable(&desk), before);
    assert_eq!(desk.json("/api/sites")["sites"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_mirror_speaks_while_somebody_listens() {
    let (desk, mut client, mut rack) = running();
    let mut home = Client::connect(desk.mqtt(), "home").expect("it connects");
    home.subscribe("rackside/json/#").expect("it subscribes");
    let said = |body: Vec<u8>| serde_json::from_slice::<Json>(&body).expect("JSON");
    assert_eq!(said(home.expect("/presence"))["online"], true);
    assert_eq!(said(home.expect("/birth"))["agent"]["hostname"], "rack-pi");
    assert_eq!(said(home.expect("/data"))["series"][0]["value"].to_string(), "48.3");
    client.send(rack.numbers(&[512, 125, 1_258_291, 4_194_304, 0])).expect("sent");
    assert_eq!(said(home.expect("/data"))["series"][0]["value"].to_string(), "51.2");
}

#[test]
fn it_stops_within_five_seconds_with_everything_open() {
    let (mut desk, _client, _) = running();
    let _live = desk.live();
    let _half = std::net::TcpStream::connect(desk.web()).expect("it listens");
    let (ended, took) = desk.stop();
    assert!(ended && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let desk = Desk::start();
    let text = format!("[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"{}\"\n", desk.web());
    let line = Desk::try_with(&text).err().expect("the port is in use").to_string();
    let port = desk.web().port();
    let expected = format!(
        "web: port {port} on 127.0.0.1 is in use; stop what uses it, or set [web] address to another one"
    );
    assert_eq!(line, expected);
    let text = format!("[listener]\naddress = \"{}\"\n[web]\naddress = \"127.0.0.1:0\"\n", desk.mqtt());
    let line = Desk::try_with(&text).err().expect("the port is in use").to_string();
    assert!(line.starts_with(&format!("listener: {} is in use", desk.mqtt())), "{line}");
}

/// 64 by 36.
const JPEG: &[u8] = include_bytes!("../../tests/fuzz/corpus/picture/jpeg");

#[test]
fn a_still_is_for_operators_and_for_nobody_else() {
    let (desk, mut client, rack) = running();
    let mut everything = Client::connect(desk.mqtt(), "nosy").expect("it connects");
    everything.subscribe("#").expect("it subscribes");
    let (topic, body) = rack.still("hall/left", JPEG, 0);
    client.publish((topic.clone(), body), true).expect("sent");
    let told = desk.eventually("the still is there", |desk| {
        let told = desk.json("/api/sites/arena-north/rack-1/stills");
        told["stills"].get(0).cloned()
    });
    let url = told["url"].as_str().expect("an address");
    assert!(url.starts_with("/sites/arena-north/rack-1/stills/hall%2Fleft?taken="), "{url}");
    assert_eq!(
        (&told["probe"], &told["width"], &told["height"]),
        (&"hall/left".into(), &64.into(), &36.into())
    );
    assert_eq!(told["bytes"], JPEG.len());
    let answer = desk.request("GET", url, &[]);
    assert_eq!((answer.status, answer.body.as_slice()), (200, JPEG));
    for header in [
        "content-type: image/jpeg",
        "cache-control: private, no-store",
        "content-disposition: inline",
        "x-content-type-options: nosniff",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(answer.head.lines().any(|line| line == header), "{header}\n{}", answer.head);
    }
    for path in ["/sites/arena-north/rack-1/stills/other", "/sites/arena-north/rack-2/stills/hall%2Fleft"] {
        assert_eq!(desk.request("GET", path, &[]).status, 404, "{path}");
    }
    assert_eq!(desk.request("GET", "/api/sites/arena-north/rack-2/stills", &[]).status, 404);
    for path in ["/", "/status", "/api/sites", "/metrics"] {
        assert!(!desk.get(path).contains("hall/left"), "{path}");
    }
    // Neither is it routed nor retained: who subscribes to everything hears what is published behind it, and not that.
    let mut late = Client::connect(desk.mqtt(), "late").expect("it connects");
    late.subscribe("#").expect("it subscribes");
    client.publish(("somewhere/behind".to_owned(), b"it".to_vec()), true).expect("sent");
    for listener in [&mut everything, &mut late] {
        assert_eq!(listener.expect("behind"), b"it");
        assert!(listener.none("/still"));
    }
}

#[test]
fn what_is_no_picture_is_counted_and_not_kept() {
    let (desk, mut client, rack) = running();
    client.send(rack.still("p", b"<svg onload=alert(1)>", 0)).expect("sent");
    let line = "rackside_hub_rejected_total{reason=\"picture\"}";
    desk.eventually("it is refused", |desk| desk.metric(line).filter(|count| count == "1"));
    assert_eq!(desk.json("/api/sites/arena-north/rack-1/stills")["stills"], serde_json::json!([]));
    assert_eq!(desk.request("GET", "/sites/arena-north/rack-1/stills/p", &[]).status, 404);
}

#[test]
fn a_hub_can_want_no_stills() {
    let desk = Desk::try_with(
        "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\nstills = false\n",
    );
    let (desk, rack) = (desk.expect("it starts"), Rack::new("arena-north", "rack-1"));
    let mut client = Client::connect(desk.mqtt(), "arena-north/rack-1/7261636b").expect("it connects");
    client.send(rack.presence(true)).expect("sent");
    client.send(rack.still("p", JPEG, 0)).expect("sent");
    let line = "rackside_hub_rejected_total{reason=\"not_spoken\"}";
    desk.eventually("it is refused", |desk| desk.metric(line).filter(|count| count == "1"));
    assert_eq!(desk.request("GET", "/sites/arena-north/rack-1/stills/p", &[]).status, 404);
}
