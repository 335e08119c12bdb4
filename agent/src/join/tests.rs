//! The agent's half against the hub's own, and against whoever would like to be a hub.

use super::card::{self, Table};
use super::exchange::{Asked, Entitled, Granted, code_id};
use super::*;
use crate::address::Address;
use crate::probe::http::server::Server;
use rackside_identity::{Authority, End, Offer, Registrar, Store as HubStore, make_code};
use rackside_proto::AgentName;
use rackside_proto::join::{
    ANSWER_LABEL, Answer, CONTENT_TYPE, Code, Grant, Outcome, P256_PREFIX, Question, Refusal,
};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempDir;

/// 2026-11-21.
const NOW: i64 = 1_795_219_200_000;
const DAY: i64 = 86_400_000;
const URL: &str = "http://hub.example.org:8080";

fn name(appliance: &str) -> AgentName {
    AgentName::new("arena-north", appliance).expect("good names")
}

/// A real hub's registrar, and a box's state directory.
struct World {
    registrar: Registrar,
    now: i64,
    configuration: &'static str,
    _data: TempDir,
    state: TempDir,
}

impl World {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::open(data.path()).expect("an authority");
        let registrar = Registrar::new(authority, HubStore::open(data.path()).expect("a file"));
        let state = tempfile::tempdir().expect("a temporary directory");
        Self { registrar, now: NOW, configuration: "", _data: data, state }
    }

    fn store(&self) -> Store {
        Store::new(self.state.path().join("state"))
    }

    fn code(&mut self) -> Code {
        let code = make_code(self.registrar.authority().fingerprint());
        self.registrar.store().make_code(&code, &name("rack-1"), self.now).expect("made");
        code
    }

    fn answer(&mut self, asked: &Asked) -> Vec<u8> {
        let addresses = vec!["mqtts://hub.example.org:8883".to_owned(), "mqtts://198.51.100.7".to_owned()];
        let offer = Offer::new(addresses, self.configuration.to_owned()).expect("an offer");
        self.registrar.answer(asked.question(), &offer, self.now).bytes
    }

    fn asked(&self, code: &Code) -> Asked {
        let store = self.store();
        let key = store.key(store.read().expect("readable").as_ref()).expect("a key");
        Asked::new(Entitled::Code(code), &key, URL).expect("a question")
    }

    fn join(&mut self, code: &Code) -> Result<Granted, JoinError> {
        let asked = self.asked(code);
        let answer = self.answer(&asked);
        let granted = asked.hear(&answer)?;
        self.store().write(&granted.identity).expect("written");
        Ok(granted)
    }

    fn renew(&mut self, identity: &Identity) -> Result<Granted, JoinError> {
        let asked =
            Asked::new(Entitled::Identity(identity), &identity.key, &identity.url).expect("a question");
        let answer = self.answer(&asked);
        asked.hear(&answer)
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state.path().join("state")).into_iter().flatten().flatten();
        let mut files: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        files
    }
}

/// What a box has that joined a hub just now which sends it to these addresses, and the hub.
pub(crate) fn joined(addresses: Vec<String>) -> (Identity, Registrar) {
    let mut world = World::new();
    world.now = crate::clock::Clock::shown().as_millis() as i64;
    let code = world.code();
    let asked = world.asked(&code);
    let offer = Offer::new(addresses, String::new()).expect("an offer");
    let answer = world.registrar.answer(asked.question(), &offer, world.now).bytes;
    (asked.hear(&answer).expect("granted").identity, world.registrar)
}

#[test]
fn a_box_joins_and_has_all_that_it_needs_on_its_disk_and_nothing_else() {
    let mut world = World::new();
    world.configuration = "tick = \"5s\"\n";
    let code = world.code();
    let granted = world.join(&code).expect("granted");
    assert_eq!(granted.time_ms, NOW as u64);
    assert!(granted.objection.is_none());
    let identity = world.store().read().expect("readable").expect("joined");
    assert_eq!(identity, granted.identity);
    assert_eq!((identity.name.clone(), identity.url.as_str()), (name("rack-1"), URL));
    let targets = ["mqtts://hub.example.org", "mqtts://198.51.100.7"];
    let targets = targets.map(|text| Address::parse(text, true).expect("good"));
    assert_eq!(identity.targets(), targets, "in the hub's order");
    assert_eq!(identity.code, code_id(&code));
    assert_eq!(identity.configuration, "tick = \"5s\"\n");
    assert!(crate::tls::of_identity(&identity).is_ok());
    assert_eq!(world.files(), [IDENTITY]);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&world.store().path()), mode(&world.state.path().join("state"))), (0o600, 0o700));
    let shown = format!("{identity:?} {code:?}");
    assert!(!shown.contains("key") && shown.starts_with("Identity(arena-north/rack-1"), "{shown}");
}

