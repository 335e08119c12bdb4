//! The envelope around every answer, and its HTTP code. What is in it, its own file says.
//!
//! ```text
//! 200 {"status":"success","data":["arena-north","town-hall"]}
//! 200 {"status":"success","data":{"resultType":"vector","result":[]},"warnings":["values before … are means of a minute"]}
//! 422 {"status":"error","errorType":"execution","error":"query processing would take too many samples: …"}
//! ```

use super::json;
use crate::web::accept::compressed;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use rackside_promql::{ErrorType, EvalError, ParseError, SourceError, Stop};
use serde::Serialize;
use std::fmt;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct Failure {
    kind: ErrorType,
    text: String,
}

impl Failure {
    pub(super) fn new(kind: ErrorType, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// The request makes no sense.
    pub(super) fn bad_data(text: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, text)
    }

    /// One of its parameters makes no sense.
    pub(super) fn parameter(name: &str, problem: impl fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {problem}"))
    }

    /// Prometheus's name for it.
    pub(in crate::web) fn kind(&self) -> ErrorType {
        self.kind
    }

    /// The HTTP code that says it.
    pub(in crate::web) fn code(&self) -> StatusCode {
        match self.kind {
            ErrorType::BadData => StatusCode::BAD_REQUEST,
            ErrorType::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorType::Timeout | ErrorType::Canceled => StatusCode::SERVICE_UNAVAILABLE,
            ErrorType::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// As it is sent.
    pub(super) fn response(&self) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope<'a> {
            status: &'static str,
            error_type: &'static str,
            error: &'a str,
        }
        let mut body = Vec::new();
        json::write(
            &mut body,
            &Envelope { status: "error", error_type: self.kind.as_str(), error: &self.text },
        );
        let mut response = response(Body::from(body));
        *response.status_mut() = self.code();
        response
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::new(error.error_type(), error.to_string())
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        Self::new(error.error_type(), error.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let kind = match error {
            SourceError::Stopped(Stop::Timeout) => ErrorType::Timeout,
            SourceError::Stopped(Stop::Canceled) => ErrorType::Canceled,
            SourceError::TooMuch(_) => ErrorType::Execution,
            SourceError::Failed(_) => ErrorType::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

/// A response of this body, with code 200.
fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// The beginning and the end of an answer, with its data between them.
pub(super) const HEAD: &[u8] = b"{\"status\":\"success\",\"data\":";

/// What follows the data.
pub(super) fn write_end(out: &mut Vec<u8>, warnings: &[String]) {
    if !warnings.is_empty() {
        out.extend(b",\"warnings\":");
        json::write(out, warnings);
    }
    out.push(b'}');
}

/// An answer's whole text.
pub(super) fn text<T: Serialize + ?Sized>(data: &T, warnings: &[String]) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    json::write(&mut out, data);
    write_end(&mut out, warnings);
    out
}

/// An answer that is all there, compressed if that is accepted and worth it.
pub(super) fn whole(is_packed: bool, text: Vec<u8>) -> Response {
    if is_packed && text.len() > 1024 {
        return encoded(Body::from(compressed(&text)));
    }
    response(Body::from(text))
}

/// An answer that comes bit by bit, compressed or not.
pub(super) fn in_pieces(body: Body, is_compressed: bool) -> Response {
    if is_compressed { encoded(body) } else { response(body) }
}

fn encoded(body: Body) -> Response {
    let mut response = response(body);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}
