//! What people at the hub do with identities while it runs: a code is made, a name is revoked or retired, all are listed.
//!
//! Each of it goes to the disk, so none of it runs on the threads that serve. What somebody ends here is ended for the listener when this returns.

use super::Identities;
use super::handout::Handout;
use super::list::{Listed, listed};
use crate::clock;
use rackside_identity::{End, Ended, Registrar, StoreError, make_code};
use rackside_proto::AgentName;
use rackside_proto::join::Code;
use std::fmt;

/// Codes that may wait at once to be used: more than a fleet is set up with in a day.
pub(crate) const WAITING_CODES: usize = 1_000;

/// Why there is no code.
#[derive(Debug)]
pub(crate) enum DeskError {
    /// The configuration says too little for a box to join.
    Unready(String),
    /// Too many codes wait already.
    Many,
    /// The name has a box, and nobody has said that it is to be replaced.
    HasBox,
    /// The file cannot be used.
    Store(StoreError),
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unready(why) => write!(f, "no box can join: {why}"),
            Self::Many => {
                write!(f, "{WAITING_CODES} codes wait to be used already; revoke some, or wait a day")
            }
            Self::HasBox => {
                f.write_str("the name has a box already, which a new one replaces; say that this is meant")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Identities {
    /// Works with the file on a thread that may wait for a disk.
    async fn working<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let identities = self.clone();
        let working = tokio::task::spawn_blocking(move || work(&identities, clock::now().utc_ms as i64));
        working.await.expect("it does not panic, and is not cancelled")
    }

    async fn at_desk<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Registrar, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.working(|identities, now| what(&mut identities.registrar(), now)).await
    }

    /// Changes the file, and has memory know it when this returns.
    pub(super) async fn written<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Registrar, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.working(|identities, now| {
            let done = what(&mut identities.registrar(), now)?;
            identities.wrote();
            Ok(done)
        })
        .await
    }

    /// Whether a box could join now; if not, why.
    pub(crate) fn readiness(&self) -> Result<String, String> {
        self.offer().and(self.0.url.clone())
    }

    /// Makes a code. A name that has a box gets one only where that is to be replaced.
    pub(crate) async fn hand_out(&self, name: AgentName, replaces: bool) -> Result<Handout, DeskError> {
        let url = self.readiness().map_err(DeskError::Unready)?;
        self.at_desk(move |registrar, now| {
            let has_box =
                registrar.store().summaries()?.iter().any(|one| one.name == name && one.end.is_none());
            if has_box && !replaces {
                return Ok(Err(DeskError::HasBox));
            }
            if registrar.store().codes()?.iter().filter(|code| code.is_open(now)).count() >= WAITING_CODES {
                return Ok(Err(DeskError::Many));
            }
            let code = make_code(registrar.authority().fingerprint());
            let row = registrar.store().make_code(&code, &name, now)?;
            Ok(Ok(Handout { url, code, name, until: row.expires_at, has_box }))
        })
        .await?
    }

    /// What goes with a code that was made here and can still be used: for the file of the card, which is made of what the page has.
    pub(crate) async fn handed_out(&self, code: Code) -> Result<Option<Handout>, DeskError> {
        let url = self.readiness().map_err(DeskError::Unready)?;
        let found = self.at_desk(move |registrar, now| {
            let row = registrar.store().code_of(&code)?.filter(|row| row.is_open(now));
            let is_ours = code.fingerprint == registrar.authority().fingerprint();
            Ok(row.filter(|_| is_ours).map(|row| Handout {
                url,
                code,
                name: row.name,
                until: row.expires_at,
                has_box: false,
            }))
        });
        Ok(found.await?)
    }

    /// Ends a name at once, and says what it had. Whoever the fleet knows can be retired.
    pub(crate) async fn end(&self, name: AgentName, end: End) -> Result<Ended, StoreError> {
        let is_known = self.0.fleet.get().is_some_and(|fleet| fleet.read().fleet().find(&name).is_some());
        self.written(move |registrar, now| registrar.store().end(&name, end, is_known, now)).await
    }

    /// Every name that has joined or is to.
    pub(crate) async fn listed(&self) -> Result<Vec<Listed>, StoreError> {
        self.at_desk(|registrar, now| listed(registrar.store(), now)).await
    }
}
