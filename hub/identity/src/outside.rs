//! What an outside broker needs to hold the borders that the hub's own listener holds: a list of the certificates that have ended before their time (a
//! revocation list, RFC 5280), and a certificate that shows appliances that the broker is one of their hub's.
//!
//! A broker believes the authority's signature alone, so whom it lets in is everybody but those on the list. It is good for as long as the authority's own certificate: a list
//! that runs out would lock every appliance out on the day on which nobody looked.
//!
//! ```text
//! CN=Rackside broker     alternative names broker.example.org, 192.0.2.7     for a year, renewed when a third of it is left
//! ```

use crate::authority::{Authority, alternative, during};
use crate::certificate::{DAY, EARLY, LIFE, Serial};
use crate::store::{End, Identity};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, KeyIdMethod,
    KeyPair, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use std::collections::BTreeSet;
use std::time::Duration;
use webpki::{BorrowedCertRevocationList, EndEntityCert, KeyUsage};

/// How long a broker's certificate is good.
const BROKER_LIFE: i64 = 365 * DAY;

/// A certificate for a broker, with its key, both in PEM.
pub struct BrokerCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// The certificates that a list has to name, at this moment: those that have ended before their time and would be good otherwise. A certificate
/// that was renewed is of the same box as the one after it.
pub fn revoked(identities: &[Identity], now: i64) -> BTreeSet<Serial> {
    let ended = |one: &&Identity| matches!(one.end, Some((End::Replaced | End::Revoked | End::Retired, _)));
    let serials = identities.iter().filter(ended).map(|one| one.serial);
    // A day more, for brokers whose clock is behind.
    serials.filter(|serial| serial.issued_at() + LIFE + DAY > now).collect()
}

/// The certificates that a list in PEM names; `None` where it is none.
pub fn named(pem: &[u8]) -> Option<BTreeSet<Serial>> {
    let der = CertificateRevocationListDer::from_pem_slice(pem).ok()?;
    let list = BorrowedCertRevocationList::from_der(&der).ok()?;
    list.into_iter().map(|one| Serial::read(one.ok()?.serial_number)).collect()
}

