//! What becomes of vMix's words.

use super::*;
use crate::probe::State;
use crate::probe::http::server::Server as Fake;

fn asking(more: &str) -> Result<Asking, (&'static str, String)> {
    let settings: Vmix = rackside_config::parse(&format!("name = \"vmix\"\n{more}"), "x").expect("TOML");
    settings.check().and_then(|()| settings.login().check())?;
    Ok(Asking { settings, streak: Streak::default() })
}

fn value(outcome: &Outcome, name: &str, labels: &[&str]) -> Option<Value> {
    let mut samples = outcome.samples.iter();
    samples.find(|one| one.metric.name == name && one.labels == labels).map(|one| one.value)
}

#[test]
fn its_own_word_counts_at_once() {
    let mut asking = asking("tcp = \"127.0.0.1\"").expect("good");
    for (streaming, is_known, up) in [
        (Some(true), true, Value::Known(1)),
        (Some(false), true, Value::Known(0)),
        (None, false, Value::Unknown),
    ] {
        let channels = vec![(1, true), (2, false)];
        let told = Told { streaming, channels, recording: Some(true), black: Some(true), ..Told::default() };
        let outcome = asking.known(&told);
        assert_eq!(
            (outcome.state == State::Up, value(&outcome, "rackside_stream_up", &[""])),
            (is_known, Some(up))
        );
        assert_eq!(value(&outcome, "rackside_recording_up", &[]), Some(Value::Known(1)));
        assert_eq!(value(&outcome, "rackside_vmix_channel_active", &["2"]), Some(Value::Known(0)));
        assert_eq!(value(&outcome, "rackside_vmix_fade_to_black", &[]), Some(Value::Known(1)));
        assert_eq!(value(&outcome, "rackside_vmix_external", &[]), None, "it did not say so");
    }
}

#[test]
fn it_is_asked_at_its_api_and_another_page_says_nothing() {
    let server = Fake::page(
        "<vmix><version>27.0.0.49</version><edition>4K</edition><streaming>True</streaming></vmix>",
    );
    let mut well = asking(&format!("url = \"{}\"", server.url(""))).expect("good");
    let context = Context::default();
    let outcome = smol::block_on(well.run(&context));
    assert_eq!((&outcome.state, outcome.texts), (&State::Up, vec![("version", "27.0.0.49 4K".to_owned())]));
    assert!(server.asked().iter().all(|request| request.starts_with("GET /api/ ")));
    let server = Fake::page("<html>secret</html>");
    let mut other = asking(&format!("url = \"{}\"", server.url(""))).expect("good");
    let outcome = smol::block_on(other.run(&context));
    let why = format!("{}/: the answer is no status of vMix; is the address right?", server.url(""));
    assert_eq!(outcome.state, State::Unknown(why));
    assert_eq!(value(&outcome, "rackside_stream_up", &[""]), Some(Value::Unknown));
}

#[test]
fn one_way_is_wanted_and_a_login_only_where_there_is_one() {
    let why = |more| asking(more).err().map(|(key, _)| key);
    assert_eq!(why(""), Some("name"));
    assert_eq!(why("url = \"http://h\"\ntcp = \"h\""), Some("tcp"));
    assert_eq!(why("tcp = \"h\"\nuser = \"u\""), Some("tcp"));
    assert_eq!(why("tcp = \"h:x\""), Some("tcp"));
    assert_eq!(why("url = \"http://h\"\npassword = { env = \"X\" }"), Some("password"));
    assert_eq!(why("tcp = \"h:8099\""), None);
}
