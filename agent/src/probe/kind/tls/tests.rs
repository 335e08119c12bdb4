//! Certificates of every sort, on real sockets.

use super::*;
use crate::probe::http::server::{Authority, Server};
use crate::probe::outcome::State;
use proptest::prelude::*;

/// 2026-11-20, in seconds.
const TODAY: u64 = 1_795_132_800;

/// What a probe says of a server for `names`, valid between 1 January of these years, when asked as `host` at `date`.
fn look(names: &[&str], years: (i32, i32), host: &str, date: Option<u64>) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let ca = authority.file(dir.path());
    let server = Server::tls(authority.server(names, years), |_, _| ());
    look_at(&server, host, Some(&ca), date)
}

fn look_at(server: &Server, host: &str, ca: Option<&PathBuf>, date: Option<u64>) -> Outcome {
    let ca = ca.map_or_else(String::new, |ca| format!("ca = \"{}\"\n", ca.display()));
    let text = format!("name = \"x\"\ntarget = \"{}\"\nserver_name = \"{host}\"\n{ca}", server.address);
    let mut probe: Tls = rackside_config::parse(&text, "x").expect("good keys");
    probe.check().expect("a good probe");
    let context = Context::default();
    context.surroundings.believe(date.map(|date| date * 1000));
    let outcome = smol::block_on(probe.run(&context));
    assert_eq!(server.asked(), Vec::<String>::new(), "nothing is said");
    outcome
}

/// The values of the four faults, in the order of [`Faults`].
fn faults(outcome: &Outcome) -> [Value; 4] {
    ["expired", "not_yet_valid", "wrong_host", "untrusted"].map(|fault| {
        let is_it = |sample: &&crate::probe::outcome::Sample| {
            std::ptr::eq(sample.metric, &raw const metric::TLS_FAULT) && sample.labels == [fault]
        };
        outcome.samples.iter().find(is_it).expect("each fault is told").value
    })
}

/// Until when the certificates are valid.
fn ends(outcome: &Outcome) -> Vec<(&str, Option<i64>)> {
    let ends = outcome.samples.iter();
    let ends = ends.filter(|sample| std::ptr::eq(sample.metric, &raw const metric::TLS_NOT_AFTER));
    ends.map(|sample| (sample.labels[0].as_str(), sample.value.known())).collect()
}

fn why(outcome: &Outcome) -> &str {
    outcome.state.why().expect("it is not up")
}

const NO: Value = Value::Known(0);
const YES: Value = Value::Known(1);

#[test]
fn a_good_chain_is_up_and_says_until_when() {
    let outcome = look(&["cam.example"], (2026, 2027), "cam.example", Some(TODAY));
    assert_eq!(outcome.state, State::Up);
    assert_eq!(faults(&outcome), [NO; 4]);
    let ends = ends(&outcome);
    assert_eq!(ends[0], ("leaf", Some(1_798_761_600)));
    assert_eq!((ends.len(), ends[1].0), (2, "intermediate-1"));
    let text = "rcgen self signed cert, by An authority for tests, until 2027-01-01";
    assert_eq!(outcome.texts, [("certificate", text.to_owned())]);
}

#[test]
fn each_fault_is_told_by_itself_and_the_dates_in_any_case() {
    let expired = look(&["cam.example"], (2020, 2026), "cam.example", Some(TODAY));
    assert_eq!(faults(&expired), [YES, NO, NO, NO]);
    let before = "the certificate of cam.example is not to be believed: ";
    assert_eq!(why(&expired), format!("{before}it expired on 2026-01-01, 323 days ago"));
    assert_eq!(ends(&expired)[0], ("leaf", Some(1_767_225_600)));
    assert!(matches!(expired.state, State::Down(_)));

    let early = look(&["cam.example"], (2027, 2028), "cam.example", Some(TODAY));
    assert_eq!(faults(&early), [NO, YES, NO, NO]);
    assert_eq!(why(&early), format!("{before}it is not valid before 2027-01-01"));

    let other = look(&["cam.example", "192.0.2.7"], (2026, 2027), "mixer.example", Some(TODAY));
    assert_eq!(faults(&other), [NO, NO, YES, NO]);
    assert!(why(&other).ends_with("it is not for mixer.example"), "{other:?}");
    let address = look(&["cam.example", "192.0.2.7"], (2026, 2027), "192.0.2.7", Some(TODAY));
    assert_eq!(address.state, State::Up);

    let server = Server::tls(Authority::new().server(&["cam.example"], (2026, 2027)), |_, _| ());
    let stranger = look_at(&server, "cam.example", None, Some(TODAY));
    assert_eq!(faults(&stranger), [NO, NO, NO, YES]);
    let by =
        "it is signed by \"An authority for tests\", and that not by an authority that this system knows";
    assert_eq!(why(&stranger), format!("{before}{by}"));
}

