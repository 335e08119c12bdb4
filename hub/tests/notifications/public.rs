//! What the public is told by the real program: the page, its JSON, its feed; nothing of it without a word in the configuration, and what a changed file makes of it.

use super::running::Running;
use super::witness::Witness;
use super::{Place, alert, begin, tables, turn};
use serde_json::{Value as Json, json};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn the_public_is_told_what_it_may_know_and_nothing_else() {
    let witness = Witness::start();
    let public = "[status]\nenabled = true\ntitle = \"Our streams\"\n\
                  [[site]]\nid = \"arena-north\"\npublic = true\npublic_name = \"The <arena>\"\n\
                  [[site]]\nid = \"town-hall\"\n";
    let place = Place::with(&tables(&witness, public));
    let hub = Running::start(&place.config);
    // Somebody beyond this machine, who is nobody here.
    let away = "X-Forwarded-For: 192.0.2.7\r\n";
    let see = |path: &str| hub.send("GET", path, away, "");
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    alert(&hub, |alert| alert["state"] == "firing");
    let (code, page) = see("/status");
    assert_eq!(code, 200, "{page}");
    assert!(page.contains("Our streams") && page.contains("There is a disturbance."), "{page}");
    assert!(page.contains("The &lt;arena&gt;") && page.contains("No &lt;b&gt;picture"), "{page}");
    for inside in ["arena-north", "rack-1", "is off", "town-hall", "Off", "<form", "rackside-hub", "csrf"] {
        assert!(!page.contains(inside), "the public reads {inside:?}: {page}");
    }
    let json: Json = serde_json::from_str(&see("/api/status").1).expect("JSON");
    assert_eq!((&json["state"], &json["sites"][0]["state"]), (&json!("disturbed"), &json!("disturbed")));
    assert_eq!(
        (&json["incidents"][0]["title"], json["sites"].as_array().map(Vec::len)),
        (&json!("No <b>picture</b>"), Some(1))
    );

    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |path: &str, more: &str, body: &str| hub.post(path, &format!("{form}{more}"), body).0;
    assert!(hub.get("/status").1.contains("<form"), "an operator finds forms");
    let body = "site=arena-north&title=%3Cscript%3Ealert%281%29&text=We+are+at+it.";
    assert_eq!(post("/status/incidents", away, body), 401);
    assert_eq!(post("/status/incidents", "Origin: https://elsewhere.example\r\n", body), 403);
    assert_eq!(post("/status/incidents", "", "site=arena-north&title="), 400);
    assert_eq!(post("/status/incidents", "", "site=town-hall&title=x"), 400, "the public knows no such site");
    assert_eq!(post("/status/incidents", "", body), 303);
    let page = see("/status").1;
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "at once: {page}");
    assert_eq!(post("/status/incidents/1", "", "do=tell&text=Soon."), 303);
    assert_eq!(post("/status/incidents/1", away, "do=end"), 401);
    assert_eq!(post("/status/incidents/1", "", "do=end&text=It+is+mended."), 303);
    assert_eq!(post("/status/incidents/1", "", "do=end"), 404);
    let json: Json = serde_json::from_str(&see("/api/status").1).expect("JSON");
    let mended =
        json["incidents"].as_array().expect("a list").iter().find(|one| one["text"] == "It is mended.");
    assert!(mended.is_some_and(|one| one["ends_at"].is_string()), "{json}");
    let (code, feed) = see("/status/feed");
    assert_eq!(code, 200, "{feed}");
    for inside in ["arena-north", "rack-1", "is off", "town-hall", "rackside-hub", "csrf"] {
        assert!(!feed.contains(inside), "the public reads {inside:?}: {feed}");
    }
    let told = entries(&feed);
    let of = |title: &str| told.iter().find(|(told, _)| told == title).map(|(_, text)| text.as_str());
    assert!(
        of("<script>alert(1) (The <arena>)").is_some_and(|text| text.contains("It is mended.")),
        "{told:?}"
    );
    assert!(of("No <b>picture</b> (The <arena>)").is_some_and(|text| text.contains("going on")), "{told:?}");
    assert_eq!(told.len(), 2);
}

/// Titles and texts of a feed, read by Python's own XML: what RFC 4287 demands of a feed and of each entry is there, once, and dates are dates.
fn entries(feed: &str) -> Vec<(String, String)> {
    const READ: &str = r#"
import datetime, json, sys, xml.etree.ElementTree as tree
atom = "{http://www.w3.org/2005/Atom}"
root = tree.fromstring(sys.stdin.buffer.read())
assert root.tag == atom + "feed", root.tag
entries = root.findall(atom + "entry")
for one in [root] + entries:
    for name in ("id", "title", "updated"):
        found = one.findall(atom + name)
        assert len(found) == 1 and found[0].text, (name, found)
    datetime.datetime.strptime(one.find(atom + "updated").text, "%Y-%m-%dT%H:%M:%S.%fZ")
assert root.find(atom + "author/" + atom + "name").text
assert [one for one in root.findall(atom + "link") if one.get("rel") == "self"]
ids = [one.find(atom + "id").text for one in [root] + entries]
assert len(set(ids)) == len(ids), ids
newest = max([one.find(atom + "updated").text for one in entries], default=root.find(atom + "updated").text)
assert root.find(atom + "updated").text == newest
print(json.dumps([[one.find(atom + "title").text, one.find(atom + "content").text] for one in entries]))
"#;
    let mut python = Command::new("python3")
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    python.stdin.take().expect("piped").write_all(feed.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}\n{feed}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn what_the_public_may_know_changes_with_the_file() {
    let witness = Witness::start();
    let sites =
        "[[site]]\nid = \"arena-north\"\npublic = true\n[[site]]\nid = \"town-hall\"\ntags = [\"shown\"]\n";
    let place = Place::with(&tables(&witness, sites));
    let hub = Running::start(&place.config);
    let before = fs::read_to_string(&place.config).expect("it is there");
    let write = |status: &str| {
        fs::write(&place.config, format!("{before}{status}")).expect("it can be written");
    };
    let becomes = |what: &str, is: &dyn Fn(u16, &str) -> bool| {
        hub.eventually(what, |hub| {
            let (code, page) = hub.get("/status");
            is(code, &page).then_some(())
        });
    };
    becomes("nothing is public", &|code, _| code == 404);
    write("[status]\nenabled = true\ntitle = \"Our streams\"\n");
    becomes("there is a page", &|code, page| code == 200 && page.contains("Our streams"));
    assert!(!hub.get("/status").1.contains("town-hall"));
    write("[status]\nenabled = true\ntitle = \"Our pictures\"\ntags = [\"shown\"]\n");
    becomes("of another name, with one more site", &|_, page| {
        page.contains("Our pictures") && page.contains("town-hall")
    });
    write("[status]\nenabled = true\nseverity = \"bad\"\n");
    hub.expect("severity");
    assert!(hub.get("/status").1.contains("Our pictures"), "a bad file changes nothing");
    write("");
    becomes("nothing is public again", &|code, _| code == 404);
    assert_eq!((hub.get("/status/feed").0, hub.get("/api/status").0), (404, 404));
}

#[test]
fn without_a_word_in_the_configuration_there_is_nothing_for_the_public() {
    let place = Place::with("[[site]]\nid = \"arena-north\"\npublic = true\n");
    let hub = Running::start(&place.config);
    assert_eq!((hub.get("/status").0, hub.get("/api/status").0, hub.get("/status/feed").0), (404, 404, 404));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(hub.post("/status/incidents", form, "title=x").0, 404);
}
