//! Mutual TLS: which certificate a connection showed, handed to its requests.

use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;

/// The certificate that the other end showed, signed by the CA of the configuration; none if it showed none.
#[derive(Debug, Clone)]
pub(in crate::node) struct ClientCertificate(pub(in crate::node) CertificateDer<'static>);

impl ClientCertificate {
    pub(in crate::node) fn shown(connection: &ServerConnection) -> Option<ClientCertificate> {
        let certificate = connection.peer_certificates()?.first()?;
        Some(ClientCertificate(certificate.clone().into_owned()))
    }
}
