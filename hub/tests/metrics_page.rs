//! `docs/metrics.md` says what the hub's own `/metrics` says: every family of a hub with a listener and of one behind a broker
//! has its line there, under "From the hub".

mod client;
mod desk;
mod rack;

use client::Client;
use desk::Desk;
use rack::{Rack, series};
use rackside_hub::clock;
use rackside_identity::asking::Box;
use rackside_identity::{Authority, Offer, Registrar, Store, Told, make_code};
use rackside_proto::AgentName;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

/// Name to unit, kind, labels and meaning, as `/metrics` has them.
type Families = BTreeMap<String, [String; 4]>;

fn families(desk: &Desk, found: &mut Families) {
    let openmetrics = [("Accept", "application/openmetrics-text")];
    let text = desk.request("GET", "/metrics", &openmetrics).text();
    let (mut unit, mut kind, mut help) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        let meta =
            |head: &str| line.strip_prefix(head).and_then(|rest| rest.split_once(' ')).map(|(_, rest)| rest);
        if let Some(of) = meta("# TYPE ") {
            (kind, unit) = (of.to_owned(), String::new());
        } else if let Some(of) = meta("# UNIT ") {
            of.clone_into(&mut unit);
        } else if let Some(of) = meta("# HELP ") {
            of.clone_into(&mut help);
        } else if line != "# EOF" {
            let name = line.split(['{', ' ']).next().expect("split gives one at least");
            let inside = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'))
                .map_or("", |(inside, _)| inside);
            let labels: Vec<_> = inside
                .split(',')
                .filter_map(|label| Some(format!("`{}`", label.split_once('=')?.0)))
                .collect();
            found.insert(name.to_owned(), [unit.clone(), kind.clone(), labels.join(" "), help.clone()]);
        }
    }
}

/// A box joins beside the hub that runs, which finds it in its file.
fn join(desk: &Desk, appliance: &str) {
    let authority = Authority::open(desk.data()).expect("the hub's");
    let mut registrar = Registrar::new(authority, Store::open(desk.data()).expect("the hub's"));
    let name = AgentName::new("arena-north", appliance).expect("a name");
    let now = clock::now().utc_ms as i64;
    let code = make_code(registrar.authority().fingerprint());
    registrar.store().make_code(&code, &name, now).expect("made");
    let offer = Offer::new(vec!["mqtts://hub.example.org:8883".to_owned()], String::new()).expect("an offer");
    let answered = registrar.answer(&Box::default().ask(&code), &offer, now);
    assert_eq!(answered.told, Told::Joined(name));
}

#[test]
fn the_page_lists_every_metric_of_the_hub_as_it_is_served() {
    let mut found = Families::new();
    // A site whose show never ends, with a tally: it has every series that a site can have.
    let desk = Desk::with(
        "[listener]\naddress = \"127.0.0.1:0\"\n[[site]]\nid = \"arena-north\"\ntime_zone = \"Europe/Berlin\"\n\
         [[site.show]]\nname = \"always\"\nstart = 2020-01-01T00:00:00\nduration = \"2d\"\n\
         days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n\
         [[receiver]]\nname = \"crew\"\nkind = \"mqtt\"\ntopic = \"alerts\"\n",
    );
    let mut client = Client::connect(desk.mqtt(), "rack").expect("it connects");
    let mut rack = Rack::new("arena-north", "rack-1");
    let tally = series("rackside_tally_active", &[("tally", "camera-1"), ("bus", "program")]);
    for message in [rack.presence(true), rack.catalog(&[tally]), rack.numbers(&[1])] {
        client.send(message).expect("sent");
    }
    desk.eventually("its tally is heard", |desk| {
        desk.metric("rackside_site_tallies{site=\"arena-north\",state=\"on\"}").filter(|on| on == "1")
    });
    desk.eventually("it is up", |desk| {
        desk.metric("rackside_hub_appliances{state=\"up\"}").filter(|up| up == "1")
    });
    desk.eventually("the receiver has its courier", |desk| {
        desk.metric("rackside_hub_notifications_queued{receiver=\"crew\"}")
    });
    join(&desk, "rack-2");
    desk.eventually("another box is being set up", |desk| {
        desk.metric("rackside_appliance_commissioning_seconds{site=\"arena-north\",appliance=\"rack-2\"}")
    });
    families(&desk, &mut found);
    // What the appliance measures is listed elsewhere.
    found.remove("rackside_tally_active");
    let place = tempfile::tempdir().expect("a temporary directory");
    let (secret, files) = (place.path().join("secret"), place.path().display());
    fs::write(&secret, "secret").expect("written");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("our own");
    let desk = Desk::with(&format!(
        "[mqtt]\naddress = \"127.0.0.1:9\"\nuser = \"rackside-hub\"\npassword = {{ file = \"{}\" }}\n[mqtt.files]\ndirectory = \"{files}\"\n",
        secret.display()
    ));
    desk.eventually("the broker's files are written", |desk| desk.metric("rackside_hub_broker_files_up"));
    families(&desk, &mut found);
    let page = include_str!("../../docs/metrics.md");
    let (_, of_hub) = page.split_once("\n## From the hub\n").expect("the page has that part");
    let lines: Vec<String> = found
        .iter()
        .map(|(name, [unit, kind, labels, help])| {
            format!("| `{name}` | {unit} | {kind} | {labels} | {help} |")
        })
        .collect();
    let missing: Vec<_> = lines.iter().filter(|line| !of_hub.lines().any(|one| one == *line)).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks these lines:\n{missing:#?}");
    let listed = of_hub.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(listed.count(), lines.len(), "docs/metrics.md lists what the hub does not serve");
}