#[test]
fn an_answer_that_was_lost_is_given_again_whenever_the_power_was_cut() {
    let mut world = World::new();
    let code = world.code();
    // The key is on the disk before anybody is asked.
    let asked = world.asked(&code);
    assert_eq!(world.files(), ["joining.pem"]);
    let lost = asked.hear(&world.answer(&asked)).expect("granted");
    // Cut: after the question, while the identity was written beside, and before the key was removed.
    let cuts: [(&str, &[u8]); 3] =
        [("unrelated", b""), ("identity.toml.new", b"site = \"arena"), ("joining.pem.new", b"-----BEGIN")];
    for (file, left) in cuts {
        fs::write(world.state.path().join("state").join(file), left).expect("written");
        let again = world.asked(&code);
        let granted = again.hear(&world.answer(&again)).expect("granted again");
        assert_eq!(granted.identity, lost.identity, "the same certificate, for the same key");
        assert_eq!(world.store().read().expect("readable"), None);
    }
    world.join(&code).expect("and again");
    assert_eq!(world.files(), [IDENTITY, "joining.pem.new", "unrelated"]);
    // Cut between the rename and the removal: the key that is left is the identity's, and no other question is asked with it.
    let joined = world.store().read().expect("readable").expect("joined");
    fs::write(world.state.path().join("state/joining.pem"), super::identity::pem("PRIVATE KEY", &joined.key))
        .expect("written");
    assert_ne!(world.store().key(Some(&joined)).expect("a key"), joined.key);
}

#[test]
fn a_key_that_is_damaged_is_made_anew() {
    let world = World::new();
    let first = world.store().key(None).expect("a key");
    assert_eq!(world.store().key(None).expect("the same"), first);
    for damaged in ["", "rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        fs::write(world.state.path().join("state/joining.pem"), damaged).expect("written");
        assert_ne!(world.store().key(None).expect("another one"), first);
    }
}

#[test]
fn a_directory_that_cannot_be_written_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    let error = Store::new(file.clone()).key(None).expect_err("it is no directory").to_string();
    let begin = format!("{}/joining.pem cannot be written: ", file.display());
    assert!(error.starts_with(&begin) && error.ends_with("or name another one with --state"), "{error}");
}

#[test]
fn a_code_is_for_one_box_and_the_hub_says_so_in_words_for_a_technician() {
    let mut world = World::new();
    let code = world.code();
    world.join(&code).expect("granted");
    let said = |world: &mut World, code: &Code| {
        world.state = tempfile::tempdir().expect("another box");
        let error = world.join(code).expect_err("refused");
        assert_eq!(world.files(), ["joining.pem"], "nothing but the key is written");
        error
    };
    let used = said(&mut world, &code);
    assert!(matches!(used, JoinError::Refused { refusal: Refusal::Used, is_signed: true }), "{used:?}");
    assert_eq!(
        used.to_string(),
        "this code was used already, by another box or before this one was set up anew; have a new code made on the hub: rackside-hub join SITE/APPLIANCE"
    );
    assert!(!used.may_pass());
    let unknown = make_code(world.registrar.authority().fingerprint());
    let error = said(&mut world, &unknown);
    assert!(matches!(error, JoinError::Refused { refusal: Refusal::Unknown, is_signed: false }), "{error:?}");
    let late = world.code();
    world.now += 2 * DAY;
    let error = said(&mut world, &late);
    assert!(matches!(error, JoinError::Refused { refusal: Refusal::Expired, is_signed: true }), "{error:?}");
}

