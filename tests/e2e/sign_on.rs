//! Logins through a provider: the real hub, and a provider that can lie.

use rackside_tests::browser::Browser;
use rackside_tests::clock;
use rackside_tests::fakes::http::Fault;
use rackside_tests::fakes::provider::{Provider, SECRET, Signing, decoded};
use rackside_tests::http::{Answer, Connection};
use rackside_tests::hub::Hub;
use serde_json::{Value as Json, json};
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// The crew acts at the hall, the office looks everywhere.
const GRANTS: &str = "client_secret = { file = \"oidc.secret\" }\n\
    [[web.oidc.grant]]\nclaim = \"groups\"\nvalue = \"crew\"\nrole = \"operator\"\nsites = [\"hall\"]\n\
    [[web.oidc.grant]]\nclaim = \"groups\"\nvalue = \"office\"\nrole = \"viewer\"\n\
    [[web.oidc.grant]]\nclaim = \"groups\"\nvalue = \"rackside\"\nrole = \"admin\"\n";
const HTML: &str = "Accept: text/html\r\n";
const CLAIMED: &str = "a login through";

/// A hub whose people come through `provider`, and an admin with a password. `more` goes into `[web.oidc]`.
fn hub(provider: &Provider, more: &str) -> Hub {
    let mut hub = Hub::start();
    hub.kill();
    let file = hub.directory().join("hub.toml");
    let secret = hub.directory().join("oidc.secret");
    fs::write(&secret, format!("{SECRET}\n")).expect("written");
    fs::set_permissions(secret, Permissions::from_mode(0o600)).expect("it is ours");
    let mut config = OpenOptions::new().append(true).open(file).expect("it is there");
    let web = hub.web();
    let table = provider.table();
    write!(config, "\n[notify]\nexternal_url = \"http://{web}\"\n{table}{more}{GRANTS}").expect("written");
    let added = hub.command(&["user", "add", "first", "--role", "admin"], "correct horse\n");
    assert!(added.contains("added first"), "{added}");
    hub.come_up();
    hub
}

/// A browser without pages: what it keeps, and where it is sent.
#[derive(Default)]
struct Visit {
    cookies: Vec<(String, String)>,
    /// The last part of its address: whoever fails often from one has to wait.
    from: u8,
}

impl Visit {
    /// GETs a URL, with what is kept for the hub.
    fn get(&mut self, url: &str) -> Answer {
        let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("no URL: {url:?}"));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies =
            if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        let mut connection = Connection::to(host.parse().expect("an address")).expect("it listens");
        let answer = connection
            .ask("GET", path, &format!("{HTML}X-Forwarded-For: 192.0.2.{}\r\n{cookies}", self.from), b"")
            .expect("an answer");
        for line in answer.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let (name, value) =
                line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    fn has(&self, name: &str) -> bool {
        self.cookies.iter().any(|(known, _)| known == name)
    }

    /// Goes to the provider and back: what the hub says then.
    fn log_in(&mut self, hub: &Hub, to: &str) -> Answer {
        let back = self.begin(hub, to);
        self.get(&back)
    }

    /// Goes to the provider: where that sends people back to.
    fn begin(&mut self, hub: &Hub, to: &str) -> String {
        let there = self.get(&format!("http://{}/login/provider?to={to}", hub.web()));
        assert_eq!(there.status, 303, "{}", there.body);
        let back = Self::default().get(location(&there));
        assert_eq!(back.status, 302, "{}", back.body);
        location(&back).to_owned()
    }

    /// What `/api/sites` and the settings say to whoever this is.
    fn is(&mut self, hub: &Hub, path: &str) -> Answer {
        self.get(&format!("http://{}{path}", hub.web()))
    }
}

fn location(answer: &Answer) -> &str {
    let place = answer
        .head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")));
    place.unwrap_or_else(|| panic!("it leads nowhere: {}", answer.head)).1
}

/// The fault on the login page.
fn fault(answer: &Answer) -> String {
    let text = answer
        .body
        .split("role=\"alert\" id=\"fault\">")
        .nth(1)
        .unwrap_or_else(|| panic!("no fault: {}", answer.body));
    text.split("</p>").next().unwrap_or_default().replace("&quot;", "\"").replace("&#39;", "'")
}

