//! The certificate by which this device is known in its sessions.

use std::fmt;

use str0m::config::DtlsCert;

use super::crypto::PROVIDER;
use super::digits::{CertificateFingerprint, HexBytes};
use super::error::MediaError;
use super::words::Proof;

/// A certificate that exists as long as the process.
#[derive(Clone)]
pub struct MediaIdentity {
    pub(super) certificate: DtlsCert,
    fingerprint: CertificateFingerprint,
}

impl MediaIdentity {
    /// A new one.
    ///
    /// # Errors
    /// If the library can't make one.
    pub fn new() -> Result<MediaIdentity, MediaError> {
        let certificate = PROVIDER.dtls_provider.generate_certificate().ok_or(MediaError::Certificate)?;
        let fingerprint = CertificateFingerprint::of(&certificate.certificate);
        Ok(MediaIdentity { certificate, fingerprint })
    }

    /// Our part of a session's words. `random` is for this session alone.
    pub fn proof(&self, random: [u8; 16]) -> Proof {
        Proof { nonce: HexBytes(random), fingerprint: self.fingerprint }
    }
}

/// The private key is not shown.
impl fmt::Debug for MediaIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaIdentity").field("fingerprint", &self.fingerprint.to_string()).finish_non_exhaustive()
    }
}
