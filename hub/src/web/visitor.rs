//! Whoever asks, as handlers take it: `async fn page(State(web): State<Arc<Web>>, visitor: Visitor)`.
//!
//! Invariant: no handler runs without one, since `admit` stands before all of them.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use rackside_access::Pass;
use std::ops::Deref;
use std::sync::Arc;

/// Whoever asks. Cheap to clone, for work on another thread.
#[derive(Debug, Clone)]
pub(super) struct Visitor(Arc<rackside_access::Visitor>, Option<Pass>);

impl From<rackside_access::Visitor> for Visitor {
    fn from(visitor: rackside_access::Visitor) -> Self {
        Self(Arc::new(visitor), None)
    }
}

impl Visitor {
    /// Whoever was let in by a session or a token.
    pub(super) fn of(visitor: rackside_access::Visitor, pass: Pass) -> Self {
        Self(Arc::new(visitor), Some(pass))
    }

    /// By what they were let in, if by anything that can end.
    pub(super) fn pass(&self) -> Option<Pass> {
        self.1
    }
}

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
