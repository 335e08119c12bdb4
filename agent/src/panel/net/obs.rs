//! OBS Studio's scenes, over its WebSocket interface, version 5.
//!
//! [`Chat`] is pure: messages in, state and answers out; [`talk`] is one connection. A scene is on program while it is OBS's program
//! scene, and on preview while studio mode has it as that; one that OBS does not have is neither on nor off. OBS does not answer for a scene that is shown inside another.
//!
//! ```text
//! > {"op":0,"d":{"rpcVersion":1,"authentication":{"challenge":"..","salt":".."}}}
//! < {"op":1,"d":{"rpcVersion":1,"authentication":"..","eventSubscriptions":1030}}
//! > {"op":2,"d":{"negotiatedRpcVersion":1}}
//! < {"op":6,"d":{"requestType":"GetCurrentProgramScene","requestId":"program"}}
//! > {"op":5,"d":{"eventType":"CurrentProgramSceneChanged","eventData":{"sceneName":"Live"}}}
//! ```

use super::dial::{self, Address, dial, say};
use crate::clock::Clock;
use crate::obs::{PROTOCOL, WRONG_PASSWORD, identify, request};
use crate::websocket::{self, Heard, WebSocket};
use rackside_config::SecretText;
use serde_json::Value;
use std::io;
use std::time::Duration;

/// A silence after which it is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(2);
/// An answer that takes longer does not come.
const GONE: Duration = Duration::from_secs(6);
/// Config, Scenes and Ui: another collection of scenes; the scenes' and the program scene's changes; the preview's and studio mode's.
const EVENTS: u32 = 1 << 1 | 1 << 2 | 1 << 10;
/// It loads, for example another collection of scenes.
const NOT_READY: u64 = 207;
/// What is asked at the start, and when scenes come, go or are called otherwise.
const QUESTIONS: [&str; 3] = ["GetSceneList", "GetCurrentProgramScene", "GetCurrentPreviewScene"];
/// Studio mode is not active: there is no preview.
const NO_STUDIO_MODE: u64 = 506;

/// Which scenes are where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scenes {
    /// All that there are; `None` until it said so.
    pub all: Option<Vec<String>>,
    /// `None` until it said so.
    pub program: Option<String>,
    pub preview: Preview,
}

impl Scenes {
    /// Whether it has said everything.
    fn are_told(&self) -> bool {
        self.all.is_some() && self.program.is_some() && self.preview != Preview::Untold
    }

    /// Whether there is this one.
    pub(super) fn has(&self, scene: &str) -> bool {
        self.all.as_ref().is_some_and(|all| all.iter().any(|one| one == scene))
    }
}

/// Which scene is next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Preview {
    /// It did not say so yet.
    #[default]
    Untold,
    /// There is no preview without studio mode.
    Off,
    /// This one.
    Scene(String),
}

/// A conversation with OBS.
pub(super) struct Chat<'p> {
    password: Option<&'p str>,
    pub(super) scenes: Scenes,
}

impl<'p> Chat<'p> {
    pub(super) fn new(password: Option<&'p str>) -> Self {
        Self { password, scenes: Scenes::default() }
    }

    /// Takes a message, and gives what is to be said to it.
    pub(super) fn hear(&mut self, message: &[u8]) -> Result<Vec<String>, String> {
        let message: Value =
            serde_json::from_slice(message).map_err(|error| format!("a message that is no JSON: {error}"))?;
        let data = &message["d"];
        match message["op"].as_u64() {
            Some(0) => self.identify(data).map(|answer| vec![answer]),
            Some(2) => Ok(QUESTIONS.map(request).to_vec()),
            Some(5) => Ok(self.event(data)),
            Some(7) => self.response(data).map(|()| Vec::new()),
            Some(_) => Ok(Vec::new()),
            None => Err("a message without an op code".to_owned()),
        }
    }

    fn identify(&self, hello: &Value) -> Result<String, String> {
        let wanted = &hello["authentication"];
        let wanted = wanted["challenge"].as_str().zip(wanted["salt"].as_str());
        identify(wanted, self.password, EVENTS)
    }

    fn event(&mut self, data: &Value) -> Vec<String> {
        let scene = || data["eventData"]["sceneName"].as_str().map(str::to_owned);
        match data["eventType"].as_str() {
            Some("CurrentProgramSceneChanged") => self.scenes.program = scene(),
            Some("CurrentPreviewSceneChanged") => {
                self.scenes.preview = scene().map_or(Preview::Untold, Preview::Scene);
            }
            Some("StudioModeStateChanged") if data["eventData"]["studioModeEnabled"] == false => {
                self.scenes.preview = Preview::Off;
            }
            // A scene's new name is not told as a change of the program scene.
            Some("SceneListChanged" | "SceneNameChanged" | "CurrentSceneCollectionChanged") => {
                return QUESTIONS.map(request).to_vec();
            }
            Some("StudioModeStateChanged") => return vec![request("GetCurrentPreviewScene")],
            _ => {}
        }
        Vec::new()
    }

