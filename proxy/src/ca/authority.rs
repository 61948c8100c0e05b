//! The CA itself: made by `tls init`, loaded at start and at reload, used to sign leaves.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::key::{KeyFile, PublicKey, SigningKey, first_pem_block, sec1_from_pkcs8};
use super::{CaError, os_error_text};
use muselet_rules::Strictness;

/// How far not-before lies in the past, for clients with a slow clock.
const BACKDATE: Duration = Duration::from_secs(3600);
/// Longest commonName that X.509 allows (ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// A new CA as the two PEM texts that `tls init` writes. The key text is secret; there is no `Debug` on purpose.
pub struct GeneratedCa {
    pub certificate_pem: String,
    pub key_pem: String,
}

/// A loaded CA: signs leaves, never shows its key.
pub struct Ca {
    issuer: Issuer<'static, SigningKey>,
    has_key_id: bool,
    not_after: OffsetDateTime,
    strictness: Strictness,
}

impl Ca {
    /// Makes a fresh P-256 CA. spec: tls-and-request-bodies §2.1.
    pub fn generate(
        organization: &str,
        validity: time::Duration,
        now: OffsetDateTime,
    ) -> Result<GeneratedCa, CaError> {
        if !validity.is_positive() {
            return Err(CaError::Validity);
        }
        let generate = |e: &dyn std::fmt::Display| CaError::Generate(e.to_string());
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|e| generate(&e))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.distinguished_name.push(DnType::CommonName, "Pipelock CA");
        params.serial_number = Some(random_serial());
        params.not_before = now - BACKDATE;
        params.not_after = now
            .checked_add(validity)
            .ok_or_else(|| CaError::Generate("validity reaches beyond year 9999".to_owned()))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id(key.der_bytes()));
        let certificate = params.self_signed(&key).map_err(|e| generate(&e))?;
        let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let sec1 = sec1_from_pkcs8(&secret, key.der_bytes())?;
        Ok(GeneratedCa {
            certificate_pem: pem_text("CERTIFICATE", certificate.der()),
            key_pem: pem_text("EC PRIVATE KEY", &sec1),
        })
    }

    /// Loads and cross-checks the two files, in the order of spec tls-and-request-bodies §3. File modes are the
    /// configuration's business (§1.1).
    pub fn load(certificate: &Path, key: &Path, strictness: Strictness) -> Result<Self, CaError> {
        let certificate_pem = std::fs::read(certificate)
            .map_err(|e| CaError::ReadCert(os_error_text("open", certificate, &e)))?;
        let der = first_pem_block(&certificate_pem).ok_or(CaError::NoCertPem)?.contents;
        let parsed = parse_certificate(&der)?;
        let key_pem = std::fs::read(key).map_err(|e| CaError::ReadKey(os_error_text("open", key, &e)))?;
        Self::assemble(&der, &parsed, &key_pem, strictness)
    }

    /// The same from texts in memory.
    pub fn from_pem(certificate: &[u8], key: &[u8], strictness: Strictness) -> Result<Self, CaError> {
        let der = first_pem_block(certificate).ok_or(CaError::NoCertPem)?.contents;
        let parsed = parse_certificate(&der)?;
        Self::assemble(&der, &parsed, key, strictness)
    }

    fn assemble(
        der: &[u8],
        parsed: &X509Certificate<'_>,
        key_pem: &[u8],
        strictness: Strictness,
    ) -> Result<Self, CaError> {
        let key = KeyFile::parse(key_pem, strictness)?;
        if !parsed.is_ca() {
            return Err(CaError::NotCa);
        }
        let signs = parsed
            .key_usage()
            .map_err(|e| CaError::ParseCert(e.to_string()))?
            .is_some_and(|usage| usage.value.key_cert_sign());
        if !signs {
            return Err(CaError::NoCertSign);
        }
        let spki = parsed.public_key();
        let public = PublicKey {
            bits: &spki.subject_public_key.data,
            is_ec: spki.algorithm.algorithm.to_id_string() == "1.2.840.10045.2.1",
        };
        let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
        let key = key.join(&public, curve.as_ref().map(|o| o.as_bytes()), strictness)?;
        let has_key_id = parsed
            .extensions()
            .iter()
            .any(|e| e.oid == x509_parser::oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER);
        let not_after = parsed.validity().not_after.to_datetime();
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(der.to_vec()), key)
            .map_err(|e| CaError::Subject(e.to_string()))?;
        let ca = Ca { issuer, has_key_id, not_after, strictness };
        ca.check_issuer_name(parsed)?;
        Ok(ca)
    }

    /// Clients chain by comparing names byte for byte, and rcgen rebuilds the name from its parts: a subject that
    /// it cannot reproduce (one attribute twice, several in one set) must fail here and not in every handshake.
    fn check_issuer_name(&self, certificate: &X509Certificate<'_>) -> Result<(), CaError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|e| CaError::Subject(e.to_string()))?;
        let probe = self
            .mint("localhost", &key, Duration::from_secs(60), OffsetDateTime::now_utc())
            .map_err(|e| CaError::Subject(e.to_string()))?;
        let (_, probe) = X509Certificate::from_der(&probe).map_err(|e| CaError::Subject(e.to_string()))?;
        if probe.issuer().as_raw() == certificate.subject().as_raw() {
            Ok(())
        } else {
            Err(CaError::Subject("every attribute may occur once, and one in each set".to_owned()))
        }
    }

    /// Whether a signature is slow enough to be kept off the async workers (RSA).
    pub(super) fn signs_slowly(&self) -> bool {
        self.issuer.key().is_slow()
    }

    pub(super) fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// Signs a leaf for one host. spec: tls-and-request-bodies §4.1; hardened also caps its life at the CA's own and
    /// leaves out a commonName longer than X.509 allows (§20 O29).
    pub(super) fn mint(
        &self,
        host: &str,
        key: &KeyPair,
        validity: Duration,
        now: OffsetDateTime,
    ) -> Result<CertificateDer<'static>, CaError> {
        let fail = |detail: String| CaError::Mint { host: host.to_owned(), detail };
        let hardened = self.strictness == Strictness::Hardened;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if !hardened || host.len() <= MAX_COMMON_NAME {
            params.distinguished_name.push(DnType::CommonName, host);
        }
        params.subject_alt_names = vec![match host.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(host.try_into().map_err(|e: rcgen::Error| fail(e.to_string()))?),
        }];
        params.serial_number = Some(random_serial());
        params.not_before = now - BACKDATE;
        params.not_after = now + validity;
        if hardened && self.not_after < params.not_after {
            params.not_after = self.not_after;
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = self.has_key_id;
        let leaf = params.signed_by(key, &self.issuer).map_err(|e| fail(e.to_string()))?;
        Ok(leaf.into())
    }
}

fn parse_certificate(der: &[u8]) -> Result<X509Certificate<'_>, CaError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|e| CaError::ParseCert(e.to_string()))
}

/// Leftmost 160 bits of SHA-256 over the public-key bits (RFC 7093 method 1).
pub(super) fn key_id(public: &[u8]) -> Vec<u8> {
    Sha256::digest(public)[..20].to_vec()
}

/// Uniform in [1, 2^128 - 1]: never zero, at most 17 bytes as a positive DER integer.
fn random_serial() -> SerialNumber {
    let number = rand::random::<u128>().max(1).to_be_bytes();
    let start = number.iter().position(|&b| b != 0).unwrap_or(number.len() - 1);
    SerialNumber::from_slice(&number[start..])
}

fn pem_text(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    // Base64 is ASCII, so every 64-byte piece is a string.
    for line in body.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
