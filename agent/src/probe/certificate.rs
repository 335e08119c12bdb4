//! What a probe tells of a certificate: until when it is valid, whose it is, and who signed it. Pure.
//!
//! Whether it is to be believed is judged elsewhere (`rustls`); these are fields for people, read with `der`. Bytes that are no
//! certificate give none.
//!
//! ```text
//! Certificate ::= SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer Name,
//!                                           validity { notBefore, notAfter }, subject Name, … }, … }
//! Name        ::= SEQUENCE OF SET OF SEQUENCE { 2.5.4.3 (common name), "cam.example" }
//! ```

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};

/// Longer names are cut: they stand in a sentence.
const LONGEST: usize = 64;
/// 2.5.4.3 and 2.5.4.10, as DER has them.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANISATION: &[u8] = &[0x55, 4, 10];

/// The fields of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Seconds since 1970 from which it is valid.
    pub not_before: u64,
    /// Seconds since 1970 until which it is.
    pub not_after: u64,
    /// Whose it is: the common name, or the organisation.
    pub subject: String,
    /// Who signed it, in the same form.
    pub issuer: String,
}

impl Certificate {
    /// Reads one in DER.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let outer = AnyRef::from_der(bytes).ok().filter(|outer| outer.tag() == Tag::Sequence)?;
        let mut fields = Items::of(Items::of(outer.value())?.next()?.value())?;
        let serial_or_version = fields.next()?;
        if serial_or_version.tag() != Tag::Integer {
            fields.next()?;
        }
        let (_, issuer, validity, subject) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let mut times = Items::of(validity.value())?.map(time);
        Some(Self {
            not_before: times.next()??,
            not_after: times.next()??,
            subject: name(subject.value()),
            issuer: name(issuer.value()),
        })
    }
}

/// What stands in a row, until its end or the first thing that is wrong.
struct Items<'a>(SliceReader<'a>);

impl<'a> Items<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        SliceReader::new(bytes).ok().map(Self)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = AnyRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_finished() { None } else { AnyRef::decode(&mut self.0).ok() }
    }
}

fn time(any: AnyRef<'_>) -> Option<u64> {
    match any.tag() {
        Tag::UtcTime => any.decode_as::<UtcTime>().ok().map(|time| time.to_unix_duration().as_secs()),
        _ => any.decode_as::<GeneralizedTime>().ok().map(|time| time.to_unix_duration().as_secs()),
    }
}

/// The common name, else the organisation, else nothing.
fn name(bytes: &[u8]) -> String {
    let find = |wanted: &[u8]| {
        let mut sets = Items::of(bytes)?.filter_map(|set| Items::of(set.value())).flatten();
        sets.find_map(|pair| {
            let mut pair = Items::of(pair.value())?;
            let kind = pair.next()?;
            (kind.tag() == Tag::ObjectIdentifier && kind.value() == wanted).then(|| pair.next())?
        })
    };
    let value = find(COMMON_NAME).or_else(|| find(ORGANISATION));
    let text = value.map(|value| String::from_utf8_lossy(value.value()).into_owned()).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// Names are short and fit into a sentence.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(Certificate { subject, issuer, .. }) = Certificate::read(bytes) {
        for name in [subject, issuer] {
            assert!(name.chars().count() <= LONGEST && !name.contains(char::is_control), "{name:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn certificate(names: &[(DnType, &str)], years: (i32, i32)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["cam.example".to_owned()]).expect("a name");
        params.distinguished_name = DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn a_certificate_says_until_when_and_whose_it_is() {
        let names =
            [(DnType::CountryName, "XX"), (DnType::OrganizationName, "Org"), (DnType::CommonName, "Cam")];
        let read = Certificate::read(&certificate(&names, (2026, 2027))).expect("a certificate");
        assert_eq!((read.not_before, read.not_after), (1_767_225_600, 1_798_761_600));
        assert_eq!((read.subject.as_str(), read.issuer.as_str()), ("Cam", "Cam"));
        let read = Certificate::read(&certificate(&names[..2], (1999, 2060))).expect("a certificate");
        assert_eq!((read.not_before, read.not_after), (915_148_800, 2_840_140_800), "2060 is no UTCTime");
        assert_eq!(read.subject, "Org");
        let read = Certificate::read(&certificate(&[], (2026, 2027))).expect("a certificate");
        assert_eq!(read.subject, "");
    }

    #[test]
    fn names_are_kept_short_and_printable() {
        let long = format!("a\nb{}", "ü".repeat(200));
        let read = Certificate::read(&certificate(&[(DnType::CommonName, &long)], (2026, 2027)));
        let subject = read.expect("a certificate").subject;
        assert!(subject.starts_with("abü") && subject.chars().count() == LONGEST, "{subject}");
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let whole = certificate(&[(DnType::CommonName, "Cam")], (2026, 2027));
        for length in 0..whole.len() {
            assert_eq!(Certificate::read(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(Certificate::read(b"\x30\x80"), None);
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_there_is_no_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let _ = Certificate::read(&bytes);
            let mut mangled = certificate(&[(DnType::CommonName, "Cam")], (2026, 2027));
            for (at, byte) in flips {
                let at = at.index(mangled.len());
                mangled[at] = byte;
            }
            if let Some(read) = Certificate::read(&mangled) {
                prop_assert!(read.subject.chars().count() <= LONGEST);
            }
        }
    }
}
