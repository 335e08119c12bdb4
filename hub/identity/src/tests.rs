//! Whole lives of codes and certificates, on a clock that the test turns.

use crate::asking::{self, Box, Draft, Granted, prove};
use crate::certificate::{DAY, RENEWABLE};
use crate::proof::CodeKey;
use crate::{
    Answered, Authority, Credential, End, Ended, LIFE, Offer, Registrar, Roll, STEPS, Standing, Store, Told,
    backup, make_code,
};
use proptest::prelude::*;
use rackside_proto::AgentName;
use rackside_proto::join::{ANSWER, Answer, Claim, Code, Outcome, Refusal};
use std::cell::RefCell;
use std::collections::BTreeSet;
use tempfile::TempDir;

const NOW: i64 = 1_795_219_200_000;

struct Hub {
    data: TempDir,
    registrar: Registrar,
    now: i64,
}

fn open(data: &TempDir) -> Registrar {
    let authority = Authority::open(data.path()).expect("an authority");
    Registrar::new(authority, Store::open(data.path()).expect("a file"))
}

fn name(text: &str) -> AgentName {
    let (site, appliance) = text.split_once('/').expect("site/appliance");
    AgentName::new(site, appliance).expect("a name")
}

impl Hub {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        Self { registrar: open(&data), data, now: NOW }
    }

    fn code(&mut self, of: &str) -> Code {
        let code = make_code(self.registrar.authority().fingerprint());
        self.registrar.store().make_code(&code, &name(of), self.now).expect("made");
        code
    }

    fn answer(&mut self, question: &[u8]) -> Answered {
        let offer =
            Offer::new(vec!["mqtts://hub.example.org:8883".to_owned()], String::new()).expect("an offer");
        self.registrar.answer(question, &offer, self.now)
    }

    /// What the box makes of the answer.
    fn said(&mut self, question: &[u8]) -> Result<Granted, Option<(Refusal, bool)>> {
        let answered = self.answer(question);
        asking::read(question, &answered.bytes, self.registrar.authority().fingerprint())
    }

    /// Why it is refused, and that this is signed.
    fn refused(&mut self, question: &[u8]) -> Refusal {
        match self.said(question) {
            Err(Some((why, true))) => why,
            other => panic!("{other:?}"),
        }
    }

    fn joined(&mut self, of: &str) -> (Box, Vec<u8>) {
        let (code, rack) = (self.code(of), Box::default());
        let granted = self.said(&rack.ask(&code)).expect("granted");
        assert_eq!(granted.name, of);
        (rack, granted.certificate)
    }

    fn standing(&mut self, certificate: &[u8]) -> Standing {
        let roll = Roll::new(&self.registrar.store().identities().expect("read"), BTreeSet::new());
        roll.standing(&Credential::read(certificate).expect("ours"), self.now)
    }

    fn seen(&mut self, certificate: &[u8]) {
        let credential = Credential::read(certificate).expect("ours");
        self.registrar.store().seen(&[credential], self.now).expect("written");
    }
}

const STRANGER: Result<Granted, Option<(Refusal, bool)>> = Err(Some((Refusal::Unknown, false)));

#[test]
fn a_box_with_a_code_gets_a_certificate_of_its_own_name_and_no_other() {
    let mut hub = Hub::new();
    let (code, rack) = (hub.code("arena-north/rack-1"), Box::default());
    let question = rack.ask(&code);
    let answered = hub.answer(&question);
    assert_eq!(answered.told, Told::Joined(name("arena-north/rack-1")));
    let granted = hub.said(&question).expect("granted");
    assert_eq!(granted.name, "arena-north/rack-1");
    assert_eq!(granted.addresses, ["mqtts://hub.example.org:8883"]);
    let credential = Credential::read(&granted.certificate).expect("ours");
    assert_eq!(credential.name, name("arena-north/rack-1"));
    assert_eq!(hub.standing(&granted.certificate), Standing::Good);
}

