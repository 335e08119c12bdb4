//! A client's line: Server-Sent Events, or WebSocket on upgrade. The same messages either way.
//!
//! After 10 s without one `time` says the hub's clock: the line is alive, and proxies leave it open. A line ends when the hub stops, when who
//! watches falls behind, and when they may not watch any more.

use super::board::{Follower, Next};
use super::frame::{Frame, Id, PACKED_HEAD, stored};
use super::view::View;
use crate::clock;
use crate::shutdown;
use crate::web::Web;
use crate::web::accept::{gzip, text};
use crate::web::api::Form;
use crate::web::change::{Peer, is_ours, is_same_origin};
use crate::web::places::Place;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::How;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The time is told this often when nothing changes: proxies close lines that say nothing, and a page wants to know.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A message that a client has not taken after this is the last one.
const STALL: Duration = Duration::from_secs(30);
/// Clients have nothing to say; a longer message than this ends the line.
const SAID: usize = 4096;

/// Where a client goes on from, when it comes back.
const LAST: HeaderName = HeaderName::from_static("last-event-id");

/// A client's way through its view, which it leaves when this is dropped, wherever that is: also when the client has gone before it had its line.
struct Following(Follower);

impl Following {
    /// Joins where it may take its time. It goes on when nobody waits for it any more, and leaves at its end.
    fn begin(join: impl FnOnce() -> Option<Follower> + Send + 'static) -> JoinHandle<Option<Self>> {
        tokio::task::spawn_blocking(move || join().map(Self))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.leave(clock::now().instant);
    }
}

/// One client.
struct Line {
    following: Following,
    shutdown: watch::Receiver<bool>,
    /// Resolves when they may not watch any more.
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: Place,
}

/// What goes over a line.
enum Said {
    Frame(Arc<Frame>),
    /// The hub's clock, in milliseconds since 1970.
    Time(u64),
}

impl Line {
    async fn next(&mut self) -> Option<Said> {
        let heartbeat = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(heartbeat);
        loop {
            match self.following.0.next() {
                Next::Frame(frame) => return Some(Said::Frame(frame)),
                Next::End => return None,
                Next::Wait => {}
            }
            tokio::select! {
                () = self.following.0.wait() => {}
                () = &mut heartbeat => return Some(Said::Time(clock::now().utc_ms)),
                () = shutdown::asked(&mut self.shutdown) => return None,
                () = &mut self.gone => return None,
            }
        }
    }
}

pub(in crate::web) async fn live(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Extension(peer): Extension<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = Form::of_address(&uri);
    let view = match View::of(&asked, visitor.only()) {
        Ok(view) => view,
        Err(why) => return Problem::bad_request(why).into_response(),
    };
    let is_socket = headers.contains_key(header::UPGRADE);
    let upgrade = match upgrade {
        Err(rejection) if is_socket => return rejection.into_response(),
        upgrade => upgrade.ok(),
    };
    // A browser asks for any page, and names whose it is; what it is answered it would show to that page.
    if is_socket && headers.contains_key(header::ORIGIN) {
        let external = web.notifications.external_url();
        // A session is its own host's; who is let in for where they sit could be anybody's whose name was pointed here.
        let is_theirs = if visitor.how == How::Session { is_same_origin } else { is_ours };
        if let Err(why) = is_theirs(&headers, &external) {
            return Problem::forbidden(why).into_response();
        }
    }
    let place = match web.live.inner.places.take(web.door.address(&headers, peer)) {
        Ok(place) => place,
        Err(full) => {
            let (all, of_one) = (
                "too many watch already; try again later",
                "too many watch from this address already; close some pages",
            );
            return full.told(all, of_one);
        }
    };
    let after = text(&headers, &LAST).unwrap_or_else(|| asked.first("after"));
    let after = Id::parse(after);
    let (shutdown, gone) = (web.shutdown.clone(), Box::pin(web.door.clone().gone(visitor)));
    let joining = Following::begin(move || web.live.desk().join(&web, &view, after, clock::now()));
    let Some(following) = joining.await.expect("writing rows does not panic, and is not cancelled") else {
        let what = "too many different things are watched already; try again later";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, what).into_response();
    };
    let line = Line { following, shutdown, gone, _place: place };
    match upgrade {
        Some(upgrade) => upgrade.max_message_size(SAID).on_upgrade(|socket| talk(socket, line)),
        None => events(line, gzip(&headers)),
    }
}

/// Server-Sent Events.
fn events(line: Line, is_packed: bool) -> Response {
    let head = is_packed.then(|| Bytes::from_static(PACKED_HEAD));
    let body = futures_util::stream::unfold((head, line), move |(head, mut line)| async move {
        let bytes = match head {
            Some(head) => head,
            None => match line.next().await? {
                Said::Frame(frame) if is_packed => frame.packed(),
                Said::Frame(frame) => frame.plain(),
                Said::Time(at) if is_packed => stored(&time(at)),
                Said::Time(at) => Bytes::from(time(at)),
            },
        };
        Some((Ok::<_, Infallible>(bytes), (None, line)))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    // nginx would gather them.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn time(at: u64) -> String {
    format!("event: time\ndata: {at}\n\n")
}

/// The same over WebSocket.
async fn talk(mut socket: WebSocket, mut line: Line) {
    loop {
        let said = tokio::select! {
            said = line.next() => said,
            heard = socket.recv() => match heard {
                // Pings are answered where they are read.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        };
        let messages: Vec<Message> = match &said {
            None => vec![Message::Close(Some(CloseFrame { code: close_code::AWAY, reason: "".into() }))],
            Some(Said::Frame(frame)) => frame.socket().iter().cloned().map(Message::Text).collect(),
            Some(Said::Time(at)) => vec![Message::text(format!("{{\"event\":\"time\",\"data\":{at}}}"))],
        };
        let sending = async {
            for message in messages {
                socket.send(message).await?;
            }
            Ok::<_, axum::Error>(())
        };
        let sent = tokio::time::timeout(STALL, sending).await;
        if said.is_none() || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::*;
    use std::sync::{Mutex, PoisonError, mpsc};

    #[test]
    fn who_goes_away_before_the_line_begins_leaves_no_view_behind() {
        let board = Arc::new(Mutex::new(Board::new(1)));
        let asked = Form::of_address(&"/api/live?series=rackside_load1".parse().expect("an address"));
        let view = View::of(&asked, None).expect("right");
        // Sent once it is taken: what has not begun when the runtime ends never does.
        let (go, gone) = mpsc::sync_channel::<()>(0);
        let runtime = tokio::runtime::Runtime::new().expect("it starts");
        let joined = Arc::clone(&board);
        let inside = runtime.enter();
        let joining = Following::begin(move || {
            gone.recv().expect("it is told");
            let mut board = joined.lock().unwrap_or_else(PoisonError::into_inner);
            board.join(&view, None, clock::now().instant, |_| Vec::new())
        });
        drop(inside);
        drop(joining);
        go.send(()).expect("it waits");
        // Waits for what has begun.
        drop(runtime);
        let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!board.is_idle(), "it was there");
        board.sweep(clock::now().instant + Duration::from_mins(2));
        assert!(board.is_idle(), "nobody follows it");
    }
}
