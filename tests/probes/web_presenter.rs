//! `[[probe.web_presenter]]` against a fake of the device: both of its ways to tell, and what becomes of each when it goes wrong.

use crate::{Asked, survives_every_fault, up, value};
use rackside_agent::probe::{Outcome, State};
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::fakes::http::Fault;
use rackside_tests::fakes::web_presenter::{KEY, TextFault, WebPresenter};
use serde_json::json;
use std::time::Duration;

fn probe(device: &WebPresenter, protocol: &str) -> Asked {
    let (url, port) = (device.fake.url(), device.text_port());
    Asked::new(&format!(
        "[[probe.web_presenter]]\nname = \"encoder\"\nurl = \"{url}\"\nprotocol = \"{protocol}\"\ntext_port = {port}\n"
    ))
}

fn text<'a>(outcome: &'a Outcome, subject: &str) -> Option<&'a str> {
    outcome.texts.iter().find(|(other, _)| *other == subject).map(|(_, text)| text.as_str())
}

#[test]
fn both_ways_tell_the_same_of_the_stream_and_nothing_of_its_key() {
    let device = WebPresenter::start();
    for has_rest in [true, false] {
        device.set(|state| state.has_rest = has_rest);
        let mut asked = probe(&device, "auto");
        for (status, bitrate, cache, is_up, number) in [
            ("Streaming", 6_012_000, 0, 1, 2.0),
            ("Interrupted", 0, 40, 0, 4.0),
            ("Streaming", 5_000_000, 20, 1, 2.0),
            ("Idle", 0, 0, 0, 0.0),
        ] {
            device.set(|state| {
                (state.status, state.bitrate, state.cache) =
                    (status.to_owned(), json!(bitrate), Some(json!(cache)));
            });
            let outcome = asked.run();
            assert_eq!(outcome.state == State::Up, status != "Interrupted", "{outcome:?}");
            assert_eq!(up(&outcome, ""), Some(Value::Known(is_up)), "{status}, has_rest {has_rest}");
            assert_eq!(value(&outcome, "rackside_web_presenter_state", &[]), Some(number));
            assert_eq!(value(&outcome, "rackside_stream_bitrate_bps", &[""]), Some(f64::from(bitrate)));
            assert_eq!(
                value(&outcome, "rackside_stream_cache_used_ratio", &[]),
                Some(f64::from(cache) / 100.0)
            );
            assert_eq!(value(&outcome, "rackside_stream_duration_seconds", &[]), Some(125.0));
            assert!(!format!("{outcome:?}").contains(KEY), "{outcome:?}");
        }
        let outcome = asked.run();
        assert_eq!(text(&outcome, "platform"), Some("YouTube"));
        let (model, firmware) = if has_rest { ("4K", "3.5") } else { ("HD", "3.2") };
        assert_eq!(text(&outcome, "model"), Some(&*format!("Blackmagic Web Presenter {model}")));
        assert_eq!(text(&outcome, "firmware"), Some(firmware));
        let asked = device.fake.asked().len();
        assert_eq!(
            asked,
            if has_rest { 10 } else { 1 },
            "once it is known that there is no REST it is not asked for"
        );
    }
}

#[test]
fn what_is_mistyped_or_missing_takes_nothing_else_with_it() {
    let device = WebPresenter::start();
    device.set(|state| (state.bitrate, state.cache) = (json!("fast"), None));
    for protocol in ["rest", "text"] {
        let outcome = probe(&device, protocol).run();
        assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))), "{protocol}");
        assert_eq!(value(&outcome, "rackside_stream_bitrate_bps", &[""]), None);
        assert_eq!(value(&outcome, "rackside_stream_duration_seconds", &[]), Some(125.0));
    }
    device.set(|state| (state.status, state.bitrate) = ("Meditating".to_owned(), json!(7000)));
    for protocol in ["rest", "text"] {
        let outcome = probe(&device, protocol).run();
        assert!(matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
        assert_eq!(up(&outcome, ""), Some(Value::Unknown));
        assert_eq!(value(&outcome, "rackside_stream_bitrate_bps", &[""]), Some(7000.0));
    }
}

#[test]
fn whatever_goes_wrong_with_rest_is_unknown_and_soon() {
    let device = WebPresenter::start();
    survives_every_fault(&device.fake, &mut probe(&device, "rest"), "", KEY);
}

#[test]
fn whatever_goes_wrong_with_the_text_protocol_is_unknown_and_soon() {
    let device = WebPresenter::start();
    device.fake.fail(Some(Fault::WebPage));
    let mut asked = probe(&device, "auto");
    asked.context.within = Duration::from_secs(4);
    for fault in [
        TextFault::Slow(Duration::from_secs(20)),
        TextFault::Cut,
        TextFault::Endless,
        TextFault::WebPage,
        TextFault::Silent,
    ] {
        device.set(|state| state.fault = Some(fault));
        let begun = clock::now();
        let outcome = asked.run();
        assert!(clock::now() - begun < Duration::from_secs(10), "{fault:?}");
        if fault == TextFault::Endless {
            // All that matters was said before; the rest is one line that is too long.
            assert_eq!(up(&outcome, ""), Some(Value::Known(1)));
            continue;
        }
        let State::Unknown(why) = &outcome.state else { panic!("{fault:?}: {outcome:?}") };
        assert!(!why.is_empty() && !why.contains(KEY), "{fault:?}: {why}");
        assert_eq!(up(&outcome, ""), Some(Value::Unknown), "{fault:?}");
    }
    for fault in [Some(TextFault::OpenEnd), None] {
        device.set(|state| state.fault = fault);
        let outcome = asked.run();
        assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))), "{fault:?}");
    }
}
