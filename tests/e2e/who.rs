//! Who may see the hub and who may change what, in the browser that people have: the first user, logging in, what one may not, and other people's pages.
//!
//! What is refused is refused over HTTP in the hub's own tests, case by case; here it is seen by whom it happens to.

use crate::complete::{RACK, RECOVERY};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::programs::programs;
use rackside_tests::{clock, http};
use serde_json::Value as Json;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

const PASSWORD: &str = "correct horse";
/// Who the head of a page says that one is.
const WHO: &str = "document.querySelector('.who a').lastChild.data";
/// Two venues, one of which is nobody else's business.
const SITES: &str = r#"
[[site]]
id = "arena-north"
name = "Arena North"
tags = ["north"]
[[site]]
id = "quarry"
name = "The Quarry"
tags = ["secret-tag"]
"#;
const ELSEWHERE: (&str, &str) = ("quarry", "rack-9");

/// A hub with an admin, `first`, and a viewer of one site, `desk`.
fn with_two() -> Hub {
    let hub = Hub::with(Way::Listener, &programs().hub, SITES);
    let password = format!("{PASSWORD}\n");
    hub.command(&["user", "add", "first", "--role", "admin"], &password);
    hub.command(&["user", "add", "desk", "--role", "viewer", "--site", RACK.0], &password);
    hub
}

fn at(hub: &Hub, path: &str) -> String {
    format!("http://{}{path}", hub.web())
}

/// Waits for an expression to become true on the page.
fn expect(browser: &mut Browser, what: &str, expression: &str) {
    let found = clock::eventually(RECOVERY, || (browser.evaluate(expression) == true).then_some(()));
    assert!(found.is_some(), "{what}: {expression}\n{}", browser.evaluate("document.body.innerHTML"));
}

/// Waits until the page at this path has loaded.
fn expect_at(browser: &mut Browser, path: &str) {
    let here = format!("location.pathname === {path:?} && document.readyState === 'complete'");
    expect(browser, &format!("it leads to {path}"), &here);
}

/// Whether the page says so.
fn says(browser: &mut Browser, words: &str) -> bool {
    browser.evaluate(&format!("document.body.innerText.includes({words:?})")) == true
}

/// Presses Tab until what has the focus is like this.
fn tab_to(browser: &mut Browser, selector: &str) {
    let is_there = format!("document.activeElement.matches({selector:?})");
    let found = (0..60).any(|_| {
        browser.press("Tab");
        browser.evaluate(&is_there) == true
    });
    assert!(found, "Tab never comes to {selector}\n{}", browser.evaluate("document.body.innerHTML"));
}

/// Fills in what has the focus, and goes on to the next.
fn fill(browser: &mut Browser, selector: &str, text: &str) {
    tab_to(browser, selector);
    browser.write(text);
}

/// Logs in by keyboard.
fn log_in(browser: &mut Browser, hub: &Hub, name: &str, password: &str) {
    browser.go(&at(hub, "/login"));
    fill(browser, "[name=name]", name);
    fill(browser, "[name=password]", password);
    browser.evaluate("window.isOfBefore = true");
    browser.press("Enter");
    expect(browser, "it answers", "!window.isOfBefore && document.readyState === 'complete'");
}

