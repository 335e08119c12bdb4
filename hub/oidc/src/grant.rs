//! Which role somebody has, and for which sites, by what their provider vouches for. Pure.
//!
//! Of the grants that somebody has, those with the most rights count, and their sites together; others add nothing. So nobody acts at a site where
//! they were only to look, and who is in two crews sees the sites of both.
//!
//! Invariant: without a grant there is no role; an address counts only while the provider says that it was verified.
//!
//! ```text
//! groups = crew-arena    operator, arena-north
//! groups = crew-hall     operator, hall
//! groups = office        viewer, everywhere          somebody in all three: operator of arena-north and hall
//! ```

use crate::Claims;
use rackside_access::{Reach, Role};
use std::collections::BTreeSet;
use std::fmt;

/// A claim that is an address, and the one that says whether somebody has looked.
const EMAIL: &str = "email";
const VERIFIED: &str = "email_verified";
/// What Entra sends in place of more groups than fit.
const ELSEWHERE: &str = "_claim_names";

/// What one value of a claim comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which claim.
    pub claim: String,
    /// Which value of it.
    pub value: String,
    /// What it makes of somebody.
    pub role: Role,
    /// And where.
    pub reach: Reach,
}

/// Why somebody has no role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ungranted {
    /// No value of theirs is named.
    Nothing,
    /// A claim that decides did not come.
    Missing(String),
    /// The provider has more to say than it says here.
    Elsewhere(String),
    /// Nobody has looked whether the address is theirs.
    Unverified,
}

impl fmt::Display for Ungranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str(
                "the provider knows you, and nothing that it says of you has a role here; ask whoever runs the hub for one \
                 ([[web.oidc.grant]])",
            ),
            Self::Missing(claim) => write!(
                f,
                "the provider says nothing of `{claim}`, by which roles are given here; whoever runs it has to send that claim to this client, \
                 or `scopes` in [web.oidc] has to ask for it"
            ),
            Self::Elsewhere(claim) => write!(
                f,
                "the provider has more to say in `{claim}` than it sends; give roles by a claim that is shorter, such as application roles, or have it \
                 send only the groups that are assigned to this client"
            ),
            Self::Unverified => f.write_str(
                "the provider has not verified that your e-mail address is yours, and your role here hangs on it; verify it there and log in again",
            ),
        }
    }
}

impl std::error::Error for Ungranted {}

/// The role and the reach that these claims come to.
pub fn granted(grants: &[Grant], claims: &Claims) -> Result<(Role, Reach), Ungranted> {
    let verified = claims.has(VERIFIED, "true");
    let named: Vec<&Grant> = grants.iter().filter(|grant| claims.has(&grant.claim, &grant.value)).collect();
    let good: Vec<&Grant> = named.iter().copied().filter(|grant| grant.claim != EMAIL || verified).collect();
    let Some(role) = good.iter().map(|grant| grant.role).max() else {
        return Err(if named.is_empty() { why(grants, claims) } else { Ungranted::Unverified });
    };
    let mut together = (BTreeSet::new(), BTreeSet::new());
    for grant in good.into_iter().filter(|grant| grant.role == role) {
        match &grant.reach {
            Reach::All => return Ok((role, Reach::All)),
            Reach::Some { sites, tags } => {
                together.0.extend(sites.iter().cloned());
                together.1.extend(tags.iter().cloned());
            }
        }
    }
    Ok((role, Reach::Some { sites: together.0, tags: together.1 }))
}

