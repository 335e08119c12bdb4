//! Hard networks: one that lets out nothing but 443, one with nothing but a proxy, one that wants somebody to log in, one that opens TLS, a clock that is years
//! off; and foreign clients over WebSocket. The real programs, nginx and tinyproxy in between.

use crate::complete::{RACK, RECOVERY, has_reading, records};
use crate::join::{Box, code, expect_log, faketime, identity, said, url};
use rackside_tests::authority::Authority;
use rackside_tests::clock;
use rackside_tests::fakes::http::{Fake, Reply};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::{Mosquitto, MosquittoOptions};
use rackside_tests::namespace::{self, Cable};
use rackside_tests::port;
use rackside_tests::process::Process;
use rackside_tests::programs::programs;
use serde_json::Value as Json;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// From a silent cut to the next way: the keep-alive, the SYNs to the way that is shut, a slow machine.
const NEXT_WAY: Duration = Duration::from_secs(90);
const YEARS: u64 = 5 * 366 * 86_400;

/// A web server in front of the hub, with a certificate of an authority that no box knows.
struct Nginx {
    _process: Process,
    _directory: TempDir,
}

impl Nginx {
    fn before(web: SocketAddr, at: SocketAddr, authority: &Authority) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (place, certificate, key) =
            (directory.path().display(), authority.certificate(), authority.key());
        let (certificate, key) = (certificate.display(), key.display());
        let text = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error;\nevents {{}}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;\n\
             uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;\n\
             server {{ listen {at} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};\n\
             location / {{ proxy_pass http://{web}; }}\n\
             location /mqtt {{ proxy_pass http://{web}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;\n\
             proxy_set_header Connection upgrade; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             proxy_set_header X-Forwarded-Proto $scheme; }} }} }}\n"
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, text).expect("written");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
        let process = started(&mut command, directory.path(), at);
        Self { _process: process, _directory: directory }
    }
}

/// A network that leads everybody to one place, which can change.
struct Network {
    at: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
}

impl Network {
    fn to(first: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        let to = Arc::new(Mutex::new(first));
        let leads = Arc::clone(&to);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(*leads.lock().expect("nobody panics with it")) else {
                    continue;
                };
                let pairs = [(&near, &far), (&far, &near)].map(|(from, to)| {
                    (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"))
                });
                for (mut from, mut to) in pairs {
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { at, to }
    }

    fn leads_to(&self, other: SocketAddr) {
        *self.to.lock().expect("nobody panics with it") = other;
    }
}

/// Puts something else into the hub's file, and starts it again.
fn rewrite(hub: &mut Hub, from: &str, to: &str) {
    let file = hub.directory().join("hub.toml");
    let text = fs::read_to_string(&file).expect("readable");
    assert!(text.contains(from), "{text}");
    fs::write(&file, text.replace(from, to)).expect("written");
    hub.restart();
}

/// Starts it, and waits until it listens.
fn started(command: &mut Command, directory: &Path, at: SocketAddr) -> Process {
    let mut process =
        Process::start(command, &directory.join("log")).unwrap_or_else(|error| panic!("{error}"));
    let up = clock::eventually(RECOVERY, || {
        let is_over = process.ended().is_some();
        (is_over || TcpStream::connect(at).is_ok()).then_some(!is_over)
    });
    assert_eq!(up, Some(true), "{}", process.last_words());
    process
}

/// Waits until the agent says that it is so of itself.
fn expect_status<T>(of: &Box, agent: &Process, within: Duration, what: impl Fn(&Json) -> Option<T>) -> T {
    let mut last = Json::Null;
    let found = clock::eventually(within, || {
        last = of.status()?;
        what(&last)
    });
    found.unwrap_or_else(|| panic!("not so: {last:#}\n{}", agent.log()))
}

fn text<'a>(of: &'a Json, table: &str, key: &str) -> &'a str {
    of[table][key].as_str().unwrap_or_default()
}

/// Waits until it is connected by this address.
fn expect_way(of: &Box, agent: &Process, within: Duration, broker: &str) -> Json {
    expect_status(of, agent, within, |status| {
        let is_there =
            text(status, "link", "state") == "connected" && text(status, "link", "broker") == broker;
        is_there.then(|| status.clone())
    })
}

