//! `[[probe.vmix]]` against a fake of vMix: both of its interfaces, and what becomes of each when it goes wrong.

use crate::{Asked, survives_every_fault, up, value};
use rackside_agent::probe::State;
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::fakes::vmix::{KEY, TcpFault, Vmix};
use std::time::Duration;

fn by_http(vmix: &Vmix) -> Asked {
    let url = vmix.fake.url();
    Asked::new(&format!("[[probe.vmix]]\nname = \"vmix\"\nurl = \"{url}\"\n"))
}

fn by_tcp(vmix: &Vmix) -> Asked {
    let tcp = vmix.tcp();
    Asked::new(&format!("[[probe.vmix]]\nname = \"vmix\"\ntcp = \"{tcp}\"\n"))
}

#[test]
fn both_interfaces_tell_the_same_and_nothing_of_the_inputs() {
    let vmix = Vmix::start();
    vmix.set(|state| state.inputs = 1000);
    for mut asked in [by_http(&vmix), by_tcp(&vmix)] {
        let outcome = asked.run();
        assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))));
        assert_eq!(value(&outcome, "rackside_recording_up", &[]), Some(1.0));
        assert_eq!(value(&outcome, "rackside_vmix_external", &[]), Some(0.0));
        assert_eq!(value(&outcome, "rackside_vmix_channel_active", &["1"]), Some(1.0));
        assert_eq!(value(&outcome, "rackside_vmix_channel_active", &["2"]), Some(0.0));
        assert_eq!(outcome.texts, [("version", "27.0.0.49 4K".to_owned())]);
        assert!(!format!("{outcome:?}").contains(KEY));
    }
    vmix.set(|state| {
        state.streaming = "<streaming>False</streaming>".to_owned();
        state.recording = "<recording />".to_owned();
    });
    for mut asked in [by_http(&vmix), by_tcp(&vmix)] {
        let outcome = asked.run();
        assert_eq!(
            (&outcome.state, up(&outcome, "")),
            (&State::Up, Some(Value::Known(0))),
            "not to stream is no fault"
        );
        assert_eq!(value(&outcome, "rackside_recording_up", &[]), None, "unknown");
    }
    vmix.set(|state| state.streaming = String::new());
    let outcome = by_http(&vmix).run();
    assert!(matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
    assert_eq!(up(&outcome, ""), Some(Value::Unknown));
}

#[test]
fn whatever_goes_wrong_with_http_is_unknown_and_soon() {
    let vmix = Vmix::start();
    survives_every_fault(&vmix.fake, &mut by_http(&vmix), "", KEY);
}

#[test]
fn whatever_goes_wrong_with_tcp_is_unknown_and_soon() {
    let vmix = Vmix::start();
    let mut asked = by_tcp(&vmix);
    asked.context.within = Duration::from_secs(2);
    for fault in [
        TcpFault::Slow(Duration::from_secs(20)),
        TcpFault::Cut,
        TcpFault::Endless,
        TcpFault::Refused,
        TcpFault::Silent,
    ] {
        vmix.set(|state| state.fault = Some(fault));
        let begun = clock::now();
        let outcome = asked.run();
        assert!(clock::now() - begun < Duration::from_secs(8), "{fault:?}");
        let State::Unknown(why) = &outcome.state else { panic!("{fault:?} says {:?}", outcome.state) };
        assert!(!why.is_empty() && !why.contains(KEY), "{fault:?}: {why}");
        assert_eq!(up(&outcome, ""), Some(Value::Unknown), "{fault:?}");
        vmix.set(|state| state.fault = None);
        assert_eq!(up(&asked.run(), ""), Some(Value::Known(1)), "after {fault:?}");
    }
}
