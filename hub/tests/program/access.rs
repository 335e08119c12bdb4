//! Who is let in by a hub that runs, and what they may: logins, tokens, set-up link, forms of others, and the command line beside it.

use super::running::{FREE, Running, file, hub, said};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

pub(super) const PASSWORD: &str = "correct horse";
/// As a browser of another machine asks, through a proxy.
pub(super) const FAR: &str = "Accept: text/html\r\nX-Forwarded-For: 192.0.2.7\r\n";
pub(super) const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A hub with its configuration.
pub(super) struct Place {
    pub(super) directory: TempDir,
    pub(super) config: String,
}

impl Place {
    pub(super) fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("data")).expect("made");
        let config = file(&directory, text);
        Self { directory, config }
    }

    /// With another configuration.
    pub(super) fn with(self, text: &str) -> Self {
        let config = file(&self.directory, text);
        Self { config, ..self }
    }

    /// What a command says of it, with this on its stdin.
    fn command(&self, words: &[&str], stdin: &str) -> (bool, String, String) {
        let mut command = hub(&[words, &["--config", &self.config]].concat());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("it reads, or has ended");
        said(&child.wait_with_output().expect("it ends"))
    }

    pub(super) fn done(&self, words: &[&str], stdin: &str) -> String {
        let (ok, out, err) = self.command(words, stdin);
        assert!(ok, "{words:?}: {err}");
        out
    }

    /// With an admin, `first`, and a viewer of the hall, `desk`.
    fn with_two() -> Self {
        let sites = "[[site]]\nid = \"hall\"\n[[site]]\nid = \"barn\"\n";
        let place = Self::new(&format!("{FREE}{sites}"));
        let password = format!("{PASSWORD}\n");
        place.done(&["user", "add", "first", "--role", "admin"], &password);
        place.done(&["user", "add", "desk", "--role", "viewer", "--site", "hall"], &password);
        place
    }

    pub(super) fn token(&self, words: &[&str]) -> String {
        let out = self.done(&[&["token", "create"], words].concat(), "");
        format!("Authorization: Bearer {}\r\n", out.trim_end())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Logs in from afar: status, where it leads to, and the cookie as a browser sends it.
fn login(hub: &Running, name: &str, password: &str, more: &str) -> (u16, String, String) {
    let body = format!("name={name}&password={}{more}", password.replace(' ', "+"));
    let (status, head, _) = hub.whole("POST", "/login", &format!("{FAR}{FORM}"), &body);
    let cookie = header(&head, "set-cookie").unwrap_or_default();
    let cookie = cookie.split(';').next().unwrap_or_default();
    let to = header(&head, "location").unwrap_or_default().to_owned();
    (status, to, format!("Cookie: {cookie}\r\n"))
}

pub(super) fn inside(hub: &Running, name: &str) -> String {
    let (status, _, cookie) = login(hub, name, PASSWORD, "");
    assert_eq!(status, 303, "{name}");
    cookie
}

/// What forms of this session carry.
pub(super) fn csrf(hub: &Running, cookie: &str) -> String {
    let (_, page) = hub.send("GET", "/settings", &format!("{FAR}{cookie}"), "");
    let field = page.split("name=\"csrf\" value=\"").nth(1).expect("a form");
    field.split('"').next().expect("split gives one at least").to_owned()
}

#[test]
fn without_users_this_machine_is_open_and_says_so_and_everybody_else_stays_outside() {
    let place = Place::new(FREE);
    let hub = Running::start(&place.config);
    hub.expect("there are no users: whoever is on this machine");
    let (status, page) = hub.send("GET", "/", "Accept: text/html\r\n", "");
    assert!(status == 200 && page.contains("There are no users yet"), "{page}");
    let (status, head, _) = hub.whole("GET", "/alerts?x=1", FAR, "");
    assert_eq!((status, header(&head, "location")), (303, Some("/login?to=/alerts%3Fx%3D1")));
    let (status, page) = hub.send("GET", "/login", FAR, "");
    assert!(status == 200 && page.contains("rackside-hub user add") && !page.contains("type=\"password\""));
    let far = "X-Forwarded-For: 192.0.2.7\r\n";
    for path in ["/metrics", "/api/sites", "/api/v1/query?query=up", "/health/detailed", "/api/users"] {
        let (status, head, _) = hub.whole("GET", path, far, "");
        assert_eq!((status, header(&head, "www-authenticate").is_some()), (401, true), "{path}");
    }
    for path in ["/health/liveness", "/health/readiness", "/static/base.css", "/login"] {
        assert_eq!(hub.send("GET", path, far, "").0, 200, "{path}");
    }
    assert_eq!(hub.get("/api/users").0, 200, "it is open here");
}

/// GET by this name: status and all that is said.
fn by_name(hub: &Running, host: &str, path: &str, more: &str) -> (u16, String) {
    spoken(hub, "HTTP/1.1", host, path, more)
}

/// The same in this version of HTTP.
fn spoken(hub: &Running, http: &str, host: &str, path: &str, more: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(hub.web()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    write!(stream, "GET {path} {http}\r\n{host}Connection: close\r\n{more}\r\n").expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an answer");
    (said.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), said)
}

#[test]
fn a_name_that_was_pointed_at_an_open_hub_reads_nothing() {
    let place = Place::new(FREE);
    let hub = Running::start(&place.config);
    let foreign = "Host: elsewhere.example:8080\r\n";
    for path in ["/", "/settings", "/alerts", "/metrics", "/api/sites", "/api/v1/query?query=up", "/nothing"]
    {
        for host in [foreign, "Host: localhost.elsewhere.example\r\n", "Host: x\r\n"] {
            let (status, said) = by_name(&hub, host, path, "");
            assert!(status == 403 && said.contains("this hub is not known as"), "{host}{path}: {said}");
        }
    }
    for host in ["127.0.0.1:8080", "localhost", "[::1]:8080", "192.0.2.7"] {
        let (status, said) = by_name(&hub, &format!("Host: {host}\r\n"), "/api/sites", "");
        assert_eq!(status, 200, "{host}: {said}");
    }
    for path in ["/health/liveness", "/health/readiness", "/static/base.css", "/login"] {
        assert_eq!(by_name(&hub, foreign, path, "").0, 200, "{path} is for everybody");
    }
    let ready = |host: &str| by_name(&hub, host, "/health/readiness", "").1;
    assert!(ready(foreign).contains("\"the hub is ready\""), "and says no more than that");
    assert!(!ready("Host: 127.0.0.1\r\n").contains("\"the hub is ready\""));
    let (status, said) = by_name(&hub, foreign, "/", "Accept: text/html\r\n");
    assert!(status == 403 && said.contains("<h1>Not allowed</h1>"), "people are shown a page: {said}");
}

#[test]
fn a_hub_that_others_are_brought_to_is_open_to_nobody_and_gives_a_link() {
    for said in [
        "[web]\naddress = \"127.0.0.1:0\"\n[notify]\nexternal_url = \"https://hub.example.org\"\n",
        "[web]\naddress = \"127.0.0.1:0\"\nproxies = [\"192.0.2.1\"]\n",
    ] {
        let place = Place::new(&format!("[listener]\naddress = \"127.0.0.1:0\"\n{said}"));
        let hub = Running::start(&place.config);
        let line = hub.expect("there are no users: make the first one at ");
        let root = if said.contains("external_url") {
            "https://hub.example.org".to_owned()
        } else {
            format!("http://{}", hub.web())
        };
        assert!(line.contains(&format!("{root}/setup/")), "{line}");
        // As a proxy asks that is not told to add anything.
        for path in ["/api/sites", "/api/users", "/metrics", "/settings"] {
            assert_eq!(hub.get(path).0, 401, "{said}{path}");
        }
        let path = line.split("/setup/").nth(1).and_then(|rest| rest.split(' ').next()).expect("a code");
        assert_eq!(hub.get(&format!("/setup/{path}")).0, 200);
    }
    let place = Place::new(FREE);
    let hub = Running::start(&place.config);
    assert_eq!(hub.get("/api/sites").0, 200, "it is open here");
    let (status, said) = spoken(&hub, "HTTP/1.0", "Host: localhost\r\n", "/api/sites", "");
    assert_eq!(status, 401, "nginx speaks so by itself: {said}");
}

#[test]
fn a_socket_is_for_pages_of_the_name_that_one_is_logged_in_at() {
    let place = Place::with_two();
    let hub = Running::start(&place.config);
    let cookie = inside(&hub, "desk");
    let open = |host: &str, origin: &str, who: &str| {
        let mut stream = TcpStream::connect(hub.web()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let head =
            format!("GET /api/live HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n{upgrade}{who}\r\n");
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut code = [0; 12];
        stream.read_exact(&mut code).expect("an answer");
        String::from_utf8_lossy(&code[9..]).into_owned()
    };
    // A name that only a proxy knows.
    assert_eq!(open("hub.local", "http://hub.local", &cookie), "101");
    for origin in ["http://elsewhere.example", "http://hub.local:8081", "null"] {
        assert_eq!(open("hub.local", origin, &cookie), "403", "{origin}");
    }
    assert_eq!(open("hub.local", "http://hub.local", ""), "401", "nobody");
}

#[test]
fn what_is_wrong_is_told_to_those_who_may_see_it() {
    let nobody =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let place = Place::new(&format!("[mqtt]\naddress = \"{nobody}\"\n[web]\naddress = \"127.0.0.1:0\"\n"));
    place.done(&["user", "add", "first", "--role", "admin"], &format!("{PASSWORD}\n"));
    let (all, limited) = (place.token(&["all"]), place.token(&["hall", "--site", "hall"]));
    let hub = Running::start(&place.config);
    let told = |path: &str, who: &str| {
        let (status, said) = hub.send("GET", path, who, "");
        assert_eq!(status, 503, "{path}: {said}");
        said
    };
    for who in ["", FAR, &limited] {
        let said = told("/health/readiness", who);
        assert!(said.contains("the hub is not ready; who may see it is told why"), "{said}");
        assert!(!said.contains(&nobody.to_string()), "{said}");
    }
    assert!(told("/health/readiness", &all).contains(&nobody.to_string()));
    let said = told("/health/detailed", &limited);
    assert!(
        said.contains("uptime_seconds") && !said.contains("appliances") && !said.contains("records"),
        "{said}"
    );
    assert!(!said.contains(&nobody.to_string()), "{said}");
    assert!(told("/health/detailed", &all).contains("\"appliances\""));
}

#[test]
fn pages_and_bad_tokens_come_out_of_a_budget() {
    let place = Place::with_two();
    let hub = Running::start(&place.config);
    // All on one connection: faster than any budget is filled again.
    let runs_out = |path: &str, who: &str| {
        let mut stream = TcpStream::connect(hub.web()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout can be set");
        let mut writing = stream.try_clone().expect("the same");
        let one = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{who}");
        let all = format!("{}{one}Connection: close\r\n\r\n", format!("{one}\r\n").repeat(5000));
        let writer = std::thread::spawn(move || writing.write_all(all.as_bytes()));
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("answers");
        writer.join().expect("it writes").expect("all is taken");
        assert!(!said.starts_with("HTTP/1.1 429"), "not at once");
        said.contains("HTTP/1.1 429")
    };
    let read = place.token(&["wall"]);
    assert!(runs_out("/nothing", &read), "a page");
    assert_eq!(hub.send("GET", "/health/liveness", &read, "").0, 200);
    assert_eq!(hub.send("GET", "/static/base.css", &read, "").0, 200);
    assert!(runs_out("/", "Authorization: Bearer rackside_none\r\n"), "tries at a token");
}

#[test]
fn the_set_up_link_makes_the_first_user_once() {
    let place = Place::new("[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"0.0.0.0:0\"\n");
    let hub = Running::start(&place.config);
    let line = hub.expect("/setup/");
    let path = line.split("/setup/").nth(1).and_then(|rest| rest.split(' ').next()).expect("a code");
    let path = format!("/setup/{path}");
    assert_eq!(hub.send("GET", "/", FAR, "").0, 303, "nothing else is served");
    assert_eq!(hub.send("GET", "/setup/0000", FAR, "").0, 404);
    assert_eq!(hub.send("GET", &path, FAR, "").0, 200);
    let make = |name: &str, again: &str| {
        let body = format!("name={name}&password=correct+horse&again={again}");
        hub.whole("POST", &path, &format!("{FAR}{FORM}"), &body)
    };
    let foreign = format!("{FAR}{FORM}Origin: https://elsewhere.example\r\n");
    assert_eq!(hub.send("POST", &path, &foreign, "name=first").0, 403);
    let (status, _, page) = make("first", "correct+hors");
    assert!(status == 422 && page.contains("two different passwords"));
    let (status, _, page) = make("a+b", "correct+horse");
    assert!(status == 422 && page.contains("cannot be a name") && page.contains("id=\"name-fault\""));
    let (status, head, _) = make("first", "correct+horse");
    assert_eq!((status, header(&head, "location")), (303, Some("/")));
    let cookie = header(&head, "set-cookie").expect("logged in");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().expect("one at least"));
    assert_eq!(hub.send("GET", "/", &format!("{FAR}{cookie}"), "").0, 200);
    assert_eq!(make("second", "correct+horse").0, 404, "it has died");
    assert_eq!(hub.send("GET", "/", "Accept: text/html\r\n", "").0, 303, "nor is this machine open any more");
    hub.expect("who had the set-up link added the user first (admin)");
}

#[test]
fn a_login_gives_a_new_session_and_leads_nowhere_else() {
    let place = Place::with_two();
    let hub = Running::start(&place.config);
    let (status, to, cookie) = login(&hub, "first", PASSWORD, "&to=/alerts%3Fx=1");
    assert_eq!((status, to.as_str()), (303, "/alerts?x=1"));
    let (status, head, _) =
        hub.whole("POST", "/login", &format!("{FAR}{FORM}"), "name=first&password=correct+horse");
    let given = header(&head, "set-cookie").expect("a cookie");
    assert!(
        status == 303 && given.contains("; HttpOnly; SameSite=Lax; ") && !given.contains("Secure"),
        "{given}"
    );
    let tls = format!("{FAR}{FORM}X-Forwarded-Proto: https\r\n");
    let (_, head, _) = hub.whole("POST", "/login", &tls, "name=first&password=correct+horse");
    let given = header(&head, "set-cookie").expect("a cookie");
    assert!(given.starts_with("__Host-rackside=") && given.ends_with("; Secure"), "{given}");
    for to in ["//elsewhere.example", "https://elsewhere.example", "/%5Celsewhere.example", "/login"] {
        assert_eq!(login(&hub, "first", PASSWORD, &format!("&to={to}")).1, "/", "{to}");
    }
    // What somebody else has put into this browser is not what it goes on with.
    let fixed = format!("{FAR}{FORM}Cookie: rackside=aaaa\r\n");
    let (_, head, _) = hub.whole("POST", "/login", &fixed, "name=first&password=correct+horse");
    assert!(!header(&head, "set-cookie").expect("a cookie").contains("aaaa"));
    // A login again ends the one before.
    let again = format!("{FAR}{FORM}{cookie}");
    let (status, head, _) = hub.whole("POST", "/login", &again, "name=first&password=correct+horse");
    assert_eq!(status, 303);
    assert_eq!(hub.send("GET", "/", &format!("{FAR}{cookie}"), "").0, 303, "the old one is over");
    let fresh = header(&head, "set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    let fresh = format!("Cookie: {fresh}\r\n");
    let token = csrf(&hub, &fresh);
    let out = hub.whole("POST", "/logout", &format!("{FAR}{FORM}{fresh}"), &format!("csrf={token}"));
    assert_eq!((out.0, header(&out.1, "location")), (303, Some("/login")));
    assert_eq!(hub.send("GET", "/", &format!("{FAR}{fresh}"), "").0, 303, "logged out");
}

#[test]
fn a_wrong_password_is_told_nothing_and_made_to_wait() {
    let place = Place::with_two();
    let hub = Running::start(&place.config);
    let attempt = |name: &str| {
        let body = format!("name={name}&password=wrong");
        hub.whole("POST", "/login", &format!("{FAR}{FORM}"), &body)
    };
    let ((known, _, one), (unknown, _, other)) = (attempt("first"), attempt("nobody"));
    assert_eq!((known, unknown), (401, 401));
    let fault = "Name or password is wrong.";
    assert!(one.contains(fault) && other.contains(fault) && one.contains("value=\"first\""));
    hub.expect("a login as \"first\" from 192.0.2.7 had the wrong password");
    hub.expect("a login as \"a name that nobody has\" from 192.0.2.7");
    for _ in 0..3 {
        assert_eq!(attempt("first").0, 401);
    }
    let (status, head, page) = attempt("first");
    assert!(status == 429 && header(&head, "retry-after").is_some() && page.contains("Try again in"));
    let (status, ..) = login(&hub, "first", PASSWORD, "");
    assert_eq!(status, 429, "the right one waits as well");
    // From elsewhere it goes on: nobody is locked out by others.
    let body = "name=first&password=correct+horse";
    let elsewhere = format!("Accept: text/html\r\nX-Forwarded-For: 198.51.100.9\r\n{FORM}");
    assert_eq!(hub.send("POST", "/login", &elsewhere, body).0, 303);
}

#[test]
fn a_form_of_somebody_else_changes_nothing() {
    let place = Place::with_two();
    let hub = Running::start(&place.config);
    let cookie = inside(&hub, "first");
    let right = csrf(&hub, &cookie);
    let add = |name: &str, headers: &str, csrf: &str| {
        let body = format!("name={name}&password=correct+horse&role=viewer{csrf}");
        hub.send("POST", "/settings/users", &format!("{FAR}{FORM}{cookie}{headers}"), &body).0
    };
    assert_eq!(add("a", "", ""), 403, "without");
    assert_eq!(add("a", "", "&csrf=00"), 403, "with a wrong one");
    let (other, right) = (csrf(&hub, &inside(&hub, "first")), format!("&csrf={right}"));
    assert_eq!(add("a", "", &format!("&csrf={other}")), 403, "with another session's");
    assert_eq!(add("a", "Origin: https://elsewhere.example\r\n", &right), 403, "from another site");
    assert_eq!(add("a", "Origin: null\r\n", &right), 403, "from nowhere");
    assert_eq!(add("a", "Sec-Fetch-Site: cross-site\r\n", &right), 403, "by the browser's word");
    assert_eq!(add("a", "Sec-Fetch-Site: same-origin\r\n", &right), 303);
    let json = "Content-Type: application/json\r\n";
    let body = "{\"name\":\"b\",\"password\":\"correct horse\",\"role\":\"viewer\"}";
    let api =
        |headers: &str| hub.send("POST", "/api/users", &format!("{FAR}{json}{cookie}{headers}"), body).0;
    assert_eq!(api(""), 403);
    assert_eq!(api(&format!("x-csrf-token: {}\r\n", &right["&csrf=".len()..])), 201);
    let names = place.done(&["user", "list"], "");
    assert!(names.contains("\na ") && names.contains("\nb "), "{names}");
}

#[test]
fn a_token_is_good_until_it_expires_or_is_revoked_and_for_what_it_is() {
    let place = Place::with_two();
    let hub = Running::start(&place.config);
    let (metrics, read) = (place.token(&["prometheus", "--scope", "metrics"]), place.token(&["grafana"]));
    let manage = place.token(&["deploy", "--scope", "manage"]);
    let brief = place.token(&["brief", "--expires", "1s"]);
    let get = |path: &str, token: &str| hub.send("GET", path, token, "").0;
    assert_eq!(
        (get("/metrics", &metrics), get("/metrics", &read), get("/metrics", &manage)),
        (200, 200, 403)
    );
    assert_eq!((get("/api/sites", &metrics), get("/api/sites", &read)), (403, 200));
    assert_eq!((get("/api/users", &read), get("/api/users", &manage)), (403, 200));
    let (_, said) = hub.send("GET", "/api/sites", &metrics, "");
    assert!(said.contains("this needs the right `read`") && said.contains("prometheus"), "{said}");
    let secret = metrics.trim_end().rsplit(' ').next().expect("a token");
    // As Prometheus sends it with basic_auth: any name, and the token.
    let basic = base64(&format!("x:{secret}"));
    assert_eq!(get("/metrics", &format!("Authorization: Basic {basic}\r\n")), 200);
    assert_eq!(get("/metrics", "Authorization: Bearer rackside_00\r\n"), 401);
    hub.eventually("the brief one has expired", |_| Some(()).filter(|()| get("/api/sites", &brief) == 401));
    let (_, head, body) = hub.whole("GET", "/api/sites", &brief, "");
    assert!(header(&head, "www-authenticate").is_some_and(|how| how.contains("invalid_token")));
    assert!(header(&head, "content-type").is_some_and(|kind| kind == "application/problem+json"), "{body}");
    let listed = place.done(&["token", "list"], "");
    assert!(listed.contains("(expired)") && !listed.contains(secret), "{listed}");
    place.done(&["token", "revoke", "grafana"], "");
    assert_eq!(get("/api/sites", &read), 401, "with the next request");
    hub.expect("the command line revoked the token grafana");
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = text.as_bytes().chunks(3).map(|group| {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        let letter = |at: usize| char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at <= group.len() { letter(at) } else { '=' }).collect::<String>()
    });
    groups.collect()
}

#[test]
fn the_command_line_counts_beside_a_hub_that_runs() {
    let place = Place::with_two();
    let hub = Running::start(&place.config);
    let cookie = inside(&hub, "desk");
    let sees = |path: &str| hub.send("GET", path, &format!("{FAR}{cookie}"), "").0;
    assert_eq!((sees("/"), sees("/api/users")), (200, 403), "a viewer manages nobody");
    let listed = place.done(&["user", "list"], "");
    assert!(listed.contains("desk   viewer  hall") && listed.contains("first  admin   all"), "{listed}");
    place.done(&["user", "change", "desk", "--role", "admin"], "");
    assert_eq!(sees("/api/users"), 200);
    for (words, stdin, expected) in [
        (&["user", "add", "DESK", "--role", "viewer"][..], "correct horse\n", "there is a \"DESK\" already"),
        (&["user", "add", "new", "--role", "viewer"], "short\n", "the password has fewer than 10 characters"),
        (&["user", "change", "new", "--role", "viewer"], "", "there is no \"new\""),
        (
            &["user", "change", "first", "--role", "admin", "--site", "hall"],
            "",
            "an admin reaches every site",
        ),
        (&["token", "revoke", "none"], "", "there is no \"none\""),
        (&["token", "create", "x", "--user", "nobody"], "", "there is no \"nobody\""),
    ] {
        let (ok, out, err) = place.command(words, stdin);
        assert!(
            !ok && out.is_empty() && err.contains(expected) && err.lines().count() == 1,
            "{words:?}: {err}"
        );
    }
    place.done(&["user", "password", "desk"], "battery staple\n");
    assert_eq!(sees("/"), 303, "every login of theirs has ended");
    assert_eq!(login(&hub, "desk", PASSWORD, "").0, 401);
    assert_eq!(login(&hub, "desk", "battery staple", "").0, 303);
    place.done(&["user", "remove", "desk"], "");
    assert_eq!(login(&hub, "desk", "battery staple", "").0, 401);
    let (ok, _, err) = place.command(&["user", "remove", "first"], "");
    assert!(!ok && err.contains("this is the last admin"), "{err}");
    hub.expect("the command line removed the user desk");
}

#[test]
fn everybody_reads_where_that_is_said_and_changes_nothing() {
    let place = Place::with_two();
    let text =
        "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\nallow_anonymous = true\n";
    let config = file(&place.directory, text);
    let hub = Running::start(&config);
    assert_eq!(hub.send("GET", "/api/sites", "", "").0, 200);
    let (status, page) = hub.send("GET", "/", FAR, "");
    assert!(status == 200 && page.contains("href=\"/login\""), "{page}");
    let (status, head, _) = hub.whole("GET", "/settings", FAR, "");
    assert_eq!((status, header(&head, "location")), (303, Some("/login?to=/settings")));
    let until = rackside_hub::clock::now().utc_ms + 3_600_000;
    let mute = format!(r#"{{"matchers":["site=\"hall\""],"ends_at":{until},"by":"a","comment":"b"}}"#);
    let json = "Content-Type: application/json\r\n";
    assert_eq!(
        hub.send("POST", "/api/silences", json, &mute).0,
        401,
        "from this machine neither, once there are users"
    );
    let act = place.token(&["node-red", "--scope", "act"]);
    assert_eq!(hub.send("POST", "/api/silences", &format!("{json}{act}"), &mute).0, 201);
    let said = hub.get("/api/silences").1;
    assert!(
        said.contains("\"by\":\"node-red\"") && !said.contains("\"by\":\"a\""),
        "whose token it is: {said}"
    );
}

#[test]
fn where_users_cannot_be_read_nobody_is_let_in_and_telemetry_goes_on() {
    let place = Place::with_two();
    let path = place.directory.path().join("data/access.db");
    std::fs::write(
        &path,
        "not what it was, and long enough that nobody takes it for something that is empty",
    )
    .expect("written");
    let hub = Running::start(&place.config);
    let (status, page) = hub.send("GET", "/", "Accept: text/html\r\n", "");
    assert!(status == 503 && page.contains("is damaged"), "{page}");
    assert_eq!(hub.get("/api/sites").0, 503);
    assert_eq!(hub.get("/health/readiness").0, 200, "agents come in as ever");
    let (ok, _, err) = place.command(&["user", "list"], "");
    assert!(!ok && err.contains("is damaged"), "{err}");
}
