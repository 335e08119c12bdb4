//! `/api/v1/query`, `/api/v1/query_range`: what an expression is worth at a moment, or at many. Beside them what is asked of an expression
//! and needs no series: `/api/v1/format_query`, `/api/v1/query_exemplars`.
//!
//! ```text
//! query=up&time=1795145096.123&timeout=5s
//! query=rate(rackside_errors_total[5m])&start=2026-11-20T00:00:00Z&end=1795145096&step=30s
//! ```

use super::Api;
use super::form::Form;
use super::moment::{Moment, duration};
use super::pieces::{Compressed, PIECE, Pieces};
use super::reach;
use super::reply::{Failure, in_pieces, text, whole};
use crate::clock;
use crate::web::accept::gzip;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use rackside_promql::{Outcome, Query, format_query};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Steps of a range query after its first.
const POINTS: i128 = 11_000;
/// An answer that is still on its way after this is cut off; whoever takes nothing of it at all is cut off earlier, by the server.
const SENT_WITHIN: Duration = Duration::from_mins(5);

/// The moments that a query is evaluated at, ms.
enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// A query as it was asked.
struct Question {
    query: String,
    when: When,
    timeout: Option<Duration>,
    /// What stands before a complaint about the expression.
    is_named: bool,
}

impl Question {
    fn instant(form: &Form, now_ms: u64) -> Result<Self, Failure> {
        let at = optional(form, "time", Moment::of_ms(now_ms))?;
        let (query, timeout) = (form.first("query").to_owned(), timeout(form)?);
        Ok(Self { query, when: When::At(at.ms()), timeout, is_named: true })
    }

    fn range(form: &Form) -> Result<Self, Failure> {
        let moment = |name| Moment::parse(form.first(name)).map_err(|why| Failure::parameter(name, why));
        let (start, end) = (moment("start")?, moment("end")?);
        if end < start {
            return Err(Failure::parameter("end", "end timestamp must not be before start time"));
        }
        let step = duration(form.first("step")).map_err(|why| Failure::parameter("step", why))?;
        if step <= 0 {
            let why =
                "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(Failure::parameter("step", why));
        }
        if start.until(end) / i128::from(step) > POINTS {
            let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
            return Err(Failure::bad_data(why));
        }
        let (query, timeout) = (form.first("query").to_owned(), timeout(form)?);
        let step = step / 1_000_000;
        if step == 0 {
            return Err(Failure::parameter("step", "steps of less than a millisecond are not accepted"));
        }
        let when = When::Range { start: start.ms(), end: end.ms(), step };
        Ok(Self { query, when, timeout, is_named: false })
    }

    fn parsed(&self) -> Result<Query, Failure> {
        Query::parse(&self.query)
            .map_err(|error| if self.is_named { Failure::parameter("query", error) } else { error.into() })
    }
}

/// A moment that need not be given.
pub(super) fn optional(form: &Form, name: &str, otherwise: Moment) -> Result<Moment, Failure> {
    match form.first(name) {
        "" => Ok(otherwise),
        text => Moment::parse(text)
            .map_err(|why| Failure::parameter(name, format_args!("Invalid time value for '{name}': {why}"))),
    }
}

fn timeout(form: &Form) -> Result<Option<Duration>, Failure> {
    match form.first("timeout") {
        "" => Ok(None),
        text => {
            let nanoseconds = duration(text).map_err(|why| Failure::parameter("timeout", why))?;
            // Before now is now.
            Ok(Some(Duration::from_nanos(nanoseconds.max(0) as u64)))
        }
    }
}

pub(super) async fn instant(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (headers, sites) = (request.headers().clone(), reach::of(&request));
    let question = Form::read(request).await.and_then(|form| Question::instant(&form, clock::now().utc_ms));
    api.answer(question, sites.as_ref(), &headers).await.unwrap_or_else(|failure| failure.response())
}

pub(super) async fn range(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (headers, sites) = (request.headers().clone(), reach::of(&request));
    let question = Form::read(request).await.and_then(|form| Question::range(&form));
    api.answer(question, sites.as_ref(), &headers).await.unwrap_or_else(|failure| failure.response())
}

/// An answer as far as it is written where the query was worked on.
enum Begun {
    /// All of it.
    Whole(Response),
    /// The first piece, and where the others come from.
    Large(Vec<u8>, Pieces),
}

impl Begun {
    fn new(outcome: Outcome, is_packed: bool) -> Self {
        let mut pieces = Pieces::new(outcome);
        let first = pieces.next().unwrap_or_default();
        if first.len() < PIECE { Self::Whole(whole(is_packed, first)) } else { Self::Large(first, pieces) }
    }
}

