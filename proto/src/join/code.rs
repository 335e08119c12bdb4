//! The one-time code in the form in which people handle it: 56 characters in groups of four.
//!
//! ```text
//! 000G-40R4-0M30-E209-185G-R38E-1YJT-B9D5-MPJT-B9D5-MPJT-B9D5-MPJM-1RD2
//! ```
//!
//! Crockford's base32: capitals and small letters are the same, `I` and `L` are 1, `O` is 0, there is no `U`; hyphens and spaces count for
//! nothing. Behind secret and fingerprint stand 24 bits of check, so a typo is told as a typo, and which group it is in where
//! one character would mend it, before anybody is asked. The code is never mended by itself.

use core::fmt;
use core::str::FromStr;

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code, hyphens not among them: 35 bytes at five bits each.
const LENGTH: usize = 56;
/// Characters between two hyphens.
const GROUP: usize = 4;
/// Secret and fingerprint.
const BYTES: usize = 32;

/// What opens the door for one appliance, once. Whoever has it can take the appliance's name; so it has no `Debug` that shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// Known to the hub's person and to the appliance only.
    pub secret: [u8; 16],
    /// The first bytes of SHA-256 of the authority's `SubjectPublicKeyInfo`: which hub is the right one.
    pub fingerprint: [u8; 16],
}

impl Code {
    /// In groups, as it is shown.
    pub fn text(&self) -> heapless::String<{ LENGTH + LENGTH / GROUP - 1 }> {
        let mut text = heapless::String::new();
        for (place, symbol) in self.symbols().into_iter().enumerate() {
            if place > 0 && place % GROUP == 0 {
                text.push('-').expect("room for the hyphens");
            }
            let digit = DIGITS.get(usize::from(symbol)).copied().unwrap_or(b'0');
            text.push(char::from(digit)).expect("room for the characters");
        }
        text
    }

    fn symbols(&self) -> [u8; LENGTH] {
        let mut symbols = [0; LENGTH];
        let mut bytes = [0; BYTES];
        let (secret, fingerprint) = bytes.split_at_mut(16);
        secret.copy_from_slice(&self.secret);
        fingerprint.copy_from_slice(&self.fingerprint);
        let check = crc24(bytes.iter().flat_map(|byte| bits(u32::from(*byte), 8)));
        let mut all = bytes.iter().flat_map(|byte| bits(u32::from(*byte), 8)).chain(bits(check, 24));
        for symbol in &mut symbols {
            *symbol = all.by_ref().take(5).fold(0, |symbol, bit| symbol << 1 | u8::from(bit));
        }
        symbols
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let mut symbols = [0; LENGTH];
        let mut found = 0;
        for c in text.chars().filter(|c| !is_filling(*c)) {
            let symbol = symbol(c).ok_or(CodeError::Character(c))?;
            if let Some(place) = symbols.get_mut(found) {
                *place = symbol;
            }
            found += 1;
        }
        if found != LENGTH {
            return Err(CodeError::Length(found));
        }
        if !is_whole(&symbols) {
            return Err(CodeError::Mistyped { group: suspect(&symbols) });
        }
        let mut code = Self { secret: [0; 16], fingerprint: [0; 16] };
        let mut all = symbols.iter().flat_map(|symbol| bits(u32::from(*symbol), 5));
        for byte in code.secret.iter_mut().chain(&mut code.fingerprint) {
            *byte = all.by_ref().take(8).fold(0, |byte, bit| byte << 1 | u8::from(bit));
        }
        Ok(code)
    }
}

/// Hyphens as keyboards, phones and word processors make them, and spaces.
fn is_filling(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '_' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn symbol(c: char) -> Option<u8> {
    let c = match c.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        c => c,
    };
    DIGITS.iter().position(|digit| char::from(*digit) == c).map(|place| place as u8)
}

/// The lowest `count` bits of `value`, the highest of them first.
fn bits(value: u32, count: u32) -> impl Iterator<Item = bool> {
    (0..count).rev().map(move |place| value >> place & 1 == 1)
}

/// CRC-24 as `OpenPGP` has it: no damage of up to 24 bits in a row, so none within four neighbouring characters, passes it.
fn crc24(bits: impl Iterator<Item = bool>) -> u32 {
    bits.fold(0x00b7_04ce, |crc, bit| {
        let carry = (crc >> 23 & 1 == 1) != bit;
        (crc << 1 ^ if carry { 0x0086_4cfb } else { 0 }) & 0x00ff_ffff
    })
}

/// Whether the check is that of what stands before it. A CRC over itself comes out as 0.
fn is_whole(symbols: &[u8; LENGTH]) -> bool {
    crc24(symbols.iter().flat_map(|symbol| bits(u32::from(*symbol), 5))) == 0
}

