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

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// More of one list than any page of ours asks for; what comes after is passed over.
const MOST: usize = 4096;

/// A place for a value that may be anything. One reader fills all of them through this, whatever they are: a reader made for each type
/// would be several KiB of program for each.
pub(super) trait Slot {
    /// Another value comes.
    fn clear(&mut self);

    /// It is a number.
    fn number(&mut self, _: f64) {}

    /// It is a number without a fraction.
    fn integer(&mut self, number: u64) {
        self.number(number as f64);
    }

    /// It is a text.
    fn text(&mut self, _: &str) {}

    /// It is true or false.
    fn truth(&mut self, _: bool) {}

    /// It is null.
    fn null(&mut self) {}

    /// It is an object; whether that is wanted.
    fn object(&mut self) -> bool {
        false
    }

    /// The place for a field of the object, if it is wanted.
    fn field(&mut self, _: &str) -> Option<&mut dyn Slot> {
        None
    }

    /// It is a list; whether that is wanted.
    fn list(&mut self) -> bool {
        false
    }

    /// The place for the next item of the list, if it is wanted.
    fn item(&mut self) -> Option<&mut dyn Slot> {
        None
    }

    /// There was no next item.
    fn no_item(&mut self) {}

    /// The object or list ends.
    fn end(&mut self) {}
}

/// What can be read.
pub(super) trait Loose: Slot + Default {}

impl<T: Slot + Default> Loose for T {}

/// An object's fields; made by `loose!`.
pub(super) trait Record: Default {
    /// The place for a field, if there is one.
    fn field(&mut self, key: &str) -> Option<&mut dyn Slot>;
}

impl Slot for Option<f64> {
    fn clear(&mut self) {
        *self = None;
    }

    fn number(&mut self, number: f64) {
        *self = number.is_finite().then_some(number);
    }

    fn text(&mut self, text: &str) {
        *self = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    }
}

impl Slot for Option<u64> {
    fn clear(&mut self) {
        *self = None;
    }

    fn number(&mut self, number: f64) {
        *self = (number >= 0.0 && number < 2_f64.powi(63)).then_some(number as u64);
    }

    fn integer(&mut self, number: u64) {
        *self = Some(number);
    }

    fn text(&mut self, text: &str) {
        *self = text.trim().parse().ok();
    }
}

impl Slot for Option<bool> {
    fn clear(&mut self) {
        *self = None;
    }

    fn truth(&mut self, truth: bool) {
        *self = Some(truth);
    }
}

impl Slot for Option<String> {
    fn clear(&mut self) {
        *self = None;
    }

    /// A track may be called 4.
    fn number(&mut self, number: f64) {
        *self = Some(number.to_string());
    }

    fn integer(&mut self, number: u64) {
        *self = Some(number.to_string());
    }

    fn text(&mut self, text: &str) {
        *self = Some(text.to_owned());
    }
}

impl<T: Record> Slot for Option<T> {
    fn clear(&mut self) {
        *self = None;
    }

    fn object(&mut self) -> bool {
        *self = Some(T::default());
        true
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Slot> {
        self.as_mut()?.field(key)
    }
}

/// A list, and whether it is all that was sent: one with a mistyped item, or something else in its place, is not. A single object is
/// a list of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    pub(super) is_whole: bool,
    /// The item that is being read.
    next: Option<T>,
    is_open: bool,
}

impl<T> Default for List<T> {
    /// None was sent.
    fn default() -> Self {
        Self { items: Vec::new(), is_whole: true, next: None, is_open: false }
    }
}

impl<T> List<T> {
    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            match self.next.take() {
                Some(item) => self.items.push(item),
                None => self.is_whole = false,
            }
        }
    }
}

impl<T> Slot for List<T>
where
    Option<T>: Slot,
{
    fn clear(&mut self) {
        // Until it turns out to be a list.
        *self = Self { is_whole: false, ..Self::default() };
    }

    fn null(&mut self) {
        self.is_whole = true;
    }

    fn object(&mut self) -> bool {
        (self.is_whole, self.is_open) = (true, true);
        self.next.object()
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Slot> {
        self.next.field(key)
    }

    fn list(&mut self) -> bool {
        self.is_whole = true;
        true
    }

    fn item(&mut self) -> Option<&mut dyn Slot> {
        self.close();
        if self.items.len() >= MOST {
            self.is_whole = false;
            return None;
        }
        self.is_open = true;
        Some(&mut self.next)
    }

    fn no_item(&mut self) {
        self.is_open = false;
    }

    fn end(&mut self) {
        self.close();
    }
}

/// How many a list has, without keeping them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u64>);

impl Slot for Count {
    fn clear(&mut self) {
        self.0 = None;
    }

    fn list(&mut self) -> bool {
        self.0 = Some(0);
        true
    }

    fn item(&mut self) -> Option<&mut dyn Slot> {
        self.0 = self.0.map(|count| count + 1);
        None
    }

    fn no_item(&mut self) {
        self.0 = self.0.map(|count| count - 1);
    }
}

/// Reads a body as JSON. What is not UTF-8 in it becomes a replacement character: some servers pass on what their source sent.
pub(super) fn parse<T: Loose>(body: &[u8]) -> Result<T, String> {
    let mut read = T::default();
    fill(body, &mut read).map(|()| read)
}

/// A value of another format.
pub(super) fn read<'de, T: Loose, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let mut read = T::default();
    Fill(&mut read).deserialize(from).map(|()| read)
}