/// A reading each second, none of them lost, however often the way changed.
fn expect_all(hub: &Hub, at_least: u64) -> u64 {
    hub.expect("all records", RECOVERY, RACK, |said| {
        let (taken, _, lost) = records(said);
        assert_eq!(lost, 0, "{said}");
        (said["up"] == true && taken >= at_least).then_some(taken)
    })
}

/// A box whose program runs in a namespace of its own, once the cable is plugged in there.
fn far(cable: &Cable, place: &Path, join: &str) -> Box {
    let mut far = Box::new(join);
    far.program = cable.wrap(&programs().agent, place);
    far
}

#[test]
fn where_only_443_is_open_a_box_joins_and_speaks_through_whoever_opens_tls() {
    if !namespace::enter("ways::where_only_443_is_open_a_box_joins_and_speaks_through_whoever_opens_tls") {
        return;
    }
    let (cable, place, authority) = (Cable::new(), tempfile::tempdir().expect("a place"), Authority::new());
    let near = |port| SocketAddr::from((namespace::NEAR, port));
    let lines = format!(
        "identities = \"required\"\ntls = {{ address = \"{}\" }}\n[join]\nurl = \"https://{}\"\n",
        near(8883),
        namespace::NEAR
    );
    let hub = Hub::with(Way::Listener, &programs().hub, &lines);
    let _nginx = Nginx::before(hub.web(), near(443), &authority);
    let card = format!("[join]\nurl = \"https://{}\"\ncode = \"{}\"\n", namespace::NEAR, code(&hub));
    let rack = far(&cable, place.path(), &card);
    let agent = rack.run();
    cable.plug_when_ready(agent.id());
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_way(&rack, &agent, RECOVERY, "10.99.0.1:8883");
    let before = expect_all(&hub, 5);
    // The connection that stands falls silent, as when somebody changes a firewall in the middle of a show.
    cable.let_in_only(443);
    let status = expect_way(&rack, &agent, NEXT_WAY, "wss://10.99.0.1:443/mqtt");
    assert_eq!(status["link"]["tls"], true, "{status:#}");
    assert!(text(&status, "link", "passed_over").contains("cannot reach 10.99.0.1:8883"), "{status:#}");
    expect_all(&hub, before + 10);
    // A new start goes there by itself, and what is revoked ends there as everywhere.
    identity(&hub, &["revoke", "arena-north/rack-1"]);
    expect_log(&agent, "it was revoked on the hub");
    let status = expect_status(&rack, &agent, RECOVERY, |status| {
        text(status, "link", "why").starts_with("it was revoked on the hub").then(|| status.clone())
    });
    assert_ne!(text(&status, "link", "state"), "connected", "{status:#}");
}

/// tinyproxy, for one user, to one port.
fn tinyproxy(at: SocketAddr, to: u16, directory: &Path) -> Process {
    let text = format!(
        "Port {}\nListen {}\nTimeout 600\nMaxClients 20\nBasicAuth rack open-sesame\nConnectPort {to}\n",
        at.port(),
        at.ip()
    );
    let file = directory.join("tinyproxy.conf");
    fs::write(&file, text).expect("written");
    started(Command::new("tinyproxy").arg("-d").arg("-c").arg(&file), directory, at)
}

