//! What everybody says to OBS Studio over its WebSocket interface, version 5: who one is, and what one asks. Pure.
//!
//! ```text
//! > {"op":0,"d":{"rpcVersion":1,"authentication":{"challenge":"..","salt":".."}}}
//! < {"op":1,"d":{"rpcVersion":1,"authentication":"..","eventSubscriptions":1030}}
//! > {"op":2,"d":{"negotiatedRpcVersion":1}}
//! < {"op":6,"d":{"requestType":"GetStats","requestId":"GetStats"}}
//! ```

use crate::base64::base64;
use ring::digest::{SHA256, digest};
use serde_json::json;

/// Its port.
pub(crate) const PORT: u16 = 4455;
/// The WebSocket's protocol: messages in JSON.
pub(crate) const PROTOCOL: &str = "obswebsocket.json";
/// It says goodbye with this code.
pub(crate) const WRONG_PASSWORD: u16 = 4009;

/// The answer to its hello. `wanted` is its challenge and its salt, if it wants a password; `events` are those to be told of.
pub(crate) fn identify(
    wanted: Option<(&str, &str)>,
    password: Option<&str>,
    events: u32,
) -> Result<String, String> {
    let mut answer = json!({"rpcVersion": 1, "eventSubscriptions": events});
    if let Some((challenge, salt)) = wanted {
        let password = password.ok_or("it wants a password; set `password` for this OBS")?;
        answer["authentication"] = authentication(password, salt, challenge).into();
    }
    Ok(json!({"op": 1, "d": answer}).to_string())
}

/// A question.
pub(crate) fn request(kind: &str) -> String {
    json!({"op": 6, "d": {"requestType": kind, "requestId": kind}}).to_string()
}

/// What proves the password without saying it.
fn authentication(password: &str, salt: &str, challenge: &str) -> String {
    let hashed = |text: String| base64(digest(&SHA256, text.as_bytes()).as_ref());
    let secret = hashed(format!("{password}{salt}"));
    hashed(format!("{secret}{challenge}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_password_is_proved_as_the_protocol_has_it() {
        // The example in the documentation of obs-websocket; checked with another program.
        let said = authentication(
            "supersecretpassword",
            "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=",
            "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=",
        );
        assert_eq!(said, "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4=");
    }

    #[test]
    fn it_identifies_with_a_password_only_if_one_is_wanted() {
        let said = |wanted, password| {
            identify(wanted, password, 4).map(|said| serde_json::from_str::<Value>(&said).expect("JSON"))
        };
        let plain = json!({"op": 1, "d": {"rpcVersion": 1, "eventSubscriptions": 4}});
        assert_eq!(said(None, Some("hunter2")), Ok(plain));
        let proved = said(Some(("c", "s")), Some("hunter2")).expect("a password");
        assert_eq!(proved["d"]["authentication"], authentication("hunter2", "s", "c"));
        assert!(said(Some(("c", "s")), None).is_err_and(|why| why.contains("`password`")));
    }
}