#[test]
fn the_first_user_is_made_by_the_link_and_then_everybody_logs_in() {
    // Where people reach it says that it is not for this machine alone.
    let reached = "[notify]\nexternal_url = \"http://hub.example.org\"\n";
    let hub = Hub::with(Way::Listener, &programs().hub, reached);
    let link = clock::eventually(RECOVERY, || {
        let log = hub.log();
        let code = log.split("http://hub.example.org/setup/").nth(1)?.split(' ').next()?;
        Some(format!("/setup/{code}"))
    });
    let link = link.unwrap_or_else(|| panic!("no link in\n{}", hub.last_words()));
    let mut browser = Browser::open(&at(&hub, "/"), 360, 740);
    assert_eq!(browser.evaluate("location.pathname"), "/login", "nobody is let in before");
    assert!(says(&mut browser, "This hub has no users yet."), "and it says why");
    browser.assert_sound(&at(&hub, &link));
    browser.go(&at(&hub, &link));
    fill(&mut browser, "[name=name]", "first");
    fill(&mut browser, "[name=password]", PASSWORD);
    fill(&mut browser, "[name=again]", "correct hors");
    browser.press("Enter");
    expect(&mut browser, "it says what is wrong", "!!document.getElementById('password-fault')");
    browser.assert_sound_here("the set-up link with a fault");
    assert_eq!(
        browser.evaluate("document.querySelector('[name=name]').value"),
        "first",
        "and keeps the name"
    );
    fill(&mut browser, "[name=password]", PASSWORD);
    fill(&mut browser, "[name=again]", PASSWORD);
    browser.press("Enter");
    expect_at(&mut browser, "/");
    assert_eq!(browser.evaluate(WHO), "first", "logged in");

    let cookies = browser.cookies();
    let [cookie] = &cookies[..] else { panic!("one cookie: {cookies:?}") };
    assert_eq!((&cookie["name"], &cookie["path"]), (&Json::from("rackside"), &Json::from("/")));
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&Json::from(true), &Json::from("Lax")));
    assert_eq!(browser.evaluate("document.cookie"), "", "no script reads it");

    browser.go(&at(&hub, &link));
    assert!(says(&mut browser, "Not good any more"), "the link is good once");
    browser.go(&at(&hub, "/alerts"));
    browser.evaluate("document.querySelector('form.out button').click()");
    expect_at(&mut browser, "/login");
    assert_eq!(browser.cookies(), Vec::<Json>::new(), "the browser keeps nothing");
    // What was on the screen before is asked for anew, and not shown out of a memory.
    browser.evaluate("history.back()");
    expect(&mut browser, "back is no way in", "location.search === '?to=/alerts'");
}

#[test]
fn a_wrong_password_is_told_and_then_made_to_wait() {
    let hub = with_two();
    let mut browser = Browser::open(&at(&hub, "/alerts?x=1"), 1280, 800);
    assert_eq!(browser.evaluate("location.pathname + location.search"), "/login?to=/alerts%3Fx%3D1");
    browser.assert_sound(&at(&hub, "/login"));
    log_in(&mut browser, &hub, "first", "wrong horse");
    let fault = "document.querySelector('[role=alert]').innerText";
    assert_eq!(browser.evaluate(fault), "Name or password is wrong.");
    assert_eq!(browser.evaluate("document.querySelector('[name=name]').value"), "first", "kept");
    assert_eq!(browser.evaluate("document.querySelector('[name=password]').value"), "", "not kept");
    browser.assert_sound_here("a wrong password");
    // The same to the letter for a name that nobody has.
    log_in(&mut browser, &hub, "nobody", PASSWORD);
    assert_eq!(browser.evaluate(fault), "Name or password is wrong.");
    let waits = (0..10).any(|_| {
        log_in(&mut browser, &hub, "first", "wrong horse");
        says(&mut browser, "Too many attempts went wrong. Try again in ")
    });
    assert!(waits, "it says how long: {}", browser.evaluate(fault));
    // The wait is seconds, and then the right one is right.
    let is_in = clock::eventually(RECOVERY, || {
        log_in(&mut browser, &hub, "first", PASSWORD);
        (browser.evaluate("location.pathname") == "/").then_some(())
    });
    assert!(is_in.is_some(), "{}", browser.evaluate(fault));
}