#[test]
fn people_come_through_the_provider_with_the_role_of_today() {
    let provider = Provider::start();
    let hub = hub(&provider, "button = \"Office account\"\n");
    let mut visit = Visit::default();
    let page = visit.is(&hub, "/login?to=/alerts%3Fq%3Dx");
    assert!(page.body.contains("Office account") && page.body.contains("type=\"password\""), "{}", page.body);
    for (signing, group, role) in [
        (Signing::Rsa, "crew", "operator"),
        (Signing::Ecdsa, "office", "viewer"),
        (Signing::Ed25519, "rackside", "admin"),
    ] {
        // A provider that has changed its keys is asked for them, once a minute at most: each of these hubs has just begun.
        let hub = self::hub(&provider, "");
        provider.set(|state| {
            state.signing = signing;
            state.person["groups"] = json!([group, "other"]);
        });
        let mut visit = Visit::default();
        let come = visit.log_in(&hub, "/alerts%3Fq%3Dx");
        assert_eq!((come.status, location(&come)), (303, "/alerts?q=x"), "{signing:?}: {}", come.body);
        assert!(visit.has("rackside") && !visit.has("rackside-login"), "{:?}", visit.cookies);
        let settings = visit.is(&hub, "/settings");
        assert_eq!(settings.status, 200);
        assert!(settings.body.contains("desk") && settings.body.contains(role), "{role}: {}", settings.body);
        // Less tomorrow.
        provider.set(|state| state.person["groups"] = json!(["office"]));
        let mut tomorrow = Visit::default();
        tomorrow.log_in(&hub, "/");
        for visit in [&mut tomorrow, &mut visit] {
            let users = visit.is(&hub, "/api/users");
            assert_eq!(
                users.status, 403,
                "a viewer manages nobody, in a session of before either: {}",
                users.body
            );
        }
        let list = hub.command(&["user", "list"], "");
        let desk = list.lines().find(|line| line.starts_with("desk ")).expect("there is one");
        assert!(desk.contains("viewer") && desk.contains(&provider.issuer()), "one user: {list}");
        assert!(!hub.log().contains(SECRET) && !hub.log().contains("eyJ"), "no secret and no token in a log");
    }
}

#[test]
fn an_id_token_that_lies_lets_nobody_in() {
    let provider = Provider::start();
    let hub = hub(&provider, "");
    let now = clock::unix_ms() / 1000;
    let issuer = provider.issuer();
    for (from, (lies, said)) in (1..).zip([
        (json!({ "iss": "https://elsewhere.example" }), "another issuer"),
        (json!({ "aud": "someone-else" }), "another client"),
        (json!({ "nonce": "x" }), "of another login"),
        (json!({ "nonce": null }), "of another login"),
        (json!({ "exp": now - 120 }), "it has expired"),
        (json!({ "iat": now + 600 }), "clocks of the hub and the provider differ"),
        (json!({ "nbf": now + 600 }), "clocks of the hub and the provider differ"),
        (json!({ "sub": "" }), "subject is empty"),
        (json!({ "userinfo_sub": "1", "groups": null, "preferred_username": null }), "about somebody else"),
    ]) {
        provider.set(|state| state.lies = lies.clone());
        refused(&hub, from, &lies, said);
    }
    provider.set(|state| state.lies = json!({}));
    for (from, signing) in [(20, Signing::None), (21, Signing::Secret)] {
        provider.set(|state| state.signing = signing);
        refused(&hub, from, &json!(format!("{signing:?}")), "signature is of a kind that is not taken");
    }
    provider.set(|state| (state.signing, state.spoils) = (Signing::Rsa, true));
    refused(&hub, 22, &json!("spoilt"), "its signature is wrong");
    provider.set(|state| (state.spoils, state.shows, state.key) = (false, false, "second".to_owned()));
    refused(&hub, 23, &json!("a key that is not shown"), "a key that the provider does not show");
    provider.set(|state| (state.shows, state.key) = (true, "first".to_owned()));
    let come = Visit::default().log_in(&hub, "/");
    assert_eq!(come.status, 303, "{issuer} tells the truth again: {}", come.body);
}

fn refused(hub: &Hub, from: u8, what: &Json, said: &str) {
    let mut visit = Visit { from, ..Visit::default() };
    let come = visit.log_in(hub, "/");
    let fault = fault(&come);
    assert!(come.status == 502 && fault.contains(said), "{what}: {} {fault}", come.status);
    assert!(!visit.has("rackside"), "{what}: {:?}", visit.cookies);
    assert!(hub.log().contains(CLAIMED), "it is logged");
}

#[test]
fn a_login_ends_in_the_browser_that_began_it_and_once() {
    let provider = Provider::start();
    let hub = hub(&provider, "");
    let (mut mine, mut other) = (Visit::default(), Visit::default());
    let back = mine.begin(&hub, "//elsewhere.example/");
    // Somebody else's browser, with a login of its own begun or not.
    for _ in 0..2 {
        let come = other.get(&back);
        assert_eq!((come.status, other.has("rackside")), (400, false));
        assert!(fault(&come).contains("not begun in this browser"), "{}", fault(&come));
        other.begin(&hub, "/");
    }
    let elsewhere = back.split("&iss=").next().expect("split gives one at least").to_owned()
        + "&iss=https%3A%2F%2Felsewhere.example";
    let kept = mine.cookies.clone();
    let come = mine.get(&elsewhere);
    assert!(come.status == 400 && fault(&come).contains("Another provider"), "{}", fault(&come));
    mine.cookies.clone_from(&kept);
    let come = mine.get(&back);
    assert_eq!((come.status, location(&come)), (303, "/"), "it leads to no other host");
    mine.cookies.clone_from(&kept);
    let again = mine.get(&back);
    assert!(again.status == 403 && fault(&again).contains("used already"), "{}", fault(&again));
    for (refuses, said) in
        [("access_denied", "cancelled"), ("server_error", "\"server_error\": no such luck")]
    {
        provider.set(|state| state.refuses = Some(refuses.to_owned()));
        let come = other.log_in(&hub, "/");
        assert!(come.status == 403 && fault(&come).contains(said), "{}", fault(&come));
    }
}

