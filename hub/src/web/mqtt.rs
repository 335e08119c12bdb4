//! `GET /mqtt`: MQTT over WebSocket, for venues that let out nothing but the web, and for pages. Who comes in is the listener's to decide; here nobody is
//! asked for a login of the hub's pages.
//!
//! ```text
//! Sec-WebSocket-Protocol: mqtts    appliances that have joined: TLS of the hub's own inside, so that nobody has to be believed on the way
//! Sec-WebSocket-Protocol: mqtt     whoever has a user and a password of the listener; in clear only where the listener takes that, too
//! ```

use super::Web;
use super::change::{Peer, is_local, is_same_origin};
use super::door::is_secure;
use super::problem::Problem;
use super::rest::cors::is_named;
use super::tunnel::Tunnel;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_proto::join::{WEBSOCKET, WEBSOCKET_PLAIN};
use std::net::SocketAddr;
use std::sync::Arc;

/// What one connection reads at once, which it holds for as long as it lives; agents say little.
const READ: usize = 4 * 1024;
/// What goes beside a packet, in a message.
const BESIDE: usize = 1024;

pub(super) async fn mqtt(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    headers: HeaderMap,
) -> Response {
    let Some(listener) = &web.mqtt else {
        let what = "agents and subscribers come through an outside broker, not through this hub";
        return Problem::not_found(what).into_response();
    };
    let Some(door) = listener.web() else {
        let what = "this hub takes no MQTT over WebSocket: `websocket = false` stands in its [listener]";
        return Problem::not_found(what).into_response();
    };
    let Ok(upgrade) = upgrade else {
        let what = "this is MQTT over WebSocket; where a proxy stands before the hub it has to let WebSocket through";
        let mut response = Problem::new(StatusCode::UPGRADE_REQUIRED, what).into_response();
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    };
    let external = web.notifications.external_url();
    // Of programs there is none. No cookie counts here, but a page of somebody else's has no business with this machine's listener.
    if headers.contains_key(header::ORIGIN)
        && !is_named(&web.cors, &headers)
        && let Err(why) = is_same_origin(&headers, &external)
    {
        let what = format!("{why}; its origin can be named in [web] cors");
        return Problem::forbidden(what).into_response();
    }
    let upgrade = upgrade.protocols([WEBSOCKET, WEBSOCKET_PLAIN]);
    let chosen = upgrade.selected_protocol().cloned();
    let is_secured = match chosen.as_ref().and_then(|chosen| chosen.to_str().ok()) {
        Some(WEBSOCKET) if door.takes_appliances() => true,
        Some(WEBSOCKET) => {
            let what = "this hub has no identities to let appliances in by; its log says why";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, what).into_response();
        }
        Some(WEBSOCKET_PLAIN) => false,
        _ => return Problem::bad_request("the subprotocol is to be mqtt").into_response(),
    };
    let is_clear = !is_local(&headers, peer) && !is_secure(&headers, peer, &external);
    if !is_secured && is_clear && !listener.is_clear_to_others() {
        let what = "a password would go over the network in clear: come by https (wss://)";
        return Problem::forbidden(what).into_response();
    }
    let from = SocketAddr::new(web.door.address(&headers, peer), peer.0.port());
    let Ok(seat) = door.seat(from) else {
        let what = "too many clients are connected already; try again later";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, what).into_response();
    };
    let most = door.largest() + BESIDE;
    let upgrade =
        upgrade.read_buffer_size(READ).write_buffer_size(0).max_message_size(most).max_frame_size(most);
    let door = door.clone();
    upgrade.on_upgrade(move |socket| async move {
        let tunnel = Tunnel::new(socket);
        if is_secured {
            door.serve_secure(tunnel, seat).await;
        } else {
            seat.serve(tunnel).await;
        }
    })
}
