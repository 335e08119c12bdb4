//! `[[probe.portal]]`: whether this box has the internet, or a captive portal instead, or nothing.
//!
//! It asks, without TLS, for pages whose answer is known: nothing with status 204, or a text. A portal cannot but answer in their place: with a
//! redirect to itself, with a page, or with status 511. The first of `urls` that answers as it should settles it; else one from which a
//! portal spoke; else there is no internet. An answer that is neither (the page's own server has trouble) is unknown.
//!
//! ```toml
//! [[probe.portal]]
//! name = "internet"
//! urls = ["http://connectivitycheck.gstatic.com/generate_204", "http://detectportal.firefox.com/success.txt"]
//! body = "success"
//! ```

use crate::probe::config::{Settings, kind};
use crate::probe::http::{self, Answer, FetchError, Request, Url};
use crate::probe::{Context, Outcome, Probe, Running};
use rackside_proto::{Scale, Value, metric};

/// Two of different owners, so that the trouble of one is not the internet's.
const URLS: [&str; 2] =
    ["http://connectivitycheck.gstatic.com/generate_204", "http://detectportal.firefox.com/success.txt"];
/// What the second of them says.
const BODY: &str = "success";
/// Longer than any such page.
const MOST: usize = 4096;
/// Most pages that are asked for.
const MOST_URLS: usize = 4;

kind! {
    /// What the configuration has for it.
    pub struct Portal {
        /// The pages.
        #[serde(default = "urls")]
        urls: Vec<String>,
        /// What a page says that does not answer with 204.
        #[serde(default = "body")]
        body: String,
    }
}

fn urls() -> Vec<String> {
    URLS.map(str::to_owned).into()
}

fn body() -> String {
    BODY.to_owned()
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Internet,
    Portal(String),
    Neither(String),
}

impl Settings for Portal {
    fn target(&self) -> String {
        let hosts = self.urls.iter().filter_map(|url| Url::parse(url).ok()).map(|url| url.host().to_owned());
        hosts.collect::<Vec<_>>().join(", ")
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=MOST_URLS).contains(&self.urls.len()) {
            return Err(("urls", format!("1 to {MOST_URLS} pages are possible")));
        }
        for url in &self.urls {
            match Url::parse(url) {
                Err(why) => return Err(("urls", format!("this is no address of a page: {why}"))),
                Ok(url) if url.is_tls() => {
                    return Err(("urls", "a portal cannot answer over https; write http".to_owned()));
                }
                Ok(_) => {}
            }
        }
        if self.body.trim().is_empty() {
            return Err(("body", "is empty; a page that says nothing answers with 204".to_owned()));
        }
        Ok(())
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

impl Portal {
    async fn ask(&self, context: &Context) -> Outcome {
        let (mut portal, mut neither, mut nothing) = (None, None, None);
        for url in &self.urls {
            let url = Url::parse(url).expect("the configuration was checked");
            let within = context.within / self.urls.len() as u32;
            let request = Request { most: MOST, redirects: 0, within, ..Request::get(&url) };
            match http::fetch(context, request).await.map(|answer| self.read(&answer)) {
                Ok(Said::Internet) => return with_portal(Outcome::up(), Value::Known(0)),
                Ok(Said::Portal(why)) => portal = Some(why),
                Ok(Said::Neither(why)) => neither = Some(format!("{}: {why}", url.origin())),
                Err(error @ FetchError::Protocol { .. }) => neither = Some(error.to_string()),
                Err(error) => nothing = Some(error.to_string()),
            }
        }
        match (portal, neither, nothing) {
            (Some(why), ..) => with_portal(Outcome::down(why), Value::Known(1)),
            (_, Some(why), _) => with_portal(Outcome::unknown(why), Value::Unknown),
            (.., why) => {
                let why = format!("no internet: {}", why.unwrap_or_default());
                with_portal(Outcome::down(why), Value::Unknown)
            }
        }
    }