#[test]
fn where_only_a_proxy_gets_out_a_box_joins_and_speaks_through_it() {
    if !namespace::enter("ways::where_only_a_proxy_gets_out_a_box_joins_and_speaks_through_it") {
        return;
    }
    let (cable, place) = (Cable::new(), tempfile::tempdir().expect("a place"));
    let at = SocketAddr::from((namespace::NEAR, 3128));
    // All of the hub is on this namespace's loopback: the cable leads to the proxy alone, and that lets nobody through to the TLS port.
    let tls = port::local(port::free());
    let lines = format!("tls = {{ address = \"{tls}\" }}\n[join]\nurl = \"http://127.0.0.1\"\n");
    let mut hub = Hub::with(Way::Listener, &programs().hub, &lines);
    let web = url(&hub);
    rewrite(&mut hub, "http://127.0.0.1\"\n", &format!("{web}\"\n"));
    let secret = place.path().join("secret");
    fs::write(&secret, "open-sesame\n").expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("ours");
    let card = format!(
        "[mqtt]\nproxy = \"http://{at}\"\nproxy_user = \"rack\"\nproxy_password = {{ file = \"{}\" }}\n\
         [join]\nurl = \"{}\"\ncode = \"{}\"\n",
        secret.display(),
        url(&hub),
        code(&hub)
    );
    let proxy = tinyproxy(at, hub.web().port(), place.path());
    let rack = far(&cable, place.path(), &card);
    let agent = rack.run();
    cable.plug_when_ready(agent.id());
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let broker = format!("ws://{}/mqtt", hub.web());
    let status = expect_way(&rack, &agent, RECOVERY, &broker);
    assert_eq!(text(&status, "link", "proxy"), at.to_string(), "{status:#}");
    let passed = text(&status, "link", "passed_over");
    assert!(passed.contains("lets nobody through to") && passed.contains("403"), "{passed}");
    let before = expect_all(&hub, 5);
    drop(proxy);
    expect_log(&agent, &format!("cannot reach {at}: Connection refused"));
    let _proxy = tinyproxy(at, hub.web().port(), place.path());
    expect_way(&rack, &agent, NEXT_WAY, &broker);
    expect_all(&hub, before + 5);
    assert!(!agent.log().contains("open-sesame"), "the password is in no log");
}

#[test]
fn a_login_page_in_the_way_is_told_and_gone_when_the_box_is_let_through() {
    let portal = Fake::start(|_| Reply::page(302).with("Location", "http://login.venue.example/?session=1"));
    let network = Network::to(portal.url().trim_start_matches("http://").parse().expect("an address"));
    let at = format!("ws://{}/mqtt", network.at);
    let place = tempfile::tempdir().expect("a place");
    let pins = place.path().join("pins").display().to_string();
    let rack = Box::with(
        "site = \"arena-north\"\nappliance = \"rack-1\"\n",
        &format!(
            "[mqtt]\naddress = \"{at}\"\n[panel]\nsimulated = \"{pins}\"\n[[led]]\nname = \"rack\"\nred = 23\ngreen = 24\n"
        ),
    );
    let agent = rack.run();
    let status = expect_status(&rack, &agent, RECOVERY, |status| {
        (text(status, "site", "way") == "a login page in the way").then(|| status.clone())
    });
    let words = "(captive portal)";
    assert!(text(&status, "link", "hindrance").contains(words), "{status:#}");
    assert!(
        text(&status, "link", "hindrance").contains("leads to http://login.venue.example;"),
        "{status:#}"
    );
    assert!(!agent.log().contains("session=1"), "where it leads has a secret in it");
    let shown = &status["panel"]["leds"][0];
    assert!(shown["why"].as_str().is_some_and(|why| why.contains(words)), "{shown}");
    let table = rack.command(&["status"]).output().expect("it starts");
    assert!(
        said(&table).lines().any(|line| line.starts_with("network  this network wants")),
        "{}",
        said(&table)
    );
    let asked = portal.asked();
    assert!(asked.iter().all(|asked| ["/mqtt", "/health/liveness"].contains(&&*asked.path)), "{asked:?}");
    // Somebody has logged the box in: where the page was there is the hub now.
    let hub = Hub::with(Way::Listener, &programs().hub, "allow_anonymous = true\n");
    network.leads_to(hub.web());
    expect_way(&rack, &agent, NEXT_WAY, &at);
    expect_status(&rack, &agent, RECOVERY, |status| {
        (text(status, "site", "way") == "well" && status["link"]["hindrance"].is_null()).then_some(())
    });
    hub.expect("a reading", RECOVERY, RACK, has_reading);
}

