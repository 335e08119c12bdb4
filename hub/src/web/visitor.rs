//! Whoever asks, as handlers take it: `async fn page(State(web): State<Arc<Web>>, visitor: Visitor)`.
//!
//! Invariant: no handler runs without one, since `admit` stands before all of them.

use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use std::ops::Deref;
use std::sync::Arc;

/// Whoever asks. Cheap to clone, for work on another thread.
#[derive(Debug, Clone)]
pub(super) struct Visitor(Arc<rackside_access::Visitor>);

impl Deref for Visitor {
    type Target = rackside_access::Visitor;

    fn deref(&self) -> &rackside_access::Visitor {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::FORBIDDEN)
    }
}

/// Says who asks.
pub(super) async fn admit(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Visitor(Arc::new(rackside_access::Visitor::open())));
    next.run(request).await
}
