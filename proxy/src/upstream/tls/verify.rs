//! Verification of an origin's certificate: webpki's, plus certificates that the operator trusts by themselves.
//!
//! A self-signed server certificate in `SSL_CERT_FILE` is how people run a local git or package server. Most of them say
//! CA:TRUE (that is what `openssl req -x509` writes), and webpki refuses any such certificate as a server's, where Go accepts it.
//! So when webpki refuses, and the certificate is byte for byte one that the operator trusts, only name, validity and purpose
//! are checked: there is no chain to build.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::known;
use super::roots::Trusted;

/// See the module.
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    certificates: HashSet<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(trusted: Trusted) -> Result<Self, Error> {
        let provider = CryptoProvider {
            signature_verification_algorithms: known::algorithms(),
            ..crate::tls_suites::provider()
        };
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted.anchors), provider.into())
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
        Ok(Self { webpki, certificates: trusted.certificates })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("certificates", &self.certificates.len()).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        if !self.certificates.contains(end_entity) {
            return Err(refused);
        }
        rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        check_alone(end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Validity and, where one is stated, the purpose "TLS server".
fn check_alone(der: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let invalid = |why: CertificateError| Error::InvalidCertificate(why);
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| invalid(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        return Err(invalid(CertificateError::NotValidYet));
    }
    if now > validity.not_after.timestamp() {
        return Err(invalid(CertificateError::Expired));
    }
    let purpose = certificate.extended_key_usage().map_err(|_| invalid(CertificateError::BadEncoding))?;
    match purpose {
        Some(purpose) if !purpose.value.server_auth && !purpose.value.any => {
            Err(invalid(CertificateError::InvalidPurpose))
        }
        _ => Ok(()),
    }
}
