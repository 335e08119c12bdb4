//! `Authorization`: Basic (RFC 7617) and Bearer (RFC 6750). Secrets are read for each request, and kept nowhere.

use super::FetchError;
use crate::base64::base64;
use rackside_config::Secret;

/// The header for a user with a password, or for a token; none without either.
pub fn authorization(
    user: Option<&str>,
    password: Option<&Secret>,
    token: Option<&Secret>,
) -> Result<Option<(&'static str, String)>, FetchError> {
    let read = |secret: &Secret| secret.read().map_err(|error| FetchError::Own(error.to_string()));
    let value = match (token, user, password) {
        (Some(token), ..) => format!("Bearer {}", read(token)?.expose()),
        (None, Some(user), password) => {
            let password = password.map(read).transpose()?;
            let password = password.as_ref().map_or("", |password| password.expose());
            format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
        }
        (None, None, _) => return Ok(None),
    };
    Ok(Some(("authorization", value)))
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
        let header = |user, password, token| {
            authorization(user, password, token).expect("it can be read").map(|(_, value)| value)
        };
        // The example of RFC 7617.
        assert_eq!(
            header(Some("Aladdin"), Some(&secret), None).as_deref(),
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        assert_eq!(header(Some("Aladdin"), None, None).as_deref(), Some("Basic QWxhZGRpbjo="));
        assert_eq!(header(None, None, Some(&secret)).as_deref(), Some("Bearer open sesame"));
        assert_eq!(header(None, Some(&secret), None), None);
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_our_own_fault_and_not_the_servers() {
        let missing = Secret::in_file("/nowhere/token");
        let error = authorization(None, None, Some(&missing)).expect_err("there is none");
        assert!(error.is_own() && error.to_string().starts_with("/nowhere/token: "), "{error}");
    }
}
