//! `[[probe.http]]`: whether a page answers as it should: its status, a text in it, a field of its JSON.
//!
//! Each phase is timed, over all redirects. With `https://` the certificate must be believed before anything is asked, and how long each of the
//! chain lasts is told, even when it is not believed. A page that answers otherwise is down, and so is silence.
//!
//! ```toml
//! [[probe.http]]
//! name = "player"
//! url = "https://player.example/health"
//! json = { field = "streams.0.state", equals = "live" }
//! ```

use crate::probe::certificate::Certificate;
use crate::probe::config::{Settings, Shared as _, kind};
use crate::probe::http::{self, Answer, FetchError, Method, Phases, Request, Trust, Url};
use crate::probe::{Context, Outcome, Probe, Running};
use rackside_proto::{Scale, metric};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// So much of a page is searched; what is only counted may be longer.
const MOST: usize = 256 * 1024;
const MOST_COUNTED: usize = 1024 * 1024;
/// More certificates than any honest chain has.
const CHAIN: usize = 8;
/// Tenths of a millisecond.
const PHASE: Scale = Scale::per(10_000);

kind! {
    /// What the configuration has for it.
    pub struct Http with user, password, token {
        /// `http://` or `https://`.
        url: String,
        /// `GET` unless set.
        #[serde(default)]
        method: Option<String>,
        /// The good ones; 200 to 299 when empty.
        #[serde(default)]
        status: Vec<u16>,
        /// A text that must be in the page.
        #[serde(default)]
        contains: Option<String>,
        /// A field that its JSON must have.
        #[serde(default)]
        json: Option<Field>,
        /// How many redirects are followed; 5 unless set.
        #[serde(default)]
        redirects: Option<u8>,
        /// Whose signature is believed; the system's authorities' when not set.
        #[serde(default)]
        ca: Option<PathBuf>,
        /// Whether the certificate need not be believed at all.
        #[serde(default)]
        any_certificate: bool,
    }
}

/// A field of a page's JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Names and positions with dots between: `streams.0.state`.
    field: String,
    /// What it must be; without this it must be there, and neither `false` nor `null`.
    #[serde(default)]
    equals: Option<Scalar>,
}

/// A value that TOML and JSON both have.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a text, a number, true or false is wanted")]
enum Scalar {
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Self::Number(wanted), Value::Number(found)) => found.as_f64() == Some(*wanted),
            (Self::Text(wanted), Value::String(found)) => wanted == found,
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => format!("\"{value}\""),
        }
    }
}

impl Field {
    /// What is wrong with a page's JSON, if anything.
    fn check(&self, page: &Value) -> Result<(), String> {
        let Self { field, equals } = self;
        let found = field.split('.').try_fold(page, |value, name| match value {
            Value::Array(values) => values.get(name.parse::<usize>().ok()?),
            other => other.get(name),
        });
        match (found, equals) {
            (None, _) => Err(format!("its JSON has no field {field}")),
            (Some(found), Some(wanted)) if wanted.is(found) => Ok(()),
            (Some(found), Some(wanted)) => {
                Err(format!("its field {field} is {} instead of {}", brief(found), wanted.shown()))
            }
            (Some(Value::Null | Value::Bool(false)), None) => Err(format!("its field {field} is not set")),
            (Some(_), None) => Ok(()),
        }
    }
}

/// A value for a sentence: not a list of a thousand.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::String(text) if text.chars().count() > 40 => {
            format!("\"{}…\"", text.chars().take(40).collect::<String>())
        }
        other => other.to_string(),
    }
}

