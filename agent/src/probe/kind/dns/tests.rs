//! The probe against small servers of its own, for what no honest one does; real ones are asked in `tests/process`.

use super::*;
use crate::probe::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn settings(server: &str, more: &str) -> Dns {
    let text = format!("name = \"x\"\nquery = \"example.org\"\nserver = \"{server}\"\n{more}");
    rackside_config::parse(&text, "x").expect("good settings")
}

/// A server that answers each question as `make` has it, or not at all; and how often it was asked.
fn server(make: impl Fn(&[u8], usize) -> Option<Vec<u8>> + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound").to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut room = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            let number = count.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) = make(&room[..length], number) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    (address, asked)
}

/// One address as the answer.
fn one(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    answer
}

fn ask(settings: &mut Dns, within: Duration) -> Outcome {
    smol::block_on(settings.run(&Context { within, ..Context::default() }))
}

#[test]
fn a_lost_datagram_is_asked_for_again() {
    let (address, asked) = server(|question, number| (number > 0).then(|| one(question)));
    let outcome = ask(&mut settings(&address, ""), Duration::from_secs(10));
    assert_eq!((outcome.state, asked.load(Ordering::SeqCst)), (State::Up, 2));
}

#[test]
fn silence_a_refusal_and_rubbish_are_down_with_their_reasons() {
    let (silent, _) = server(|_, _| None);
    let (broken, _) = server(|question, _| Some(one(question)[..40].to_vec()));
    let gone = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    for (address, why) in [
        (silent, "does not answer within 300ms"),
        (broken, "its answers end too early"),
        (gone.to_string(), "Connection refused"),
    ] {
        let outcome = ask(&mut settings(&address, ""), Duration::from_millis(300));
        assert!(outcome.state.why().is_some_and(|said| said.contains(why)), "{:?}", outcome.state);
        assert!(matches!(outcome.state, State::Down(_)) && outcome.samples.is_empty());
    }
}

#[test]
fn one_that_only_makes_noise_is_given_up() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut room = [0; 512];
        let (length, from) = socket.recv_from(&mut room).expect("a question");
        for _ in 0..NOISE {
            let mut answer = one(&room[..length]);
            answer[0] ^= 1;
            let _ = socket.send_to(&answer, from);
        }
    });
    let outcome = ask(&mut settings(&address, ""), Duration::from_secs(10));
    assert!(
        outcome.state.why().is_some_and(|why| why.contains("does not answer what it was asked")),
        "{outcome:?}"
    );
}

#[test]
fn an_address_that_is_not_expected_is_named() {
    let (address, _) = server(|question, _| Some(one(question)));
    let right = ask(&mut settings(&address, "expect = [\"192.0.2.1\"]"), Duration::from_secs(5));
    assert_eq!(right.state, State::Up);
    let wrong = ask(&mut settings(&address, "expect = [\"192.0.2.9\"]"), Duration::from_secs(5));
    assert_eq!(wrong.state, State::Down("example.org is not 192.0.2.9 but 192.0.2.1".to_owned()));
    assert_eq!(wrong.samples.len(), 4, "what was measured is told all the same");
    let other = ask(&mut settings(&address, "record = \"AAAA\""), Duration::from_secs(5));
    assert_eq!(other.state, State::Down("example.org has no AAAA".to_owned()));
}

#[test]
fn a_hijacker_answers_to_a_name_that_nobody_has() {
    let (address, _) = server(|question, _| Some(one(question)));
    let mut settings = settings(&address, "rcode = \"NXDOMAIN\"");
    settings.query = "*.example.org".to_owned();
    let why = ask(&mut settings, Duration::from_secs(5)).state;
    let why = why.why().expect("down").to_owned();
    assert!(why.starts_with("NOERROR instead of NXDOMAIN for ") && !why.contains('*'), "{why}");
}

#[test]
fn the_systems_resolver_knows_this_machine() {
    let text = "name = \"x\"\nquery = \"localhost\"\nexpect = [\"127.0.0.1\"]\n";
    let mut settings: Dns = rackside_config::parse(text, "x").expect("good settings");
    let outcome = ask(&mut settings, Duration::from_secs(5));
    assert_eq!(outcome.state, State::Up);
    assert_eq!(outcome.samples.len(), 2);
}