/// Why nothing of it has a role: as a rule a claim was not sent at all.
fn why(grants: &[Grant], claims: &Claims) -> Ungranted {
    let missing = || grants.iter().find(|grant| claims.find(&grant.claim).is_none());
    if let Some(elsewhere) = claims.find(ELSEWHERE)
        && let Some(grant) = grants.iter().find(|grant| elsewhere.get(&grant.claim).is_some())
    {
        return Ungranted::Elsewhere(grant.claim.clone());
    }
    match missing() {
        // If one was sent, that one has decided.
        Some(grant) if grants.iter().all(|grant| claims.find(&grant.claim).is_none()) => {
            Ungranted::Missing(grant.claim.clone())
        }
        _ => Ungranted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn grant(claim: &str, value: &str, role: Role, sites: &[&str], tags: &[&str]) -> Grant {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let reach = match (sites, tags) {
            ([], []) => Reach::All,
            _ => Reach::Some { sites: set(sites), tags: set(tags) },
        };
        Grant { claim: claim.to_owned(), value: value.to_owned(), role, reach }
    }

    fn of(grants: &[Grant], claims: &Json) -> Result<(Role, Reach), Ungranted> {
        granted(grants, &Claims::from(claims.as_object().expect("an object").clone()))
    }

    fn crews() -> Vec<Grant> {
        vec![
            grant("groups", "office", Role::Viewer, &[], &[]),
            grant("groups", "crew-arena", Role::Operator, &["arena-north"], &[]),
            grant("groups", "crew-touring", Role::Operator, &["hall"], &["touring"]),
            grant("groups", "technical-lead", Role::Operator, &[], &[]),
            grant("groups", "rackside", Role::Admin, &[], &[]),
        ]
    }

    #[test]
    fn the_most_rights_count_and_the_sites_of_those_together() {
        let some = |sites: &[&str], tags: &[&str]| grant("", "", Role::Viewer, sites, tags).reach;
        for (groups, role, reach) in [
            (json!(["office"]), Role::Viewer, Reach::All),
            (json!("office"), Role::Viewer, Reach::All),
            (json!(["crew-arena"]), Role::Operator, some(&["arena-north"], &[])),
            (
                json!(["crew-arena", "crew-touring", "x"]),
                Role::Operator,
                some(&["arena-north", "hall"], &["touring"]),
            ),
            // To look everywhere is not to act everywhere.
            (json!(["office", "crew-arena"]), Role::Operator, some(&["arena-north"], &[])),
            (json!(["crew-arena", "technical-lead"]), Role::Operator, Reach::All),
            (json!(["office", "crew-arena", "rackside"]), Role::Admin, Reach::All),
        ] {
            assert_eq!(of(&crews(), &json!({ "groups": groups })), Ok((role, reach)), "{groups}");
        }
    }

    #[test]
    fn without_a_grant_there_is_no_role_and_the_reason_is_told() {
        assert_eq!(of(&crews(), &json!({ "groups": ["Rackside"] })), Err(Ungranted::Nothing));
        assert_eq!(of(&crews(), &json!({ "groups": [] })), Err(Ungranted::Nothing));
        assert_eq!(of(&crews(), &json!({})), Err(Ungranted::Missing("groups".to_owned())));
        let overage = json!({ "_claim_names": { "groups": "src1" } });
        assert_eq!(of(&crews(), &overage), Err(Ungranted::Elsewhere("groups".to_owned())));
        assert_eq!(of(&[], &json!({ "groups": ["rackside"] })), Err(Ungranted::Nothing));
        let mixed = [
            grant("hd", "example.org", Role::Viewer, &[], &[]),
            grant("groups", "x", Role::Viewer, &[], &[]),
        ];
        assert_eq!(of(&mixed, &json!({ "hd": "elsewhere.example" })), Err(Ungranted::Nothing));
    }

    #[test]
    fn an_address_counts_only_when_it_was_verified() {
        let grants = [grant("email", "desk@example.org", Role::Operator, &[], &[])];
        let claims = |verified: Json| json!({ "email": "desk@example.org", "email_verified": verified });
        assert_eq!(of(&grants, &claims(json!(true))), Ok((Role::Operator, Reach::All)));
        for unverified in [json!(false), json!(null), json!(1)] {
            assert_eq!(of(&grants, &claims(unverified)), Err(Ungranted::Unverified));
        }
        assert_eq!(of(&grants, &json!({ "email": "desk@example.org" })), Err(Ungranted::Unverified));
    }
}