#[test]
fn a_proxy_that_opens_tls_is_told_by_its_issuers_name() {
    let authority = Authority::new();
    // Whoever opens TLS and speaks for the hub with a certificate of his own.
    let opener = Mosquitto::with(&MosquittoOptions { lines: authority.mosquitto_lines(), login: None });
    let (tls, at) = (port::local(port::free()), opener.address());
    let lines = format!(
        "tls = {{ address = \"{tls}\" }}\n[join]\nurl = \"http://127.0.0.1\"\naddresses = [\"mqtts://{at}\"]\n"
    );
    let hub = Hub::with(Way::Listener, &programs().hub, &lines);
    let rack = Box::new("");
    let joined = rack.join(&url(&hub), &code(&hub));
    assert!(joined.status.success(), "{}", said(&joined));
    let agent = rack.run();
    let status = expect_status(&rack, &agent, RECOVERY, |status| {
        (text(status, "site", "way") == "TLS is opened on the way").then(|| status.clone())
    });
    let hindrance = text(&status, "link", "hindrance");
    let words = "is not signed by the hub that this box joined, but by \"rcgen self signed cert\": a proxy that opens TLS";
    assert!(hindrance.contains(words), "{hindrance}");
}

#[test]
fn a_web_server_in_the_hubs_place_is_told_as_one() {
    let (authority, at) = (Authority::new(), port::local(port::free()));
    let tls = port::local(port::free());
    let lines = format!(
        "tls = {{ address = \"{tls}\" }}\n[join]\nurl = \"http://127.0.0.1\"\naddresses = [\"mqtts://{at}\"]\n"
    );
    let hub = Hub::with(Way::Listener, &programs().hub, &lines);
    let _nginx = Nginx::before(hub.web(), at, &authority);
    let rack = Box::new("");
    let joined = rack.join(&url(&hub), &code(&hub));
    assert!(joined.status.success(), "{}", said(&joined));
    let agent = rack.run();
    let status = expect_status(&rack, &agent, RECOVERY, |status| {
        (text(status, "site", "way") == "TLS is opened on the way").then(|| status.clone())
    });
    let hindrance = text(&status, "link", "hindrance");
    assert!(hindrance.contains("speaks TLS, but with no box of a hub"), "{hindrance}");
}

#[test]
fn a_clock_that_is_years_off_is_told_as_one() {
    let tls = port::local(port::free());
    let lines = format!(
        "tls = {{ address = \"{tls}\" }}\n[join]\nurl = \"http://127.0.0.1\"\naddresses = [\"mqtts://{tls}\"]\n"
    );
    let hub = Hub::with(Way::Listener, &programs().hub, &lines);
    let mut rack = Box::new("");
    let joined = rack.join(&url(&hub), &code(&hub));
    assert!(joined.status.success(), "{}", said(&joined));
    rack.environment.extend(faketime(YEARS));
    let agent = rack.run();
    let words = "this machine's clock is wrong: it says 20";
    let status = expect_status(&rack, &agent, RECOVERY, |status| {
        let is_told =
            text(status, "clock", "doubt").contains(words) && text(status, "link", "why").contains(words);
        is_told.then(|| status.clone())
    });
    let why = text(&status, "link", "why");
    assert!(why.contains("has expired by this machine's clock"), "{why}");
    assert!(why.ends_with("let NTP through, or set it"), "{why}");
}

#[test]
fn a_foreign_client_comes_over_websocket_by_user_and_password_alone() {
    let place = tempfile::tempdir().expect("a place");
    let users = place.path().join("users");
    let mut hash = Command::new(&programs().hub);
    hash.args(["hash-password", "panel"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut hash = hash.spawn().expect("it starts");
    hash.stdin.take().expect("piped").write_all(b"open-sesame\n").expect("it reads");
    fs::write(&users, hash.wait_with_output().expect("it ends").stdout).expect("written");
    let hub = Hub::with(Way::Listener, &programs().hub, &format!("users = \"{}\"\n", users.display()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/websocket_client.py");
    // Debian's own python: it is the one that has Debian's paho.
    let mut command = Command::new("/usr/bin/python3");
    let output =
        command.args([script, &hub.web().port().to_string()]).output().expect("python3 of Debian runs");
    assert!(output.status.success(), "{}\n{}", said(&output), hub.last_words());
    let refused = |reason: &str| {
        hub.metrics().value("rackside_hub_listener_refused_total", &[("reason", reason)]).unwrap_or_default()
    };
    assert_eq!((refused("bad_login"), refused("not_authorized"), refused("forbidden")), (1.0, 1.0, 1.0));
}
