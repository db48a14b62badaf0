//! Whose certificate an Asterisk may show.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::ami;
use crate::pbx::PbxError;

/// Who must have signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Somebody whom the system trusts.
    System,
    /// A CA of this file.
    CaFile(PathBuf),
}

impl Trust {
    /// TLS with the Asterisk at `address` (`host:port`). Fails if no certificate can be for that host.
    pub(super) fn read(&self, address: &str) -> Result<ami::Tls, PbxError> {
        let mut roots = RootCertStore::empty();
        match self {
            Trust::System => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Trust::CaFile(file) => {
                let unusable = |e: &dyn Display| PbxError::Trust(format!("tls_ca_file {}: {e}", file.display()));
                for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unusable(&e))? {
                    roots.add(certificate.map_err(|e| unusable(&e))?).map_err(|e| unusable(&e))?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| PbxError::Trust(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        Ok(ami::Tls::new(Arc::new(config), host.trim_matches(['[', ']']))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_trusted_is_named() {
        let unreadable = Trust::CaFile("/nonexistent/ca.pem".into()).read("pbx.example:5039").unwrap_err();
        assert!(unreadable.to_string().starts_with("tls_ca_file /nonexistent/ca.pem: "), "{unreadable}");
        let nameless = Trust::System.read("no host:5039").unwrap_err();
        assert!(nameless.to_string().contains("a host name or an IP address"), "{nameless}");
    }
}