#[test]
fn an_authority_in_the_chain_that_has_expired_is_told_from_the_certificate() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = Authority::new();
    let ca = root.file(dir.path());
    let between = root.below((2020, 2026));
    let server = Server::tls(between.server(&["cam.example"], (2025, 2027)), |_, _| ());
    let outcome = look_at(&server, "cam.example", Some(&ca), Some(TODAY));
    assert_eq!(faults(&outcome), [YES, NO, NO, NO]);
    assert!(
        why(&outcome).ends_with("the certificate of an authority in its chain has expired"),
        "{outcome:?}"
    );
    let ends: Vec<Option<i64>> = ends(&outcome).iter().map(|(_, end)| *end).collect();
    assert_eq!(ends, [Some(1_798_761_600), Some(1_767_225_600)]);
}

#[test]
fn faults_that_come_together_are_all_told() {
    let server = Server::tls(Authority::new().server(&["cam.example"], (2020, 2026)), |_, _| ());
    let outcome = look_at(&server, "mixer.example", None, Some(TODAY));
    assert_eq!(faults(&outcome)[2..], [YES, YES]);
    assert_eq!(faults(&outcome)[0], YES, "{outcome:?}");
    for part in ["it expired on 2026-01-01", "it is not for mixer.example", "it is signed by"] {
        assert!(why(&outcome).contains(part), "{outcome:?}");
    }
}

#[test]
fn without_a_date_validity_is_unknown_and_the_rest_is_not() {
    let good = look(&["cam.example"], (2026, 2027), "cam.example", None);
    assert_eq!(faults(&good), [Value::Unknown, Value::Unknown, NO, NO]);
    assert!(matches!(&good.state, State::Unknown(why) if why.contains("the date is not known")), "{good:?}");
    assert_eq!(ends(&good)[0].1, Some(1_798_761_600), "until when is no matter of opinion");
    let other = look(&["cam.example"], (2020, 2021), "mixer.example", None);
    assert_eq!(faults(&other), [Value::Unknown, Value::Unknown, YES, NO]);
    assert!(matches!(other.state, State::Down(_)));
}

#[test]
fn what_is_no_tls_and_what_is_not_there_is_down() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let look = || {
        let text = format!("name = \"x\"\ntarget = \"{address}\"\n");
        let mut probe: Tls = rackside_config::parse(&text, "x").expect("good keys");
        smol::block_on(probe.run(&Context::default()))
    };
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().expect("somebody comes").0;
        std::io::Write::write_all(&mut stream, b"220 mail.example ESMTP\r\n").expect("written");
        // Closing with bytes unread would reset the connection before ours were read.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    assert_eq!(why(&look()), "127.0.0.1 does not answer in TLS; is it a TLS port?");
    server.join().expect("it ended");
    assert_eq!(why(&look()), format!("cannot reach {address}: Connection refused (os error 111)"));
}

#[test]
fn authorities_that_cannot_be_read_are_unknown() {
    let server = Server::tls(Authority::new().server(&["cam.example"], (2026, 2027)), |_, _| ());
    let outcome = look_at(&server, "cam.example", Some(&PathBuf::from("/nowhere/ca.pem")), Some(TODAY));
    assert!(matches!(&outcome.state, State::Unknown(why) if why.contains("/nowhere/ca.pem")), "{outcome:?}");
}

proptest! {
    #[test]
    fn no_chain_makes_it_panic(
        chain in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..4),
        date in proptest::option::of(any::<u64>()),
    ) {
        let chain: Vec<CertificateDer<'_>> = chain.into_iter().map(CertificateDer::from).collect();
        prop_assert_eq!(judge(&chain, "cam.example", None, date), None);
    }
}