#[test]
fn another_hub_is_not_believed_whatever_it_signs() {
    let (mut world, mut other) = (World::new(), World::new());
    let code = world.code();
    let asked = world.asked(&code);
    // One that knows the code even: somebody in between with an authority of his own.
    other.registrar.store().make_code(&code, &name("rack-1"), NOW).expect("made");
    let answer = other.answer(&asked);
    let error = asked.hear(&answer).expect_err("not believed");
    assert!(matches!(error, JoinError::OtherHub), "{error:?}");
    assert!(error.to_string().contains("nothing was taken over"));
    // The right hub's answer to another question is not the answer to this one.
    let earlier = world.asked(&code);
    let answer = world.answer(&earlier);
    let error = asked.hear(&answer).expect_err("of another question");
    assert!(matches!(error, JoinError::Forged), "{error:?}");
    assert_eq!(world.files(), ["joining.pem"]);
}

#[test]
fn an_answer_with_any_byte_changed_or_missing_gives_nothing() {
    let mut world = World::new();
    let code = world.code();
    let asked = world.asked(&code);
    let answer = world.answer(&asked);
    assert!(asked.hear(&answer).is_ok());
    for at in 0..answer.len() {
        let mut changed = answer.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(asked.hear(&changed).is_err(), "byte {at}");
        assert!(asked.hear(&answer[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_year_passes_and_the_identity_is_renewed_by_itself() {
    let mut world = World::new();
    let code = world.code();
    let first = world.join(&code).expect("granted").identity;
    let mut identity = first.clone();
    let mut renewals = 0;
    while world.now < NOW + 365 * DAY {
        let due = identity.renewal() as i64 * 1000;
        let left = identity.left(due as u64);
        assert!(left > std::time::Duration::from_hours(29 * 24), "there is time for a bad network: {left:?}");
        world.now = due;
        let renewed = world.renew(&identity).expect("renewed").identity;
        assert!(renewed.not_after > identity.not_after);
        assert_eq!((&renewed.key, &renewed.name), (&first.key, &first.name), "the key never leaves the box");
        assert_eq!((renewed.code, renewed.fingerprint), (first.code, first.fingerprint));
        identity = renewed;
        renewals += 1;
    }
    assert!((6..=7).contains(&renewals), "{renewals} writes in a year");
    // Switched off for a month longer than it is good for, it comes back.
    world.now = identity.not_after as i64 * 1000 + 30 * DAY;
    assert!(world.renew(&identity).is_ok());
}

#[test]
fn an_identity_that_ended_is_told_why() {
    for (end, wanted, words) in [
        (End::Revoked, Refusal::Revoked, "it was revoked on the hub"),
        (End::Retired, Refusal::Retired, "this appliance was retired on the hub"),
    ] {
        let mut world = World::new();
        let code = world.code();
        let identity = world.join(&code).expect("granted").identity;
        world.registrar.store().end(&name("rack-1"), end, false, NOW).expect("ended");
        let error = world.renew(&identity).expect_err("refused");
        assert_eq!(error.verdict(), Some(wanted));
        assert!(error.to_string().starts_with(words), "{error}");
    }
    let mut world = World::new();
    let first = world.code();
    let old = world.join(&first).expect("granted").identity;
    let second = world.code();
    world.state = tempfile::tempdir().expect("another box");
    world.join(&second).expect("granted");
    let error = world.renew(&old).expect_err("refused");
    assert_eq!(error.verdict(), Some(Refusal::Replaced));
    assert!(error.to_string().starts_with("another box has this one's name and place now"), "{error}");
}

/// A hub that has gone mad: its signature is right, and what it grants is whatever it is told.
struct Mad {
    pair: EcdsaKeyPair,
    dice: SystemRandom,
}

impl Mad {
    fn new() -> Self {
        let dice = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &dice).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &dice);
        Self { pair: pair.expect("just made"), dice }
    }

    fn key(&self) -> Vec<u8> {
        [&P256_PREFIX[..], self.pair.public_key().as_ref()].concat()
    }

    fn code(&self) -> Code {
        let fingerprint = *digest(&SHA256, &self.key()).as_ref().first_chunk().expect("32 bytes");
        Code { secret: [7; 16], fingerprint }
    }

    fn answer(&self, asked: &Asked, grant: Grant<'_>) -> Vec<u8> {
        let (mut outcome, mut answer) = (Vec::new(), Vec::new());
        Outcome::Granted(grant).encode(&mut outcome).expect("within bounds");
        let message = [ANSWER_LABEL, digest(&SHA256, asked.question()).as_ref(), &outcome].concat();
        let signature = self.pair.sign(&self.dice, &message).expect("signed");
        Answer::encode(&self.key(), signature.as_ref(), &outcome, &mut answer).expect("within bounds");
        answer
    }
}

#[test]
fn a_grant_that_is_signed_and_cannot_be_used_is_not_taken() {
    let mut world = World::new();
    let code = world.code();
    let good = world.join(&code).expect("granted").identity;
    let mad = Mad::new();
    let asked = Asked::new(Entitled::Code(&mad.code()), &good.key, URL).expect("a question");
    let grant = || Grant {
        name: name("rack-1"),
        certificate: &good.certificate,
        authority: &good.authority,
        addresses: ["mqtts://hub.example.org:8883"].into_iter().collect(),
        configuration: "",
        time_ms: 0,
    };
    let heard = |grant: Grant<'_>| asked.hear(&mad.answer(&asked, grant));
    assert!(heard(grant()).is_ok());
    let mut other = World::new();
    let other_code = other.code();
    let stranger = other.join(&other_code).expect("granted").identity;
    for (grant, words) in [
        (Grant { certificate: &stranger.certificate, ..grant() }, "does not go with this box's key"),
        (Grant { certificate: b"rubbish", ..grant() }, "its certificate cannot be read"),
        (Grant { authority: b"rubbish", ..grant() }, "the hub's authority is unusable"),
        (Grant { addresses: ["quic://hub/mqtt"].into_iter().collect(), ..grant() }, "install a newer one"),
        (Grant { addresses: ["mqtts://:8883"].into_iter().collect(), ..grant() }, "install a newer one"),
        (Grant { addresses: ["mqtts://h:0\"]\nx=["].into_iter().collect(), ..grant() }, ""),
    ] {
        if words.is_empty() {
            // Such an address is no text of the wire, so it cannot even be written.
            assert!(Outcome::Granted(grant).encode(&mut Vec::new()).is_err());
            continue;
        }
        let error = heard(grant).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let quoted = Grant { addresses: ["mqtts://hub", "x\"y"].into_iter().collect(), ..grant() };
    assert!(heard(quoted).is_err_and(|error| error.to_string().ends_with("it cannot be written down")));
    let odd = "# \u{7f} \u{1} ''' \"\"\" \\ \n";
    for (configuration, kept) in
        [("tick = \"5s\"", true), ("nonsense = 1", false), ("tick = [", false), (odd, false)]
    {
        let granted = heard(Grant { configuration, ..grant() }).expect("joined all the same");
        assert_eq!(granted.identity.configuration, if kept { configuration } else { "" });
        assert_eq!(granted.objection.is_none(), kept, "{:?}", granted.objection);
    }
    let address = heard(Grant { configuration: "[mqtt]\naddress = \"a\"\n", ..grant() }).expect("joined");
    assert!(address.objection.is_some_and(|objection| objection.contains("mqtt.address")));
}

#[test]
fn a_question_tells_nothing_of_the_secret() {
    let world = World::new();
    let code = make_code([9; 16]);
    let asked = world.asked(&code);
    let question = Question::decode(asked.question()).expect("well formed");
    assert_eq!(question.claim, rackside_proto::join::Claim::Code(code_id(&code)));
    for secret in [&code.secret[..], &code.fingerprint] {
        assert!(!asked.question().windows(16).any(|window| window == secret));
    }
}

/// A hub's door on a port of its own: a real registrar behind a socket that reads one question each.
fn door(world: Arc<Mutex<World>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            assert!(head.starts_with("post /join http/1.1\r\n") && head.contains(CONTENT_TYPE), "{head}");
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let mut question = vec![0; length.and_then(|length| length.parse().ok()).expect("a length")];
            stream.read_exact(&mut question).expect("the question");
            let mut world = world.lock().expect("nobody panics");
            let now = world.now;
            let offer =
                Offer::new(vec!["mqtts://hub.example.org:8883".to_owned()], String::new()).expect("an offer");
            let answer = world.registrar.answer(&question, &offer, now).bytes;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &answer].concat());
        }
    });
    url
}