#[test]
fn a_user_is_made_by_keyboard_alone() {
    let hub = with_two();
    let mut browser = Browser::open(&at(&hub, "/login"), 1280, 800);
    log_in(&mut browser, &hub, "first", PASSWORD);
    tab_to(&mut browser, "nav a[href='/settings']");
    browser.press("Enter");
    expect_at(&mut browser, "/settings");
    tab_to(&mut browser, "#add-user > summary");
    browser.press("Enter");
    fill(&mut browser, "#add-user [name=name]", "stage");
    fill(&mut browser, "#add-user [name=password]", PASSWORD);
    tab_to(&mut browser, "#add-user [name=role]");
    browser.press("o");
    fill(&mut browser, "#add-user [name=sites]", "arena-north");
    browser.press("Enter");
    expect(
        &mut browser,
        "it is done",
        "location.search === '?done=added' && document.readyState === 'complete'",
    );
    assert!(says(&mut browser, "The user is added."));
    assert!(
        hub.command(&["user", "list"], "").lines().any(|line| {
            line.contains("stage") && line.contains("operator") && line.contains("arena-north")
        })
    );
    // What cannot be undone asks once, without a script.
    let remove = "details.ask:has(form[action='/settings/users/stage'])";
    let open = "document.querySelector('#user-stage > details').open = true";
    browser.evaluate(open);
    let button = format!("document.querySelector(\"{remove} button\").checkVisibility()");
    assert_eq!(browser.evaluate(&button), false, "not before it was asked for");
    tab_to(&mut browser, &format!("{remove} > summary"));
    browser.press("Enter");
    tab_to(&mut browser, &format!("{remove} button"));
    browser.press("Enter");
    expect(&mut browser, "it is gone", "location.search === '?done=removed'");
    assert!(!hub.command(&["user", "list"], "").contains("stage"));
}

#[test]
fn settings_are_sound_with_everything_in_them() {
    let crew = "[[receiver]]\nname = \"crew\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\n";
    let hub = Hub::with(Way::Listener, &programs().hub, &format!("{SITES}{crew}"));
    hub.command(&["user", "add", "first", "--role", "admin"], &format!("{PASSWORD}\n"));
    let long = "someone-with-a-name-as-long-as-names-are-allowed-to-be-on-a-hub1";
    hub.command(&["user", "add", long, "--role", "viewer", "--tag", "north"], &format!("{PASSWORD}\n"));
    hub.command(&["token", "create", "grafana", "--scope", "read", "--user", long], "");
    let mut browser = Browser::open(&at(&hub, "/login"), 1280, 800);
    log_in(&mut browser, &hub, "first", PASSWORD);
    browser.assert_sound(&at(&hub, "/settings"));
    assert!(says(&mut browser, "this one"), "one's own login is told from others");
    browser.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
    browser.assert_sound_here("settings, unfolded");

    browser.go(&at(&hub, "/settings"));
    browser.evaluate("document.querySelector('#add-token').open = true");
    fill(&mut browser, "#add-token [name=name]", "wall");
    browser.press("Enter");
    expect(&mut browser, "a token is made", "!!document.querySelector('.made textarea')");
    browser.assert_sound_here("a token that is shown once");
    let secret = browser.evaluate("document.querySelector('.made textarea').value");
    let secret = secret.as_str().expect("a token").to_owned();
    assert!(secret.starts_with("rackside_"), "{secret}");
    browser.go(&at(&hub, "/settings"));
    assert_eq!(browser.evaluate(&format!("document.documentElement.innerHTML.includes({secret:?})")), false);

    // On a phone its receiver is far down the page.
    browser.resize(360, 740);
    browser.evaluate("document.querySelector(\"form[action^='/settings/receivers/crew'] button\").focus()");
    browser.press("Enter");
    let tested = "document.querySelector('#tested-crew[role=status]')";
    expect(
        &mut browser,
        "it says what came of it",
        &format!("{tested}?.innerText.includes('did not arrive')"),
    );
    let beside = format!("{tested}.closest('li').querySelector('b').innerText === 'crew'");
    expect(&mut browser, "beside the receiver", &beside);
    expect(&mut browser, "which has the focus", &format!("document.activeElement === {tested}"));
    let row = format!("{tested}.closest('li').getBoundingClientRect()");
    expect(
        &mut browser,
        "and is in sight",
        &format!("scrollY > 0 && {row}.top >= 0 && {row}.bottom <= innerHeight"),
    );
    browser.assert_sound_here("settings, with what came of a test message");
}

