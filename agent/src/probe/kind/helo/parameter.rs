//! The parameters of an AJA HELO, as its `/config` tells them. Pure.
//!
//! Every value comes as a text, and as a number in some versions; its name beside it is not to be relied on. States are taken by their number.
//!
//! ```text
//! {"paramid":"2097225226","name":"eParamID_ReplicatorRecordState","value":"1","value_name":"eRRSIdle"}
//! ```

use crate::probe::loose::{self, loose};
use std::fmt::Write as _;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parameter {
    StreamState,
    RecordState,
    MediaAvailable,
    Temperature,
    StreamDuration,
    VideoInput,
    MediaState,
    Firmware,
}

impl Parameter {
    /// Its name there.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::StreamState => "eParamID_ReplicatorStreamState",
            Self::RecordState => "eParamID_ReplicatorRecordState",
            Self::MediaAvailable => "eParamID_CurrentMediaAvailable",
            Self::Temperature => "eParamID_Temperature",
            Self::StreamDuration => "eParamID_StreamingDuration",
            Self::VideoInput => "eParamID_VideoInSelect",
            Self::MediaState => "eParamID_MediaState",
            Self::Firmware => "eParamID_SWVersion",
        }
    }
}

loose! {
    /// The answer.
    pub(super) struct Told {
        value: Option<String> = "value",
        name: Option<String> = "value_name",
    }
}

impl Told {
    /// Reads it; an object without a value is none.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let read: Option<Self> = loose::parse(body)?;
        read.filter(|read| read.value.is_some()).ok_or_else(|| "the answer has no value".to_owned())
    }

    fn number(&self) -> Option<f64> {
        let text = self.value.as_deref()?.trim();
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// What a replicator does.
    pub(super) fn stage(&self) -> Option<Stage> {
        let number: usize = self.value.as_deref()?.trim().parse().ok()?;
        Stage::ALL.get(number).copied()
    }

    /// Degrees Celsius.
    pub(super) fn celsius(&self) -> Option<f64> {
        self.number().filter(|number| (-100.0..=200.0).contains(number))
    }

    /// From per cent to a share.
    pub(super) fn share(&self) -> Option<f64> {
        self.number().filter(|number| (0.0..=100.0).contains(number)).map(|percent| percent / 100.0)
    }

    /// `HH:MM:SS:FF` in seconds, without the frames.
    pub(super) fn duration(&self) -> Option<f64> {
        let mut parts = self.value.as_deref()?.trim().split(':').map(|part| part.parse::<u32>().ok());
        let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
        parts.next()??;
        Some((f64::from(hours) * 60.0 + f64::from(minutes)) * 60.0 + f64::from(seconds))
    }

    /// The input that is selected.
    pub(super) fn input(&self) -> Option<&'static str> {
        match self.value.as_deref()?.trim() {
            "0" => Some("SDI"),
            "1" => Some("HDMI"),
            "2" => Some("test pattern"),
            _ => None,
        }
    }

    /// What its medium is for.
    pub(super) fn medium(&self) -> Option<&'static str> {
        match self.value.as_deref()?.trim() {
            "0" => Some("recording"),
            "1" => Some("data over the network, no recording"),
            _ => None,
        }
    }

    /// `4.2.0.1`, as other devices of AJA tell it: a byte for each number, or in its name.
    pub(super) fn version(&self) -> Option<String> {
        let is_version = |text: &&str| {
            text.contains('.') && text.len() < 32 && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let texts = [self.name.as_deref(), self.value.as_deref()];
        if let Some(text) = texts.into_iter().flatten().map(str::trim).find(is_version) {
            return Some(text.to_owned());
        }
        let [major, minor, patch, build] = self.value.as_deref()?.trim().parse::<u32>().ok()?.to_be_bytes();
        Some(format!("{major}.{minor}.{patch}.{build}"))
    }
}

/// What a replicator does: the part of the device that streams, or the one that records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Uninitialized,
    Idle,
    Running,
    FailingInIdle,
    Failing,
    Shutdown,
}

impl Stage {
    /// In the order of their numbers.
    const ALL: [Self; 6] =
        [Self::Uninitialized, Self::Idle, Self::Running, Self::FailingInIdle, Self::Failing, Self::Shutdown];

    pub(super) const fn is_fault(self) -> bool {
        matches!(self, Self::FailingInIdle | Self::Failing)
    }
}

/// A password as the form of its login has it.
pub(super) fn form(password: &str) -> String {
    let mut body = "password_provided=".to_owned();
    for byte in password.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            body.push(char::from(byte));
        } else {
            write!(body, "%{byte:02X}").expect("a String has room");
        }
    }
    body
}

loose! {
    /// The answer to a login.
    struct Login {
        login: Option<String> = "login",
    }
}

