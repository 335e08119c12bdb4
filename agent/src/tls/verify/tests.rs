//! The allowance for a Pi without a clock, against certificates made here.

use super::*;
use crate::clock::{Clock, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// 2026-01-01 and 2027-01-01.
const BEGIN: u64 = 1_767_225_600;
const END: u64 = 1_798_761_600;

struct Pki {
    leaf: CertificateDer<'static>,
    roots: Arc<RootCertStore>,
}

/// An authority and a certificate for `hub.example`, the latter a day younger.
fn pki() -> Pki {
    let date = |year| rcgen::date_time_ymd(year, 1, 1);
    let mut ca = CertificateParams::new(Vec::new()).expect("no names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (ca.not_before, ca.not_after) = (date(2026), date(2030));
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("an authority");
    let mut leaf = CertificateParams::new(vec!["hub.example".to_owned()]).expect("a name");
    (leaf.not_before, leaf.not_after) = (rcgen::date_time_ymd(2026, 1, 2), date(2027));
    let leaf = leaf.signed_by(&KeyPair::generate().expect("a key"), &ca).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).expect("a root");
    Pki { leaf: leaf.der().clone(), roots: Arc::new(roots) }
}

/// Nobody knows the date.
const UNKNOWN: Option<(u64, bool)> = None;

/// Verifies when the system shows `at`; `believed` is the date that the agent believes, in seconds, and whether NTP vouched for it.
fn verify(believed: Option<(u64, bool)>, name: &'static str, at: u64) -> Result<(), Error> {
    let pki = pki();
    let shown = Clock::of_boot(Trust::Auto, [0; 16]).read();
    let moment = Moment {
        known: believed.is_some(),
        disciplined: believed.is_some_and(|(_, ntp)| ntp),
        utc_ms: believed.map_or(at, |(date, _)| date) * 1000,
        ..shown
    };
    let verifier = Verifier::strict(pki.roots).expect("a root");
    verifier.at(Some(moment));
    let name = ServerName::try_from(name).expect("a name");
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    verifier.verify_server_cert(&pki.leaf, &[], &name, &[], at).map(|_| ())
}

fn objection(result: Result<(), Error>) -> CertificateError {
    match result {
        Err(Error::InvalidCertificate(error)) => error,
        other => panic!("no objection to a certificate: {other:?}"),
    }
}

#[test]
fn a_clock_in_1970_is_forgiven_while_unsynchronised() {
    assert_eq!(verify(UNKNOWN, "hub.example", 42), Ok(()));
    assert_eq!(
        verify(UNKNOWN, "hub.example", BEGIN + 10),
        Ok(()),
        "the authority is valid, the leaf not yet"
    );
}

#[test]
fn a_synchronised_clock_is_believed() {
    let ntp = |at| verify(Some((at, true)), "hub.example", at);
    assert_eq!(ntp(END - 10), Ok(()));
    let error = objection(ntp(BEGIN - 10));
    assert!(matches!(error, CertificateError::NotValidYetContext { .. }), "{error:?}");
}

#[test]
fn the_believed_date_counts_and_not_what_the_system_was_set_to() {
    for shown in [42, END + 10, END + 5 * 366 * 86_400] {
        assert_eq!(verify(Some((END - 10, true)), "hub.example", shown), Ok(()), "{shown} is shown");
        let expired = objection(verify(Some((END + 10, true)), "hub.example", shown));
        assert!(matches!(expired, CertificateError::ExpiredContext { .. }), "{expired:?}");
    }
}

#[test]
fn a_clock_that_is_only_trusted_is_forgiven_as_an_unsynchronised_one() {
    assert_eq!(verify(Some((BEGIN - 10, false)), "hub.example", BEGIN - 10), Ok(()));
    let expired = objection(verify(Some((END + 10, false)), "hub.example", END + 10));
    assert!(matches!(expired, CertificateError::ExpiredContext { .. }), "{expired:?}");
}

#[test]
fn nothing_else_is_forgiven() {
    let wrong_name = objection(verify(UNKNOWN, "other.example", 42));
    assert!(matches!(wrong_name, CertificateError::NotValidForNameContext { .. }), "{wrong_name:?}");
    let expired = objection(verify(UNKNOWN, "hub.example", END + 10));
    assert!(matches!(expired, CertificateError::ExpiredContext { .. }), "{expired:?}");
    let (one, other) = (pki(), pki());
    let verifier = Verifier::strict(one.roots).expect("a root");
    let name = ServerName::try_from("hub.example").expect("a name");
    let at = UnixTime::since_unix_epoch(Duration::from_secs(42));
    let stranger = objection(verifier.verify_server_cert(&other.leaf, &[], &name, &[], at).map(|_| ()));
    assert!(
        matches!(stranger, CertificateError::UnknownIssuer | CertificateError::BadSignature),
        "{stranger:?}"
    );
}
