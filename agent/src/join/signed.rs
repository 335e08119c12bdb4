//! What the hub has signed for this box, and nobody on the way can have made: commands, configurations. Pure.
//!
//! The key is that of the authority whose fingerprint was in the code that this box joined with; a box that comes by user and password knows
//! none and believes nobody. The frame is [`rackside_proto::Signed`]'s.
//!
//! ```text
//! HubKey::of(identity) ── check(COMMAND_LABEL, arena-north/rack-1, body) ──► content | Forged
//! ```

use super::exchange::fingerprint;
use super::identity::Identity;
use rackside_proto::join::{P256_PREFIX, p256_point};
use rackside_proto::{AgentName, DecodeError, Signed, signed_head};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use std::fmt;

/// Bytes of a `SubjectPublicKeyInfo` of ECDSA P-256: what is in front of the point, and the point.
const KEY: usize = P256_PREFIX.len() + 65;

/// Why something is not the hub's word for this box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTheHubs {
    /// It cannot be read.
    Unreadable(DecodeError),
    /// Somebody else has made it, or it was made for another box or purpose.
    Forged,
}

impl fmt::Display for NotTheHubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Forged => f.write_str("it is not signed by the hub that this box joined, for this box"),
        }
    }
}

/// The key of the hub that this box joined.
#[derive(Clone, PartialEq, Eq)]
pub struct HubKey(Vec<u8>);

impl fmt::Debug for HubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubKey(..)")
    }
}

impl HubKey {
    /// That in the authority's certificate. The fingerprint says which bytes of it are the key.
    pub fn of(identity: &Identity) -> Option<Self> {
        let mut keys = identity.authority.windows(KEY).filter_map(|key| Some((key, p256_point(key)?)));
        keys.find(|(key, _)| fingerprint(key) == identity.fingerprint).map(|(_, point)| Self(point.to_vec()))
    }

    /// What the hub says in a body of at most `limit` bytes, if it is the hub who says it, to this box and under this label.
    pub fn check<'a>(
        &self,
        label: &[u8],
        agent: &AgentName,
        body: &'a [u8],
        limit: usize,
    ) -> Result<&'a [u8], NotTheHubs> {
        let signed = Signed::decode(body, limit).map_err(NotTheHubs::Unreadable)?;
        let message = [&signed_head(label, agent)[..], signed.content].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0);
        key.verify(&message, signed.signature).map_err(|_| NotTheHubs::Forged)?;
        Ok(signed.content)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::joined;
    use super::*;
    use rackside_proto::{COMMAND_LABEL, CONFIG_LABEL, limits};

    fn body(signature: &[u8], content: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        Signed { signature, content }.encode(&mut body).expect("a signature is small");
        body
    }

    #[test]
    fn what_the_hub_has_signed_for_this_box_is_believed_and_nothing_else() {
        let (identity, registrar) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        let (_, stranger) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        let key = HubKey::of(&identity).expect("the authority's key is in its certificate");
        let (name, content) = (&identity.name, &b"flash"[..]);
        let other = AgentName::new("arena-north", "rack-2").expect("a name");
        let check = |body: &[u8]| key.check(COMMAND_LABEL, name, body, limits::SMALL).map(<[u8]>::to_vec);
        let good = registrar.authority().sign(COMMAND_LABEL, name, content);
        assert_eq!(check(&body(&good, content)), Ok(content.to_vec()));
        for (signature, content) in [
            (stranger.authority().sign(COMMAND_LABEL, name, content), content),
            (registrar.authority().sign(CONFIG_LABEL, name, content), content),
            (registrar.authority().sign(COMMAND_LABEL, &other, content), content),
            (good.clone(), &b"flasH"[..]),
            (good.clone(), &b""[..]),
            (vec![0x30; 70], content),
        ] {
            assert_eq!(check(&body(&signature, content)), Err(NotTheHubs::Forged));
        }
        assert_eq!(check(&[]), Err(NotTheHubs::Unreadable(DecodeError::Empty)));
        assert!(matches!(check(&[1, 0, 7]), Err(NotTheHubs::Unreadable(DecodeError::Limit(_)))));
    }

    #[test]
    fn an_identity_whose_authority_is_another_has_no_key() {
        let (identity, _) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        let (other, _) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        assert!(HubKey::of(&Identity { authority: other.authority, ..identity }).is_none());
    }
}
