//! What direct connections encrypt with: DTLS by `dimpl`, over the RustCrypto libraries.
//!
//! `str0m` brings such providers of its own. Each of them also builds a C library beside the one that rustls has, if only
//! to make certificates; here rustls' makes them. There is no media: the library gets no keys for it, and the ciphers of
//! SRTP refuse.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use dimpl::crypto::rust_crypto;
use dimpl::{Config, Dtls};
use hmac::{Hmac, KeyInit, Mac};
use rcgen::{CertificateParams, KeyPair};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};
use str0m::crypto::{
    AeadAes128GcmCipher, AeadAes256GcmCipher, Aes128CmSha1_80Cipher, CryptoError, CryptoProvider, Sha1HmacProvider,
    Sha256Provider, SrtpProvider, SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80,
};

/// All that the WebRTC library asks for.
pub(super) static PROVIDER: CryptoProvider = CryptoProvider {
    srtp_provider: &NoMedia,
    sha1_hmac_provider: &Hashes,
    sha256_provider: &Hashes,
    dtls_provider: &DtlsByDimpl,
};

#[derive(Debug)]
struct Hashes;

/// The integrity of ICE's messages (RFC 8489 §14.5).
impl Sha1HmacProvider for Hashes {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        // A key of any length will do.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return [0; 20] };
        payloads.iter().for_each(|payload| mac.update(payload));
        mac.finalize().into_bytes().into()
    }
}

impl Sha256Provider for Hashes {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        Sha256::digest(data).into()
    }
}

#[derive(Debug)]
struct DtlsByDimpl;

impl DtlsProvider for DtlsByDimpl {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        // ECDSA with P-256, which every browser takes.
        let key = KeyPair::generate().ok()?;
        let certificate = CertificateParams::new(Vec::new()).ok()?.self_signed(&key).ok()?;
        Some(DtlsCert { certificate: certificate.der().to_vec(), private_key: key.serialize_der() })
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        // ICE has already shown that the other side is where its packets come from.
        let config = Config::builder().with_crypto_provider(rust_crypto::default_provider()).use_server_cookie(false);
        let config = mtu.into_iter().fold(config, |config, mtu| config.mtu(mtu));
        let config = Arc::new(config.build().map_err(CryptoError::DtlsImpl)?);
        let certificate = certificate.clone();
        let dtls = match version {
            DtlsVersion::Dtls12 => Dtls::new_12(config, certificate, now),
            DtlsVersion::Dtls13 => Dtls::new_13(config, certificate, now),
            _ => Dtls::new_auto(config, certificate, now),
        };
        Ok(Box::new(Connection(dtls)))
    }
}

/// One DTLS connection.
struct Connection(Dtls);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl DtlsInstance for Connection {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    /// Keeps the keys of media back. With them the library encrypts reports about a camera that it has refused, and panics
    /// if a cipher refuses (`str0m`, `SrtpContext::protect_rtcp`). They come with the end of the handshake, so that is told
    /// instead; telling it twice changes nothing.
    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        match self.0.poll_output(buffer) {
            DtlsOutput::KeyingMaterial(..) => DtlsOutput::Connected,
            output => output,
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<(), DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}

/// The ciphers of a connection that carries no media. Browsers negotiate them all the same.
#[derive(Debug)]
struct NoMedia;

fn refused() -> CryptoError {
    CryptoError::Other("this connection carries no media".to_owned())
}

impl SrtpProvider for NoMedia {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        &NoMedia
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &NoMedia
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &NoMedia
    }

    // Derives the keys of the ciphers, which need none.
    fn srtp_aes_128_ecb_round(&self, _: &[u8], _: &[u8], _: &mut [u8]) {}

    fn srtp_aes_256_ecb_round(&self, _: &[u8], _: &[u8], _: &mut [u8]) {}
}

/// One cipher of SRTP: its factory, and the cipher itself.
macro_rules! refusing_cipher {
    ($factory:ident, $cipher:ident, $key:literal, $iv:literal, [$($encrypted:ident: $with:ty)?], [$($decrypted:ident: $aads:ty)?], $written:ty) => {
        impl $factory for NoMedia {
            fn create_cipher(&self, _: [u8; $key], _: bool) -> Box<dyn $cipher> {
                Box::new(NoMedia)
            }
        }

        impl $cipher for NoMedia {
            fn encrypt(&mut self, _: &[u8; $iv], $($encrypted: $with,)? _: &[u8], _: &mut [u8]) -> Result<(), CryptoError> {
                Err(refused())
            }

            fn decrypt(&mut self, _: &[u8; $iv], $($decrypted: $aads,)? _: &[u8], _: &mut [u8]) -> Result<$written, CryptoError> {
                Err(refused())
            }
        }
    };
}

refusing_cipher!(SupportedAes128CmSha1_80, Aes128CmSha1_80Cipher, 16, 16, [], [], ());
refusing_cipher!(SupportedAeadAes128Gcm, AeadAes128GcmCipher, 16, 12, [_aad: &[u8]], [_aads: &[&[u8]]], usize);
refusing_cipher!(SupportedAeadAes256Gcm, AeadAes256GcmCipher, 32, 12, [_aad: &[u8]], [_aads: &[&[u8]]], usize);