impl Api {
    async fn answer(
        &self,
        question: Result<Question, Failure>,
        sites: Option<&BTreeSet<String>>,
        headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let question = question.inspect_err(|failure| self.queue.refused(failure.kind()))?;
        let deadline = self.queue.deadline(question.timeout);
        let (source, is_packed) = (reach::within(&self.behind.series, sites), gzip(headers));
        let work = self.queue.work(deadline, move |reins| {
            let query = question.parsed()?;
            let outcome = reins.held(|limits| match question.when {
                When::At(at) => query.instant(&*source, at, limits),
                When::Range { start, end, step } => query.range(&*source, start, end, step, limits),
            });
            Ok(Begun::new(outcome?, is_packed))
        });
        let (first, rest) = match work.await? {
            Begun::Whole(response) => return Ok(response),
            Begun::Large(first, rest) => (first, rest),
        };
        let way_out = self.queue.way_out(deadline).await?;
        let pieces = std::iter::once(first).chain(rest);
        Ok(if is_packed {
            in_pieces(body(Compressed::new(pieces), way_out), true)
        } else {
            in_pieces(body(pieces, way_out), false)
        })
    }
}

/// Pieces as they are asked for by whoever sends them.
fn body(pieces: impl Iterator<Item = Vec<u8>> + Send + 'static, way_out: OwnedSemaphorePermit) -> Body {
    let until = clock::now().instant + SENT_WITHIN;
    Body::from_stream(stream::iter(Sending { pieces, until, _way_out: way_out }))
}

/// An answer while it is sent.
struct Sending<I> {
    pieces: I,
    until: Instant,
    _way_out: OwnedSemaphorePermit,
}

impl<I: Iterator<Item = Vec<u8>>> Iterator for Sending<I> {
    type Item = Result<Bytes, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if clock::now().instant >= self.until {
            return Some(Err("the answer to a query was not taken in time".to_owned()));
        }
        self.pieces.next().map(|piece| Ok(Bytes::from(piece)))
    }
}

/// `/api/v1/format_query`: the expression as it is written everywhere, a long one over several lines.
pub(super) async fn format(request: Request) -> Response {
    let is_packed = gzip(request.headers());
    let answer = async {
        let form = Form::read(request).await?;
        let query = format_query(form.first("query")).map_err(|error| Failure::parameter("query", error))?;
        Ok(whole(is_packed, text(&query, &[])))
    };
    answer.await.unwrap_or_else(|failure: Failure| failure.response())
}

/// There are no exemplars, so there is only to say what is wrong with the question.
pub(super) async fn exemplars(request: Request) -> Response {
    let answer = async {
        let form = Form::read(request).await?;
        let start = optional(&form, "start", Moment::FIRST)?;
        let end = optional(&form, "end", Moment::LAST)?;
        if end < start {
            return Err(Failure::bad_data("end timestamp must not be before start timestamp"));
        }
        let query = Query::parse(form.first("query"))?;
        if query.selectors().next().is_none() {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Ok(whole(false, text::<[(); 0]>(&[], &[])))
    };
    answer.await.unwrap_or_else(|failure: Failure| failure.response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form::of(pairs)
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        Question::range(&form(pairs)).err().expect("refused").to_string()
    }

    #[test]
    fn a_range_is_looked_at_in_prometheus_order() {
        let refused = |text: &str| format!("invalid parameter {text}");
        assert_eq!(refusal(&[]), refused("\"start\": cannot parse \"\" to a valid timestamp"));
        assert_eq!(
            refusal(&[("start", "2"), ("end", "1")]),
            refused("\"end\": end timestamp must not be before start time")
        );
        let range = |step, end| [("start", "1"), ("end", end), ("step", step)];
        assert_eq!(refusal(&range("", "2")), refused("\"step\": cannot parse \"\" to a valid duration"));
        assert!(refusal(&range("-1", "2")).ends_with("Try a positive integer"));
        assert!(refusal(&range("0.0001", "1")).ends_with("less than a millisecond are not accepted"));
        assert!(refusal(&range("1ms", "12.001")).starts_with("exceeded maximum resolution of 11,000"));
        assert!(Question::range(&form(&range("1ms", "12"))).is_ok(), "11,000 steps after the first");
    }

    #[test]
    fn a_moment_that_is_not_given_is_now() {
        let at = |pairs: &[(&str, &str)]| match Question::instant(&form(pairs), 1_795_145_096_123)
            .map(|question| question.when)
        {
            Ok(When::At(at)) => at,
            _ => panic!("an instant query"),
        };
        assert_eq!(at(&[]), 1_795_145_096_123);
        assert_eq!(at(&[("time", "-1.5")]), -1500);
        let error = Question::instant(&form(&[("time", "x")]), 0).err().expect("refused").to_string();
        assert_eq!(
            error,
            "invalid parameter \"time\": Invalid time value for 'time': cannot parse \"x\" to a valid timestamp"
        );
    }

    proptest! {
        #[test]
        fn no_parameters_do_harm(values in proptest::collection::vec("[-+0-9.eE]{0,12}|\\PC{0,8}|[0-9]{1,3}(y|d|s|ms)", 5)) {
            let names = ["start", "end", "step", "timeout", "time"];
            let pairs: Vec<_> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
            if let Ok(Question { when: When::Range { start, end, step }, .. }) = Question::range(&form(&pairs)) {
                prop_assert!(start <= end && step > 0);
                prop_assert!(i128::from(end) - i128::from(start) <= i128::from(step) * (POINTS + 1) + 11_000);
            }
            let _ = Question::instant(&form(&pairs), 0);
        }
    }
}
