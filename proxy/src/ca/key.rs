//! CA private keys: the file forms that are accepted, and signing with them.
//!
//! SEC 1 (`EC PRIVATE KEY`) is what `tls init` writes and the only form the reference takes. Everywhere but in reference
//! mode PKCS#8 and PKCS#1 work as well, because `openssl genpkey` and most tools write those. Signing is ring's; the
//! curve's digest is fixed by the curve (P-256 with SHA-256, P-384 with SHA-384).

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use x509_parser::der_parser::ber::BerObjectContent;
use x509_parser::der_parser::der::parse_der;
use x509_parser::der_parser::oid::Oid;

use super::CaError;
use muselet_rules::Strictness;

/// id-ecPublicKey curves that ring can sign with, as DER contents of their object identifiers.
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// The CA's signing key with the public key that its certificate carries. Deliberately without `Debug`.
pub(super) struct SigningKey {
    key: Kind,
    /// Contents of the certificate's subjectPublicKey bit string.
    public: Vec<u8>,
    rng: SystemRandom,
}

enum Kind {
    Ecdsa(EcdsaKeyPair, &'static rcgen::SignatureAlgorithm),
    Rsa(Box<RsaKeyPair>),
}

/// What the certificate says about its key.
pub(super) struct PublicKey<'a> {
    pub bits: &'a [u8],
    pub is_ec: bool,
}

/// A parsed key file, not yet compared with a certificate.
pub(super) enum KeyFile {
    Ec { curve: Option<Vec<u8>>, scalar: Vec<u8> },
    Rsa(RsaKeyPair),
}

impl KeyFile {
    /// Parses the first PEM block of a key file; in reference mode it has to be SEC 1.
    pub(super) fn parse(pem: &[u8], strictness: Strictness) -> Result<Self, CaError> {
        let block = first_pem_block(pem).ok_or(CaError::NoKeyPem)?;
        let parse = |what: &str| CaError::ParseKey(what.to_owned());
        if strictness == Strictness::Reference {
            // Its words for a key that is well-formed otherwise.
            const PKCS8: &str =
                "x509: failed to parse private key (use ParsePKCS8PrivateKey instead for this key format)";
            return sec1(&block.contents)
                .map_err(|e| parse(if pkcs8(&block.contents).is_ok() { PKCS8 } else { &e }));
        }
        // Tools that write an EC PARAMETERS block put the key behind it.
        let block = if block.label == "EC PARAMETERS" {
            pem_blocks(pem)
                .into_iter()
                .find(|b| b.label.ends_with("PRIVATE KEY"))
                .ok_or_else(|| parse("the file holds EC parameters but no private key"))?
        } else {
            block
        };
        match block.label.as_str() {
            "EC PRIVATE KEY" => sec1(&block.contents).map_err(|e| parse(&e)),
            "PRIVATE KEY" => pkcs8(&block.contents).map_err(|e| parse(&e)),
            "RSA PRIVATE KEY" => {
                RsaKeyPair::from_der(&block.contents).map(KeyFile::Rsa).map_err(|e| parse(&e.to_string()))
            }
            "ENCRYPTED PRIVATE KEY" => Err(parse("encrypted keys are not supported")),
            _ => Err(parse("not a private key")),
        }
    }

    /// Joins the key with the certificate's public key, which has to belong to it.
    pub(super) fn join(
        self,
        certificate: &PublicKey<'_>,
        certificate_curve: Option<&[u8]>,
        strictness: Strictness,
    ) -> Result<SigningKey, CaError> {
        if strictness == Strictness::Reference && !certificate.is_ec {
            return Err(CaError::NotEcdsa);
        }
        let rng = SystemRandom::new();
        let key = match self {
            KeyFile::Ec { curve, scalar } => {
                if !certificate.is_ec {
                    return Err(CaError::Mismatch);
                }
                if let (Some(ours), Some(theirs)) = (curve.as_deref(), certificate_curve)
                    && ours != theirs
                {
                    return Err(CaError::Mismatch);
                }
                let (signing, algorithm) = match curve.as_deref().or(certificate_curve) {
                    Some(OID_P256) => (&ECDSA_P256_SHA256_ASN1_SIGNING, &rcgen::PKCS_ECDSA_P256_SHA256),
                    Some(OID_P384) => (&ECDSA_P384_SHA384_ASN1_SIGNING, &rcgen::PKCS_ECDSA_P384_SHA384),
                    _ => {
                        return Err(CaError::ParseKey(
                            "unsupported elliptic curve (P-256 and P-384 work)".to_owned(),
                        ));
                    }
                };
                let width = if std::ptr::eq(algorithm, &rcgen::PKCS_ECDSA_P256_SHA256) { 32 } else { 48 };
                let scalar = fixed_width(&scalar, width).ok_or_else(|| {
                    CaError::ParseKey("invalid elliptic curve private key value".to_owned())
                })?;
                let pair =
                    EcdsaKeyPair::from_private_key_and_public_key(signing, &scalar, certificate.bits, &rng)
                        .map_err(|_| CaError::Mismatch)?;
                Kind::Ecdsa(pair, algorithm)
            }
            KeyFile::Rsa(pair) => {
                if certificate.is_ec
                    || ring::signature::KeyPair::public_key(&pair).as_ref() != certificate.bits
                {
                    return Err(CaError::Mismatch);
                }
                Kind::Rsa(Box::new(pair))
            }
        };
        Ok(SigningKey { key, public: certificate.bits.to_vec(), rng })
    }
}