impl Settings for Http {
    fn target(&self) -> String {
        Url::parse(&self.url).map_or_else(|_| "an address".to_owned(), |url| url.to_string())
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        Url::parse(&self.url).map_err(|why| ("url", format!("this is no address of a page: {why}")))?;
        if let Some(method) = &self.method
            && !["GET", "HEAD", "POST", "PUT", "OPTIONS"].contains(&method.as_str())
        {
            let known = "GET, HEAD, POST, PUT and OPTIONS are possible";
            return Err(("method", format!("\"{method}\" is not among the methods; {known}")));
        }
        if let Some(status) = self.status.iter().find(|status| !(100..=599).contains(*status)) {
            return Err(("status", format!("{status} is no status; from 100 to 599 is possible")));
        }
        if self.redirects.is_some_and(|redirects| redirects > 20) {
            return Err(("redirects", "is out of range; from 0 to 20 is possible".to_owned()));
        }
        if self.contains.as_deref() == Some("") {
            return Err(("contains", "an empty text is in every page".to_owned()));
        }
        if self.ca.is_some() && self.any_certificate {
            return Err(("any_certificate", "there is a `ca` as well; keep one of them".to_owned()));
        }
        Ok(())
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

impl Probe for Http {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(self.ask(context))
    }
}

impl Http {
    async fn ask(&self, context: &Context) -> Outcome {
        let url = Url::parse(&self.url).expect("the configuration was checked");
        let answer = match self.request(&url, context.within) {
            Ok(request) => http::fetch(context, request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let mut outcome = match self.judge(&answer) {
                    Ok(()) => Outcome::up(),
                    Err(why) => Outcome::down(format!("{}: {why}", answer.url.origin())),
                };
                outcome.put(&metric::HTTP_STATUS, &[], Scale::ONE, f64::from(answer.status));
                outcome.put(&metric::HTTP_BODY, &[], Scale::ONE, answer.length as f64);
                put_phases(&mut outcome, &answer.phases, url.is_tls() || answer.url.is_tls());
                put_chain(&mut outcome, &answer.chain);
                outcome
            }
            Err(error) if error.is_own() => Outcome::unknown(error.to_string()),
            Err(error) => {
                let mut outcome = Outcome::down(error.to_string());
                if let FetchError::Tls(error) = &error {
                    put_chain(&mut outcome, &error.chain);
                }
                outcome
            }
        }
    }

    fn request<'a>(&self, url: &'a Url, within: Duration) -> Result<Request<'a>, FetchError> {
        let method = self.method.as_deref().unwrap_or("GET");
        let is_kept = self.contains.is_some() || self.json.is_some();
        let login = self.login().authorization().map_err(FetchError::Own)?;
        Ok(Request {
            method: Method::from_bytes(method.as_bytes()).expect("the configuration was checked"),
            headers: login.into_iter().collect(),
            most: if is_kept { MOST } else { MOST_COUNTED },
            is_kept,
            redirects: self.redirects.unwrap_or(5),
            trust: if self.any_certificate { Trust::Anybody } else { Trust::of(self.ca.as_ref()) },
            within,
            ..Request::get(url)
        })
    }

    /// What is wrong with an answer, if anything.
    fn judge(&self, answer: &Answer) -> Result<(), String> {
        let status = answer.status;
        let is_good =
            if self.status.is_empty() { answer.is_success() } else { self.status.contains(&status) };
        if !is_good {
            return Err(format!("it answers {status}"));
        }
        if let Some(wanted) = &self.contains
            && !contains(&answer.body, wanted.as_bytes())
        {
            let part = if answer.is_cut { " (only its beginning was looked at)" } else { "" };
            return Err(format!("the page does not contain \"{wanted}\"{part}"));
        }
        if let Some(field) = &self.json {
            field.check(&answer.json()?)?;
        }
        Ok(())
    }
}

fn contains(page: &[u8], wanted: &[u8]) -> bool {
    page.windows(wanted.len().max(1)).any(|part| part == wanted)
}

fn put_phases(outcome: &mut Outcome, phases: &Phases, is_tls: bool) {
    let Phases { resolve, connect, tls, first_byte, transfer } = *phases;
    let tls = is_tls.then_some(("tls", tls));
    let rest = [("first_byte", first_byte), ("transfer", transfer)];
    for (phase, took) in [("resolve", resolve), ("connect", connect)].into_iter().chain(tls).chain(rest) {
        outcome.put(&metric::HTTP_PHASE, &[phase], PHASE, took.as_secs_f64());
    }
}

