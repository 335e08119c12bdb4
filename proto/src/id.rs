//! Names of sites and appliances: `arena-north`, `rack-1`.

use core::fmt;
use core::str::FromStr;

/// A site's or an appliance's id: 1 to 32 characters of `a-z`, `0-9` and `-`, the first a letter or a digit.
///
/// It stands in topics, labels, URLs and file names as it is, and needs no escaping in any of them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(heapless::String<{ Id::MAX }>);

impl Id {
    /// Most characters of an id.
    pub const MAX: usize = 32;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.bytes().next() {
            None => return Err(IdError::Empty),
            Some(b'-') => return Err(IdError::Start),
            Some(_) => {}
        }
        if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return Err(IdError::Character(bad));
        }
        heapless::String::from_str(text).map(Self).map_err(|_| IdError::Length(text.len()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not an [`Id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdError {
    /// It has no character.
    Empty,
    /// It has this many characters, more than [`Id::MAX`].
    Length(usize),
    /// It begins with a hyphen.
    Start,
    /// It has this character.
    Character(char),
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty")?,
            Self::Length(len) => write!(f, "has {len} characters")?,
            Self::Start => f.write_str("begins with a hyphen")?,
            Self::Character(c) => write!(f, "has the character {c:?}")?,
        }
        f.write_str("; allowed are 1 to 32 of a-z, 0-9 and -, the first a letter or a digit")
    }
}

impl core::error::Error for IdError {}

/// Site and appliance together name an agent: `arena-north/rack-1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentName {
    /// The venue.
    pub site: Id,
    /// The Pi in its rack.
    pub appliance: Id,
}

impl AgentName {
    /// Both names, parsed.
    pub fn new(site: &str, appliance: &str) -> Result<Self, IdError> {
        Ok(Self { site: site.parse()?, appliance: appliance.parse()? })
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.appliance)
    }
}
