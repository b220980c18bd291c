//! Whom an encrypted FTP connection trusts: the built-in authorities, those of a file, or one certificate by its
//! hash. Never anybody.

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};

use crate::{
    config,
    error::{Error, Result},
};

pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    judge: Judge,
}

#[derive(Debug, Clone)]
enum Judge {
    Authorities(Arc<WebPkiServerVerifier>),
    /// Lower-case hex of the only certificate that is trusted.
    Pin(String),
}

/// What one connection is secured with.
pub(super) struct Security {
    pub config: Arc<ClientConfig>,
    /// Hash of a certificate that was not trusted.
    pub refused: Arc<OnceLock<String>>,
}

impl Trust {
    /// `Fatal` where the file can't be read or the hash is none.
    pub fn new(ftp: &config::Ftp) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let judge = match &ftp.tls_pin_sha256 {
            Some(pin) => Judge::Pin(parse_pin(pin)?),
            None => Judge::Authorities(authorities(ftp, &provider)?),
        };
        Ok(Self { provider, judge })
    }

    /// For one connection: its data connections resume its control connection's session, as servers demand, and no
    /// other connection's, which they refuse. So the store of sessions must be new.
    pub fn security(&self) -> Result<Security, rustls::Error> {
        let refused = Arc::new(OnceLock::new());
        let verifier =
            Verifier { judge: self.judge.clone(), provider: Arc::clone(&self.provider), refused: Arc::clone(&refused) };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Security { config: Arc::new(config), refused })
    }
}

fn parse_pin(pin: &str) -> Result<String> {
    let hex: String = pin.chars().filter(|&c| c != ':').map(|c| c.to_ascii_lowercase()).collect();
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hex);
    }
    let wanted = "archive.ftp.tls_pin_sha256 is no SHA-256: 64 hexadecimal digits";
    Err(Error::fatal("configuration", wanted)
        .next("print it with: openssl x509 -in CERTIFICATE -noout -fingerprint -sha256"))
}

fn authorities(ftp: &config::Ftp, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    let mut place = "the built-in authorities".to_owned();
    match &ftp.tls_ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            place = format!("archive.ftp.tls_ca_file {}", file.display());
            let wrong = |error: String| Error::fatal("configuration", format!("reading {place}")).because(error);
            let certificates = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
        }
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    built.map_err(|error| Error::fatal("configuration", format!("reading {place}")).because(error))
}

/// Judges a server's certificate, and remembers the one it refused, to be shown to the operator.
#[derive(Debug)]
struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
    refused: Arc<OnceLock<String>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let sha256: String = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
        let judged = match &self.judge {
            Judge::Authorities(verifier) => verifier.verify_server_cert(certificate, intermediates, name, ocsp, now),
            Judge::Pin(pin) if *pin == sha256 => Ok(ServerCertVerified::assertion()),
            Judge::Pin(_) => Err(rustls::Error::General("it is not the one of archive.ftp.tls_pin_sha256".into())),
        };
        judged.inspect_err(|_| {
            self.refused.get_or_init(|| sha256);
        })
    }

    /// Also of a pinned certificate: who sends it must have its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_taken_as_openssl_prints_it() {
        let printed = ["AB:0C"; 16].join(":");
        assert_eq!(parse_pin(&printed).unwrap(), "ab0c".repeat(16));
        for wrong in ["", "ab", &"g".repeat(64)] {
            assert_eq!(parse_pin(wrong).unwrap_err().code, "configuration");
        }
    }
}