/// Until when each certificate of a chain is valid.
pub(super) fn put_chain(outcome: &mut Outcome, chain: &[CertificateDer<'_>]) {
    for (at, certificate) in chain.iter().take(CHAIN).enumerate() {
        let Some(certificate) = Certificate::read(certificate) else { continue };
        let place = if at == 0 { "leaf".to_owned() } else { format!("intermediate-{at}") };
        outcome.put(&metric::TLS_NOT_AFTER, &[&place], Scale::ONE, certificate.not_after as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::http::server::{Server, ok};
    use crate::probe::outcome::State;
    use proptest::prelude::*;

    fn probe(keys: &str, url: &str) -> Http {
        let text = format!("name = \"page\"\nurl = \"{url}\"\n{keys}");
        let probe: Http = rackside_config::parse(&text, "x").expect("good keys");
        probe.check().expect("a good probe");
        probe
    }

    fn run(keys: &str, server: &Server) -> Outcome {
        smol::block_on(probe(keys, &server.url("/page?key=hunter2")).run(&Context::default()))
    }

    /// Why it is down, without the port.
    fn down(keys: &str, server: &Server) -> String {
        match run(keys, server).state {
            State::Down(why) => why.replace(&server.url(""), "ORIGIN"),
            other => panic!("{keys}: {other:?}"),
        }
    }

    #[test]
    fn a_page_is_up_with_its_status_its_size_and_its_phases() {
        let server = Server::page("hello");
        let outcome = run("", &server);
        assert_eq!(outcome.state, State::Up);
        let value = |wanted: &'static metric::Metric| {
            let sample = outcome.samples.iter().find(|sample| std::ptr::eq(sample.metric, wanted));
            sample.expect("it is told").value.known()
        };
        assert_eq!((value(&metric::HTTP_STATUS), value(&metric::HTTP_BODY)), (Some(200), Some(5)));
        let phases: Vec<&str> = outcome
            .samples
            .iter()
            .filter(|sample| std::ptr::eq(sample.metric, &raw const metric::HTTP_PHASE))
            .map(|sample| sample.labels[0].as_str())
            .collect();
        assert_eq!(phases, ["resolve", "connect", "first_byte", "transfer"]);
        assert!(!probe("", &server.url("/?key=hunter2")).target().contains("hunter2"));
    }

    #[test]
    fn the_wrong_status_is_down() {
        let gone = Server::saying("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(down("", &gone), "ORIGIN: it answers 404");
        assert_eq!(run("status = [404]", &gone).state, State::Up);
        assert_eq!(down("status = [404]", &Server::page("x")), "ORIGIN: it answers 200");
    }

    #[test]
    fn a_text_must_be_in_the_page() {
        let server = Server::page("we are On Air now");
        assert_eq!(run("contains = \"On Air\"", &server).state, State::Up);
        assert_eq!(down("contains = \"on air\"", &server), "ORIGIN: the page does not contain \"on air\"");
        let long = Server::page(&"x".repeat(MOST + 1));
        let why = down("contains = \"y\"", &long);
        assert_eq!(why, "ORIGIN: the page does not contain \"y\" (only its beginning was looked at)");
    }

    #[test]
    fn a_field_of_json_must_be_as_wanted() {
        let server = Server::page(r#"{"a":{"list":[{"state":"live","n":3,"on":true,"off":false}]}}"#);
        for good in [
            r#"{ field = "a.list.0.state", equals = "live" }"#,
            r#"{ field = "a.list.0.n", equals = 3 }"#,
            r#"{ field = "a.list.0.on", equals = true }"#,
            r#"{ field = "a.list" }"#,
        ] {
            assert_eq!(run(&format!("json = {good}"), &server).state, State::Up, "{good}");
        }
        for (bad, why) in [
            (
                r#"{ field = "a.list.0.state", equals = "idle" }"#,
                "its field a.list.0.state is \"live\" instead of \"idle\"",
            ),
            (r#"{ field = "a.list.0.n", equals = "3" }"#, "its field a.list.0.n is 3 instead of \"3\""),
            (r#"{ field = "a.list.0.off" }"#, "its field a.list.0.off is not set"),
            (r#"{ field = "a.list.1" }"#, "its JSON has no field a.list.1"),
            (r#"{ field = "a.list", equals = 1 }"#, "its field a.list is a list instead of 1"),
        ] {
            assert_eq!(down(&format!("json = {bad}"), &server), format!("ORIGIN: {why}"));
        }
        let html = down("json = { field = \"a\" }", &Server::page("<html>"));
        assert_eq!(html, "ORIGIN: ORIGIN gave a page of HTML or XML instead of JSON");
    }

    #[test]
    fn a_login_is_sent_and_one_that_cannot_be_read_is_unknown() {
        let server = Server::start(|request, talk| {
            let is_known = request.contains("authorization: Basic dXNlcjo=\r\n");
            let answer = if is_known { ok("x") } else { "HTTP/1.1 401 Who\r\n\r\n".to_owned() };
            let _ = talk.write_all(answer.as_bytes());
        });
        assert_eq!(down("", &server), "ORIGIN: it answers 401");
        assert_eq!(run("user = \"user\"", &server).state, State::Up);
        let outcome = run("token = { file = \"/nowhere/token\" }", &server);
        assert!(
            matches!(&outcome.state, State::Unknown(why) if why.starts_with("/nowhere/token: ")),
            "{outcome:?}"
        );
    }

    proptest! {
        #[test]
        fn no_page_and_no_field_make_it_panic(page in ".{0,60}", field in "[a-c0-9.]{0,12}", number in any::<f64>()) {
            let field = Field { field, equals: Some(Scalar::Number(number)) };
            if let Ok(value) = serde_json::from_str(&page) {
                let _ = field.check(&value);
            }
            let _ = field.check(&serde_json::json!({"a": [{"b": number}, null], "c": page}));
        }
    }
}