#[test]
fn two_boxes_with_one_code_are_one_that_joins_and_one_that_is_told() {
    let world = Arc::new(Mutex::new(World::new()));
    let code = world.lock().expect("nobody panics").code();
    let url = door(Arc::clone(&world));
    let boxes = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let text = code.text();
    let by_hand = |state: &TempDir| {
        let mut out = Vec::new();
        let done = start::by_hand(&Store::new(state.path().to_owned()), &url, &text, None, &mut out);
        done.map(|_| String::from_utf8(out).expect("text"))
    };
    let said = by_hand(&boxes[0]).expect("the first one");
    assert!(said.starts_with("joined   as arena-north/rack-1, until 2027-02-"), "{said}");
    assert!(said.ends_with("next     systemctl restart rackside-agent\n"), "{said}");
    let error = by_hand(&boxes[1]).expect_err("the second one");
    assert!(matches!(error, JoinError::Refused { refusal: Refusal::Used, is_signed: true }), "{error:?}");
    let again = by_hand(&boxes[0]).expect("nothing is asked again");
    assert!(again.starts_with("already joined as arena-north/rack-1 with this code"), "{again}");
    let identity = Store::new(boxes[0].path().to_owned()).read().expect("readable").expect("joined");
    let renewed =
        smol::block_on(renew(&Store::new(boxes[0].path().to_owned()), &identity, &Context::default()));
    assert_eq!(renewed.expect("renewed").identity.key, identity.key);
}