#[test]
fn a_box_is_set_up_from_its_code_on_and_holds_pages_where_nothing_was_in_service() {
    let mut hub = Hub::new();
    let held = |hub: &mut Hub, of: &str| {
        let all = hub.registrar.store().commissionings().expect("read");
        all.into_iter().find(|one| one.name == name(of)).map(|one| (one.since, one.holds))
    };
    hub.registrar.set_in_service(std::boxed::Box::new(|asked| asked.appliance.as_str() == "known"));
    hub.joined("hall/rack-1");
    hub.joined("hall/known");
    assert_eq!(held(&mut hub, "hall/rack-1"), Some((NOW, true)));
    assert_eq!(held(&mut hub, "hall/known"), Some((NOW, false)), "it came without a certificate before");
    // One that takes its place before it was in service holds as well, and is looked at from the beginning.
    let step =
        |hub: &mut Hub, what: (&str, &str)| hub.registrar.store().step(&name("hall/rack-1"), what, NOW);
    assert_eq!(step(&mut hub, ("probe", "encoder")), Ok(true));
    assert_eq!(step(&mut hub, ("probe", "encoder")), Ok(false), "once");
    hub.now += 1;
    hub.joined("hall/rack-1");
    assert_eq!(held(&mut hub, "hall/rack-1"), Some((NOW + 1, true)));
    assert!(hub.registrar.store().commissionings().expect("read")[1].steps.is_empty());
    // One that takes the place of a box in service pages from the first moment on.
    assert_eq!(hub.registrar.store().in_service(&name("hall/rack-1")), Ok(true));
    assert_eq!(hub.registrar.store().in_service(&name("hall/rack-1")), Ok(false));
    assert_eq!(step(&mut hub, ("probe", "encoder")), Ok(false), "nobody looks any more");
    hub.joined("hall/rack-1");
    assert_eq!(held(&mut hub, "hall/rack-1"), Some((NOW + 1, false)));
    // Out of service and back is new.
    hub.registrar.store().end(&name("hall/rack-1"), End::Retired, false, hub.now).expect("written");
    assert_eq!(held(&mut hub, "hall/rack-1"), None);
    hub.joined("hall/rack-1");
    assert_eq!(held(&mut hub, "hall/rack-1"), Some((NOW + 1, true)));
}

#[test]
fn what_is_noted_of_a_box_is_bounded() {
    let mut hub = Hub::new();
    hub.joined("hall/rack-1");
    let of = name("hall/rack-1");
    let noted = (0..STEPS + 10)
        .filter(|nth| hub.registrar.store().step(&of, ("probe", &nth.to_string()), NOW).expect("written"));
    assert_eq!(noted.count(), STEPS);
}

#[test]
fn an_answer_that_was_lost_is_given_again_and_to_the_same_key_alone() {
    let mut hub = Hub::new();
    let (code, rack) = (hub.code("hall/rack-1"), Box::default());
    let first = hub.said(&rack.ask(&code)).expect("granted");
    assert_eq!(hub.said(&rack.ask(&code)), Ok(first.clone()), "the same certificate");
    hub.now += 40 * DAY;
    assert_eq!(hub.said(&rack.ask(&code)), Ok(first), "as long as it is good");
    let thief = Box::default();
    for tries in 1..4 {
        assert_eq!(hub.refused(&thief.ask(&code)), Refusal::Used);
        assert_eq!(hub.registrar.store().codes().expect("read")[0].tries, tries, "counted");
    }
}

#[test]
fn a_code_ends_after_a_day_or_when_it_is_taken_back_or_when_there_is_a_newer_one() {
    let mut hub = Hub::new();
    let [old, new] = [hub.code("hall/rack-1"), hub.code("hall/rack-1")];
    assert_eq!(hub.refused(&Box::default().ask(&old)), Refusal::Revoked);
    let other = hub.code("hall/rack-2");
    hub.now += DAY - 1;
    assert!(hub.said(&Box::default().ask(&other)).is_ok());
    hub.now += 1;
    assert_eq!(hub.refused(&Box::default().ask(&new)), Refusal::Expired);
    let taken = hub.code("hall/rack-3");
    let ended = hub.registrar.store().end(&name("hall/rack-3"), End::Revoked, false, hub.now);
    assert_eq!(ended, Ok(Ended { codes: 1, ..Ended::default() }));
    assert_eq!(hub.refused(&Box::default().ask(&taken)), Refusal::Revoked);
}

