//! The way to one receiver's server, whatever it speaks.
//!
//! Invariant: it always comes to an outcome, in the time that its client allows.

use super::{HttpClient, HttpError, Mailer, Publisher};
use crate::{Answer, HttpParcel, Outcome, Parcel, Receiver, format};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A broker takes a message within that time, or it is tried again.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);

/// What parcels of one receiver go by.
#[derive(Debug)]
pub enum Carrier {
    /// Requests.
    Http(HttpClient),
    /// Mail.
    Mail(Mailer),
    /// Publishes, as the hub does.
    Mqtt(Arc<dyn Publisher>),
}

impl Carrier {
    /// Sends it, at `now` in milliseconds since 1970, with a picture in it or not.
    pub async fn carry(&self, parcel: &Parcel, receiver: &Receiver, pictured: bool, now: i64) -> Outcome {
        match (self, parcel) {
            (Self::Http(client), Parcel::Http(parcel)) => {
                request(client, parcel, receiver, pictured, now).await
            }
            (Self::Mail(mailer), Parcel::Mail(parcel)) => mailer.send(parcel, now).await,
            (Self::Mqtt(publisher), Parcel::Mqtt(parcel)) => {
                let done = timeout(PUBLISHED_WITHIN, publisher.publish(parcel)).await;
                match done.unwrap_or_else(|_| Err("the broker does not take it".to_owned())) {
                    Ok(()) => Outcome::Delivered,
                    Err(why) => Outcome::Retry { after: None, why },
                }
            }
            _ => final_because("it cannot be sent the way that the receiver is reached".to_owned()),
        }
    }
}

async fn request(
    client: &HttpClient,
    parcel: &HttpParcel,
    receiver: &Receiver,
    pictured: bool,
    now: i64,
) -> Outcome {
    match client.send(parcel).await {
        Ok(reply) => {
            if let (300..=399, Some(to)) = (reply.status, &reply.points_to) {
                return final_because(format!(
                    "{}: it redirects to {to}, and redirects are not followed; correct the receiver's `url`",
                    reply.status
                ));
            }
            let retry_after = reply.retry_after.as_deref();
            let answer = Answer { status: reply.status, retry_after, body: &reply.body, pictured, now };
            format::judge(receiver, &answer)
        }
        Err(error @ (HttpError::Url(_) | HttpError::Header(_))) => final_because(error.to_string()),
        Err(error) => Outcome::Retry { after: None, why: error.to_string() },
    }
}

fn final_because(why: String) -> Outcome {
    Outcome::Final { why, disable: false }
}
