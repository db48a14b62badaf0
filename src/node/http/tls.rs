//! TLS as the configuration has it: the node's certificate, and the CA of its peers.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_rustls::TlsAcceptor;

use crate::node::NodeError;
use crate::node::config::TlsFiles;

/// Serves the configuration's certificate, and asks for those of peers if there is a CA for them.
pub(in crate::node) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, NodeError> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong(&files.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client_auth = files.client_ca.as_ref().map(|path| client_auth(path, provider.clone())).transpose()?;
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().and_then(
        |config| {
            match client_auth {
                Some(verifier) => config.with_client_cert_verifier(verifier),
                None => config.with_no_client_auth(),
            }
            .with_single_cert(chain, key)
        },
    );
    let mut config = config.map_err(|e| wrong(&files.cert, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Whoever shows a certificate shows one that this CA has signed; nobody has to.
fn client_auth(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, NodeError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| wrong(path, e.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
    verifier.build().map_err(|e| wrong(path, e.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NodeError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(path, e.to_string()))?;
    if found.is_empty() {
        return Err(wrong(path, "there is no certificate in it".to_owned()));
    }
    Ok(found)
}

fn wrong(path: &Path, reason: String) -> NodeError {
    NodeError::Tls { path: path.to_owned(), reason }
}
