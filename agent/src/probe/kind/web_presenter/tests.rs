//! What becomes of the device's words, and that it is asked in the right way and seldom enough.

use super::*;
use crate::probe::State;
use crate::probe::http::server::{Server as Fake, ok};
use std::io::Write as _;
use std::net::TcpListener;

fn asking(url: &str, more: &str) -> Asking {
    let text = format!("name = \"encoder\"\nurl = \"{url}\"\n{more}");
    let settings: WebPresenter = rackside_config::parse(&text, "x").unwrap_or_else(|error| panic!("{error}"));
    settings.check().unwrap_or_else(|error| panic!("{error:?}"));
    let (way, streak, texts) = (None, Streak::default(), Texts::default());
    Asking { settings, way, streak, stalled: 0, texts, next_page: 0 }
}

fn live(status: Status, bitrate: f64, cache: f64) -> Live {
    Live { status: Some(status), bitrate: Some(bitrate), duration: None, cache: Some(cache) }
}

fn up(outcome: &Outcome) -> Value {
    let sample = outcome.samples.iter().find(|one| one.metric.name == "rackside_stream_up");
    sample.expect("always told").value
}

#[test]
fn the_devices_own_word_counts_at_once() {
    let mut asking = asking("http://127.0.0.1", "");
    for (status, is_up, value) in [
        (Status::Streaming, true, 1),
        (Status::Interrupted, false, 0),
        (Status::Streaming, true, 1),
        (Status::Flushing, true, 1),
        (Status::Idle, true, 0),
        (Status::Connecting, true, 0),
    ] {
        let outcome = asking.known(&live(status, 6e6, 0.0));
        assert_eq!((outcome.state == State::Up, up(&outcome)), (is_up, Value::Known(value)), "{status:?}");
        assert_eq!(outcome.texts, [("state", status.as_str().to_owned())]);
    }
    let outcome = asking.known(&Live { bitrate: Some(6e6), ..Live::default() });
    assert!(matches!(outcome.state, State::Unknown(_)));
    assert_eq!((up(&outcome), outcome.samples.len()), (Value::Unknown, 3), "the rest is told all the same");
}

#[test]
fn a_stream_of_nothing_is_down_at_the_second_poll_and_a_full_cache_at_once() {
    let mut asking = asking("http://127.0.0.1", "");
    asking.known(&live(Status::Streaming, 6e6, 0.0));
    let outcome = asking.known(&live(Status::Streaming, 0.0, 0.0));
    assert_eq!((&outcome.state, up(&outcome)), (&State::Up, Value::Known(1)));
    let outcome = asking.known(&live(Status::Streaming, 0.0, 0.0));
    assert_eq!(outcome.state.why(), Some("the device streams, it says, and sends nothing"));
    assert_eq!(up(&outcome), Value::Known(0));
    let outcome = asking.known(&live(Status::Streaming, 1e6, 0.85));
    assert_eq!(
        outcome.state.why(),
        Some("the device's cache is 85 % full; the line does not carry the stream")
    );
    assert_eq!(up(&outcome), Value::Known(1));
}

/// A device that speaks the text protocol only, for one connection after the other.
fn texting(account: &'static str, is_closed: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(account.as_bytes());
            if !is_closed {
                open.push(stream);
            }
        }
    });
    port
}

#[test]
fn where_there_is_no_rest_the_text_protocol_is_asked_and_an_open_end_is_an_end() {
    let none =
        Fake::saying("HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>");
    let port = texting(
        "PROTOCOL PREAMBLE:\nVersion: 1.0\n\nSTREAM STATE:\nStatus: Streaming\nBitrate: 5\n\n",
        false,
    );
    let (mut asking, context) = (asking(&none.url(""), &format!("text_port = {port}")), Context::default());
    let outcome = smol::block_on(asking.run(&context));
    assert_eq!(
        (&outcome.state, up(&outcome), asking.way),
        (&State::Up, Value::Known(1), Some(Protocol::Text))
    );
    assert_eq!(none.asked().len(), 1);
    let begun = Clock::now();
    smol::block_on(asking.run(&context));
    assert_eq!(none.asked().len(), 0, "it is known how it answers");
    assert!(begun.elapsed() > SILENCE, "and it was waited for its turn");
}

#[test]
fn an_account_that_breaks_off_says_nothing_of_the_stream() {
    let port = texting("PROTOCOL PREAMBLE:\nVersion: 1.0\n\nSTREAM STATE:\nSta", true);
    let more = format!("text_port = {port}\nprotocol = \"text\"");
    let (mut asking, context) = (asking("http://127.0.0.1", &more), Context::default());
    let outcome = smol::block_on(asking.run(&context));
    let why = format!("127.0.0.1:{port} closed the connection in the middle of its account");
    assert_eq!((outcome.state.clone(), up(&outcome)), (State::Unknown(why), Value::Unknown));
}

#[test]
fn rest_is_asked_once_a_second_and_one_seldom_page_a_run() {
    let device = Fake::start(|request, talk| {
        let body = match request.split(' ').nth(1) {
            Some("/control/api/v1/livestreams/0") => r#"{"status":"Streaming","bitrate":6012000,"cache":0}"#,
            Some("/control/api/v1/livestreams/0/activePlatform") => {
                r#"{"platform":"YouTube","key":"hunter2"}"#
            }
            _ => "{}",
        };
        let _ = talk.write_all(ok(body).as_bytes());
    });
    let (mut asking, context) = (asking(&device.url(""), ""), Context::default());
    let begun = Clock::now();
    let outcome = smol::block_on(asking.run(&context));
    assert!(begun.elapsed() >= APART, "the second page waits for its turn");
    assert_eq!((&outcome.state, up(&outcome)), (&State::Up, Value::Known(1)));
    assert_eq!(outcome.texts, [("state", "streaming".to_owned()), ("platform", "YouTube".to_owned())]);
    smol::block_on(asking.run(&context));
    let asked = device.asked();
    let pages: Vec<&str> = asked.iter().filter_map(|request| request.split(' ').nth(1)).collect();
    let stream = "/control/api/v1/livestreams/0";
    assert_eq!(
        pages,
        [stream, "/control/api/v1/livestreams/0/activePlatform", stream, "/control/api/v1/system/product"]
    );
}
