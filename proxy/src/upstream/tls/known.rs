//! Signatures on certificates that were found good, so that none is verified twice.
//!
//! A signature of a certificate by its issuer stays what it is, and the same ones come again and again: the intermediate
//! certificates of a few authorities stand behind most hosts, and one certificate often serves many of them. To verify one costs
//! more than everything else about a chain together. So the digest of each good one (algorithm, key, message, signature) is kept.
//! Names, validity, purposes and the chain itself are judged each time, and so is the handshake's own signature, which is never
//! the same twice.

use std::sync::{LazyLock, Mutex, PoisonError};

use ring::digest;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

/// Digests kept. Each has one place, so a new one takes an old one's.
const PLACES: usize = 1024;

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Digests of good signatures; empty until the first.
static GOOD: Mutex<Vec<Option<Digest>>> = Mutex::new(Vec::new());

static ALGORITHMS: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let all = crate::tls_suites::provider().signature_verification_algorithms.all;
    all.iter().enumerate().map(|(number, algorithm)| Known { number, algorithm: *algorithm }).collect()
});
static ALL: LazyLock<Vec<&'static dyn SignatureVerificationAlgorithm>> =
    LazyLock::new(|| ALGORITHMS.iter().map(|known| known as _).collect());

/// The algorithms of our provider; those for certificates remember what they found good.
pub(super) fn algorithms() -> WebPkiSupportedAlgorithms {
    WebPkiSupportedAlgorithms { all: &ALL, ..crate::tls_suites::provider().signature_verification_algorithms }
}

#[derive(Debug)]
struct Known {
    /// Place in the provider's list.
    number: usize,
    algorithm: &'static dyn SignatureVerificationAlgorithm,
}

impl Known {
    /// Of everything that the answer depends on, each part with its length before it.
    fn digest(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.number.to_be_bytes());
        for part in [public_key, message, signature] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut digest = Digest::default();
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl SignatureVerificationAlgorithm for Known {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let digest = self.digest(public_key, message, signature);
        if is_good(&digest) {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        keep(digest);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

fn place(digest: &Digest) -> usize {
    usize::from(u16::from_be_bytes([digest[0], digest[1]])) % PLACES
}

fn is_good(digest: &Digest) -> bool {
    // An entry is written in one assignment.
    let good = GOOD.lock().unwrap_or_else(PoisonError::into_inner);
    good.get(place(digest)).is_some_and(|kept| kept.as_ref() == Some(digest))
}

fn keep(digest: Digest) {
    let mut good = GOOD.lock().unwrap_or_else(PoisonError::into_inner);
    good.resize(PLACES, None);
    good[place(&digest)] = Some(digest);
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn a_good_signature_is_good_again_and_nothing_beside_it_is() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let (key, message) = (pair.public_key().as_ref(), b"to be signed");
        let signature = pair.sign(&random, message).unwrap();
        let signature = signature.as_ref();

        let p256 = rustls::crypto::ring::default_provider().signature_verification_algorithms.all[0];
        let known =
            ALGORITHMS.iter().filter(|known| known.algorithm.signature_alg_id() == p256.signature_alg_id());
        let [ours, other_curve] = known.collect::<Vec<_>>()[..] else { panic!("two curves") };
        assert!(!is_good(&ours.digest(key, message, signature)));
        for _ in 0..2 {
            ours.verify_signature(key, message, signature).unwrap();
            assert!(is_good(&ours.digest(key, message, signature)));
            ours.verify_signature(key, b"to be signeD", signature).unwrap_err();
            ours.verify_signature(key, message, &signature[1..]).unwrap_err();
            ours.verify_signature(&key[1..], message, signature).unwrap_err();
            other_curve.verify_signature(key, message, signature).unwrap_err();
        }
    }

    #[test]
    fn a_bad_signature_is_never_kept() {
        let ours = &ALGORITHMS[0];
        for _ in 0..2 {
            ours.verify_signature(b"key", b"message", b"signature").unwrap_err();
            assert!(!is_good(&ours.digest(b"key", b"message", b"signature")));
        }
    }

    #[test]
    fn where_one_part_ends_matters() {
        let ours = &ALGORITHMS[0];
        assert_ne!(ours.digest(b"ab", b"c", b"d"), ours.digest(b"a", b"bc", b"d"));
        assert_ne!(ours.digest(b"a", b"b", b"cd"), ALGORITHMS[1].digest(b"a", b"b", b"cd"));
    }
}
