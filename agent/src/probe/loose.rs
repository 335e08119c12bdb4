//! JSON as other people's servers write it: each field is missing, mistyped or new for itself.
//!
//! Answers are read straight into small structs instead of a tree of values, because a server with a hundred streams answers with
//! tens of KiB every two seconds, a busy one with a MiB, and this box has few to give. What is no number where one should be is
//! `None`, and the rest is read all the same; what is not named is not kept. Numbers may be written as text; a list may be a single
//! object (Icecast does that). A key that stands twice counts as it stands last. Only what is no JSON at all is an error.
//!
//! ```text
//! {"name":"hall-1","online":"yes","readers":[{"type":"rtmpConn"},7],"inboundBytes":"48211340","new":{}}
//!   → Path { name: Some("hall-1"), online: None, readers: [Reader { kind: Some("rtmpConn") }], inbound: Some(48211340) }
//! ```

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// More of one list than any page of ours asks for; what comes after is passed over.
const MOST: usize = 4096;

/// A value that may be anything where one of this type should be.
pub(super) trait Loose: Default {
    /// Reads it.
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// What a value is made of, if it is of the right type.
pub(super) trait Item: Sized {
    /// From a number.
    fn of_number(_: f64) -> Option<Self> {
        None
    }

    /// From a number without a fraction.
    fn of_integer(number: u64) -> Option<Self> {
        Self::of_number(number as f64)
    }

    /// From a text.
    fn of_text(_: &str) -> Option<Self> {
        None
    }

    /// From true or false.
    fn of_truth(_: bool) -> Option<Self> {
        None
    }

    /// From an object.
    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Item for f64 {
    fn of_number(number: f64) -> Option<Self> {
        number.is_finite().then_some(number)
    }

    fn of_text(text: &str) -> Option<Self> {
        text.trim().parse().ok().and_then(Self::of_number)
    }
}

impl Item for u64 {
    fn of_number(number: f64) -> Option<Self> {
        (number >= 0.0 && number < 2_f64.powi(63)).then_some(number as Self)
    }

    fn of_integer(number: u64) -> Option<Self> {
        Some(number)
    }

    fn of_text(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

impl Item for bool {
    fn of_truth(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

impl Item for String {
    /// A track may be called 4.
    fn of_number(number: f64) -> Option<Self> {
        Some(number.to_string())
    }

    fn of_integer(number: u64) -> Option<Self> {
        Some(number.to_string())
    }

    fn of_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl<T: Item> Loose for Option<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(One(PhantomData))
    }
}

/// A list, and whether it is all that was sent: one with a mistyped item, or something else in its place, is not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    pub(super) is_whole: bool,
}

impl<T> List<T> {
    const fn new(is_whole: bool) -> Self {
        Self { items: Vec::new(), is_whole }
    }
}

impl<T> Default for List<T> {
    /// None was sent.
    fn default() -> Self {
        Self::new(true)
    }
}

impl<T: Item> Loose for List<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Many(PhantomData))
    }
}

impl<T: Item> Loose for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        List::read(from).map(|list| list.items)
    }
}

/// How many a list has, without keeping them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u64>);

impl Loose for Count {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Counting)
    }
}

/// Reads a body as JSON. What is not UTF-8 in it becomes a replacement character: some servers pass on what their source sent.
pub(super) fn parse<T: Loose>(body: &[u8]) -> Result<T, String> {
    let text = String::from_utf8_lossy(body);
    let mut reader = serde_json::Deserializer::from_str(&text);
    T::read(&mut reader).and_then(|read| reader.end().map(|()| read)).map_err(|why| blame(&text, &why))
}

/// Why it is no JSON, without a word of what it says: that may be anything.
fn blame(text: &str, why: &serde_json::Error) -> String {
    let start = text.trim_start();
    if start.is_empty() {
        "the answer is empty".to_owned()
    } else if start.starts_with('<') {
        "the answer is a web page, not JSON; is the address right?".to_owned()
    } else if why.is_eof() {
        "the answer ends in the middle".to_owned()
    } else {
        format!("the answer is no JSON: line {}, column {}", why.line(), why.column())
    }
}

/// Reads a [`Loose`] value in the place of another.
pub(super) struct Seed<T>(PhantomData<T>);

impl<T> Seed<T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Loose> DeserializeSeed<'de> for Seed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        T::read(from)
    }
}

struct One<T>(PhantomData<T>);