#[test]
fn who_may_look_at_one_site_sees_no_other_and_no_button() {
    let hub = with_two();
    let mut agents = Vec::new();
    for (site, appliance) in [RACK, ELSEWHERE] {
        agents.push(Agent::start(&AgentOptions::new(site, appliance, hub.mqtt())));
    }
    let mut browser = Browser::open(&at(&hub, "/login"), 1280, 800);
    // An admin sees both before the other is looked for.
    log_in(&mut browser, &hub, "first", PASSWORD);
    for rack in ["arena-north/rack-1", "quarry/rack-9"] {
        let up = format!("document.querySelector('[data-rack=\"{rack}\"]')?.dataset.up === 'true'");
        expect(&mut browser, "both are up", &up);
    }
    browser.evaluate("document.querySelector('form.out button').click()");
    expect_at(&mut browser, "/login");
    log_in(&mut browser, &hub, "desk", PASSWORD);
    for path in [
        "/",
        "/sites/arena-north",
        "/sites/arena-north/rack-1",
        "/alerts",
        "/maintenance",
        "/maintenance?at=site/quarry",
        "/log",
        "/status",
        "/settings",
        "/?q=quarry",
        "/log?site=quarry",
        "/sites/quarry",
        "/sites/quarry/rack-9",
        "/nothing-of-the-kind",
    ] {
        browser.go(&at(&hub, path));
        let html = browser.evaluate("document.documentElement.innerHTML").to_string().to_lowercase();
        // What was asked for is told back, in the field or sentence that it was asked with.
        let html = html.replace("value=\\\"quarry\\\"", "").replace(path, "");
        for word in ["quarry", "rack-9", "secret-tag"] {
            assert!(!html.contains(word), "{path} tells of {word}:\n{html}");
        }
        let changes = "[...document.querySelectorAll('main form')].filter(one => one.method === 'post' && !one.action.endsWith('/settings/password')).length";
        assert_eq!(browser.evaluate(changes), 0, "{path} has nothing to change");
        let words = "[...document.querySelectorAll('main button')].map(one => one.innerText).join()";
        let words = browser.evaluate(words).to_string();
        for word in ["Acknowledge", "Mute", "air", "Remove", "Revoke", "test"] {
            assert!(!words.contains(word), "{path} has a button: {words}");
        }
    }
    for path in ["/sites/quarry", "/sites/quarry/rack-9", "/api/sites/quarry", "/api/sites/quarry/rack-9"] {
        assert_eq!(browser.evaluate(&format!("fetch({path:?}).then(one => one.status)")), 404, "{path}");
    }
    for path in [
        "/api/sites",
        "/metrics",
        "/api/v1/label/site/values",
        "/api/v1/series?match[]=up",
        "/api/log",
        "/api/alerts",
    ] {
        let text = browser.evaluate(&format!("fetch({path:?}).then(one => one.text())"));
        let text = text.as_str().expect("text").to_lowercase();
        assert!(!text.contains("quarry") && !text.contains("rack-9"), "{path}: {text}");
    }
    // By hand, with all that a form of theirs would carry.
    let by_hand = |path: &str, fields: &str| {
        format!(
            "fetch({path:?}, {{ method: 'POST', headers: {{ accept: 'text/html' }}, body: new URLSearchParams({{ csrf: document.querySelector('[name=csrf]').value, {fields} }}) }})\
             .then(async one => one.status + ' ' + await one.text())"
        )
    };
    browser.go(&at(&hub, "/settings"));
    for (path, fields, right) in [
        ("/sites/arena-north", "do: 'on_air', until: '2100-01-01T00:00'", "act"),
        ("/settings/users", "name: 'mine', password: 'correct horse', role: 'admin'", "manage"),
        ("/settings/tokens", "name: 'mine', scope: 'manage'", "manage"),
        ("/settings/users/first", "do: 'remove'", "manage"),
    ] {
        let said = browser.evaluate(&by_hand(path, fields));
        let said = said.as_str().expect("text");
        let words = format!("this needs the right `{right}`");
        assert!(said.starts_with("403 ") && said.contains(&words), "{path}: {said}");
        assert!(said.contains("desk has the role viewer"), "{path}: {said}");
    }
    assert_eq!(hub.command(&["user", "list"], "").lines().filter(|line| line.contains("mine")).count(), 0);
}

