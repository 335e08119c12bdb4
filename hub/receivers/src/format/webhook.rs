//! A webhook of somebody's own: Alertmanager's payload, or a template of theirs; signed if there is a key.
//!
//! `X-Signature-256` is the HMAC-SHA256 of `<X-Timestamp>.<body>`, so that who knows the key can tell that it is ours and how old it is.
//! `Idempotency-Key` is the same each time that this message is sent, so that one that comes twice can be told.
//!
//! ```text
//! Idempotency-Key: 5f0c…-8…   X-Timestamp: 1795140960   X-Signature-256: sha256=9b1e…
//! ```

use super::{Letter, authorize, payload, request, short_hash, verdict};
use crate::{Answer, Hidden, HttpParcel, Method, Outcome, template};
use data_encoding::HEXLOWER;
use ring::hmac;

/// More than any message has; what a program takes is not known.
const LIMIT: usize = 1024 * 1024;

pub(super) fn parcel(
    letter: &Letter,
    url: &Hidden,
    key: Option<&Hidden>,
    authorization: Option<&Hidden>,
) -> HttpParcel {
    let own = letter.receiver.body.as_deref().and_then(|own| template::payload(own, &letter.view).ok());
    let body = own.unwrap_or_else(|| payload::json(letter, LIMIT));
    let timestamp = letter.extras.now.div_euclid(1000).to_string();
    let signature = key.map(|key| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
        let signed = [timestamp.as_bytes(), b".", &body].concat();
        format!("sha256={}", HEXLOWER.encode(hmac::sign(&key, &signed).as_ref()))
    });
    let mut parcel = request(Method::Post, url.expose(), "application/json", body);
    parcel.headers.push(("Idempotency-Key", idempotency_key(letter)));
    parcel.headers.push(("X-Timestamp", timestamp));
    parcel.headers.extend(signature.map(|signature| ("X-Signature-256", signature)));
    authorize(&mut parcel, authorization);
    parcel
}

/// In the form of a UUID of version 8 (RFC 9562: by the maker's own rule).
fn idempotency_key(letter: &Letter) -> String {
    let message = letter.message;
    let (id, at) = (message.id.to_string(), message.at.to_string());
    let hash = short_hash(&[&letter.receiver.name, &id, &at, &message.group_key]);
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// 410 says that nobody takes this any more.
pub(super) fn judge(answer: &Answer) -> Outcome {
    match verdict::by_status(answer) {
        Outcome::Final { why, .. } if answer.status == 410 => Outcome::Final { why, disable: true },
        other => other,
    }
}