fn fill(body: &[u8], slot: &mut dyn Slot) -> Result<(), String> {
    let text = String::from_utf8_lossy(body);
    let mut reader = serde_json::Deserializer::from_slice(text.as_bytes());
    let read = Fill(slot).deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|why| blame(&text, &why))
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

/// Reads whatever comes into a slot.
struct Fill<'a>(&'a mut dyn Slot);

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.0.clear();
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.0.truth(truth);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.0.integer(number);
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        match u64::try_from(number) {
            Ok(number) => self.0.integer(number),
            Err(_) => self.0.number(number as f64),
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.number(number);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.null();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.0.list() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        loop {
            let is_over = match self.0.item() {
                Some(item) => list.next_element_seed(Fill(item))?.is_none(),
                None => list.next_element::<IgnoredAny>()?.is_none(),
            };
            if is_over {
                self.0.no_item();
                self.0.end();
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        if !self.0.object() {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(field) = object.next_key_seed(Key(&mut *self.0))? {
            match field {
                Some(field) => object.next_value_seed(Fill(field))?,
                None => object.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        self.0.end();
        Ok(())
    }
}

/// A key of an object: the place for its value, if that is wanted.
struct Key<'a>(&'a mut dyn Slot);

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<&'a mut dyn Slot>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a mut dyn Slot>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(key))
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

        impl $crate::probe::loose::Record for $name {
            fn field(&mut self, key: &str) -> Option<&mut dyn $crate::probe::loose::Slot> {
                match key {
                    $($key => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}
pub(super) use loose;

/// Whatever a reader for any JSON takes is read here too, and the fields that both understand are the same.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    use serde_json::Value;
    loose! {
        struct Item {
            name: Option<String> = "name",
        }
    }
    loose! {
        struct Whole {
            number: Option<f64> = "number",
            count: Option<u64> = "count",
            truth: Option<bool> = "truth",
            text: Option<String> = "text",
            item: Option<Item> = "item",
            items: List<Item> = "items",
            many: Count = "many",
        }
    }
    let read = parse::<Option<Whole>>(bytes);
    let Ok(value) = serde_json::from_str::<Value>(&String::from_utf8_lossy(bytes)) else { return };
    let read = read.expect("what is JSON is read");
    assert_eq!(read.is_some(), value.is_object());
    let Some(read) = read else { return };
    assert_eq!(read.truth, value["truth"].as_bool());
    if value["number"].is_number() {
        assert_eq!(read.number, value["number"].as_f64());
    }
    if value["count"].is_u64() {
        assert_eq!(read.count, value["count"].as_u64());
    }
    if value["text"].is_string() {
        assert_eq!(read.text.as_deref(), value["text"].as_str());
    }
    assert_eq!(read.item.is_some(), value["item"].is_object());
    assert_eq!(read.many.0, value["many"].as_array().map(|all| all.len() as u64));
    if let Some(all) = value["items"].as_array() {
        let items: Vec<&Value> = all.iter().filter(|item| item.is_object()).take(MOST).collect();
        assert_eq!((read.items.items.len(), read.items.is_whole), (items.len(), items.len() == all.len()));
        for (read, item) in read.items.items.iter().zip(items) {
            assert!(!item["name"].is_string() || read.name.as_deref() == item["name"].as_str());
        }
    }
}

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
            readers: List<Reader> = "readers",
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
        assert_eq!((read.readers.items, read.watchers), (vec![reader("y"), reader("z")], Count(Some(3))));
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
        let readers = List { is_whole: false, ..List::default() };
        assert_eq!(wrong, Path { readers, ..Path::default() });
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers_and_a_list_a_single_object() {
        let read = path(r#"{"name":4,"bytes":" 12 ","readers":{"type":"y"}}"#);
        assert_eq!((read.name.as_deref(), read.bytes), (Some("4"), Some(12)));
        assert_eq!(read.readers.items, [reader("y")]);
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
        assert_eq!(list("[7,[],{},null,{\"type\":1}]"), (2, false));
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
        assert_eq!((read.readers.items.len(), read.bytes), (MOST, Some(5)));
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
