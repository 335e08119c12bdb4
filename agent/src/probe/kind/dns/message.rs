//! A question to a name server and its answer, as bytes (RFC 1035). Pure; reads whatever comes without a panic and without an end.
//!
//! Bounds: a name has 255 bytes at most, and a pointer in it must point backwards; of the answers [`KEPT`] are kept, the rest is counted.
//!
//! ```text
//! 1f 3a  01 00  00 01  00 00  00 00  00 00    id, "please resolve it", one question, no answers
//! 07 example 03 org 00  00 01  00 01          its name, type A, class IN
//! c0 0c  00 01  00 01  00 00 0e 10  00 04  c0 00 02 01     in the answer: pointer to the name, A, IN, 3600 s, 192.0.2.1
//! ```

use serde::Deserialize;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// So many answers' contents are kept.
pub const KEPT: usize = 64;
/// Longest name on the wire, with the lengths of its labels.
const NAME: usize = 255;
const LABEL: usize = 63;
/// Class IN.
const INTERNET: u16 = 1;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Record {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// What it is another name of.
    Cname,
    /// Mail servers: `10 mail.example.org`.
    Mx,
    /// Name servers.
    Ns,
    /// The name of an address.
    Ptr,
    /// Services: `0 5 5060 sip.example.org`.
    Srv,
    /// Texts.
    Txt,
}

impl Record {
    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

/// What a server made of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it went: 0 well, 3 no such name.
    pub rcode: u8,
    /// Whether the rest did not fit, and is to be had over TCP.
    pub is_truncated: bool,
    /// The records of the type that was asked for, as people write them; [`KEPT`] at most.
    pub records: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// For how long the shortest-lived of them may be kept, in seconds.
    pub ttl: Option<u32>,
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// To another question, or somebody else's.
    Another,
    /// To ours, and broken.
    Broken(&'static str),
}

/// A question, if the name can be one.
pub fn question(id: u16, name: &str, record: Record) -> Option<Vec<u8>> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(encode(name)?);
    message.extend(record.number().to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    Some(message)
}

/// A name as labels: `example.org` and `example.org.`; ASCII only.
fn encode(name: &str) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let is_label =
            (1..=LABEL).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_graphic());
        is_label.then_some(())?;
        wire.push(label.len() as u8);
        wire.extend(label.bytes());
    }
    wire.push(0);
    (wire.len() <= NAME).then_some(wire)
}

/// Reads the answer to a question that [`question`] made.
pub fn answer(message: &[u8], question: &[u8]) -> Result<Answer, Unread> {
    let mut reader = Reader { message, at: 0 };
    let header: [u8; 12] = reader.take().ok_or(Unread::Another)?;
    let [a, b, high, low, counts @ ..] = header;
    let (asked, [c, d, ..]) = (question.get(12..).unwrap_or_default(), counts);
    let is_answer = high & 0xf8 == 0x80;
    if question.get(..2) != Some(&[a, b]) || !is_answer {
        return Err(Unread::Another);
    }
    let rcode = low & 0x0f;
    match u16::from_be_bytes([c, d]) {
        // A server that did not understand the question need not repeat it.
        0 if rcode != 0 => {}
        1 if reader.repeats(asked) => {}
        _ => return Err(Unread::Another),
    }
    let is_truncated = high & 0x02 != 0;
    let wanted = asked.last_chunk::<4>().map_or(0, |[high, low, _, _]| u16::from_be_bytes([*high, *low]));
    let [_, _, high, low, ..] = counts;
    let mut answer = Answer { rcode, is_truncated, records: Vec::new(), count: 0, ttl: None };
    for _ in 0..u16::from_be_bytes([high, low]) {
        match reader.record(wanted) {
            Ok(Some((text, ttl))) => {
                answer.count += 1;
                answer.ttl = Some(answer.ttl.map_or(ttl, |other: u32| other.min(ttl)));
                if answer.records.len() < KEPT {
                    answer.records.push(text);
                }
            }
            Ok(None) => {}
            // It was to be cut somewhere; TCP has all of it.
            Err(_) if is_truncated => break,
            Err(why) => return Err(Unread::Broken(why)),
        }
    }
    Ok(answer)
}

