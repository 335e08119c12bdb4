//! Postcard in and out of borrowed bytes: the only file that knows postcard's interface.

use crate::{DecodeError, EncodeError, WIRE, limits};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// Where encoded bytes go.
pub trait Sink {
    /// Appends `bytes`, all or nothing.
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError>;
}

impl<const N: usize> Sink for heapless::Vec<u8, N> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.extend_from_slice(bytes).map_err(|_| EncodeError::Full)
    }
}

#[cfg(feature = "alloc")]
impl Sink for alloc::vec::Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Postcard's view of a [`Sink`].
struct Out<'s, S: Sink>(&'s mut S);

impl<S: Sink> Flavor for Out<'_, S> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.put(bytes).map_err(|_| postcard::Error::SerializeBufferFull)
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends the postcard form of `value`.
pub(crate) fn put<T: Serialize + ?Sized, S: Sink>(sink: &mut S, value: &T) -> Result<(), EncodeError> {
    // Our types serialise without conditions, so the only error left is a full sink.
    postcard::serialize_with_flavor(value, Out(sink)).map_err(|_| EncodeError::Full)
}

/// A string of the wire, checked before it is written.
pub(crate) fn checked<'a>(text: &'a str, what: &'static str) -> Result<&'a str, EncodeError> {
    if text.len() > limits::STRING { Err(EncodeError::Limit(what)) } else { Ok(text) }
}

/// Takes postcard values off the front of borrowed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Checks the length and the version byte, and returns what follows it.
    pub(crate) fn body(bytes: &'a [u8], limit: usize) -> Result<Self, DecodeError> {
        if bytes.len() > limit {
            return Err(DecodeError::TooLong { len: bytes.len(), limit });
        }
        match bytes.split_first() {
            None => Err(DecodeError::Empty),
            Some((&WIRE, rest)) => Ok(Self { rest }),
            Some((&found, _)) if found > WIRE => Err(DecodeError::Newer { found }),
            Some(_) => Err(DecodeError::Malformed("version byte")),
        }
    }

    pub(crate) fn take<T: Deserialize<'a>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|_| DecodeError::Malformed(what))?;
        self.rest = rest;
        Ok(value)
    }

    /// A count that precedes its items; bounded before anything is done with it.
    pub(crate) fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
        let count: u32 = self.take(what)?;
        let count = count as usize;
        if count > limit { Err(DecodeError::Limit(what)) } else { Ok(count) }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The bytes that were read since `self` was `before`.
    pub(crate) fn since(&self, before: Input<'a>) -> &'a [u8] {
        let used = before.rest.len() - self.rest.len();
        before.rest.get(..used).unwrap_or(&[])
    }
}
