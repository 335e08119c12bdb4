//! `/api/v1/series`, `/api/v1/labels`, `/api/v1/label/{name}/values`: which series there are and what they are labelled with. No samples.
//!
//! A series is there if it has, or may have, a sample between `start` and `end`; without them, at any time at all.
//!
//! ```text
//! match[]=rackside_stream_up&match[]={site="hall"}&start=1795100000
//! {"status":"success","data":[{"__name__":"rackside_stream_up","appliance":"rack-1","probe":"main","site":"hall"}]}
//! ```

use super::Api;
use super::form::Form;
use super::json::{self, quoted};
use super::moment::Moment;
use super::pieces::write_labels;
use super::query::optional;
use super::queue::Reins;
use super::reach;
use super::reply::{Failure, HEAD, whole, write_end};
use crate::query::Fleetwide;
use crate::web::accept::gzip;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use rackside_promql::{
    ErrorType, Labels, Matcher, Memory, Reduce, Sample, Select, Source, SourceError, Stop, Take, Wanted,
    is_label_name, parse_selector,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Series for queries, and for questions that are about labels alone.
pub trait Series: Source + Send + Sync {
    /// Hands over every series whose labels all of `matchers` hold for and that has, or may have, a sample from `from` to `to`, both in
    /// milliseconds and included. With which samples does not matter, and a series may come more than once.
    fn labels(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        take: &mut dyn Take,
    ) -> Result<(), SourceError> {
        let (wanted, reduce) = (Wanted::Newest, Reduce::Count);
        self.select(&Select { matchers, from, to, wanted, step: None, window: None, reduce }, take)
    }
}

impl Series for Fleetwide {
    fn labels(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        take: &mut dyn Take,
    ) -> Result<(), SourceError> {
        self.names(matchers, (from, to), take)
    }
}

/// For tests: it holds what is pushed into it.
impl Series for Memory {
    fn labels(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        take: &mut dyn Take,
    ) -> Result<(), SourceError> {
        for (labels, samples) in self.series() {
            let is_there = samples.iter().any(|sample| (from..=to).contains(&sample.at));
            if is_there
                && matchers.iter().all(|matcher| matcher.matches(labels))
                && take.series(labels, &[]).is_break()
            {
                break;
            }
        }
        Ok(())
    }
}

/// Which series are asked for.
struct Question {
    /// A series is meant that any of these lists holds for; every one, if there is none.
    sets: Vec<Vec<Matcher>>,
    from: i64,
    to: i64,
}

impl Question {
    fn new(form: &Form, is_named: bool) -> Result<Self, Failure> {
        let from = optional(form, "start", Moment::FIRST)?.ms();
        let to = optional(form, "end", Moment::LAST)?.ms();
        let sets = form.all("match[]").map(parse_selector).collect::<Result<Vec<_>, _>>();
        let sets =
            sets.map_err(|error| if is_named { Failure::parameter("match[]", error) } else { error.into() })?;
        Ok(Self { sets, from, to })
    }

    /// Looks at each series once or more often.
    fn each(
        &self,
        source: &dyn Series,
        reins: &Reins,
        see: &mut dyn FnMut(&Labels) -> usize,
    ) -> Result<Vec<String>, Failure> {
        if self.from > self.to {
            return Ok(Vec::new());
        }
        let mut taker = Taker { reins, see, warnings: Vec::new(), has_enough: false };
        let all = [Vec::new()];
        for set in if self.sets.is_empty() { &all[..] } else { &self.sets } {
            source.labels(set, self.from, self.to, &mut taker)?;
            if let Some(stop) = reins.stopped() {
                return Err(SourceError::Stopped(stop).into());
            }
        }
        if taker.has_enough {
            let most = reins.series();
            return Err(Failure::new(
                ErrorType::Execution,
                format!("there are more than {most} series to name; ask for fewer with match[]"),
            ));
        }
        Ok(taker.warnings)
    }
}

struct Taker<'a> {
    reins: &'a Reins,
    /// Says how much it keeps.
    see: &'a mut dyn FnMut(&Labels) -> usize,
    warnings: Vec<String>,
    has_enough: bool,
}

