//! Numbers in and out of bytes: varints, seven bits a byte, the lowest first, the high bit says that more follow.
//!
//! Signed numbers are zigzagged first: 0, -1, 1, -2 become 0, 1, 2, 3. Reading never panics and never goes past the end.

use crate::error::ChunkError;

/// The most bytes that a number takes.
const LONGEST: usize = 10;

pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, zigzag(number));
}

pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

pub(crate) const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Takes numbers off the front of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, what: &'static str) -> Result<u64, ChunkError> {
        let mut number = 0;
        for (at, &byte) in self.rest.iter().take(LONGEST).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                if at == LONGEST - 1 && byte > 1 {
                    break;
                }
                self.rest = self.rest.get(at + 1..).unwrap_or(&[]);
                return Ok(number);
            }
        }
        Err(ChunkError::Malformed(what))
    }

    pub(crate) fn take_signed(&mut self, what: &'static str) -> Result<i64, ChunkError> {
        self.take(what).map(unzigzag)
    }

    pub(crate) fn take_u32(&mut self, what: &'static str) -> Result<u32, ChunkError> {
        u32::try_from(self.take(what)?).map_err(|_| ChunkError::Malformed(what))
    }

    pub(crate) fn take_bytes(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], ChunkError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ChunkError::Malformed(what))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, signed: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            put_signed(&mut bytes, signed);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(input.take("number"), Ok(number));
            prop_assert_eq!(input.take_signed("number"), Ok(signed));
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn a_number_without_an_end_or_beyond_64_bits_is_malformed() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0xff; 9],
            &[0xff; 12],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert_eq!(Input::new(bytes).take("number"), Err(ChunkError::Malformed("number")), "{bytes:?}");
        }
    }
}