/// Whether a login was taken.
pub(super) fn is_let_in(body: &[u8]) -> bool {
    let read: Result<Option<Login>, String> = loose::parse(body);
    read.ok().flatten().and_then(|read| read.login).is_some_and(|login| login == "success")
}

/// The session in a `Set-Cookie`, as it is to be sent back.
pub(super) fn session(cookie: &str) -> Option<String> {
    let pair = cookie.split(';').next()?.trim();
    let is_one = pair.strip_prefix("session=").is_some_and(|id| !id.is_empty());
    let is_plain = pair.len() <= 512 && pair.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    (is_one && is_plain).then(|| pair.to_owned())
}

/// As a parameter and as a cookie: what comes out can be, and fits into a request.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(told) = Told::read(bytes) {
        assert!(told.share().is_none_or(|share| (0.0..=1.0).contains(&share)));
        assert!(told.duration().is_none_or(|seconds| seconds.is_finite() && seconds >= 0.0));
        assert!(
            told.version().is_none_or(|version| version.len() < 32 && !version.contains(char::is_control))
        );
        let _ = (told.stage(), told.celsius(), told.input(), told.medium());
    }
    if let Some(cookie) = session(&String::from_utf8_lossy(bytes)) {
        assert!(cookie.starts_with("session=") && cookie.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(value: &str) -> Told {
        Told::read(format!("{{\"paramid\":\"7\",\"value\":{value},\"value_name\":\"x\"}}").as_bytes())
            .unwrap_or_else(|why| panic!("{value}: {why}"))
    }

    #[test]
    fn states_are_taken_by_their_number_written_as_it_may_be() {
        assert_eq!(told("\"2\"").stage(), Some(Stage::Running));
        assert_eq!(told("4").stage(), Some(Stage::Failing));
        for wrong in ["\"6\"", "\"-1\"", "\"1.5\"", "\"eRRSIdle\"", "\"\"", "1e300"] {
            assert_eq!(told(wrong).stage(), None, "{wrong}");
        }
        assert!(Stage::Failing.is_fault() && Stage::FailingInIdle.is_fault() && !Stage::Shutdown.is_fault());
    }

    #[test]
    fn values_are_read_in_their_units() {
        assert_eq!(told("\"51\"").celsius(), Some(51.0));
        assert_eq!((told("\"999\"").celsius(), told("\"hot\"").celsius()), (None, None));
        assert_eq!((told("\"8\"").share(), told("101").share()), (Some(0.08), None));
        assert_eq!(told("\"01:02:03:24\"").duration(), Some(3723.0));
        assert_eq!((told("\"01:02:03\"").duration(), told("\"a:b:c:d\"").duration()), (None, None));
        assert_eq!((told("\"1\"").input(), told("\"9\"").input()), (Some("HDMI"), None));
        assert_eq!(told("\"1\"").medium(), Some("data over the network, no recording"));
        assert_eq!(told("\"67239937\"").version().as_deref(), Some("4.2.0.1"));
        let named = Told { value: Some("67239937".to_owned()), name: Some("v4.2".to_owned()) };
        assert_eq!(named.version().as_deref(), Some("v4.2"));
    }

    #[test]
    fn an_answer_without_a_value_is_none() {
        for body in ["{}", "[]", "{\"value\":null}", "{\"value\":{}}", "7"] {
            assert_eq!(Told::read(body.as_bytes()), Err("the answer has no value".to_owned()), "{body}");
        }
        assert!(Told::read(b"<html>").is_err_and(|why| why.contains("web page")));
    }

    #[test]
    fn a_login_is_a_form_and_its_answer_a_cookie() {
        assert_eq!(form("a b&c=ü"), "password_provided=a%20b%26c%3D%C3%BC");
        assert!(is_let_in(br#"{"login":"success"}"#));
        assert!(!is_let_in(br#"{"login":"failure"}"#) && !is_let_in(b"[]") && !is_let_in(b"<html>"));
        assert_eq!(session("session=abc-1; path=/").as_deref(), Some("session=abc-1"));
        for wrong in ["session=; path=/", "other=1", "session=a b", "session=a\r\nx: y", ""] {
            assert_eq!(session(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(value in "[0-9a-zA-Z:.-]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..200), cookie in ".{0,80}") {
            let text = format!("{{\"value\":\"{value}\"}}");
            for body in [text.as_bytes(), &bytes] {
                if let Ok(told) = Told::read(body) {
                    prop_assert!(told.share().is_none_or(|share| (0.0..=1.0).contains(&share)));
                    prop_assert!(told.duration().is_none_or(f64::is_finite));
                    let _ = (told.stage(), told.celsius(), told.input(), told.medium(), told.version());
                }
                is_let_in(body);
            }
            prop_assert!(session(&cookie).is_none_or(|pair| pair.bytes().all(|byte| byte.is_ascii_graphic())));
        }
    }
}
