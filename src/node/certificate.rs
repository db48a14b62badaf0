//! Mutual TLS: which certificate a connection showed, handed to its requests.

use std::io;
use std::pin::Pin;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsAcceptor;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;
use tower_layer::Layer;

/// The certificate that the other end showed, signed by the CA of the configuration; none if it showed none.
#[derive(Debug, Clone)]
pub(super) struct ClientCertificate(pub(super) CertificateDer<'static>);

/// Takes TLS connections and notes their certificates.
#[derive(Clone)]
pub(super) struct Certified<A>(pub(super) RustlsAcceptor<A>);

type Accepted<I, S> = (TlsStream<I>, AddExtension<S, Option<ClientCertificate>>);

impl<A, I, S> Accept<I, S> for Certified<A>
where
    A: Accept<I, S> + Clone + Send + 'static,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A::Service: Send + 'static,
    A::Future: Send + 'static,
    I: Send + 'static,
    S: Send + 'static,
{
    type Stream = TlsStream<A::Stream>;
    type Service = AddExtension<A::Service, Option<ClientCertificate>>;
    type Future = Pin<Box<dyn Future<Output = io::Result<Accepted<A::Stream, A::Service>>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepting = self.0.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let shown = shown.map(|certificate| ClientCertificate(certificate.clone().into_owned()));
            Ok((stream, Extension(shown).layer(service)))
        })
    }
}