    fn read(&self, answer: &Answer) -> Said {
        let text = String::from_utf8_lossy(&answer.body);
        match answer.status {
            204 => Said::Internet,
            200 if text.trim() == self.body.trim() && !answer.is_cut => Said::Internet,
            // RFC 6585: Network Authentication Required.
            511 => Said::Portal("a captive portal wants a login".to_owned()),
            // Where a portal sends people has its session in it; who it is suffices.
            300..=399 => match answer.header("location").map(|to| answer.url.join(to)) {
                Some(Ok(to)) => Said::Portal(format!("a captive portal redirects to {}", to.origin())),
                _ => Said::Neither("it redirects to nowhere".to_owned()),
            },
            200..=299 => Said::Portal("a captive portal answers with a page of its own".to_owned()),
            status => {
                Said::Neither(format!("status {status} is neither the internet's answer nor a portal's"))
            }
        }
    }
}

fn with_portal(mut outcome: Outcome, captive: Value) -> Outcome {
    outcome.put_value(&metric::PORTAL_CAPTIVE, &[], Scale::ONE, captive);
    outcome
}

impl Probe for Portal {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(self.ask(context))
    }

    fn late(&mut self, why: String) -> Outcome {
        with_portal(Outcome::down(format!("no internet: {why}")), Value::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::State;
    use crate::probe::http::server::Server;
    use std::net::TcpListener;
    use std::time::Duration;

    const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";

    /// What comes of servers that answer so; `None` is one that nobody answers for.
    fn state(answers: &[Option<&str>]) -> (State, Value) {
        let servers: Vec<Option<Server>> =
            answers.iter().map(|answer| answer.map(|answer| Server::saying(answer.to_owned()))).collect();
        let closed =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let url = |server: &Option<Server>| match server {
            Some(server) => server.url("/check"),
            None => format!("http://{closed}/"),
        };
        let mut portal = Portal {
            name: "internet".to_owned(),
            every: None,
            timeout: None,
            retries: 0,
            stream: None,
            on_failure: None,
            urls: servers.iter().map(url).collect(),
            body: body(),
        };
        let context = Context { within: Duration::from_secs(4), ..Context::default() };
        let outcome = smol::block_on(portal.run(&context));
        (outcome.state, outcome.samples[0].value)
    }

    fn page(status: &str, head: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{head}\r\n{body}", body.len())
    }

    #[test]
    fn the_internet_says_what_it_should() {
        for answer in [EMPTY, &page("200 OK", "", "success\n")] {
            assert_eq!(state(&[Some(answer)]), (State::Up, Value::Known(0)));
        }
        assert_eq!(state(&[None, Some(EMPTY)]).0, State::Up, "the second settles it");
    }

    #[test]
    fn a_portal_redirects_shows_its_page_or_wants_a_login() {
        let secret = "location: https://portal.example/login?session=hunter2\r\n";
        for (answer, why) in [
            (page("302 Found", secret, ""), "a captive portal redirects to https://portal.example"),
            (page("200 OK", "", "<html>Welcome!"), "a captive portal answers with a page of its own"),
            (page("511 Network Authentication Required", "", ""), "a captive portal wants a login"),
        ] {
            assert_eq!(state(&[Some(&answer)]), (State::Down(why.to_owned()), Value::Known(1)));
            assert_eq!(
                state(&[Some(&answer), None]).1,
                Value::Known(1),
                "who spoke counts more than who was silent"
            );
        }
    }

    #[test]
    fn no_internet_is_no_portal() {
        let (state, captive) = state(&[None, None]);
        assert!(state.why().is_some_and(|why| why.starts_with("no internet: cannot reach ")), "{state:?}");
        assert_eq!((matches!(state, State::Down(_)), captive), (true, Value::Unknown));
    }

    #[test]
    fn a_page_whose_server_has_trouble_is_unknown() {
        for answer in [page("503 Service Unavailable", "", "x"), "SSH-2.0-OpenSSH_9.2\r\n".to_owned()] {
            let (state, captive) = state(&[Some(&answer)]);
            assert_eq!((matches!(state, State::Unknown(_)), captive), (true, Value::Unknown), "{state:?}");
        }
    }
}
