//! Whoever asks: by what name, with which rights, for which sites.
//!
//! Invariant: what is not granted here in so many words is refused; a token never has a right that its scopes do not name, nor one that its
//! owner's role has lost.
//!
//! ```text
//! viewer     see, metrics
//! operator   and act: acknowledge, mute, on air by hand
//! admin      and manage: users, tokens, receivers' tests
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What a user is, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    Viewer,
    /// And acknowledges, mutes, says what is on air.
    Operator,
    /// And manages users, tokens, receivers.
    Admin,
}

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Pages, the JSON API, queries.
    See,
    /// `/metrics`.
    Metrics,
    /// Acknowledge, mute, on air by hand.
    Act,
    /// Users, tokens, receivers' tests.
    Manage,
}

/// The rights that a token was given. Its words are those of [`Right`], but `read` for [`Right::See`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Right>);

/// Which sites somebody sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// Every one, and what the hub says of itself.
    #[default]
    All,
    /// Those named and those with one of the tags, and nothing else.
    Some {
        /// By id.
        sites: BTreeSet<String>,
        /// By tag.
        tags: BTreeSet<String>,
    },
}

/// How somebody came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// From the hub's own machine, while there are no users.
    Open,
    /// Not at all: may see what everybody may, and nothing else.
    Nobody,
    /// `allow_anonymous`: reads, and changes nothing.
    Anonymous,
    /// By the signed link of a message, to the page of its alert and nowhere else.
    Link,
    /// With name and password.
    Session,
    /// With a token of these scopes.
    Token(Scopes),
}

/// Whoever asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The user, or the token's name. None has whoever needed none.
    pub name: Option<Arc<str>>,
    /// What they are.
    pub role: Role,
    /// Which sites they see.
    pub reach: Reach,
    /// How they came in.
    pub how: How,
    /// What a form of theirs has to carry in its field `csrf`. Empty where none is asked for.
    pub csrf: String,
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, role, reach, how, csrf: _ } = self;
        f.debug_struct("Visitor")
            .field("name", name)
            .field("role", role)
            .field("reach", reach)
            .field("how", how)
            .finish_non_exhaustive()
    }
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether it has this right.
    pub fn may(self, what: Right) -> bool {
        match what {
            Right::See | Right::Metrics => true,
            Right::Act => self >= Self::Operator,
            Right::Manage => self >= Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No role's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRole(String);

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no role {:?}; there are viewer, operator and admin", self.0)
    }
}

impl std::error::Error for UnknownRole {}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::See, Self::Metrics, Self::Act, Self::Manage];

    /// As it is written as a token's scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::See => "read",
            Self::Metrics => "metrics",
            Self::Act => "act",
            Self::Manage => "manage",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No scope's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRight(String);

impl fmt::Display for UnknownRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no scope {:?}; there are read, metrics, act and manage", self.0)
    }
}

impl std::error::Error for UnknownRight {}

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        let found = Self::ALL.into_iter().find(|right| right.as_str() == text);
        found.ok_or_else(|| UnknownRight(text.to_owned()))
    }
}

impl Scopes {
    /// Whether this right is among them. Whoever may read may read `/metrics`.
    pub fn may(&self, what: Right) -> bool {
        self.0.contains(&what) || (what == Right::Metrics && self.0.contains(&Right::See))
    }

    /// Whether this very right was named.
    pub fn has(&self, what: Right) -> bool {
        self.0.contains(&what)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least role that has all of them.
    pub fn role(&self) -> Role {
        let has_all = |role: &Role| self.0.iter().all(|right| role.may(*right));
        Role::ALL.into_iter().find(has_all).unwrap_or(Role::Admin)
    }
}

impl FromIterator<Right> for Scopes {
    fn from_iter<T: IntoIterator<Item = Right>>(rights: T) -> Self {
        Self(rights.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|right| right.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        text.split_whitespace().map(str::parse).collect()
    }
}

/// `all`, or which; tags with a `#`: `hall, #north`.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Some { sites, tags } => {
                let words = sites.iter().cloned().chain(tags.iter().map(|tag| format!("#{tag}")));
                f.write_str(&words.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl Reach {
    /// Whether a site with these tags is within it.
    pub fn covers(&self, site: &str, tags: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Some { sites, tags: wanted } => {
                sites.contains(site) || tags.iter().any(|tag| wanted.contains(tag))
            }
        }
    }

    /// The same with the tags looked up: every site of `known` that has one of them is named, and no tags are left.
    #[must_use]
    pub fn resolved<'a>(&self, known: impl IntoIterator<Item = (&'a str, &'a [String])>) -> Self {
        let Self::Some { sites, tags: wanted } = self else { return Self::All };
        let tagged = known.into_iter().filter(|(_, tags)| tags.iter().any(|tag| wanted.contains(tag)));
        let sites = sites.iter().cloned().chain(tagged.map(|(site, _)| site.to_owned())).collect();
        Self::Some { sites, tags: BTreeSet::new() }
    }
}

impl Visitor {
    /// From the hub's own machine, while there are no users.
    pub fn open() -> Self {
        Self { name: None, role: Role::Admin, reach: Reach::All, how: How::Open, csrf: String::new() }
    }

