//! Authorities: from a file in PEM form, or those that this system knows.
//!
//! Reading them blocks, for 10 to 100 ms on a Pi if they are the system's, and they stay in memory with about 0.1 MB.

use super::TlsError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::path::Path;

/// Those in a file.
pub(crate) fn from_file(file: &Path) -> Result<RootCertStore, TlsError> {
    let shown = file.display();
    let unreadable =
        |error: &dyn fmt::Display| TlsError(format!("cannot read certificates from {shown}: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(TlsError(format!("{shown} has no certificate in PEM form")));
    }
    Ok(roots)
}

/// The system's. `instead` is the key by which a file could be named, for whoever has none.
pub(crate) fn of_system(instead: &str) -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A store has odd old certificates among the good ones; those are left out, as everywhere.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "none were found".to_owned(), ToString::to_string);
        return Err(TlsError(format!(
            "this system has no certificates of authorities ({why}); install ca-certificates, or set {instead}"
        )));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_certificates_are_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("ca.pem");
        let error = || from_file(&file).expect_err("no certificates").to_string();
        assert!(
            error().starts_with(&format!("cannot read certificates from {}: ", file.display())),
            "{}",
            error()
        );
        std::fs::write(&file, "nothing of the kind\n").expect("a file");
        assert_eq!(error(), format!("{} has no certificate in PEM form", file.display()));
    }
}