impl<'de, T: Item> Visitor<'de> for One<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(T::of_truth(truth))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(T::of_integer(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(T::of_number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(T::of_number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::of_text(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::of_object(object)
    }
}

struct Many<T>(PhantomData<T>);

impl<'de, T: Item> Visitor<'de> for Many<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(List::new(false))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(List::new(false))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(List::new(false))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(List::new(false))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(List::new(false))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(List::new(true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sent: A) -> Result<Self::Value, A::Error> {
        let mut list = List::new(true);
        while list.items.len() < MOST {
            match sent.next_element_seed(Seed::<Option<T>>::new())? {
                Some(Some(item)) => list.items.push(item),
                Some(None) => list.is_whole = false,
                None => return Ok(list),
            }
        }
        while sent.next_element::<IgnoredAny>()?.is_some() {
            list.is_whole = false;
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        let one: Option<T> = Loose::read(MapAccessDeserializer::new(object))?;
        Ok(List { is_whole: one.is_some(), items: one.into_iter().collect() })
    }
}

struct Counting;

impl<'de> Visitor<'de> for Counting {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
        let mut count = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Count(Some(count)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Count, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }
}

/// A key of an object, if it is one of those that are wanted.
pub(super) struct Key(pub(super) &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|key| **key == text).copied())
    }
}

/// Declares what is read of an object: fields with the keys that they have in JSON.
macro_rules! loose {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty = $key:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $crate::probe::loose::Item for $name {
            fn of_object<'de, A: serde::de::MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
                let mut read = Self::default();
                while let Some(key) = object.next_key_seed($crate::probe::loose::Key(&[$($key),*]))? {
                    match key {
                        $(Some($key) => read.$field = object.next_value_seed($crate::probe::loose::Seed::new())?,)*
                        _ => { object.next_value::<serde::de::IgnoredAny>()?; }
                    }
                }
                Ok(Some(read))
            }
        }
    };
}
pub(super) use loose;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    loose! {
        struct Reader {
            kind: Option<String> = "type",
        }
    }

    loose! {
        struct Path {
            name: Option<String> = "name",
            online: Option<bool> = "online",
            bytes: Option<u64> = "bytes",
            rtt: Option<f64> = "rtt",
            source: Option<Reader> = "source",
            readers: Vec<Reader> = "readers",
            watchers: Count = "watchers",
        }
    }

    fn path(text: &str) -> Path {
        parse::<Option<Path>>(text.as_bytes()).expect("JSON").expect("an object")
    }

    fn reader(kind: &str) -> Reader {
        Reader { kind: Some(kind.to_owned()) }
    }

    #[test]
    fn what_is_well_is_read() {
        let text = r#"{"name":"a","online":true,"bytes":18446744073709551615,"rtt":-1.5,"source":{"type":"x"},
                       "readers":[{"type":"y"},{"type":"z","more":[1,{"a":null}]}],"watchers":[1,{},"x"],"new":[[]]}"#;
        let read = path(text);
        assert_eq!((read.name.as_deref(), read.online, read.bytes), (Some("a"), Some(true), Some(u64::MAX)));
        assert_eq!((read.rtt, read.source), (Some(-1.5), Some(reader("x"))));
        assert_eq!((read.readers, read.watchers), (vec![reader("y"), reader("z")], Count(Some(3))));
    }

    #[test]
    fn what_is_mistyped_is_missing_and_the_rest_is_read() {
        let rest = r#""rtt":"4.5""#;
        for wrong in ["null", "7", "-7", "1.5", "\"x\"", "true", "[]", "[[{}]]", "{}", "{\"type\":{}}"] {
            for key in ["name", "online", "bytes", "source", "readers", "watchers"] {
                assert_eq!(path(&format!("{{\"{key}\":{wrong},{rest}}}")).rtt, Some(4.5), "{key}: {wrong}");
            }
        }
        let wrong = path(r#"{"online":1,"bytes":-1,"rtt":[1],"source":"x","readers":7,"watchers":{}}"#);
        assert_eq!(wrong, Path::default());
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers_and_a_list_a_single_object() {
        let read = path(r#"{"name":4,"bytes":" 12 ","readers":{"type":"y"}}"#);
        assert_eq!((read.name.as_deref(), read.bytes), (Some("4"), Some(12)));
        assert_eq!(read.readers, [reader("y")]);
    }

    #[test]
    fn a_list_knows_whether_it_is_whole() {
        let list = |text: &str| {
            let list: List<Reader> = parse(text.as_bytes()).expect("JSON");
            (list.items.len(), list.is_whole)
        };
        assert_eq!(list("null"), (0, true));
        assert_eq!(list("[]"), (0, true));
        assert_eq!(list("{\"type\":\"x\"}"), (1, true));
        assert_eq!(list("[{},{}]"), (2, true));
        assert_eq!(list("[{},7]"), (1, false));
        for wrong in ["7", "-7", "1.5", "true", "\"x\""] {
            assert_eq!(list(wrong), (0, false));
        }
    }

    #[test]
    fn a_key_that_stands_twice_counts_as_it_stands_last() {
        assert_eq!(path(r#"{"bytes":1,"bytes":2}"#).bytes, Some(2));
    }

    #[test]
    fn what_is_no_json_is_named_and_not_quoted() {
        let why = |body: &[u8]| parse::<Option<Path>>(body).expect_err("no JSON");
        assert_eq!(
            why(b" \n<!DOCTYPE html><p>secret"),
            "the answer is a web page, not JSON; is the address right?"
        );
        assert_eq!(why(b""), "the answer is empty");
        assert_eq!(why(b"{\"name\":\"sec"), "the answer ends in the middle");
        assert_eq!(why(b"{\"name\":\nsecret}"), "the answer is no JSON: line 2, column 1");
        assert_eq!(why(b"{} secret"), "the answer is no JSON: line 1, column 4");
    }

    #[test]
    fn what_is_not_utf8_does_not_spoil_the_rest() {
        let read: Option<Path> = parse(b"{\"name\":\"caf\xe9\",\"bytes\":3}").expect("JSON");
        assert_eq!(read.expect("an object").name.as_deref(), Some("caf\u{fffd}"));
    }

    #[test]
    fn a_list_without_end_is_bounded() {
        let many = format!("{{\"readers\":[{}{{}}],\"bytes\":5}}", "{\"type\":\"x\"},".repeat(MOST + 10));
        let read = path(&many);
        assert_eq!((read.readers.len(), read.bytes), (MOST, Some(5)));
        let deep = format!("{{\"name\":{}", "[".repeat(100_000));
        assert!(parse::<Option<Path>>(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse::<Option<Path>>(&body);
        }

        #[test]
        fn what_is_cut_is_refused(cut in 0_usize..60) {
            let text = r#"{"name":"a","online":true,"readers":[{"type":"y"}],"bytes":1}"#;
            prop_assert!(parse::<Option<Path>>(&text.as_bytes()[..cut]).is_err());
        }
    }
}