    /// Reads, and changes nothing.
    pub fn anonymous() -> Self {
        Self { role: Role::Viewer, how: How::Anonymous, ..Self::open() }
    }

    /// Who is not known.
    pub fn nobody() -> Self {
        let reach = Reach::Some { sites: BTreeSet::new(), tags: BTreeSet::new() };
        Self { role: Role::Viewer, how: How::Nobody, reach, ..Self::open() }
    }

    /// By the signed link of a message.
    pub fn by_link() -> Self {
        Self { role: Role::Viewer, how: How::Link, ..Self::open() }
    }

    /// Whether they may do that.
    pub fn may(&self, what: Right) -> bool {
        let allowed = match &self.how {
            How::Open | How::Session => true,
            How::Nobody => false,
            How::Anonymous => matches!(what, Right::See | Right::Metrics),
            How::Link => what == Right::See,
            How::Token(scopes) => scopes.may(what),
        };
        allowed && self.role.may(what)
    }

    /// Whether they see a site with these tags. In a handler of the hub tags were looked up before it was called, and none need be given.
    pub fn sees(&self, site: &str, tags: &[String]) -> bool {
        self.reach.covers(site, tags)
    }

    /// The sites that they see, where they do not see all.
    pub fn only(&self) -> Option<&BTreeSet<String>> {
        match &self.reach {
            Reach::All => None,
            Reach::Some { sites, .. } => Some(sites),
        }
    }

    /// Under which name what they do is noted.
    pub fn shown(&self) -> &str {
        match (&self.name, &self.how) {
            (Some(name), _) => name,
            (None, How::Open) => "somebody at the hub's machine",
            (None, How::Link) => "who was sent the link",
            (None, _) => "somebody without a name",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(sites: &[&str], tags: &[&str]) -> Reach {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Reach::Some { sites: set(sites), tags: set(tags) }
    }

    #[test]
    fn rights_are_what_role_and_way_in_both_grant() {
        let token = |scopes: &str| How::Token(scopes.parse().expect("scopes"));
        for (role, how, rights) in [
            (Role::Admin, How::Open, "read metrics act manage"),
            (Role::Viewer, How::Session, "read metrics"),
            (Role::Operator, How::Session, "read metrics act"),
            (Role::Admin, How::Session, "read metrics act manage"),
            (Role::Admin, How::Anonymous, "read metrics"),
            (Role::Admin, How::Link, "read"),
            (Role::Admin, How::Nobody, ""),
            (Role::Admin, token("metrics"), "metrics"),
            (Role::Admin, token("read"), "read metrics"),
            (Role::Admin, token("act"), "act"),
            (Role::Viewer, token("read act manage"), "read metrics"),
            (Role::Admin, token(""), ""),
        ] {
            let visitor = Visitor { role, how: how.clone(), ..Visitor::open() };
            let granted: Scopes = Right::ALL.into_iter().filter(|right| visitor.may(*right)).collect();
            assert_eq!(granted.to_string(), rights, "{role} {how:?}");
        }
    }

    #[test]
    fn a_reach_is_sites_and_tags_and_nothing_else() {
        let tags = ["north".to_owned()];
        assert!(Reach::All.covers("hall", &[]));
        assert!(some(&["hall"], &[]).covers("hall", &[]));
        assert!(!some(&["hall"], &[]).covers("hall-2", &tags));
        assert!(some(&[], &["north"]).covers("arena", &tags));
        assert!(!some(&[], &["north"]).covers("north", &[]));
        assert!(!some(&[], &[]).covers("", &[]));
    }

    #[test]
    fn a_reach_is_told_in_a_line() {
        assert_eq!(Reach::All.to_string(), "all");
        assert_eq!(some(&["hall", "arena"], &["north"]).to_string(), "arena, hall, #north");
        assert_eq!(some(&[], &[]).to_string(), "");
    }

    #[test]
    fn tags_are_looked_up_once() {
        let (north, none) = (["north".to_owned()], []);
        let known = [("arena", &north[..]), ("hall", &none[..]), ("barn", &none[..])];
        let reach = some(&["hall"], &["north"]).resolved(known);
        assert_eq!(reach, some(&["arena", "hall"], &[]));
        let visitor = Visitor { reach, ..Visitor::open() };
        assert!(visitor.sees("arena", &[]) && visitor.sees("hall", &[]) && !visitor.sees("barn", &[]));
        assert_eq!(visitor.only().map(BTreeSet::len), Some(2));
        assert_eq!(Reach::All.resolved(known), Reach::All);
        assert!(!Visitor::nobody().sees("arena", &north) && !Visitor::nobody().may(Right::See));
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("read act".parse::<Scopes>().map(|scopes| scopes.role()), Ok(Role::Operator));
        assert_eq!("metrics".parse::<Scopes>().map(|scopes| scopes.role()), Ok(Role::Viewer));
        assert!("read all".parse::<Scopes>().is_err_and(|error| error.to_string().contains("\"all\"")));
        assert!("Admin".parse::<Role>().is_err());
    }
}