    fn response(&mut self, data: &Value) -> Result<(), String> {
        let status = &data["requestStatus"];
        let code = status["code"].as_u64().unwrap_or_default();
        let answer = &data["responseData"];
        // The name was called otherwise before 5.1, and both are there since.
        let scene = ["sceneName", "currentProgramSceneName", "currentPreviewSceneName"];
        let scene = scene.iter().find_map(|key| answer[key].as_str()).map(str::to_owned);
        let kind = data["requestType"].as_str().unwrap_or_default();
        match (kind, status["result"].as_bool(), scene) {
            ("GetSceneList", Some(true), _) => {
                let all = answer["scenes"].as_array().into_iter().flatten();
                let all = all.filter_map(|scene| scene["sceneName"].as_str().map(str::to_owned));
                self.scenes.all = Some(all.collect());
            }
            // It says when it has loaded them. Before it has said anything, what was asked first ends the conversation.
            (_, Some(false), _) if code == NOT_READY && self.scenes.are_told() => {}
            ("GetCurrentProgramScene", Some(true), Some(scene)) => self.scenes.program = Some(scene),
            ("GetCurrentPreviewScene", Some(true), Some(scene)) => {
                self.scenes.preview = Preview::Scene(scene);
            }
            ("GetCurrentPreviewScene", Some(false), _) if code == NO_STUDIO_MODE => {
                self.scenes.preview = Preview::Off;
            }
            (_, Some(false), _) => {
                let comment = status["comment"].as_str().unwrap_or("without a comment");
                return Err(format!("it refuses {kind}: code {code}, {comment}"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// One connection. `heard` gets the scenes once all is told, and whenever they change from then on; what is returned is why it ended.
pub(super) async fn talk(
    address: &Address,
    password: Option<&SecretText>,
    mut heard: impl FnMut(&Scenes),
) -> io::Error {
    match converse(address, password, &mut heard).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn converse(
    address: &Address,
    password: Option<&SecretText>,
    heard: &mut impl FnMut(&Scenes),
) -> io::Result<std::convert::Infallible> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut stream = dial(address).await?;
    let (mut socket, request) = WebSocket::begin(&address.to_string(), "/", PROTOCOL, websocket::TEXT);
    say(&mut stream, &request).await?;
    let mut chat = Chat::new(password.map(SecretText::expose));
    let mut buffer = [0; 2048];
    let mut alive = Clock::now();
    let (mut open, mut told) = (false, false);
    loop {
        match dial::within(SILENCE, dial::some(&mut stream, &mut buffer)).await {
            Ok(bytes) => socket.take(&buffer[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                if Clock::now() >= alive + GONE {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("no answer within {GONE:?}"),
                    ));
                }
                if open {
                    say(&mut stream, &websocket::ping()).await?;
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        alive = Clock::now();
        while let Some(said) = socket.next().map_err(wrong)? {
            match said {
                Heard::Open => open = true,
                Heard::Alive => {}
                Heard::Ping(payload) => say(&mut stream, &websocket::pong(&payload)).await?,
                Heard::Close(WRONG_PASSWORD) => {
                    return Err(wrong("it does not accept the password".to_owned()));
                }
                Heard::Close(code) => return Err(wrong(format!("it said goodbye with code {code}"))),
                Heard::Message(message) => {
                    let before = chat.scenes.clone();
                    for answer in chat.hear(&message).map_err(wrong)? {
                        say(&mut stream, &websocket::text(&answer)).await?;
                    }
                    told |= chat.scenes.are_told();
                    if told && chat.scenes != before {
                        heard(&chat.scenes);
                    }
                }
            }
        }
    }
}

/// A message a line: what is answered is JSON, and does not have the password.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    const PASSWORD: &str = "the rack's password";
    let mut chat = Chat::new(Some(PASSWORD));
    for message in bytes.split(|byte| *byte == b'\n') {
        for answer in chat.hear(message).unwrap_or_default() {
            assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{answer}");
            assert!(!answer.contains(PASSWORD), "{answer}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn hear(chat: &mut Chat<'_>, message: &Value) -> Result<Vec<Value>, String> {
        let answers = chat.hear(message.to_string().as_bytes())?;
        Ok(answers.iter().map(|answer| serde_json::from_str(answer).expect("JSON")).collect())
    }

    fn scene_changed(which: &str, name: &str) -> Value {
        json!({"op": 5, "d": {"eventType": format!("Current{which}SceneChanged"), "eventIntent": 4,
            "eventData": {"sceneName": name}}})
    }

    #[test]
    fn it_identifies_with_a_password_only_if_one_is_wanted() {
        let mut chat = Chat::new(Some("hunter2"));
        let plain = hear(&mut chat, &json!({"op": 0, "d": {"rpcVersion": 1}})).expect("an answer");
        assert_eq!(plain, [json!({"op": 1, "d": {"rpcVersion": 1, "eventSubscriptions": 1030}})]);
        let hello =
            json!({"op": 0, "d": {"rpcVersion": 1, "authentication": {"challenge": "c", "salt": "s"}}});
        let proved = hear(&mut chat, &hello).expect("an answer");
        assert!(proved[0]["d"]["authentication"].is_string());
        assert!(
            Chat::new(None).hear(hello.to_string().as_bytes()).is_err_and(|why| why.contains("password"))
        );
    }

    #[test]
    fn scenes_are_asked_for_once_and_then_follow_events() {
        let mut chat = Chat::new(None);
        let asked = hear(&mut chat, &json!({"op": 2, "d": {"negotiatedRpcVersion": 1}})).expect("requests");
        let kinds: Vec<_> = asked.iter().map(|asked| asked["d"]["requestType"].clone()).collect();
        assert_eq!(kinds, QUESTIONS);
        let response = |kind: &str, result: bool, code: u64, data: Value| {
            json!({"op": 7, "d": {"requestType": kind, "requestId": kind,
                "requestStatus": {"result": result, "code": code}, "responseData": data}})
        };
        let list = |names: &[&str]| {
            let scenes: Vec<Value> = names.iter().map(|name| json!({"sceneName": name})).collect();
            response("GetSceneList", true, 100, json!({"currentProgramSceneName": "Wide", "scenes": scenes}))
        };
        let loads = response("GetSceneList", false, 207, Value::Null);
        assert!(hear(&mut chat, &loads).is_err_and(|why| why.contains("code 207")));
        hear(&mut chat, &list(&["Wide", "Live"])).expect("taken");
        let now = response("GetCurrentProgramScene", true, 100, json!({"currentProgramSceneName": "Wide"}));
        hear(&mut chat, &now).expect("taken");
        hear(&mut chat, &response("GetCurrentPreviewScene", false, 506, Value::Null))
            .expect("no studio mode is no fault");
        let all = Some(vec!["Wide".to_owned(), "Live".to_owned()]);
        let scenes =
            |program: &str, preview| Scenes { all: all.clone(), program: Some(program.into()), preview };
        assert_eq!(chat.scenes, scenes("Wide", Preview::Off));
        hear(&mut chat, &scene_changed("Program", "Live")).expect("taken");
        hear(&mut chat, &scene_changed("Preview", "Wide")).expect("taken");
        assert_eq!(chat.scenes, scenes("Live", Preview::Scene("Wide".into())));
        let off = json!({"op": 5, "d": {"eventType": "StudioModeStateChanged", "eventData": {"studioModeEnabled": false}}});
        hear(&mut chat, &off).expect("taken");
        assert_eq!(chat.scenes.preview, Preview::Off);
        for event in ["SceneListChanged", "SceneNameChanged", "CurrentSceneCollectionChanged"] {
            let event = json!({"op": 5, "d": {"eventType": event, "eventData": {"sceneName": "Other"}}});
            assert_eq!(hear(&mut chat, &event).expect("questions").len(), QUESTIONS.len());
        }
        hear(&mut chat, &loads).expect("while it loads other scenes");
        assert!(chat.scenes.has("Live"));
        hear(&mut chat, &list(&["Wide", "Live 2"])).expect("taken");
        assert!(chat.scenes.has("Wide") && !chat.scenes.has("Live"));
        let failed = response("GetCurrentProgramScene", false, 205, Value::Null);
        assert!(hear(&mut chat, &failed).is_err_and(|why| why.contains("code 205")));
    }

    #[test]
    fn a_message_that_is_none_ends_the_conversation() {
        for bytes in [&b"{"[..], b"[]", b"{\"d\":1}", b"\xff"] {
            assert!(Chat::new(None).hear(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(text in "\\{\"op\":[0-9],\"d\":(\\{\"(eventType|requestType|eventData|authentication)\":[a-z0-9{}\":\\[\\]]{0,40}\\}|[0-9a-z\"]{0,9})\\}") {
            let _ = Chat::new(Some("x")).hear(text.as_bytes());
        }
    }
}