#[test]
fn strangers_hear_the_same_whatever_there_is() {
    let mut hub = Hub::new();
    let code = hub.code("hall/rack-1");
    let rack = Box::default();
    let nothing = Code { secret: [9; 16], ..code.clone() };
    assert_eq!(hub.said(&rack.ask(&nothing)), STRANGER, "no such code");
    let known = rack.draft(Claim::Code(CodeKey::of(&code).id));
    let guessed = rack.sign(&known, |message| prove(&nothing, message));
    assert_eq!(hub.said(&guessed), STRANGER, "there is, and it is not proven");
    let (_, certificate) = hub.joined("hall/rack-2");
    assert_eq!(hub.said(&rack.renew(&certificate, &rack)), STRANGER, "a certificate alone proves nothing");
    let answers = [rack.ask(&nothing), guessed].map(|question| hub.answer(&question).bytes);
    assert_eq!(answers[0], answers[1], "to the byte");
    assert!(hub.said(&rack.ask(&code)).is_ok(), "and the code is as good as before");
}

#[test]
fn a_question_that_was_overheard_is_worth_nothing_to_anybody_else() {
    let mut hub = Hub::new();
    let (code, rack) = (hub.code("hall/rack-1"), Box::default());
    let question = rack.ask(&code);
    let granted = hub.said(&question).expect("granted");
    // The same bytes again: the certificate of the box's own key, which whoever replays it lacks.
    assert_eq!(hub.said(&question), Ok(granted));
    // Its proof, under another key.
    let thief = Box::default();
    let proof = rackside_proto::join::Question::decode(&question).expect("whole").proof.to_vec();
    let stolen = thief.sign(&thief.draft(Claim::Code(CodeKey::of(&code).id)), |_| proof);
    assert_eq!(hub.said(&stolen), STRANGER);
    // A key that it does not have.
    let draft =
        Draft { key: rack.draft(Claim::Code([0; 8])).key, ..thief.draft(Claim::Code(CodeKey::of(&code).id)) };
    let borrowed = thief.sign(&draft, |message| prove(&code, message));
    assert_eq!(hub.refused(&borrowed), Refusal::Unreadable);
}

#[test]
fn an_answer_belongs_to_its_question_and_to_its_hub() {
    let (mut hub, mut other) = (Hub::new(), Hub::new());
    let (code, rack) = (hub.code("hall/rack-1"), Box::default());
    let question = rack.ask(&code);
    let fingerprint = hub.registrar.authority().fingerprint();
    let bytes = hub.answer(&question).bytes;
    assert!(asking::read(&question, &bytes, fingerprint).is_ok());
    let again = rack
        .sign(&Draft { nonce: [8; 32], ..rack.draft(Claim::Code(CodeKey::of(&code).id)) }, |message| {
            prove(&code, message)
        });
    assert_eq!(asking::read(&again, &bytes, fingerprint), Err(None), "of another question");
    other.registrar.store().make_code(&code, &name("hall/rack-1"), NOW).expect("made");
    let foreign = other.answer(&question).bytes;
    assert_eq!(
        asking::read(&question, &foreign, fingerprint),
        Err(None),
        "of a hub that only says that it is this one"
    );
}

