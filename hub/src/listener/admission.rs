//! Whether a CONNECT is let in, and as whom.
//!
//! A certificate goes before a password: whoever has shown one is that appliance, and is asked for no login. How it stands is looked at with each
//! CONNECT, since a TLS session that is resumed shows it again without anybody having looked.

use super::connection::code;
use super::doors::Pass;
use super::message::{Message, Qos};
use super::permission::{Identity, NotTheirs, Passage};
use super::router::{Greeting, Will};
use super::shared::Shared;
use super::stats::Reason;
use super::topic;
use super::users::Busy;
use crate::clock;
use rackside_identity::{Credential, Standing};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, LastWill, Login};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// A certificate that TLS has found to be of our authority.
#[derive(Debug)]
pub(super) struct Badge {
    credential: Credential,
    der: Box<[u8]>,
}

impl Badge {
    /// What it says.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        Some(Self { credential: Credential::read(certificate)?, der: certificate.as_ref().into() })
    }
}

/// Why somebody is not let in: the code of CONNACK, and what is counted. `None`: the standard has no code for it.
pub(super) type Refusal = Option<(u8, Reason)>;

/// Checks a CONNECT.
pub(super) async fn check(
    shared: &Shared,
    pass: &Pass,
    badge: Option<&Badge>,
    connect: Connect,
) -> Result<(Greeting, Identity), Refusal> {
    let Connect { client_id, clean_session: clean, last_will, login, .. } = connect;
    let impossible = client_id.len() > shared.limits.client_id_length || client_id.contains(char::is_control);
    // The standard lets a server name a client that has no name, if its session is clean.
    if impossible || (client_id.is_empty() && !clean) {
        return Err(Some((code::CLIENT_ID, Reason::ClientId)));
    }
    let identity = match badge {
        Some(badge) => vouched(shared, pass, badge)?,
        None => logged_in(shared, pass, login.as_ref()).await?,
    };
    shared.permissions.check_client_id(&identity, &client_id).map_err(|why| match why {
        NotTheirs::OfAnother => Some((code::CLIENT_ID, Reason::ClientId)),
        NotTheirs::NeedsIdentity => {
            shared.log.warn(format_args!(
                "listener: {client_id:?} from {} has to come with the certificate that it joined with: its password is good no more",
                pass.peer
            ));
            Some((code::NOT_AUTHORIZED, Reason::NeedsIdentity))
        }
    })?;
    let will = last_will.map(|will| check_will(shared, pass, &will, &identity)).transpose()?;
    let client_id = (!client_id.is_empty()).then(|| client_id.into());
    let greeting = Greeting {
        client_id,
        clean,
        will,
        connection: pass.connection,
        bell: Arc::clone(&pass.bell),
        owner: identity.owner(),
        rights: identity.rights(),
    };
    Ok((greeting, identity))
}

/// Who has shown a certificate.
fn vouched(shared: &Shared, pass: &Pass, badge: &Badge) -> Result<Identity, Refusal> {
    let Badge { credential, der } = badge;
    // Before it is looked at: a change from here on ends the connection.
    pass.by(credential.clone());
    let standing = shared
        .identities
        .as_ref()
        .map_or(Standing::Expired, |identities| identities.standing(credential, clock::now().utc_ms as i64));
    if standing.is_good() {
        if let Some(identities) = &shared.identities {
            identities.let_in(credential, der, standing);
        }
        return Ok(Identity::Appliance(credential.name.clone()));
    }
    if let Some(identities) = &shared.identities {
        identities.turned_away(credential);
    }
    let (name, peer, standing) = (&credential.name, pass.peer, standing.as_str());
    shared
        .log
        .warn(format_args!("listener: {name} from {peer} is turned away: its certificate is {standing}"));
    Err(Some((code::NOT_AUTHORIZED, Reason::IdentityEnded)))
}

/// Who has shown none.
async fn logged_in(shared: &Shared, pass: &Pass, login: Option<&Login>) -> Result<Identity, Refusal> {
    if !shared.takes_clients {
        return Err(Some((code::NOT_AUTHORIZED, Reason::NeedsIdentity)));
    }
    if pass.is_brought && shared.logins.is_none() && !shared.allow_anonymous {
        return Err(Some((code::NOT_AUTHORIZED, Reason::NotAuthorized)));
    }
    let user = match (login, &shared.logins) {
        (None, Some(_)) if !shared.allow_anonymous => {
            return Err(Some((code::NOT_AUTHORIZED, Reason::NotAuthorized)));
        }
        (None, _) | (Some(_), None) => None,
        (Some(login), Some(logins)) => {
            let check = logins.check(pass.counted, &login.username, &login.password);
            match tokio::time::timeout(shared.limits.connect_time.get(), check).await {
                Ok(Ok(true)) => Some(login.username.as_str()),
                Ok(Ok(false)) => return Err(Some((code::BAD_LOGIN, Reason::BadLogin))),
                Ok(Err(Busy)) | Err(_) => return Err(Some((code::UNAVAILABLE, Reason::LoginBusy))),
            }
        }
    };
    Ok(shared.permissions.client(user))
}

fn check_will(shared: &Shared, pass: &Pass, will: &LastWill, identity: &Identity) -> Result<Will, Refusal> {
    topic::check_name(&will.topic, &shared.limits).map_err(|_| None)?;
    let passage = shared.permissions.publish(identity, &will.topic, will.retain);
    if matches!(passage, Passage::Forbidden | Passage::Private) {
        return Err(Some((code::NOT_AUTHORIZED, Reason::NotAuthorized)));
    }
    let qos = if will.qos == QoS::AtMostOnce { Qos::AtMostOnce } else { Qos::AtLeastOnce };
    Ok(Will {
        message: Message::new(&will.topic, &will.message, qos),
        retain: will.retain,
        ingest: passage == Passage::Ingest,
        connection: pass.connection,
    })
}
