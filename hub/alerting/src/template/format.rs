//! Values as Go's fmt prints them: `printf` with its verbs, flags and complaints, `print`, `println`. Not what a template does with them.
//!
//! A format that is wrong is no error in Go: what is wrong is written into the text, such as `%!d(float64=1.5)`, and so it is here.
//!
//! Sample: `printf "%5.1f %-6s|" 2.25 "ab"` is `  2.2 ab    |`.

use super::float;
use super::value::{Root, Value, arguments};
use rackside_promql::{Labels, Point};
use std::fmt::Write as _;

/// Go's bound on widths and precisions that are given as arguments or in digits.
const WIDEST: usize = 1_000_000;

/// The text came out longer than it may be.
#[derive(Debug)]
pub(super) struct TooLong;

/// How a value is to be printed.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are Go's flags, any of which may stand with any other"
)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`: with the names of fields.
    names: bool,
    /// `%#v`: as Go's source would have it.
    source: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// As Go's `Sprint`: a space between two values of which neither is a text.
pub(super) fn print(values: &[Value], most: usize) -> Result<String, TooLong> {
    printed(values, most, false)
}

/// As [`print`], but for a pointer that which it points to.
pub(super) fn print_within(values: &[Value], most: usize) -> Result<String, TooLong> {
    printed(values, most, true)
}

fn printed(values: &[Value], most: usize, within: bool) -> Result<String, TooLong> {
    let mut printer = Printer::new(most);
    let mut text_before = true;
    for (at, value) in values.iter().enumerate() {
        let is_text = value.as_text().is_some();
        if at > 0 && !is_text && !text_before {
            printer.put(" ")?;
        }
        match value {
            Value::Sample(Some(point)) if within => printer.point(point, 'v')?,
            value => printer.value(value, 'v', 0)?,
        }
        text_before = is_text;
    }
    Ok(printer.text)
}

/// As Go's `Sprintln`: a space between any two values, and a new line.
pub(super) fn print_line(values: &[Value], most: usize) -> Result<String, TooLong> {
    let mut printer = Printer::new(most);
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            printer.put(" ")?;
        }
        printer.value(value, 'v', 0)?;
    }
    printer.put("\n")?;
    Ok(printer.text)
}

/// What an action writes: as [`print`], but for a pointer that which it points to.
pub(super) fn write(value: &Value, most: usize) -> Result<String, TooLong> {
    let mut printer = Printer::new(most);
    match value {
        Value::None => printer.put("<no value>")?,
        Value::Sample(Some(point)) => printer.point(point, 'v')?,
        value => printer.value(value, 'v', 0)?,
    }
    Ok(printer.text)
}

/// As Go's `Sprintf`.
pub(super) fn printf(format: &str, values: &[Value], most: usize) -> Result<String, TooLong> {
    let mut printer = Printer::new(most);
    let mut reader = Reader { format, values, next: 0, reordered: false, good: true, behind_index: false };
    while let Some((before, rest)) = reader.format.split_once('%') {
        printer.put(before)?;
        reader.format = rest;
        reader.good = true;
        reader.verb(&mut printer)?;
    }
    printer.put(reader.format)?;
    if !reader.reordered && reader.next < values.len() {
        printer.flags = Flags::default();
        printer.put("%!(EXTRA ")?;
        for (at, value) in values[reader.next..].iter().enumerate() {
            if at > 0 {
                printer.put(", ")?;
            }
            if !matches!(value, Value::None) {
                printer.put(value.type_name())?;
                printer.put("=")?;
            }
            printer.value(value, 'v', 0)?;
        }
        printer.put(")")?;
    }
    Ok(printer.text)
}

/// A format while it is read, and the values that wait.
struct Reader<'a> {
    format: &'a str,
    values: &'a [Value],
    next: usize,
    /// An index such as `[2]` was used.
    reordered: bool,
    good: bool,
    behind_index: bool,
}