#[test]
fn a_year_of_renewals_never_leaves_a_box_without_a_certificate() {
    let mut hub = Hub::new();
    let (mut rack, mut certificate) = hub.joined("hall/rack-1");
    let (mut renewals, mut worst) = (0, LIFE);
    for day in 0..365 {
        hub.now = NOW + day * DAY;
        hub.seen(&certificate);
        assert_eq!(hub.standing(&certificate), Standing::Good, "on day {day}");
        let left = Credential::read(&certificate).expect("ours").serial.expires_at() - hub.now;
        worst = worst.min(left);
        if left <= LIFE / 3 {
            let next = Box::default();
            let question = next.renew(&certificate, &rack);
            let granted = hub.said(&question).expect("renewed");
            assert_eq!(hub.said(&question), Ok(granted.clone()), "a lost answer is given again");
            assert_eq!(hub.standing(&certificate), Standing::Good, "until the new one was seen");
            let old = std::mem::replace(&mut certificate, granted.certificate);
            hub.seen(&certificate);
            assert_eq!(hub.standing(&old), Standing::Ended(End::Renewed));
            rack = next;
            renewals += 1;
        }
    }
    assert_eq!((renewals, worst), (6, LIFE / 3));
    let summaries = hub.registrar.store().summaries().expect("read");
    assert_eq!((summaries.len(), summaries[0].end), (1, None));
}

#[test]
fn a_new_key_that_was_lost_is_replaced_by_another_and_good_for_nothing() {
    let mut hub = Hub::new();
    let (rack, certificate) = hub.joined("hall/rack-1");
    let lost = hub.said(&Box::default().renew(&certificate, &rack)).expect("renewed").certificate;
    let next = hub.said(&Box::default().renew(&certificate, &rack)).expect("renewed").certificate;
    assert_eq!(hub.standing(&lost), Standing::Ended(End::Renewed));
    assert_eq!(hub.standing(&next), Standing::Good);
}

#[test]
fn a_box_that_keeps_its_key_and_asks_with_its_old_code_has_what_it_has() {
    let mut hub = Hub::new();
    let (code, rack) = (hub.code("hall/rack-1"), Box::default());
    let first = hub.said(&rack.ask(&code)).expect("granted").certificate;
    hub.now += 60 * DAY;
    let renewed = hub.said(&rack.renew(&first, &rack)).expect("renewed").certificate;
    hub.seen(&renewed);
    assert_eq!(hub.standing(&first), Standing::Ended(End::Renewed));
    assert_eq!(hub.said(&rack.ask(&code)).expect("the same again").certificate, renewed);
}

#[test]
fn a_rack_that_stood_in_a_store_for_a_season_renews_and_after_a_year_it_joins_anew() {
    let mut hub = Hub::new();
    let (rack, certificate) = hub.joined("hall/rack-1");
    hub.now = NOW + LIFE;
    assert_eq!(hub.standing(&certificate), Standing::Expired, "not at the listener");
    hub.now = NOW + RENEWABLE - 1;
    let renewed = hub.said(&rack.renew(&certificate, &rack)).expect("renewed, with the same key");
    assert_eq!(hub.standing(&renewed.certificate), Standing::Good);
    hub.now = NOW + RENEWABLE;
    assert_eq!(hub.refused(&rack.renew(&certificate, &rack)), Refusal::Expired);
}

#[test]
fn a_box_that_renews_all_day_is_told_to_wait() {
    let mut hub = Hub::new();
    let (rack, certificate) = hub.joined("hall/rack-1");
    for _ in 1..12 {
        assert!(hub.said(&Box::default().renew(&certificate, &rack)).is_ok());
    }
    assert_eq!(hub.refused(&Box::default().renew(&certificate, &rack)), Refusal::Wait(3600));
    hub.now += DAY + 1;
    assert!(hub.said(&Box::default().renew(&certificate, &rack)).is_ok());
}

#[test]
fn a_replaced_box_is_told_so_and_its_place_is_the_new_ones() {
    let mut hub = Hub::new();
    let (old, before) = hub.joined("hall/rack-1");
    let code = hub.code("hall/rack-1");
    assert_eq!(hub.standing(&before), Standing::Good, "until the new code is used");
    let new = hub.said(&Box::default().ask(&code)).expect("granted").certificate;
    assert_eq!(hub.standing(&before), Standing::Ended(End::Replaced));
    assert_eq!(hub.standing(&new), Standing::Good);
    assert_eq!(hub.refused(&Box::default().renew(&before, &old)), Refusal::Replaced);
    let summary = hub.registrar.store().summaries().expect("read").remove(0);
    assert!(summary.turned_away_at.is_some() && summary.end.is_none(), "{summary:?}");
}

