//! The exchange over HTTP: one POST, one answer, and what it means when something else answers.
//!
//! Question and answer prove themselves, so TLS is taken as it comes, whoever signed it: a proxy that opens it learns nothing and changes nothing.
//! No redirect is followed: a hub sends none, and a network that wants to be logged into does.

use super::JoinError;
use crate::probe::Context;
use crate::probe::http::{self, Method, Request, Trust, Url};
use rackside_proto::join::{ANSWER, CONTENT_TYPE, PATH};
use std::time::Duration;

/// From the name to the last byte; an interactive command, and a venue's network.
const WITHIN: Duration = Duration::from_secs(20);

/// The answer's bytes, of which nothing is believed yet.
pub async fn ask(url: &Url, question: &[u8], context: &Context) -> Result<Vec<u8>, JoinError> {
    let url = url.join(PATH).map_err(JoinError::Url)?;
    let request = Request {
        method: Method::POST,
        headers: vec![("content-type", CONTENT_TYPE.to_owned()), ("accept", CONTENT_TYPE.to_owned())],
        body: question.to_vec(),
        most: ANSWER,
        redirects: 0,
        trust: Trust::Anybody,
        within: WITHIN,
        ..Request::get(&url)
    };
    let answer = http::fetch(context, request).await.map_err(JoinError::Fetch)?;
    if answer.header("content-type") == Some(CONTENT_TYPE) && !answer.is_cut {
        return Ok(answer.body);
    }
    let leads_to = answer.header("location").map(|to| to.chars().take(200).collect());
    Err(JoinError::Stranger { origin: url.origin(), status: answer.status, leads_to })
}