/// What an rcode is called (RFC 1035, 4.1.1).
pub fn rcode_name(rcode: u8) -> String {
    match rcode {
        0 => "NOERROR".to_owned(),
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        other => format!("RCODE{other}"),
    }
}

/// A message, read from its front.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bytes(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.message.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    /// Whether the question comes next, in whatever case; resolvers may change that.
    fn repeats(&mut self, asked: &[u8]) -> bool {
        self.bytes(asked.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(asked))
    }

    /// The next record's content and time to live; nothing if it is of another type.
    fn record(&mut self, wanted: u16) -> Result<Option<(String, u32)>, &'static str> {
        const SHORT: &str = "its answers end too early";
        self.name()?;
        let (kind, class) = (self.number().ok_or(SHORT)?, self.number().ok_or(SHORT)?);
        // RFC 2181, 8: a time to live with the highest bit set is 0.
        let ttl = self.take().map(u32::from_be_bytes).filter(|ttl| ttl >> 31 == 0).unwrap_or_default();
        let length = usize::from(self.number().ok_or(SHORT)?);
        let begin = self.at;
        self.bytes(length).ok_or(SHORT)?;
        if kind != wanted || class != INTERNET {
            return Ok(None);
        }
        let end = std::mem::replace(&mut self.at, begin);
        let text = self.content(kind, end).ok_or("an answer of its is not what its type says")?;
        if self.at != end {
            return Err("an answer of its has another length than it says");
        }
        Ok(Some((text, ttl)))
    }

    /// A record's content as people write it.
    fn content(&mut self, kind: u16, end: usize) -> Option<String> {
        match kind {
            1 => Some(Ipv4Addr::from(self.take::<4>()?).to_string()),
            28 => Some(Ipv6Addr::from(self.take::<16>()?).to_string()),
            2 | 5 | 12 => self.name().ok(),
            15 => {
                let preference = self.number()?;
                Some(format!("{preference} {}", self.name().ok()?))
            }
            33 => {
                let (priority, weight, port) = (self.number()?, self.number()?, self.number()?);
                Some(format!("{priority} {weight} {port} {}", self.name().ok()?))
            }
            16 => {
                let mut text = String::new();
                while self.at < end {
                    let [length] = self.take()?;
                    let piece = self.bytes(usize::from(length))?;
                    text.push_str(&String::from_utf8_lossy(piece));
                }
                Some(text)
            }
            _ => None,
        }
    }

    /// A name, `.` for the root; what is no letter of a name is escaped as zone files do.
    fn name(&mut self) -> Result<String, &'static str> {
        const BROKEN: &str = "a name in it is broken";
        let mut text = String::new();
        let (mut at, mut behind, mut length) = (self.at, None, 1);
        loop {
            let first = *self.message.get(at).ok_or(BROKEN)?;
            match first >> 6 {
                0 if first == 0 => break,
                0 => {
                    let end = at + 1 + usize::from(first);
                    let label = self.message.get(at + 1..end).ok_or(BROKEN)?;
                    length += label.len() + 1;
                    if length > NAME {
                        return Err(BROKEN);
                    }
                    escape(label, &mut text);
                    at = end;
                }
                3 => {
                    let second = *self.message.get(at + 1).ok_or(BROKEN)?;
                    let to = usize::from(u16::from_be_bytes([first & 0x3f, second]));
                    behind.get_or_insert(at + 2);
                    // Backwards only, so it ends.
                    if to >= at {
                        return Err(BROKEN);
                    }
                    // A chain of pointers to pointers moves no label on, and costs one each.
                    length += 1;
                    if length > NAME {
                        return Err(BROKEN);
                    }
                    at = to;
                }
                _ => return Err(BROKEN),
            }
        }
        self.at = behind.unwrap_or(at + 1);
        if text.is_empty() {
            text.push('.');
        }
        Ok(text)
    }
}