impl Take for Taker<'_> {
    fn series(&mut self, labels: &Labels, _: &[Sample]) -> ControlFlow<()> {
        self.has_enough |= (self.see)(labels) > self.reins.series();
        if self.has_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stopped(&self) -> Option<Stop> {
        self.reins.stopped()
    }

    fn warn(&mut self, text: &str) {
        if !self.warnings.iter().any(|known| known == text) {
            self.warnings.push(text.to_owned());
        }
    }
}

pub(super) async fn series(State(api): State<Arc<Api>>, request: Request) -> Response {
    let question = |form: &Form| {
        form.problem()?;
        if form.all("match[]").next().is_none() {
            return Err(Failure::bad_data("no match[] parameter provided"));
        }
        Question::new(form, true)
    };
    api.named(request, question, |question, source, reins| {
        let mut found = BTreeSet::new();
        let warnings = question.each(source, reins, &mut |labels| {
            if !found.contains(labels) {
                found.insert(labels.clone());
            }
            found.len()
        })?;
        let mut out = HEAD.to_vec();
        out.push(b'[');
        for (at, labels) in found.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_labels(&mut out, labels);
        }
        out.push(b']');
        write_end(&mut out, &warnings);
        Ok(out)
    })
    .await
}

pub(super) async fn labels(State(api): State<Arc<Api>>, request: Request) -> Response {
    api.named(
        request,
        |form| Question::new(form, false),
        |question, source, reins| {
            let mut found = BTreeSet::new();
            let warnings = question.each(source, reins, &mut |labels| {
                for label in labels.iter().filter(|label| !found.contains(&*label.name)).collect::<Vec<_>>() {
                    found.insert(Arc::clone(&label.name));
                }
                found.len()
            })?;
            Ok(list(&found, &warnings))
        },
    )
    .await
}

pub(super) async fn values(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let wrong =
        (!is_label_name(&name)).then(|| Failure::bad_data(format!("invalid label name: {}", quoted(&name))));
    let question = |form: &Form| wrong.map_or_else(|| Question::new(form, false), Err);
    api.named(request, question, move |question, source, reins| {
        let mut found: BTreeSet<Arc<str>> = BTreeSet::new();
        let warnings = question.each(source, reins, &mut |labels| {
            let value = labels.iter().find(|label| *label.name == *name).map(|label| &label.value);
            if let Some(value) = value.filter(|value| !found.contains(&***value)) {
                found.insert(Arc::clone(value));
            }
            found.len()
        })?;
        Ok(list(&found, &warnings))
    })
    .await
}

fn list(found: &BTreeSet<Arc<str>>, warnings: &[String]) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    out.push(b'[');
    for (at, text) in found.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write(&mut out, &**text);
    }
    out.push(b']');
    write_end(&mut out, warnings);
    out
}

impl Api {
    /// Reads the question, has it worked on, sends the text that comes of it.
    async fn named(
        &self,
        request: Request,
        question: impl FnOnce(&Form) -> Result<Question, Failure>,
        work: impl FnOnce(&Question, &dyn Series, &Reins) -> Result<Vec<u8>, Failure> + Send + 'static,
    ) -> Response {
        let (is_packed, sites) = (gzip(request.headers()), reach::of(&request));
        let answer = async {
            let form = Form::read(request).await?;
            let question = question(&form).inspect_err(|failure| self.queue.refused(failure.kind()))?;
            let source = reach::within(&self.behind.series, sites.as_ref());
            let deadline = self.queue.deadline(None);
            self.queue
                .work(deadline, move |reins| Ok(whole(is_packed, work(&question, &*source, reins)?)))
                .await
        };
        answer.await.unwrap_or_else(|failure: Failure| failure.response())
    }
}

/// Series cannot be deleted over the API. Prometheus's words.
pub(super) async fn delete() -> Response {
    Failure::new(ErrorType::Internal, "not implemented").response()
}
