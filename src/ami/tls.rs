//! The manager interface over TLS (`tlsenable` in `manager.conf`). The caller chooses the trusted certificates in a
//! `rustls` configuration.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::AmiError;
use crate::wire::CommandError;

/// The TLS settings for one Asterisk.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// TLS to the host whose certificate is for `name`, a host name or an IP address.
    pub fn new(config: Arc<ClientConfig>, name: &str) -> Result<Self, AmiError> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| CommandError::Invalid("a TLS name is a host name or an IP address"))?;
        Ok(Self { config, name })
    }

    pub(super) async fn handshake<S>(&self, stream: S) -> Result<TlsStream<S>, AmiError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let shaken = connector.connect(self.name.clone(), stream).await;
        shaken.map_err(|error| match error.get_ref() {
            // rustls's errors are wrapped; anything else is a connection error.
            Some(cause) if cause.is::<rustls::Error>() => AmiError::Tls(cause.to_string()),
            _ => AmiError::Io(error),
        })
    }
}