#[test]
fn what_was_revoked_or_retired_is_told_so_and_joins_again_by_a_new_code_alone() {
    for (end, why) in [(End::Revoked, Refusal::Revoked), (End::Retired, Refusal::Retired)] {
        let mut hub = Hub::new();
        let (code, rack) = (hub.code("hall/rack-1"), Box::default());
        let certificate = hub.said(&rack.ask(&code)).expect("granted").certificate;
        let (_, other) = hub.joined("hall/rack-2");
        let ended = hub.registrar.store().end(&name("hall/rack-1"), end, false, hub.now);
        let is_retired = end == End::Retired;
        assert_eq!(ended, Ok(Ended { certificates: 1, codes: 0, is_retired }));
        let out =
            |hub: &mut Hub| hub.registrar.store().retired().expect("read").contains_key(&name("hall/rack-1"));
        assert_eq!(out(&mut hub), is_retired);
        assert_eq!(hub.registrar.store().returned(&name("hall/rack-1")), Ok(false), "not by being heard");
        assert_eq!(out(&mut hub), is_retired);
        assert_eq!(hub.standing(&certificate), Standing::Ended(end));
        assert_eq!(hub.standing(&other), Standing::Good, "nobody else's");
        assert_eq!(hub.refused(&rack.renew(&certificate, &rack)), why);
        assert_eq!(hub.refused(&rack.ask(&code)), why, "the answer is not given again");
        let code = hub.code("hall/rack-1");
        let again = hub.said(&rack.ask(&code)).expect("granted").certificate;
        assert_eq!(hub.standing(&again), Standing::Good);
        assert!(!out(&mut hub), "it is back");
    }
}

#[test]
fn who_never_joined_is_retired_if_it_is_known_and_back_when_it_is_heard() {
    let mut hub = Hub::new();
    let end = |hub: &mut Hub, is_known| {
        hub.registrar.store().end(&name("hall/rack-9"), End::Retired, is_known, hub.now).expect("written")
    };
    assert!(end(&mut hub, false).is_nothing(), "a name that nobody knows");
    hub.code("hall/rack-9");
    assert_eq!(end(&mut hub, false), Ended { codes: 1, ..Ended::default() }, "its code alone");
    assert_eq!(hub.registrar.store().retired().expect("read").len(), 0);
    assert!(end(&mut hub, true).is_retired);
    assert!(end(&mut hub, true).is_nothing(), "it was already");
    assert_eq!(hub.registrar.store().retired().expect("read"), [(name("hall/rack-9"), NOW)].into());
    assert_eq!(hub.registrar.store().returned(&name("hall/rack-9")), Ok(true));
    assert_eq!(hub.registrar.store().returned(&name("hall/rack-9")), Ok(false));
    // Or when it joins.
    end(&mut hub, true);
    hub.joined("hall/rack-9");
    assert_eq!(hub.registrar.store().retired().expect("read").len(), 0);
}

#[test]
fn who_is_retired_stays_so_when_its_certificates_are_forgotten() {
    let mut hub = Hub::new();
    hub.joined("hall/rack-1");
    hub.registrar.store().end(&name("hall/rack-1"), End::Retired, false, hub.now).expect("written");
    hub.now += 2 * 365 * 86_400_000;
    hub.joined("hall/rack-2");
    assert_eq!(hub.registrar.store().summaries().expect("read").len(), 1, "too old to be renewed");
    assert!(hub.registrar.store().retired().expect("read").contains_key(&name("hall/rack-1")));
}