#[test]
fn who_has_no_grant_or_was_not_introduced_is_told_so() {
    let provider = Provider::start();
    let hub = hub(&provider, "newcomers = false\n");
    let come = Visit::default().log_in(&hub, "/");
    assert!(come.status == 403 && fault(&come).contains("--subject"), "{}", fault(&come));
    let added = hub.command(&["user", "add", "night", "--subject", "248289761001"], "");
    assert!(added.contains("night can log in through"), "{added}");
    let mut visit = Visit::default();
    assert_eq!(visit.log_in(&hub, "/").status, 303);
    assert!(visit.is(&hub, "/settings").body.contains("night"), "by the name that they were given");
    provider.set(|state| state.person = json!({ "groups": ["choir"] }));
    let come = Visit::default().log_in(&hub, "/");
    assert!(
        come.status == 403 && fault(&come).contains("nothing that it says of you has a role"),
        "{}",
        fault(&come)
    );
    provider.set(|state| state.person = json!({}));
    let come = Visit::default().log_in(&hub, "/");
    assert!(come.status == 403 && fault(&come).contains("says nothing of `groups`"), "{}", fault(&come));
    // What the token lacks, the page about people may have.
    provider.set(|state| state.userinfo = json!({ "groups": ["crew"] }));
    assert_eq!(Visit::default().log_in(&hub, "/").status, 303);
}

#[test]
fn a_provider_that_is_down_or_mad_costs_its_own_logins_and_nothing_else() {
    let provider = Provider::start();
    let hub = hub(&provider, "passwords = false\n");
    for (broken, said) in [
        (Fault::Silent, "cannot be had"),
        (Fault::Endless, "larger than 256 KiB"),
        (Fault::WrongType, "not what it should be"),
        (Fault::Status(500), "answers 500"),
    ] {
        provider.fake.fail(Some(broken));
        // A provider that has just failed is not asked again at once.
        let found = clock::eventually(Duration::from_mins(1), || {
            let answer = Visit::default().is(&hub, "/login/provider");
            assert_eq!(answer.status, 502, "{broken:?}: {}", answer.body);
            fault(&answer).contains(said).then_some(())
        });
        assert!(found.is_some(), "{broken:?}: {}", hub.last_words());
        assert_eq!(Visit::default().is(&hub, "/health/liveness").status, 200);
    }
    let post = |hub: &Hub| {
        let headers = format!(
            "{HTML}X-Forwarded-For: 192.0.2.99\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        );
        let mut connection = Connection::to(hub.web()).expect("it listens");
        connection.post("/login", &headers, b"name=first&password=correct+horse").expect("an answer")
    };
    let refused = post(&hub);
    assert!(refused.status == 403 && refused.body.contains("takes no passwords"), "{}", refused.body);
    let said = hub.command(&["user", "passwords", "30m"], "");
    assert!(said.contains("passwords are taken until"), "{said}");
    assert_eq!(post(&hub).status, 303, "the way in while it is down");
    provider.fake.fail(None);
    provider.set(|state| state.calls_itself = Some("https://elsewhere.example".to_owned()));
    let found = clock::eventually(Duration::from_mins(1), || {
        fault(&Visit::default().is(&hub, "/login/provider"))
            .contains("calls itself \"https://elsewhere.example\"")
            .then_some(())
    });
    assert!(found.is_some(), "{}", hub.last_words());
}

#[test]
fn a_person_goes_there_and_back_in_a_browser_and_out_again() {
    let provider = Provider::start();
    provider.set(|state| state.knows = false);
    let hub = hub(&provider, "button = \"Office account\"\n");
    let root = format!("http://{}", hub.web());
    let mut browser = Browser::open(&format!("{root}/login?to=/alerts"), 360, 740);
    let click = |browser: &mut Browser, selector: &str, then: &str| {
        browser.evaluate(&format!("document.querySelector({selector:?}).click()"));
        let there = clock::eventually(Duration::from_mins(1), || {
            let ready = format!("document.readyState === 'complete' && Boolean({then})");
            (browser.evaluate(&ready) == true).then_some(())
        });
        assert!(there.is_some(), "{then}: {}", browser.evaluate("location.href + document.body.innerHTML"));
    };
    browser.assert_sound(&format!("{root}/login?to=/alerts"));
    click(&mut browser, "a[href*='/login/provider']", "document.querySelector('#go')");
    assert_eq!(browser.evaluate("new URL(location.href).origin"), provider.issuer());
    click(&mut browser, "#go", "location.pathname === '/alerts'");
    click(&mut browser, "form[action='/logout'] button", "location.pathname === '/login'");
    let out = browser.evaluate("document.querySelector('a[href*=\"/logout?\"]').href");
    let out = decoded(out.as_str().unwrap_or_default());
    assert!(out.starts_with(&format!("{}/logout?", provider.issuer())), "{out}");
    assert!(out.contains(&format!("post_logout_redirect_uri={root}/login")), "{out}");
}