impl SigningKey {
    /// Whether one signature takes long enough (milliseconds) to be kept off the async workers.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self.key, Kind::Rsa(_))
    }
}

impl rcgen::PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match &self.key {
            Kind::Ecdsa(_, algorithm) => algorithm,
            Kind::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match &self.key {
            Kind::Ecdsa(pair, _) => pair
                .sign(&self.rng, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| rcgen::Error::RingUnspecified),
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.rng, message, &mut signature)
                    .map_err(|_| rcgen::Error::RingUnspecified)?;
                Ok(signature)
            }
        }
    }
}

/// Re-wraps a key that rcgen generated (PKCS#8) as SEC 1, the form that `tls init` writes.
pub(super) fn sec1_from_pkcs8(key: &PrivateKeyDer<'_>, public: &[u8]) -> Result<Vec<u8>, CaError> {
    let fail = |detail: &str| CaError::Generate(detail.to_owned());
    let KeyFile::Ec { scalar, .. } = pkcs8(key.secret_der()).map_err(|e| fail(&e))? else {
        return Err(fail("not an elliptic curve key"));
    };
    let scalar = fixed_width(&scalar, 32).ok_or_else(|| fail("private key of an odd size"))?;
    // ECPrivateKey ::= SEQUENCE { 1, privateKey, [0] namedCurve, [1] publicKey }, RFC 5915.
    let mut bits = vec![0];
    bits.extend_from_slice(public);
    Ok(tlv(
        0x30,
        &[tlv(0x02, &[1]), tlv(0x04, &scalar), tlv(0xa0, &tlv(0x06, OID_P256)), tlv(0xa1, &tlv(0x03, &bits))]
            .concat(),
    ))
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        Ok(one) => out.extend([0x81, one]),
        Err(_) => {
            let bytes = length.to_be_bytes();
            let significant = &bytes[bytes.iter().position(|&b| b != 0).unwrap_or(bytes.len())..];
            // At most eight length bytes on any platform.
            out.push(0x80 | significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
    out.extend_from_slice(contents);
    out
}

/// Pads a big-endian integer on the left, or drops leading zeros, to exactly `width` bytes.
fn fixed_width(integer: &[u8], width: usize) -> Option<Vec<u8>> {
    let start = integer.iter().position(|&b| b != 0)?;
    let digits = &integer[start..];
    let padding = width.checked_sub(digits.len())?;
    let mut out = vec![0; padding];
    out.extend_from_slice(digits);
    Some(out)
}

fn sec1(der: &[u8]) -> Result<KeyFile, String> {
    let (_, object) = parse_der(der).map_err(|_| "malformed SEC 1 key".to_owned())?;
    let fields = object.as_sequence().map_err(|_| "malformed SEC 1 key".to_owned())?;
    let version = fields.first().and_then(|f| f.as_u32().ok());
    let scalar = fields.get(1).and_then(|f| f.as_slice().ok());
    let (Some(1), Some(scalar)) = (version, scalar) else {
        return Err("not a SEC 1 elliptic curve private key".to_owned());
    };
    let curve = fields[2..].iter().find_map(|field| {
        if field.header.tag().0 != 0 || !field.header.is_contextspecific() {
            return None;
        }
        let inner = field.as_slice().ok()?;
        let (_, oid) = parse_der(inner).ok()?;
        oid.as_oid().ok().map(Oid::as_bytes).map(<[u8]>::to_vec)
    });
    Ok(KeyFile::Ec { curve, scalar: scalar.to_vec() })
}

fn pkcs8(der: &[u8]) -> Result<KeyFile, String> {
    let malformed = || "malformed PKCS#8 key".to_owned();
    let (_, object) = parse_der(der).map_err(|_| malformed())?;
    let fields = object.as_sequence().map_err(|_| malformed())?;
    let (Some(algorithm), Some(inner)) = (fields.get(1), fields.get(2)) else {
        return Err(malformed());
    };
    let algorithm = algorithm.as_sequence().map_err(|_| malformed())?;
    let id = algorithm.first().and_then(|a| a.as_oid().ok()).ok_or_else(malformed)?;
    match id.to_id_string().as_str() {
        "1.2.840.10045.2.1" => {
            let BerObjectContent::OctetString(inner) = &inner.content else {
                return Err(malformed());
            };
            let outer_curve = algorithm.get(1).and_then(|c| c.as_oid().ok()).map(|o| o.as_bytes().to_vec());
            match sec1(inner)? {
                KeyFile::Ec { curve, scalar } => Ok(KeyFile::Ec { curve: outer_curve.or(curve), scalar }),
                rsa @ KeyFile::Rsa(_) => Ok(rsa),
            }
        }
        "1.2.840.113549.1.1.1" => RsaKeyPair::from_pkcs8(der).map(KeyFile::Rsa).map_err(|e| e.to_string()),
        other => Err(format!("unsupported key algorithm {other}")),
    }
}

pub(super) struct PemBlock {
    pub label: String,
    pub contents: Vec<u8>,
}

/// The first PEM block whatever its label; text around it is skipped.
pub(super) fn first_pem_block(text: &[u8]) -> Option<PemBlock> {
    pem_blocks(text).into_iter().next()
}

fn pem_blocks(text: &[u8]) -> Vec<PemBlock> {
    x509_parser::pem::Pem::iter_from_buffer(text)
        .filter_map(Result::ok)
        .map(|block| PemBlock { label: block.label, contents: block.contents })
        .collect()
}
