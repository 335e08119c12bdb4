//! What a certificate says of an appliance, and how long it is good.
//!
//! The subject's common name is `site/appliance`, which brokers such as Mosquitto take for the user's name; the same stands as a URI among the
//! alternative names, which is where the hub reads it. The serial number says when it was issued, so nothing else of a certificate has to be
//! parsed, and an older one is told from a newer one after a backup was restored:
//!
//! ```text
//! subject   CN=arena-north/rack-1            alternative name   URI:rackside://arena-north/rack-1
//! serial    01 · 6 bytes of milliseconds since 1970 · 9 random bytes
//! ```

use rackside_proto::AgentName;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::CertificateDer;
use std::fmt;
use webpki::EndEntityCert;

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;
/// How long a certificate is good. Appliances ask for the next one after two thirds of it.
pub const LIFE: i64 = 90 * DAY;
/// How long after it was issued its key still proves who asks for the next one: a rack may stand in a store for a season, and what was
/// revoked meanwhile is revoked by the roll and not by the date.
pub(crate) const RENEWABLE: i64 = 365 * DAY;
/// Before it was issued, for clocks that are not quite the same.
pub(crate) const EARLY: i64 = DAY;
/// What names of appliances begin with as a URI.
pub(crate) const SCHEME: &str = "rackside://";

/// A certificate's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(pub(crate) [u8; 16]);

impl Serial {
    /// A new one, of a certificate that is issued at that moment.
    pub(crate) fn new(issued_at: i64) -> Self {
        let mut bytes = [0; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .expect("the system gives random bytes: TLS stands on it as well");
        // Never 0, so that no encoder takes it for padding.
        bytes[0] = 1;
        bytes[1..7].copy_from_slice(&issued_at.to_be_bytes()[2..]);
        Self(bytes)
    }

    /// The number with these bytes, if it is one of ours.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes[0] == 1).then_some(Self(bytes))
    }

    /// When its certificate was issued, in milliseconds since 1970.
    pub fn issued_at(self) -> i64 {
        let mut wide = [0; 8];
        wide[2..].copy_from_slice(&self.0[1..7]);
        i64::from_be_bytes(wide)
    }

    /// When it is good no more.
    pub fn expires_at(self) -> i64 {
        self.issued_at() + LIFE
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// What a certificate says. Whether it is to be believed is for whoever checked its signature, and then for the [`Roll`](crate::Roll).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Whose it is.
    pub name: AgentName,
    /// Which one.
    pub serial: Serial,
}

impl Credential {
    /// Reads a certificate in DER. `None` where it is none of an appliance's.
    pub fn read(der: &[u8]) -> Option<Self> {
        let der = CertificateDer::from(der);
        let certificate = EndEntityCert::try_from(&der).ok()?;
        let mut names = certificate.valid_uri_names();
        let (site, appliance) = names.next()?.strip_prefix(SCHEME)?.split_once('/')?;
        let name = AgentName::new(site, appliance).ok()?;
        let serial = Serial::read(certificate.serial())?;
        names.next().is_none().then_some(Self { name, serial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_says_when_it_was_issued_and_is_no_other() {
        for at in [1, 1_795_219_200_000, 253_402_300_799_999] {
            let serial = Serial::new(at);
            assert_eq!((serial.issued_at(), serial.expires_at()), (at, at + LIFE));
            assert_eq!(Serial::read(&serial.0), Some(serial));
            assert_ne!(serial, Serial::new(at));
        }
        assert!(Serial::new(1_000) < Serial::new(2_000), "older ones come first");
        assert_eq!(Serial::read(&[2; 16]), None);
        assert_eq!(Serial::read(&[1; 15]), None);
    }

    #[test]
    fn bytes_that_are_no_certificate_say_nothing() {
        assert_eq!(Credential::read(&[]), None);
        assert_eq!(Credential::read(&[0x30; 300]), None);
    }
}