impl Authority {
    /// Whether this certificate in PEM is its own. It is made anew at each start, of the same key and for the same name, and signed anew: so bytes do not tell.
    pub fn is_own(&self, pem: &[u8]) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(pem) else { return false };
        let anchors =
            (webpki::anchor_from_trusted_cert(&der), webpki::anchor_from_trusted_cert(self.certificate()));
        let (Ok(found), Ok(own)) = anchors else { return false };
        found.subject == own.subject && found.subject_public_key_info == own.subject_public_key_info
    }

    /// A list in PEM that names these certificates. Of two lists a broker believes the one of the later moment, `since`, to the second.
    pub fn list(&self, revoked: &BTreeSet<Serial>, since: i64) -> String {
        let at = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(since.max(0).unsigned_abs());
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial.0),
            revocation_time: at,
            reason_code: Some(RevocationReason::CessationOfOperation),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at,
            next_update: rcgen::date_time_ymd(2126, 1, 1),
            crl_number: SerialNumber::from(since.max(1).unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(self.issuer()).expect("the authority's key signs");
        list.pem().expect("DER goes into PEM")
    }

    /// A certificate for a broker that appliances find at these names and addresses.
    pub fn broker(&self, names: &[String], now: i64) -> BrokerCertificate {
        let key = KeyPair::generate().expect("ring makes keys");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Rackside broker");
        params.subject_alt_names = names.iter().filter_map(|name| alternative(name)).collect();
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.serial_number = Some(SerialNumber::from_slice(&Serial::new(now).0));
        during(&mut params, now - EARLY, now + BROKER_LIFE);
        BrokerCertificate { certificate: self.sign_leaf(params, &key).pem(), key: key.serialize_pem() }
    }

    /// Until when this certificate in PEM is good for a broker at these names and addresses; `None` where it is not, or is to be renewed.
    pub fn vouches(&self, pem: &[u8], names: &[String], now: i64) -> Option<i64> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let certificate = EndEntityCert::try_from(&der).ok()?;
        let issued_at = Serial::read(certificate.serial())?.issued_at();
        let anchor = webpki::anchor_from_trusted_cert(self.certificate()).ok()?;
        let then = UnixTime::since_unix_epoch(Duration::from_millis(now.max(0).unsigned_abs()));
        let algorithms = &[webpki::ring::ECDSA_P256_SHA256];
        certificate
            .verify_for_usage(algorithms, &[anchor], &[], then, KeyUsage::server_auth(), None, None)
            .ok()?;
        let is_for = |name: &String| {
            let name = ServerName::try_from(name.as_str());
            name.is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
        };
        let is_fresh = now < issued_at + BROKER_LIFE * 2 / 3;
        (is_fresh && names.iter().all(is_for)).then_some(issued_at + BROKER_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_proto::AgentName;

    const NOW: i64 = 1_795_219_200_000;

    fn authority() -> (tempfile::TempDir, Authority) {
        let data = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::open(data.path()).expect("made");
        (data, authority)
    }

    #[test]
    fn what_has_ended_is_on_the_list_until_it_would_have_run_out() {
        let ends = [None, Some(End::Renewed), Some(End::Replaced), Some(End::Revoked), Some(End::Retired)];
        let identities: Vec<Identity> = ends
            .into_iter()
            .zip(1..)
            .map(|(end, n)| Identity {
                name: AgentName::new("hall", "rack-1").expect("a name"),
                serial: Serial::new(NOW + n),
                end: end.map(|end| (end, NOW)),
                seen_at: None,
                turned_away_at: None,
            })
            .collect();
        let listed = |now| -> Vec<i64> {
            revoked(&identities, now).into_iter().map(|serial| serial.issued_at() - NOW).collect()
        };
        assert_eq!(listed(NOW), [3, 4, 5]);
        assert_eq!(listed(NOW + LIFE + DAY + 4), [5]);
        assert!(listed(NOW + LIFE + DAY + 5).is_empty());
    }

    #[test]
    fn a_list_names_what_it_was_made_of() {
        let (_data, authority) = authority();
        for count in [0, 1, 300] {
            let serials: BTreeSet<Serial> = (0..count).map(|n| Serial::new(NOW + n)).collect();
            let list = authority.list(&serials, NOW);
            assert!(list.starts_with("-----BEGIN X509 CRL-----"), "{list}");
            assert_eq!(named(list.as_bytes()), Some(serials));
        }
        assert_eq!(named(b"nonsense"), None);
        assert_eq!(named(authority.pem().as_bytes()), None);
    }

    #[test]
    fn an_authority_knows_its_own_certificate_of_an_earlier_start() {
        let (data, authority) = authority();
        let (_other_data, other) = self::authority();
        let later = Authority::open(data.path()).expect("read");
        assert_ne!(later.pem(), authority.pem(), "signed anew");
        assert!(later.is_own(authority.pem().as_bytes()) && !later.is_own(other.pem().as_bytes()));
        let leaf = authority.broker(&["broker.example.org".to_owned()], NOW).certificate;
        assert!(!later.is_own(leaf.as_bytes()) && !later.is_own(b"nonsense"));
    }

    #[test]
    fn a_brokers_certificate_is_for_its_names_and_a_year() {
        let (_data, authority) = authority();
        let (_other_data, other) = self::authority();
        let names = ["broker.example.org".to_owned(), "192.0.2.7".to_owned()];
        let made = authority.broker(&names, NOW).certificate;
        let good =
            |authority: &Authority, names: &[String], now| authority.vouches(made.as_bytes(), names, now);
        assert_eq!(good(&authority, &names, NOW), Some(NOW + BROKER_LIFE));
        assert_eq!(good(&authority, &names[..1], NOW), Some(NOW + BROKER_LIFE));
        assert_eq!(good(&authority, &["broker.example.com".to_owned()], NOW), None);
        assert_eq!(good(&other, &names, NOW), None, "another authority's");
        assert_eq!(good(&authority, &names, NOW + BROKER_LIFE * 2 / 3), None, "it is to be renewed");
        assert_eq!(good(&authority, &names, NOW - EARLY - 1000), None);
        assert_eq!(authority.vouches(authority.pem().as_bytes(), &names, NOW), None);
        assert_eq!(authority.vouches(b"nonsense", &names, NOW), None);
    }
}