#[test]
fn what_stands_in_between_is_told_from_a_hub() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let text = make_code([1; 16]).text();
    let said = |url: &str, code: &str| {
        let done = start::by_hand(&Store::new(state.path().to_owned()), url, code, None, &mut Vec::new());
        done.map(drop).expect_err("not joined").to_string()
    };
    let portal =
        Server::saying("HTTP/1.1 302 Found\r\nlocation: http://login.example/\r\ncontent-length: 0\r\n\r\n");
    let page = Server::page("<html>Welcome to the hall's Wi-Fi</html>");
    let rubbish = Server::saying(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: 7\r\n\r\nrubbish"
    ));
    let newer = Server::saying(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: 2\r\n\r\n\x02x"
    ));
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    for (url, words) in [
        (format!("http://{}", portal.address), "leads to http://login.example/ (status 302)"),
        (format!("http://{}", page.address), "does not answer as a hub does (status 200)"),
        (format!("http://{}", rubbish.address), "the hub is newer than this agent"),
        (format!("http://{}", newer.address), "the hub is newer than this agent"),
        (format!("http://{closed}"), "the hub cannot be reached: cannot reach"),
        ("hub.example.org".to_owned(), "this is no address of a hub"),
    ] {
        let said = said(&url, &text);
        assert!(said.contains(words), "{said}");
    }
    let mut typo = text.to_string();
    typo.replace_range(5..6, if typo.as_bytes()[5] == b'7' { "8" } else { "7" });
    let said = said("http://hub.example.org", &typo);
    assert_eq!(
        said,
        "the code is mistyped, probably in its group 2 of 14; compare it with the one that you were given"
    );
}

#[test]
fn a_code_on_the_card_is_found_and_blanked_and_all_else_stays() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (card, agent) = (dir.path().join("rackside.toml"), dir.path().join("agent.toml"));
    let text = make_code([1; 16]).text();
    let written = format!(
        "# the hall\n[join]\nurl = \"{URL}\"\ncode = \"{text}\"\n\n[[led]]\nname = \"rack\"\npin = 24\n"
    );
    fs::write(&card, &written).expect("written");
    fs::write(&agent, format!("[join]\nfile = \"{}\"\n", card.display())).expect("written");
    for path in [&card, &agent] {
        let waiting = card::waiting(path).expect("readable").expect("a code");
        assert_eq!((waiting.file.as_path(), waiting.url.origin().as_str()), (card.as_path(), URL));
        assert_eq!(waiting.code.text(), text);
    }
    card::waiting(&card).expect("readable").expect("a code").blank().expect("it can be written");
    assert_eq!(fs::read_to_string(&card).expect("readable"), written.replace(text.as_str(), ""));
    assert!(card::waiting(&card).expect("readable").is_none(), "it is used");
    assert!(card::waiting(&dir.path().join("none.toml")).expect("no file is no mistake").is_none());
    let typo = written.replacen("[join]", "[join]\n#", 1).replace(&text[..4], "ZZZZ");
    let error =
        Table::of(&typo, "rackside.toml").and_then(|table| table.waiting(&typo, Path::new("rackside.toml")));
    let error = error.expect_err("mistyped").to_string();
    assert!(error.starts_with("rackside.toml:5: join.code: the code is mistyped"), "{error}");
    assert!(!error.contains(&text[5..9]), "{error}");
}
