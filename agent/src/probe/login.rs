//! A probe's login, as the configuration has it: a user with a password, or a token. `kind!` gives `user` and `password`, and `token` where
//! that is possible, to the kinds that have a login; what servers want to hear is made of them here.
//!
//! Secrets are read for each run, and kept nowhere.
//!
//! ```toml
//! user = "rackside"
//! password = { file = "/etc/rackside/mediamtx.password" }   # or token = { env = "TOKEN" }
//! ```

use crate::base64::base64;
use rackside_config::{Secret, SecretText};

/// Who asks, if anybody in particular does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Login<'a> {
    /// The user's name.
    pub user: Option<&'a str>,
    /// The user's password; an empty one without it.
    pub password: Option<&'a Secret>,
    /// What stands for both.
    pub token: Option<&'a Secret>,
}

impl<'a> Login<'a> {
    /// A user's without a password, or nobody's.
    pub const fn user(user: Option<&'a str>) -> Self {
        Self { user, password: None, token: None }
    }

    /// A token's.
    pub const fn token(token: &'a Secret) -> Self {
        Self { user: None, password: None, token: Some(token) }
    }

    /// Whether there is one.
    pub const fn is_some(&self) -> bool {
        self.user.is_some() || self.token.is_some()
    }

    /// Objects to one that is half or double: the key, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.token.is_some() && (self.user.is_some() || self.password.is_some()) {
            return Err(("token", "there is a user with a password as well; keep one of them".to_owned()));
        }
        if self.password.is_some() && self.user.is_none() {
            return Err(("password", "stands alone; say `user` as well".to_owned()));
        }
        Ok(())
    }

    /// The user and the password.
    pub fn named(&self) -> Result<Option<(&'a str, String)>, String> {
        let Some(user) = self.user else { return Ok(None) };
        let password = self.password.map(read).transpose()?;
        Ok(Some((user, password.map_or_else(String::new, |password| password.expose().to_owned()))))
    }

    /// The header that says it to an HTTP server: Basic (RFC 7617) or Bearer (RFC 6750).
    pub fn authorization(&self) -> Result<Option<(&'static str, String)>, String> {
        let value = match self.token {
            Some(token) => Some(format!("Bearer {}", read(token)?.expose())),
            None => self
                .named()?
                .map(|(user, password)| format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))),
        };
        Ok(value.map(|value| ("authorization", value)))
    }
}

fn read(secret: &Secret) -> Result<SecretText, String> {
    secret.read().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_login_is_basic_or_a_token() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("secret");
        std::fs::write(&file, "open sesame\n").expect("a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own");
        let secret = Secret::in_file(&file);
        let header =
            |login: Login<'_>| login.authorization().expect("it can be read").map(|(_, value)| value);
        let aladdin = Login { user: Some("Aladdin"), password: Some(&secret), token: None };
        // The example of RFC 7617.
        assert_eq!(header(aladdin).as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(aladdin.named(), Ok(Some(("Aladdin", "open sesame".to_owned()))));
        let open = Login { password: None, ..aladdin };
        assert_eq!(header(open).as_deref(), Some("Basic QWxhZGRpbjo="));
        assert_eq!(header(Login::token(&secret)).as_deref(), Some("Bearer open sesame"));
        assert_eq!((header(Login::default()), Login::default().named()), (None, Ok(None)));
    }

    #[test]
    fn a_login_is_whole_and_one() {
        let secret = Secret::in_file("/nowhere/secret");
        let wrong = |login: Login<'_>| login.check().err().map(|(key, _)| key);
        let user = Login { user: Some("user"), ..Login::default() };
        let whole = Login { password: Some(&secret), ..user };
        for good in [Login::default(), user, whole, Login::token(&secret)] {
            assert_eq!(wrong(good), None, "{good:?}");
        }
        assert_eq!(wrong(Login { user: None, ..whole }), Some("password"));
        assert_eq!(wrong(Login { token: Some(&secret), ..user }), Some("token"));
        assert_eq!(wrong(Login { password: Some(&secret), ..Login::token(&secret) }), Some("token"));
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_named() {
        let missing = Secret::in_file("/nowhere/token");
        let error = Login::token(&missing).authorization().expect_err("there is none");
        assert!(error.starts_with("/nowhere/token: "), "{error}");
    }
}