fn escape(label: &[u8], text: &mut String) {
    if !text.is_empty() {
        text.push('.');
    }
    for byte in label {
        match byte {
            b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
            byte if byte.is_ascii_graphic() => text.push(char::from(*byte)),
            byte => write!(text, "\\{byte:03}").expect("a String has room"),
        }
    }
}

/// Whatever a server sends, its answer is bounded, and is an answer to the question only.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    use Record::{A, Aaaa, Cname, Mx, Ns, Ptr, Srv, Txt};
    let Some(id) = bytes.first_chunk() else { return };
    for record in [A, Aaaa, Cname, Mx, Ns, Ptr, Srv, Txt] {
        let question = question(u16::from_be_bytes(*id), "example.org", record).expect("a name");
        let Ok(read) = answer(bytes, &question) else { continue };
        assert_eq!(read.records.len(), read.count.min(KEPT));
        assert_eq!(read.ttl.is_some(), read.count > 0);
        // Each byte of a name takes four characters at most, one of a text three when it is replaced.
        let most = (4 * NAME + 20).max(3 * bytes.len());
        assert!(read.records.iter().all(|text| text.len() <= most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(record: Record) -> Vec<u8> {
        question(0x1f3a, "example.org", record).expect("a name")
    }

    /// An answer to that question with these records, each its type, time to live and content.
    fn message(question: &[u8], flags: [u8; 2], records: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let mut message = question[..2].to_vec();
        message.extend(flags);
        message.extend([0, 1]);
        message.extend((records.len() as u16).to_be_bytes());
        message.extend([0; 4]);
        message.extend(&question[12..]);
        for (kind, ttl, content) in records {
            message.extend([0xc0, 12]);
            message.extend(kind.to_be_bytes());
            message.extend(INTERNET.to_be_bytes());
            message.extend(ttl.to_be_bytes());
            message.extend((content.len() as u16).to_be_bytes());
            message.extend(*content);
        }
        message
    }

    const GOOD: [u8; 2] = [0x81, 0x80];

    #[test]
    fn a_question_is_what_the_rfc_says() {
        let expected = b"\x1f\x3a\x01\0\0\x01\0\0\0\0\0\0\x07example\x03org\0\0\x01\0\x01";
        assert_eq!(question(0x1f3a, "example.org.", Record::A).as_deref(), Some(&expected[..]));
        let long = format!("{}.org", "a".repeat(64));
        let longer = ["abcdefghi"; 26].join(".");
        for bad in ["", ".", "a..b", "a b", "bücher.example", &long, &longer] {
            assert_eq!(question(1, bad, Record::A), None, "{bad}");
        }
    }

    #[test]
    fn addresses_come_with_the_alias_that_leads_to_them() {
        let question = asked(Record::A);
        let bytes = message(
            &question,
            GOOD,
            &[(5, 60, b"\x03www\xc0\x0c"), (1, 3600, &[192, 0, 2, 1]), (1, 300, &[192, 0, 2, 2])],
        );
        let read = answer(&bytes, &question).expect("an answer");
        assert_eq!((read.rcode, read.count, read.ttl), (0, 2, Some(300)));
        assert_eq!(read.records, ["192.0.2.1", "192.0.2.2"]);
    }

    #[test]
    fn every_type_reads_as_people_write_it() {
        for (record, content, text) in [
            (Record::Aaaa, &b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"[..], "2001:db8::1"),
            (Record::Cname, b"\x03www\xc0\x0c", "www.example.org"),
            (Record::Ns, b"\x02ns\xc0\x0c", "ns.example.org"),
            (Record::Ptr, b"\0", "."),
            (Record::Mx, b"\0\x0a\x04mail\xc0\x0c", "10 mail.example.org"),
            (Record::Srv, b"\0\0\0\x05\x13\xc4\x03sip\xc0\x0c", "0 5 5060 sip.example.org"),
            (Record::Txt, b"\x05hello\x06 world", "hello world"),
            (Record::Cname, b"\x04a.b\x07\xc0\x0c", "a\\.b\\007.example.org"),
        ] {
            let question = asked(record);
            let read = answer(&message(&question, GOOD, &[(record.number(), 1, content)]), &question);
            assert_eq!(read.expect("an answer").records, [text], "{}", record.name());
        }
    }

    #[test]
    fn another_questions_answer_is_none_of_ours() {
        let question = asked(Record::A);
        let good = message(&question, GOOD, &[(1, 1, &[192, 0, 2, 1])]);
        let mut other_id = good.clone();
        other_id[0] ^= 1;
        let mut other_name = good.clone();
        other_name[13] = b'x';
        let mut other_type = good.clone();
        other_type[26] = 28;
        for other in [other_id, other_name, other_type, question.clone(), Vec::new()] {
            assert_eq!(answer(&other, &question), Err(Unread::Another));
        }
        let mut upper = good;
        upper[13..20].make_ascii_uppercase();
        assert!(answer(&upper, &question).is_ok(), "a resolver may change the case");
    }

    #[test]
    fn an_error_needs_no_question_and_a_truncated_answer_no_end() {
        let question = asked(Record::A);
        let refused = [&question[..2], &[0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(answer(&refused, &question).map(|read| read.rcode), Ok(1));
        let truncated = message(&question, [0x83, 0x80], &[(1, 1, &[192, 0, 2, 1][..]); 3]);
        let read = answer(&truncated[..truncated.len() - 20], &question).expect("so far");
        assert!(read.is_truncated && read.count == 1, "{read:?}");
        let cut = message(&question, GOOD, &[(1, 1, &[192, 0, 2, 1])]);
        assert!(matches!(answer(&cut[..cut.len() - 1], &question), Err(Unread::Broken(_))));
    }

    #[test]
    fn names_that_lead_nowhere_or_in_circles_end() {
        let question = asked(Record::Cname);
        let end = question.len() as u8 + 12;
        for content in [
            // To itself, forwards, beyond the message, and a label that is longer than what is there.
            &[0xc0, end][..],
            &[0xc0, end + 10],
            &[0xff, 0xff],
            &[63, b'a'],
            &[0x80, 0],
            &[],
        ] {
            let bytes = message(&question, GOOD, &[(5, 1, content)]);
            assert!(matches!(answer(&bytes, &question), Err(Unread::Broken(_))), "{content:?}");
        }
        // A label, then a pointer back to it: as long as it likes.
        let circle = message(&question, GOOD, &[(5, 1, &[1, b'a', 0xc0, end])]);
        assert!(matches!(answer(&circle, &question), Err(Unread::Broken(_))));
    }

    #[test]
    fn so_many_are_kept_and_all_are_counted() {
        let question = asked(Record::A);
        let read = answer(&message(&question, GOOD, &[(1, 1, &[192, 0, 2, 1][..]); 500]), &question);
        let read = read.expect("an answer");
        assert_eq!((read.records.len(), read.count), (KEPT, 500));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..600), kind in 0_usize..8) {
            let records = [Record::A, Record::Aaaa, Record::Cname, Record::Mx, Record::Ns, Record::Ptr, Record::Srv, Record::Txt];
            let question = asked(records[kind]);
            let _ = answer(&tail, &question);
            // Behind a header and question that are ours, and a name and type that fit.
            let mut bytes = message(&question, GOOD, &[]);
            bytes[7] = 200;
            bytes.extend([0xc0, 12]);
            bytes.extend(records[kind].number().to_be_bytes());
            bytes.extend(INTERNET.to_be_bytes());
            bytes.extend(tail);
            let _ = answer(&bytes, &question);
        }

        #[test]
        fn a_changed_byte_or_a_cut_is_no_panic_and_no_endless_list(
            at in 0_usize..200, by: u8, length in 0_usize..400
        ) {
            let question = asked(Record::Mx);
            let mut bytes = message(&question, GOOD, &[(15, 9, &b"\0\x0a\x04mail\xc0\x0c"[..]); 6]);
            bytes.truncate(length);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= by;
            }
            if let Ok(read) = answer(&bytes, &question) {
                prop_assert!(read.records.len() <= KEPT && read.count <= bytes.len());
            }
        }
    }
}
