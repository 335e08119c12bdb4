//! What the other side of TLS says when it ends the handshake, or ends the connection after it: in TLS 1.3 a server looks at a client's certificate when
//! the client has the handshake behind it, so its alert is the first thing that is read.
//!
//! ```text
//! CertificateRevoked       hub.example.org says that this box's certificate was revoked: …
//! NoApplicationProtocol    hub.example.org speaks TLS, but with no box of a hub: …
//! ```

use rustls::{AlertDescription, Error};
use std::io;

/// The alert by which a stream ended, if it was one.
pub(crate) fn of(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// What it means and what to do, where that can be told. `whom` has said so.
pub(crate) fn words(alert: AlertDescription, whom: &str) -> Option<String> {
    use AlertDescription as Alert;
    let what = match alert {
        // A box that joined asks for a protocol that only hubs have. Hub and brokers do not mind; a web server does.
        Alert::NoApplicationProtocol => {
            "speaks TLS, but with no box of a hub: a proxy that opens TLS stands in between, or a web server is there"
        }
        Alert::CertificateRevoked => {
            "says that this box's certificate was revoked: if the box is to come back, it needs a new code from the hub"
        }
        Alert::CertificateExpired => {
            "says that this box's certificate has expired: it is renewed by itself as soon as the hub's web address can be reached; if it is good still, the clock over there is wrong"
        }
        Alert::UnknownCA => {
            "does not know who signed this box's certificate: a broker needs the files of this box's hub (rackside-hub broker-files), or the address leads to another hub"
        }
        Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::UnsupportedCertificate
        | Alert::DecryptError
        | Alert::AccessDenied => "does not take this box's certificate; its log says why",
        Alert::CertificateRequired => "lets nobody in without a certificate: this box has to join",
        _ => return None,
    };
    Some(format!("{whom} {what} (TLS alert {alert:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_found_in_the_error_of_a_stream_and_told_with_what_to_do() {
        let ended = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let alert = of(&ended(Error::AlertReceived(AlertDescription::CertificateRevoked)));
        assert_eq!(alert, Some(AlertDescription::CertificateRevoked));
        assert_eq!(of(&ended(Error::HandshakeNotComplete)), None);
        assert_eq!(of(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
        let said = words(AlertDescription::CertificateRevoked, "hub:8883").expect("known");
        assert!(said.starts_with("hub:8883 says") && said.contains("a new code"), "{said}");
        assert_eq!(words(AlertDescription::InternalError, "hub:8883"), None);
    }
}