/// A server of somebody else's with one page, by any name of this machine; it ends with its process.
fn somebody_elses(page: String) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            // One that says nothing, or has gone, gets nothing.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read(&mut head);
            let length = page.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
        }
    });
    port
}

#[test]
fn a_page_of_somebody_else_changes_nothing_and_reads_nothing() {
    let hub = with_two();
    let mut browser = Browser::open(&at(&hub, "/login"), 1280, 800);
    log_in(&mut browser, &hub, "first", PASSWORD);
    let page = format!(
        "<!DOCTYPE html><title>prize</title><form method=post action='{}'><input name=name value=intruder>\
         <input name=password value='correct horse'><input name=role value=admin></form>",
        at(&hub, "/settings/users")
    );
    let port = somebody_elses(page);
    // Of another port of the same machine, to which a browser sends the hub's cookie; and of another site, to which it does not.
    for host in ["127.0.0.1", "localhost"] {
        browser.go(&format!("http://{host}:{port}/"));
        let read = format!(
            "fetch({:?}, {{ credentials: 'include' }}).then(() => 'read', () => 'kept')",
            at(&hub, "/api/users")
        );
        assert_eq!(browser.evaluate(&read), "kept", "{host}");
        let live = format!("ws://{}/api/live", hub.web());
        let listens = format!(
            "new Promise(done => {{ const line = new WebSocket({live:?}); line.onopen = () => done('heard'); line.onerror = () => done('kept') }})"
        );
        assert_eq!(browser.evaluate(&listens), "kept", "{host}");
        browser.evaluate("document.forms[0].submit()");
        expect(
            &mut browser,
            "the hub answers",
            &format!("location.port === '{}' && document.readyState === 'complete'", hub.web().port()),
        );
        let is_refused = says(&mut browser, "another site's page asks for it")
            || browser.evaluate("location.pathname") == "/login";
        assert!(is_refused, "{host}: {}", browser.evaluate("document.body.innerText"));
        let frame = format!("<iframe src='{}'></iframe>", at(&hub, "/settings"));
        let framed = somebody_elses(frame);
        browser.go(&format!("http://{host}:{framed}/"));
        let shown = browser.evaluate("frames[0].document?.body?.innerText ?? 'kept'");
        assert!(shown.is_null() || shown == "kept" || shown == "", "{host}: {shown}");
    }
    assert!(!hub.command(&["user", "list"], "").contains("intruder"));
    browser.go(&at(&hub, "/"));
    assert_eq!(browser.evaluate(WHO), "first", "still logged in");
}

#[test]
fn a_token_that_has_expired_is_told_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let offset = directory.path().join("offset");
    std::fs::write(&offset, "+0").expect("the directory can be written");
    let hub = Hub::by_clock(&offset, &programs().hub, "");
    hub.command(&["user", "add", "first", "--role", "admin"], &format!("{PASSWORD}\n"));
    let token = hub.command(&["token", "create", "wall", "--scope", "read", "--expires", "1d"], "");
    let header = format!("Authorization: Bearer {}\r\n", token.trim());
    let ask = || {
        let mut connection = http::Connection::to(hub.web()).expect("it listens");
        connection.ask("GET", "/api/sites", &header, b"").expect("an answer")
    };
    assert_eq!(ask().status, 200);
    std::fs::write(&offset, "+100000").expect("the directory can be written");
    let refused = clock::eventually(RECOVERY, || Some(ask()).filter(|answer| answer.status != 200));
    let refused = refused.expect("a day is over");
    assert_eq!(refused.status, 401, "{}", refused.body);
    assert!(refused.head.to_lowercase().contains("error=\"invalid_token\""), "{}", refused.head);
    assert!(
        refused.body.contains("this token is none of this hub's, was revoked, or has expired"),
        "{}",
        refused.body
    );
}
