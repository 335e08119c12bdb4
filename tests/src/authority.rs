//! A certificate authority of this test's own, with one certificate for `localhost` and 127.0.0.1.

use std::path::PathBuf;
use tempfile::TempDir;

/// The authority's files, in a directory that goes away with it.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

impl Authority {
    /// Makes keys and certificates.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("no names, no wrong names");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().expect("ring makes keys");
        let certificate = authority.self_signed(&authority_key).expect("a key signs its own certificate");
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut server = rcgen::CertificateParams::new(names).expect("two good names");
        // As of a real one: not long before it is used. To a machine without a clock it is not yet valid.
        server.not_before = rcgen::date_time_ymd(2025, 1, 1);
        let server_key = rcgen::KeyPair::generate().expect("ring makes keys");
        let signed = server.signed_by(&server_key, &issuer).expect("the authority signs");
        for (name, text) in [
            ("ca.pem", certificate.pem()),
            ("server.pem", signed.pem()),
            ("server.key", server_key.serialize_pem()),
        ] {
            std::fs::write(directory.path().join(name), text).expect("the directory can be written");
        }
        Self { directory }
    }

    /// The authority's own certificate.
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("server.pem")
    }

    /// The server's key.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("server.key")
    }

    /// For a hub's `[listener]`: its address speaks TLS.
    pub fn listener_lines(&self) -> String {
        format!(
            "tls = {{ certificate = \"{}\", key = \"{}\" }}\n",
            self.certificate().display(),
            self.key().display()
        )
    }

    /// For an agent's `[mqtt]`.
    pub fn agent_lines(&self) -> String {
        format!("tls = {{ ca = \"{}\", server_name = \"localhost\" }}\n", self.ca().display())
    }

    /// For `mosquitto.conf`: the listener speaks TLS.
    pub fn mosquitto_lines(&self) -> Vec<String> {
        vec![
            format!("certfile {}", self.certificate().display()),
            format!("keyfile {}", self.key().display()),
        ]
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
