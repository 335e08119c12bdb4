//! Parameters of a request, as Go's `net/http` reads them: of the body of a form first, then of the address; of several values of a
//! name the first one counts, unless all are asked for.
//!
//! Pairs that cannot be read are left out, and only some endpoints complain of them. A body that is no form (`multipart/form-data`
//! included) is not looked at.
//!
//! `POST /api/v1/query?time=1` with `query=up%7Bsite%3D%22hall%22%7D` is `query` and `time`.

use super::json::quoted;
use super::reply::Failure;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{Method, Request, Uri, header};
use rackside_promql::ErrorType;
use std::borrow::Cow;
use std::time::Duration;

/// The largest body of a form that asks something in PromQL; a query is far smaller.
const QUERY: usize = 1 << 20;
/// The largest body of any other form, which may be of somebody whom nobody knows yet.
const OTHER: usize = 64 << 10;
/// A body that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was asked, name by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct Form {
    pairs: Vec<(String, String)>,
    problem: Option<String>,
}

impl Form {
    /// What somebody is told whose form [`read`](Self::read) did not get.
    pub(in crate::web) const BROKEN: &str = "The form did not come whole. Send it again.";

    /// Reads a request to its end.
    pub(in crate::web) async fn read(request: Request<Body>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let mut form = Self::default();
        if is_form(&parts) {
            let most = Self::most(parts.uri.path());
            let reading = tokio::time::timeout(PATIENCE, to_bytes(body, most)).await;
            let bytes = reading
                .map_err(|_| Failure::new(ErrorType::Timeout, "the form did not come within half a minute"))?
                .map_err(|_| {
                    Failure::bad_data(format!("the form is larger than {most} bytes, or broke off"))
                })?;
            form.add(&bytes);
        }
        form.add(parts.uri.query().unwrap_or("").as_bytes());
        Ok(form)
    }

    /// The largest body of a form that is sent there, in bytes.
    pub(in crate::web) fn most(path: &str) -> usize {
        if path.starts_with("/api/v1/") { QUERY } else { OTHER }
    }

    /// What stands in the address alone.
    pub(in crate::web) fn of_address(address: &Uri) -> Self {
        let mut form = Self::default();
        form.add(address.query().unwrap_or("").as_bytes());
        form
    }

    /// Of a form's body that was read already, and the address.
    pub(in crate::web) fn of_body(body: &[u8], address: &Uri) -> Self {
        let mut form = Self::default();
        form.add(body);
        form.add(address.query().unwrap_or("").as_bytes());
        form
    }

    /// As if these had been asked.
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { pairs: pairs.collect(), problem: None }
    }

    fn add(&mut self, text: &[u8]) {
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            match self::pair(pair) {
                Ok(pair) => self.pairs.push(pair),
                Err(problem) => drop(self.problem.get_or_insert(problem)),
            }
        }
    }

    /// The first value of `name`; empty, if there is none.
    pub(in crate::web) fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// Every value of `name`.
    pub(in crate::web) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What could not be read, for those who complain.
    pub(super) fn problem(&self) -> Result<(), Failure> {
        self.problem
            .as_ref()
            .map_or(Ok(()), |problem| Err(Failure::bad_data(format!("error parsing form values: {problem}"))))
    }
}

fn is_form(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    parts.method == Method::POST && kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn pair(text: &[u8]) -> Result<(String, String), String> {
    if text.contains(&b';') {
        return Err("invalid semicolon separator in query".to_owned());
    }
    let at = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
    let (name, value) = (&text[..at], text.get(at + 1..).unwrap_or_default());
    Ok((unescaped(name)?, unescaped(value)?))
}

/// Without `%` and `+`. What is no UTF-8 becomes the mark for that.
fn unescaped(text: &[u8]) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits =
                    after.split_at_checked(2).and_then(|(digits, after)| Some((byte(digits)?, after)));
                let Some((byte, after)) = digits else {
                    let shown: Vec<u8> = [b'%'].iter().chain(after.iter().take(2)).copied().collect();
                    return Err(format!("invalid URL escape {}", quoted(&String::from_utf8_lossy(&shown))));
                };
                bytes.push(byte);
                rest = after;
            }
            other => bytes.push(*other),
        }
    }
    Ok(match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

fn byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Form {
        let mut form = Form::default();
        form.add(text.as_bytes());
        form
    }

    async fn read(method: Method, address: &str, kind: &str, body: &str) -> Result<Form, Failure> {
        let request = Request::builder().method(method).uri(address).header(header::CONTENT_TYPE, kind);
        Form::read(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn names_and_values_are_unescaped() {
        let form = of("query=up%7Ba%3D%22b+c%22%7D&match%5B%5D=x&match[]=y&&empty=&bare");
        assert_eq!(form.first("query"), "up{a=\"b c\"}");
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((form.first("empty"), form.first("bare"), form.first("none")), ("", "", ""));
        assert_eq!(form.pairs.len(), 5);
        assert_eq!(of("a=%ff").first("a"), "\u{fffd}");
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_the_first_of_it_remembered() {
        let form = of("a=1&b=%zz&c=2;d=3&e=%1");
        assert_eq!(form.pairs.len(), 1);
        let problem = form.problem().expect_err("two of them").to_string();
        assert_eq!(problem, "error parsing form values: invalid URL escape \"%zz\"");
        assert!(of("a=%1").problem().expect_err("cut off").to_string().ends_with("\"%1\""));
        assert!(of("a;b").problem().expect_err("a semicolon").to_string().ends_with("separator in query"));
    }

    #[tokio::test]
    async fn a_body_goes_before_the_address_if_it_is_a_form() {
        let form =
            read(Method::POST, "/?a=1&b=2", "Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=3").await;
        let form = form.expect("a form");
        assert_eq!((form.first("a"), form.first("b")), ("3", "2"));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["3", "1"]);
        for (method, kind) in [(Method::POST, "application/json"), (Method::POST, ""), (Method::GET, FORM)] {
            let form = read(method, "/?a=1", kind, "a=3").await.expect("the address alone");
            assert_eq!(form.first("a"), "1");
        }
    }

    #[tokio::test]
    async fn a_body_has_a_largest_size_and_only_a_query_may_be_long() {
        for (path, size) in
            [("/api/v1/query", 1 << 20), ("/login", 64 << 10), ("/alerts/274019e265251482", 64 << 10)]
        {
            let most = format!("a={}", "x".repeat(size - 2));
            let form = read(Method::POST, path, FORM, &most).await.expect("it fits");
            assert_eq!(form.first("a").len(), size - 2, "{path}");
            let error = read(Method::POST, path, FORM, &format!("{most}x")).await;
            let error = error.expect_err("one too many");
            assert_eq!(error.kind(), ErrorType::BadData, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64), near in "[a%+&=;0-9A-F\\[\\]]{0,48}") {
            let mut form = Form::default();
            form.add(&bytes);
            form.add(near.as_bytes());
            let _ = form.problem();
        }

        #[test]
        fn what_is_escaped_comes_back(text in "\\PC{0,32}") {
            let escaped = text.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
            let form = of(&format!("a={escaped}"));
            prop_assert_eq!(form.first("a"), text.as_str());
        }
    }
}
