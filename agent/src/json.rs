//! JSON, written as it goes: for what `once` and `status` give to scripts.
//!
//! No tree is built and nothing is sorted; whoever writes sees to it that keys are told once.
//!
//! ```text
//! json.object(|json| json.key("led").text("rack"))   →   {"led":"rack"}
//! ```

use std::fmt::{Display, Write as _};

/// A text that becomes JSON.
#[derive(Debug, Default)]
pub(crate) struct Json(String);

impl Json {
    /// What was written.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// The name of the value that comes next.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.0.push(':');
        self
    }

    /// A number, or a truth value.
    pub(crate) fn value(&mut self, value: impl Display) {
        self.separate();
        write!(self.0, "{value}").expect("a String has room");
    }

    /// That, or null.
    pub(crate) fn value_if(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.value(value),
            None => self.value("null"),
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, text: &str) {
        self.separate();
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if c.is_control() => {
                    write!(self.0, "\\u{:04x}", u32::from(c)).expect("a String has room");
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    /// That, or null.
    pub(crate) fn text_if(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.value("null"),
        }
    }

    /// An object; `inside` writes its keys and values.
    pub(crate) fn object(&mut self, inside: impl FnOnce(&mut Self)) {
        self.within('{', '}', inside);
    }

    /// A list; `inside` writes its values.
    pub(crate) fn list(&mut self, inside: impl FnOnce(&mut Self)) {
        self.within('[', ']', inside);
    }

    /// What comes next begins a line, for eyes.
    pub(crate) fn line(&mut self) {
        self.separate();
        self.0.push('\n');
    }

    fn within(&mut self, open: char, close: char, inside: impl FnOnce(&mut Self)) {
        self.separate();
        self.0.push(open);
        inside(self);
        self.0.push(close);
    }

    /// A comma after what is whole. Strings end with a quote, so whatever ends otherwise is not inside of one.
    fn separate(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with(['{', '[', ':', ',', '\n']) {
            self.0.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_whatever_a_mount_may_be_called() {
        let mut json = Json::default();
        json.text("/srv \"x\"\\\n");
        assert_eq!(json.into_text(), "\"/srv \\\"x\\\"\\\\\\u000a\"");
    }

    #[test]
    fn commas_stand_between_values_and_nowhere_else() {
        let mut json = Json::default();
        json.object(|json| {
            json.key("a").list(|_| ());
            json.key("b:").text("[");
            json.key("c").list(|json| {
                json.value(1);
                json.line();
                json.object(|json| json.key("d").value_if(None::<u8>));
                json.text_if(Some("{"));
            });
            json.key("e").text_if(None);
        });
        assert_eq!(json.into_text(), "{\"a\":[],\"b:\":\"[\",\"c\":[1,\n{\"d\":null},\"{\"],\"e\":null}");
    }
}