#[test]
fn a_hub_restored_from_a_backup_knows_its_boxes() {
    let mut hub = Hub::new();
    let (stayed, at_backup) = hub.joined("hall/rack-1");
    let (_, to_be_replaced) = hub.joined("hall/rack-2");
    let saved = tempfile::tempdir().expect("a temporary directory");
    backup(hub.data.path(), saved.path()).expect("copied");
    hub.now += 1;
    let (_, after) = hub.joined("hall/rack-3");
    let (_, replaced) = hub.joined("hall/rack-2");
    let renewed = Box::default();
    let renewal = hub.said(&renewed.renew(&at_backup, &stayed)).expect("renewed").certificate;

    let mut restored = Hub { registrar: open(&saved), data: saved, now: hub.now };
    assert_eq!(restored.standing(&at_backup), Standing::Good);
    for unknown in [&after, &replaced, &renewal] {
        assert_eq!(restored.standing(unknown), Standing::New);
        let credential = Credential::read(unknown).expect("ours");
        restored.registrar.adopt(&credential, unknown, restored.now).expect("taken");
        assert_eq!(restored.standing(unknown), Standing::Good);
    }
    assert_eq!(restored.standing(&to_be_replaced), Standing::Ended(End::Replaced), "there is a newer box");
    assert!(restored.said(&Box::default().renew(&renewal, &renewed)).is_ok());
}

#[test]
fn another_hubs_certificates_prove_nothing_here() {
    let (mut hub, mut other) = (Hub::new(), Hub::new());
    let (rack, foreign) = other.joined("hall/rack-1");
    hub.joined("hall/rack-1");
    assert_eq!(hub.said(&Box::default().renew(&foreign, &rack)), STRANGER);
}

#[test]
fn a_damaged_file_gives_nobody_a_certificate_and_says_so() {
    let mut hub = Hub::new();
    let (rack, certificate) = hub.joined("hall/rack-1");
    let file = hub.data.path().join(crate::FILE);
    let other = rusqlite::Connection::open(file).expect("opened");
    other.execute("UPDATE identity SET end = 'nonsense'", []).expect("written");
    let answered = hub.answer(&rack.renew(&certificate, &rack));
    assert!(
        matches!(&answered.told, Told::Failed(why) if why.contains("identity.db")),
        "{:?}",
        answered.told
    );
    assert_eq!(Answer::decode(&answered.bytes).expect("whole").outcome, Outcome::Refused(Refusal::Failing));
}

#[test]
fn a_hub_without_a_clock_gives_no_certificates() {
    let mut hub = Hub::new();
    let code = hub.code("hall/rack-1");
    hub.now = 86_400_000;
    assert!(matches!(hub.answer(&Box::default().ask(&code)).told, Told::Failed(_)));
}

#[test]
fn no_secret_of_a_code_stands_in_the_file() {
    let mut hub = Hub::new();
    let code = hub.code("hall/rack-1");
    for file in std::fs::read_dir(hub.data.path()).expect("readable") {
        let bytes = std::fs::read(file.expect("readable").path()).expect("readable");
        assert!(!bytes.windows(16).any(|window| window == code.secret));
    }
}

thread_local! {
    static WORLD: RefCell<(Hub, Code)> = RefCell::new({
        let mut hub = Hub::new();
        let code = hub.code("hall/rack-1");
        (hub, code)
    });
}

proptest! {
    #[test]
    fn hostile_bytes_get_an_answer_and_never_a_certificate(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        WORLD.with_borrow_mut(|(hub, _)| {
            let answer = hub.answer(&bytes).bytes;
            prop_assert!(answer.len() <= ANSWER);
            let said = Answer::decode(&answer).expect("whole").outcome;
            prop_assert!(matches!(said, Outcome::Refused(Refusal::Unreadable | Refusal::Unknown)), "{:?}", said);
            Ok(())
        })?;
    }

    #[test]
    fn a_question_with_any_byte_changed_gets_nothing(place in 0..400_usize, other in 1..=255_u8) {
        WORLD.with_borrow_mut(|(hub, code)| {
            let mut question = Box::default().ask(code);
            let place = place % question.len();
            question[place] ^= other;
            let said = hub.said(&question);
            prop_assert!(matches!(said, Err(Some((Refusal::Unreadable | Refusal::Unknown, false)))), "{:?} at {}", said, place);
            Ok(())
        })?;
    }
}