impl Reader<'_> {
    fn skip(&mut self, expected: char) -> bool {
        let rest = self.format.strip_prefix(expected);
        self.format = rest.unwrap_or(self.format);
        rest.is_some()
    }

    /// What follows a `%`.
    fn verb(&mut self, printer: &mut Printer) -> Result<(), TooLong> {
        let mut flags = Flags::default();
        loop {
            match self.format.bytes().next() {
                Some(b'#') => flags.sharp = true,
                Some(b'0') => flags.zero = !flags.minus,
                Some(b'+') => flags.plus = true,
                Some(b'-') => (flags.minus, flags.zero) = (true, false),
                Some(b' ') => flags.space = true,
                _ => break,
            }
            self.format = &self.format[1..];
        }
        self.behind_index = self.index();
        self.width(&mut flags, printer)?;
        self.precision(&mut flags, printer)?;
        if !self.behind_index {
            self.index();
        }
        let mut rest = self.format.chars();
        let Some(verb) = rest.next() else { return printer.put("%!(NOVERB)") };
        self.format = rest.as_str();
        printer.flags = flags;
        match self.values.get(self.next) {
            _ if verb == '%' => printer.put("%"),
            _ if !self.good => printer.put(&format!("%!{verb}(BADINDEX)")),
            None => printer.put(&format!("%!{verb}(MISSING)")),
            Some(value) => {
                self.next += 1;
                if verb == 'v' {
                    printer.flags =
                        Flags { source: flags.sharp, names: flags.plus, sharp: false, plus: false, ..flags };
                }
                printer.value(value, verb, 0)
            }
        }
    }

    fn width(&mut self, flags: &mut Flags, printer: &mut Printer) -> Result<(), TooLong> {
        if self.skip('*') {
            match self.number_of_value() {
                Some(width) => {
                    (flags.minus, flags.zero) =
                        if width < 0 { (true, false) } else { (flags.minus, flags.zero) };
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => printer.put("%!(BADWIDTH)")?,
            }
            self.behind_index = false;
        } else {
            flags.width = self.digits();
            self.good &= !(self.behind_index && flags.width.is_some());
        }
        Ok(())
    }

    fn precision(&mut self, flags: &mut Flags, printer: &mut Printer) -> Result<(), TooLong> {
        if self.format.len() < 2 || !self.skip('.') {
            return Ok(());
        }
        self.good &= !self.behind_index;
        self.behind_index = self.index();
        if self.skip('*') {
            flags.precision = self.number_of_value().and_then(|precision| usize::try_from(precision).ok());
            if flags.precision.is_none() {
                printer.put("%!(BADPREC)")?;
            }
            self.behind_index = false;
        } else {
            flags.precision = Some(self.digits().unwrap_or(0));
        }
        Ok(())
    }

    /// An index such as `[2]`, if one stands here.
    fn index(&mut self) -> bool {
        let Some(rest) = self.format.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some((written, behind)) = rest.split_once(']') else {
            (self.good, self.format) = (false, rest);
            return false;
        };
        self.format = behind;
        match written.parse::<usize>().ok().filter(|_| written.bytes().all(|byte| byte.is_ascii_digit())) {
            Some(index) if (1..=self.values.len()).contains(&index) => {
                self.next = index - 1;
                true
            }
            index => {
                self.good = false;
                index.is_some()
            }
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let length = self.format.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.format[..length].parse().ok().filter(|number| *number <= WIDEST);
        // Too large a number takes the rest of the format with it, as in Go.
        self.format = if length > 0 && number.is_none() { "" } else { &self.format[length..] };
        number
    }

    fn number_of_value(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        value.int().filter(|number| number.unsigned_abs() <= WIDEST as u64)
    }
}

struct Printer {
    text: String,
    most: usize,
    flags: Flags,
    /// A complaint about a value is printed.
    complaining: bool,
}

impl Printer {
    fn new(most: usize) -> Self {
        Self { text: String::new(), most, flags: Flags::default(), complaining: false }
    }

    fn put(&mut self, text: &str) -> Result<(), TooLong> {
        if self.text.len() + text.len() > self.most {
            return Err(TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn pad(&mut self, text: &str) -> Result<(), TooLong> {
        let missing = self.flags.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.text.len() + missing + text.len() > self.most {
            return Err(TooLong);
        }
        if self.flags.minus {
            self.put(text)?;
            self.text.extend(std::iter::repeat_n(' ', missing));
            return Ok(());
        }
        self.text.extend(std::iter::repeat_n(if self.flags.zero { '0' } else { ' ' }, missing));
        self.put(text)
    }

    fn bad_verb(&mut self, value: &Value, verb: char) -> Result<(), TooLong> {
        if matches!(value, Value::None) {
            return self.put(&format!("%!{verb}(<nil>)"));
        }
        self.put(&format!("%!{verb}({}=", value.type_name()))?;
        let complaining = std::mem::replace(&mut self.complaining, true);
        self.value(value, 'v', 0)?;
        self.complaining = complaining;
        self.put(")")
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) -> Result<(), TooLong> {
        if verb == 'T' && depth == 0 && !matches!(value, Value::None) {
            return self.string(value.type_name(), 's', value);
        }
        match value {
            Value::None if matches!(verb, 'v' | 'T') => self.pad("<nil>"),
            Value::Bool(truth) if matches!(verb, 't' | 'v') => {
                self.pad(if *truth { "true" } else { "false" })
            }
            Value::None | Value::Bool(_) => self.bad_verb(value, verb),
            Value::Int(number) => self.integer(*number, verb, value),
            Value::Byte(number) => self.integer(i64::from(*number), verb, value),
            Value::Float(number) => self.float(*number, verb, value),
            Value::Text(text) | Value::Html(text) => self.string(text, verb, value),
            Value::Labels(labels) => self.labels(labels, verb),
            Value::Args(values) => {
                self.put("map[")?;
                for (at, (key, value)) in arguments(values).into_iter().enumerate() {
                    if at > 0 {
                        self.put(" ")?;
                    }
                    self.string(&key, verb, &Value::text(key.as_str()))?;
                    self.put(":")?;
                    self.value(value, verb, depth + 1)?;
                }
                self.put("]")
            }
            Value::Sample(None) => self.pad("<nil>"),
            Value::Sample(Some(point)) => {
                self.put("&")?;
                self.point(point, verb)
            }
            Value::Samples(points) => {
                self.put("[")?;
                for (at, point) in points.iter().enumerate() {
                    self.put(if at > 0 { " &" } else { "&" })?;
                    self.point(point, verb)?;
                }
                self.put("]")
            }
            Value::Moment(moment) => self.string(&moment.to_string(), verb, value),
            Value::Named(named) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') => {
                self.string(named.name, verb, value)
            }
            Value::Named(named) => self.integer(named.number, verb, value),
            Value::Root(root) => self.root(root, verb),
        }
    }

    fn root(&mut self, root: &Root, verb: char) -> Result<(), TooLong> {
        let names: [&str; 4] = if self.flags.names || self.flags.source {
            ["{Labels:", " ExternalLabels:", " ExternalURL:", " Value:"]
        } else {
            ["{", " ", " ", " "]
        };
        self.put(names[0])?;
        self.labels(&root.labels, verb)?;
        self.put(names[1])?;
        self.labels(&root.external_labels, verb)?;
        self.put(names[2])?;
        self.string(&root.external_url, verb, &Value::Text(root.external_url.clone()))?;
        self.put(names[3])?;
        self.float(root.value, verb, &Value::Float(root.value))?;
        self.put("}")
    }

    /// A sample without the sign of a pointer.
    fn point(&mut self, point: &Point, verb: char) -> Result<(), TooLong> {
        let names = self.flags.names || self.flags.source;
        self.put(if names { "{Labels:" } else { "{" })?;
        self.labels(&point.labels, verb)?;
        self.put(if names { " Value:" } else { " " })?;
        self.float(point.sample.value, verb, &Value::Float(point.sample.value))?;
        self.put("}")
    }

    fn labels(&mut self, labels: &Labels, verb: char) -> Result<(), TooLong> {
        let source = self.flags.source;
        self.put(if source { "map[string]string{" } else { "map[" })?;
        for (at, label) in labels.iter().enumerate() {
            if at > 0 {
                self.put(if source { ", " } else { " " })?;
            }
            self.string(&label.name, verb, &Value::text(label.name.clone()))?;
            self.put(":")?;
            self.string(&label.value, verb, &Value::text(label.value.clone()))?;
        }
        self.put(if source { "}" } else { "]" })
    }

    fn string(&mut self, text: &str, verb: char, value: &Value) -> Result<(), TooLong> {
        let cut = |text: &str| match self.flags.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        };
        match verb {
            'v' if self.flags.source => self.quoted(&cut(text)),
            'v' | 's' => self.pad(&cut(text)),
            'q' => self.quoted(&cut(text)),
            'x' | 'X' => self.bytes(text.as_bytes(), verb),
            _ => self.bad_verb(value, verb),
        }
    }

    fn quoted(&mut self, text: &str) -> Result<(), TooLong> {
        let backquoted = self.flags.sharp
            && !text.contains(|c: char| c == '`' || c == '\u{feff}' || (c.is_control() && c != '\t'));
        if backquoted {
            return self.pad(&format!("`{text}`"));
        }
        let mut quoted = String::from("\"");
        for c in text.chars() {
            escape(c, '"', self.flags.plus, &mut quoted);
        }
        quoted.push('"');
        self.pad(&quoted)
    }

    fn bytes(&mut self, bytes: &[u8], verb: char) -> Result<(), TooLong> {
        let bytes = &bytes[..self.flags.precision.unwrap_or(bytes.len()).min(bytes.len())];
        if bytes.len().saturating_mul(5) > self.most {
            return Err(TooLong);
        }
        let mut text = String::new();
        for (at, byte) in bytes.iter().enumerate() {
            if self.flags.space && at > 0 {
                text.push(' ');
            }
            if self.flags.sharp && (at == 0 || self.flags.space) {
                text.push_str(if verb == 'x' { "0x" } else { "0X" });
            }
            let written = if verb == 'x' { write!(text, "{byte:02x}") } else { write!(text, "{byte:02X}") };
            written.expect("a String takes everything");
        }
        self.pad(&text)
    }

    fn integer(&mut self, number: i64, verb: char, value: &Value) -> Result<(), TooLong> {
        let magnitude = number.unsigned_abs();
        let (digits, prefix) = match verb {
            'v' if self.flags.source && matches!(value, Value::Byte(_)) => (format!("{magnitude:x}"), "0x"),
            'v' | 'd' => (magnitude.to_string(), ""),
            'b' => (format!("{magnitude:b}"), if self.flags.sharp { "0b" } else { "" }),
            'o' => (format!("{magnitude:o}"), ""),
            'O' => (format!("{magnitude:o}"), "0o"),
            'x' => (format!("{magnitude:x}"), if self.flags.sharp { "0x" } else { "" }),
            'X' => (format!("{magnitude:X}"), if self.flags.sharp { "0X" } else { "" }),
            'c' => return self.pad(&character(number).to_string()),
            'q' => {
                let mut quoted = String::from("'");
                escape(character(number), '\'', self.flags.plus, &mut quoted);
                quoted.push('\'');
                return self.pad(&quoted);
            }
            'U' => return self.code_point(number),
            _ => return self.bad_verb(value, verb),
        };
        let sign = match (number < 0, self.flags.plus, self.flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let before = std::mem::take(&mut self.flags.zero);
        let done = match self.flags.precision {
            Some(0) if number == 0 => self.pad(""),
            precision => {
                let zeros = match (precision, self.flags.width) {
                    (Some(precision), _) => precision,
                    (None, Some(width)) if before && !self.flags.minus => width.saturating_sub(sign.len()),
                    _ => 0,
                };
                if zeros > self.most {
                    return Err(TooLong);
                }
                let digits = format!("{digits:0>zeros$}");
                // With `#` octal digits begin with a zero.
                let lacks_zero = self.flags.sharp && matches!(verb, 'o' | 'O') && !digits.starts_with('0');
                let zero = if lacks_zero { "0" } else { "" };
                self.pad(&format!("{sign}{prefix}{zero}{digits}"))
            }
        };
        self.flags.zero = before;
        done
    }

    fn code_point(&mut self, number: i64) -> Result<(), TooLong> {
        let digits = self.flags.precision.unwrap_or(4).max(4);
        if digits > self.most {
            return Err(TooLong);
        }
        let mut text = format!("U+{:0digits$X}", number as u64);
        if let Some(c) = u32::try_from(number)
            .ok()
            .and_then(char::from_u32)
            .filter(|c| self.flags.sharp && is_printable(*c))
        {
            write!(text, " '{c}'").expect("a String takes everything");
        }
        let before = std::mem::take(&mut self.flags.zero);
        self.pad(&text)?;
        self.flags.zero = before;
        Ok(())
    }

    fn float(&mut self, number: f64, verb: char, value: &Value) -> Result<(), TooLong> {
        let precision = self.flags.precision;
        if precision.is_some_and(|precision| precision > self.most) {
            return Err(TooLong);
        }
        let plain = match verb {
            'v' => float::written(number, 'g', precision),
            'b' | 'g' | 'G' | 'x' | 'X' => float::written(number, verb, precision),
            'e' | 'E' => float::written(number, verb, precision.or(Some(6))),
            'f' | 'F' => float::written(number, 'f', precision.or(Some(6))),
            _ => return self.bad_verb(value, verb),
        };
        let (sign, digits) = match plain.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None if self.flags.plus => ("+", plain.trim_start_matches('+')),
            None if self.flags.space => (" ", plain.trim_start_matches('+')),
            None if number.is_infinite() => ("", plain.trim_start_matches('+')),
            None => ("", plain.as_str()),
        };
        if !number.is_finite() {
            // Without a flag an infinity keeps its sign.
            let sign = if number == f64::INFINITY && sign.is_empty() { "+" } else { sign };
            let before = std::mem::take(&mut self.flags.zero);
            self.pad(&format!("{sign}{digits}"))?;
            self.flags.zero = before;
            return Ok(());
        }
        let digits = if self.flags.sharp && verb != 'b' {
            pointed(digits, verb, precision)
        } else {
            digits.to_owned()
        };
        match self.flags.width {
            Some(width)
                if self.flags.zero
                    && !self.flags.minus
                    && !sign.is_empty()
                    && width > sign.len() + digits.len() =>
            {
                if width > self.most {
                    return Err(TooLong);
                }
                let zeros = width - sign.len();
                self.put(&format!("{sign}{digits:0>zeros$}"))
            }
            _ => self.pad(&format!("{sign}{digits}")),
        }
    }
}

/// With `#` a number keeps its point, and `%g` its zeros.
fn pointed(digits: &str, verb: char, precision: Option<usize>) -> String {
    let letters: &[char] = if matches!(verb, 'x' | 'X') { &['p', 'P'] } else { &['e', 'E'] };
    let (mantissa, tail) = digits.find(letters).map_or((digits, ""), |at| digits.split_at(at));
    let mut text = mantissa.to_owned();
    let wanted = if matches!(verb, 'v' | 'g' | 'G' | 'x') { precision.unwrap_or(6) } else { 0 };
    let significant = mantissa.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    let mut there = significant;
    if !mantissa.contains('.') {
        there += usize::from(mantissa == "0");
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', wanted.saturating_sub(there)));
    text + tail
}

fn character(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

pub(super) fn is_printable(c: char) -> bool {
    c == ' '
        || (!c.is_control()
            && !c.is_whitespace()
            && (c.is_alphanumeric() || c.escape_debug().count() == 1 || matches!(c, '\'' | '"' | '\\')))
}

/// Writes a character as Go's quotes have it.
fn escape(c: char, quote: char, ascii: bool, to: &mut String) {
    let named = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        '\\' => '\\',
        c if c == quote => c,
        c if is_printable(c) && (c.is_ascii() || !ascii) => return to.push(c),
        c => {
            let written = match u32::from(c) {
                code if c.is_ascii() => write!(to, r"\x{code:02x}"),
                code if code < 0x1_0000 => write!(to, r"\u{code:04x}"),
                code => write!(to, r"\U{code:08x}"),
            };
            return written.expect("a String takes everything");
        }
    };
    to.extend(['\\', named]);
}