/// The group, from 1, in which one other character or two exchanged neighbours would make the code whole; `None` if there is none, or more than one.
fn suspect(symbols: &[u8; LENGTH]) -> Option<usize> {
    let mut suspect = None;
    for place in 0..LENGTH {
        let others = (1..32).map(|change| {
            let mut other = *symbols;
            if let Some(symbol) = other.get_mut(place) {
                *symbol ^= change;
            }
            other
        });
        let exchanged = (place + 1 < LENGTH).then(|| {
            let mut other = *symbols;
            other.swap(place, place + 1);
            other
        });
        if others.chain(exchanged).any(|other| is_whole(&other)) {
            let group = place / GROUP + 1;
            if suspect.is_some_and(|suspect| suspect != group) {
                return None;
            }
            suspect = Some(group);
        }
    }
    suspect
}

/// Why a text is not a [`Code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeError {
    /// It has this character, which is in no code.
    Character(char),
    /// It has this many characters, hyphens and spaces not among them.
    Length(usize),
    /// The check does not fit.
    Mistyped {
        /// The group, from 1, that is probably wrong.
        group: Option<usize>,
    },
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(c) => {
                write!(f, "the code has the character {c:?}, which is in no code: it is mistyped")
            }
            Self::Length(found) => {
                write!(
                    f,
                    "the code has {found} characters, not {LENGTH} (hyphens do not count): it is not whole"
                )
            }
            Self::Mistyped { group: Some(group) } => {
                write!(f, "the code is mistyped, probably in its group {group} of {}", LENGTH / GROUP)
            }
            Self::Mistyped { group: None } => f.write_str("the code is mistyped in more than one place"),
        }
    }
}

impl core::error::Error for CodeError {}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::{String, ToString};

    fn code() -> Code {
        Code {
            secret: *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
            fingerprint: [0xa5; 16],
        }
    }

    #[test]
    fn the_check_is_the_crc_of_openpgp() {
        assert_eq!(crc24(b"123456789".iter().flat_map(|byte| bits(u32::from(*byte), 8))), 0x0021_cf02);
    }

    #[test]
    fn a_code_is_read_as_it_was_written_and_as_people_write_it() {
        let text = code().text();
        assert_eq!(text.len(), 69);
        assert_eq!(text.split('-').count(), 14);
        for written in [
            text.to_string(),
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('-', "\u{2013}"),
            text.replace('-', ""),
            text.replace('0', "o").replace('1', "l"),
            format!("  {}\n", text.replace('1', "I")),
        ] {
            assert_eq!(written.parse(), Ok(code()), "{written}");
        }
    }

    #[test]
    fn what_is_no_code_says_why() {
        let text = code().text();
        let said = |text: &str| text.parse::<Code>().expect_err("no code").to_string();
        assert_eq!(said("U"), "the code has the character 'U', which is in no code: it is mistyped");
        assert_eq!(said(""), "the code has 0 characters, not 56 (hyphens do not count): it is not whole");
        assert_eq!(
            said(&text[..67]),
            "the code has 54 characters, not 56 (hyphens do not count): it is not whole"
        );
        let long = format!("{text}-{text}");
        assert_eq!(
            said(&long),
            "the code has 112 characters, not 56 (hyphens do not count): it is not whole"
        );
        let reversed: String = text.chars().rev().collect();
        assert_eq!(said(&reversed), "the code is mistyped in more than one place");
    }

    #[test]
    fn nothing_of_a_code_is_in_its_debug_form() {
        assert_eq!(format!("{:?}", code()), "Code(..)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn one_wrong_character_is_told_with_its_group(secret: [u8; 16], fingerprint: [u8; 16], place in 0..56_usize, by in 1..32_u8) {
            let mut symbols = Code { secret, fingerprint }.symbols();
            symbols[place] ^= by;
            let text: String = symbols.iter().map(|symbol| char::from(DIGITS[usize::from(*symbol)])).collect();
            prop_assert_eq!(text.parse::<Code>(), Err(CodeError::Mistyped { group: Some(place / 4 + 1) }));
        }

        #[test]
        fn two_exchanged_neighbours_are_never_taken(secret: [u8; 16], fingerprint: [u8; 16], place in 0..55_usize) {
            let mut symbols = Code { secret, fingerprint }.symbols();
            symbols.swap(place, place + 1);
            let text: String = symbols.iter().map(|symbol| char::from(DIGITS[usize::from(*symbol)])).collect();
            let code = Code { secret, fingerprint };
            prop_assert!(text.parse::<Code>().is_ok_and(|read| read == code) == (code.symbols() == symbols));
        }

        #[test]
        fn every_code_comes_back(secret: [u8; 16], fingerprint: [u8; 16]) {
            let code = Code { secret, fingerprint };
            prop_assert_eq!(code.text().parse(), Ok(code));
        }

        #[test]
        fn no_text_is_a_panic(text: String) {
            let _ = text.parse::<Code>();
        }
    }
}
