//! Unit tests of the CA: what is written, what is accepted, what the cache does.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate, X509Version};

use super::key::first_pem_block;
use super::{Ca, CaError, GeneratedCa, LeafCache, LeafSettings};
use muselet_rules::Strictness;

fn generated() -> GeneratedCa {
    Ca::generate("Pipelock", time::Duration::hours(24), OffsetDateTime::now_utc()).unwrap()
}

fn load(made: &GeneratedCa, strictness: Strictness) -> Ca {
    Ca::from_pem(made.certificate_pem.as_bytes(), made.key_pem.as_bytes(), strictness).unwrap()
}

fn cache(strictness: Strictness, capacity: usize) -> (GeneratedCa, Arc<LeafCache>) {
    let made = generated();
    let settings = LeafSettings { ttl: Duration::from_secs(86_400), capacity };
    let cache = LeafCache::new(Arc::new(load(&made, strictness)), settings).unwrap();
    (made, Arc::new(cache))
}

fn der(pem: &str) -> Vec<u8> {
    first_pem_block(pem.as_bytes()).unwrap().contents
}

/// A CA certificate and key made with rcgen, for forms that `tls init` does not write.
fn custom(key: &rcgen::KeyPair, change: impl FnOnce(&mut rcgen::CertificateParams)) -> String {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    params.self_signed(key).unwrap().pem()
}

#[test]
fn generated_ca_has_exactly_the_specified_fields() {
    let made = generated();
    let bytes = der(&made.certificate_pem);
    let (_, cert) = X509Certificate::from_der(&bytes).unwrap();
    assert_eq!(cert.version(), X509Version::V3);
    assert_eq!(cert.subject().to_string(), "O=Pipelock, CN=Pipelock CA");
    assert_eq!(cert.subject().as_raw(), cert.issuer().as_raw());
    let life = cert.validity().not_after.timestamp() - cert.validity().not_before.timestamp();
    assert_eq!(life, 25 * 3600);
    let basic = cert.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && basic.value.ca);
    assert_eq!(basic.value.path_len_constraint, Some(0));
    let usage = cert.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert!(!usage.value.digital_signature());
    assert_eq!(cert.extensions().len(), 3, "{:?}", cert.extensions());
    let key_id = cert.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    assert_eq!(key_id.unwrap(), super::authority::key_id(&cert.public_key().subject_public_key.data));
    assert!(made.key_pem.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    assert!(made.key_pem.ends_with("-----END EC PRIVATE KEY-----\n"));
}

#[test]
fn two_generated_cas_share_neither_key_nor_serial() {
    let (a, b) = (generated(), generated());
    assert_ne!(a.key_pem, b.key_pem);
    let (da, db) = (der(&a.certificate_pem), der(&b.certificate_pem));
    let serial = |d: &[u8]| X509Certificate::from_der(d).unwrap().1.raw_serial().to_vec();
    assert_ne!(serial(&da), serial(&db));
}

#[test]
fn refuses_a_validity_that_is_not_positive() {
    for hours in [0, -1] {
        let made = Ca::generate("x", time::Duration::hours(hours), OffsetDateTime::now_utc());
        assert!(matches!(made.err(), Some(CaError::Validity)), "{hours}");
    }
}

#[tokio::test]
async fn leaf_has_exactly_the_specified_fields() {
    let long = format!("{}.example.com", "a".repeat(60));
    // host, strictness, has a common name, alternative name
    let cases = [
        ("api.example.com", Strictness::Hardened, true, "DNSName(api.example.com)"),
        ("Mixed.Example.COM.", Strictness::Reference, true, "DNSName(Mixed.Example.COM.)"),
        ("93.184.216.34", Strictness::Hardened, true, "IPAddress([93, 184, 216, 34])"),
        ("::1", Strictness::Reference, true, "IPAddress([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])"),
        (long.as_str(), Strictness::Hardened, false, "DNSName"),
        (long.as_str(), Strictness::Reference, true, "DNSName"),
    ];
    for (host, strictness, named, san) in cases {
        let (made, cache) = cache(strictness, 10);
        let leaf = cache.get(host).await.unwrap();
        assert_eq!(leaf.certified.cert.len(), 1, "only the leaf is sent");
        let (_, cert) = X509Certificate::from_der(&leaf.certified.cert[0]).unwrap();
        let ca_der = der(&made.certificate_pem);
        let (_, ca) = X509Certificate::from_der(&ca_der).unwrap();
        cert.verify_signature(Some(ca.public_key())).unwrap();
        assert_eq!(cert.issuer().as_raw(), ca.subject().as_raw());
        let subject = if named { format!("CN={host}") } else { String::new() };
        assert_eq!(cert.subject().to_string(), subject, "{host}");
        let names = cert.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
        let shown = format!("{:?}", names.value.general_names[0]);
        assert!(shown.replace('"', "").starts_with(san), "{host}: {shown}");
        let usage = cert.key_usage().unwrap().unwrap();
        assert!(usage.critical);
        assert_eq!(usage.value.flags, 1, "digitalSignature only");
        let extended = cert.extended_key_usage().unwrap().unwrap();
        assert!(extended.value.server_auth && !extended.value.client_auth);
        assert!(cert.basic_constraints().unwrap().is_none());
        assert_eq!(cert.extensions().len(), 4, "AKI, SAN, KU, EKU: {:?}", cert.extensions());
    }
}

#[tokio::test]
async fn hardened_leaf_does_not_outlive_the_ca() {
    for (strictness, capped) in [(Strictness::Hardened, true), (Strictness::Reference, false)] {
        let made = Ca::generate("x", time::Duration::hours(1), OffsetDateTime::now_utc()).unwrap();
        let settings = LeafSettings { ttl: Duration::from_secs(86_400), capacity: 1 };
        let cache = Arc::new(LeafCache::new(Arc::new(load(&made, strictness)), settings).unwrap());
        let leaf = cache.get("a.test").await.unwrap();
        let (_, cert) = X509Certificate::from_der(&leaf.certified.cert[0]).unwrap();
        let ca_der = der(&made.certificate_pem);
        let (_, ca) = X509Certificate::from_der(&ca_der).unwrap();
        let outlives = cert.validity().not_after.timestamp() > ca.validity().not_after.timestamp();
        assert_eq!(outlives, !capped, "{strictness:?}");
    }
}

#[test]
fn accepts_and_refuses_key_forms_by_mode() {
    use Strictness::{Hardened, Reference};
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let made = generated();
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let cert = custom(&key, |_| {});
    let cert384 = custom(&p384, |_| {});
    let no_usage = custom(&key, |p| p.key_usages = vec![]);
    let no_ca = custom(&key, |p| p.is_ca = rcgen::IsCa::NoCa);
    let twice = custom(&key, |p| {
        p.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 11]), "a");
    });
    let pkcs8 = key.serialize_pem();
    let with_text = format!("some text\n{}", made.certificate_pem);
    let behind_parameters = format!("{parameters}{}", made.key_pem);
    let cases: &[(&str, &str, &str, Strictness, Option<&str>)] = &[
        ("own files", &made.certificate_pem, &made.key_pem, Reference, None),
        ("own files", &made.certificate_pem, &made.key_pem, Hardened, None),
        ("text before the block", &with_text, &made.key_pem, Reference, None),
        ("PKCS#8", &cert, &pkcs8, Hardened, None),
        ("PKCS#8", &cert, &pkcs8, Reference, Some("parse CA key: ")),
        ("PKCS#8 P-384", &cert384, &p384.serialize_pem(), Hardened, None),
        ("parameters first", &made.certificate_pem, &behind_parameters, Hardened, None),
        ("parameters first", &made.certificate_pem, &behind_parameters, Reference, Some("parse CA key: ")),
        ("other key", &made.certificate_pem, &pkcs8, Hardened, Some("CA key does not match certificate")),
        ("no usage", &no_usage, &pkcs8, Hardened, Some("CA certificate missing KeyUsageCertSign")),
        ("no CA", &no_ca, &pkcs8, Hardened, Some("certificate is not a CA")),
        ("custom attribute", &twice, &pkcs8, Hardened, None),
        ("empty certificate", "", &pkcs8, Hardened, Some("no PEM block in CA cert file")),
        ("empty key", &cert, "", Hardened, Some("no PEM block in CA key file")),
        ("key as certificate", &pkcs8, &pkcs8, Hardened, Some("parse CA cert: ")),
        ("certificate as key", &cert, &cert, Hardened, Some("parse CA key: not a private key")),
    ];
    for (name, cert, key, strictness, want) in cases {
        let got = Ca::from_pem(cert.as_bytes(), key.as_bytes(), *strictness).err();
        let text = got.map(|e| e.to_string());
        match want {
            None => assert_eq!(text, None, "{name} {strictness:?}"),
            Some(want) => assert!(
                text.as_deref().is_some_and(|t| t.starts_with(want)),
                "{name} {strictness:?}: {text:?}"
            ),
        }
    }
}

#[test]
fn file_errors_name_the_path_like_the_reference() {
    let missing = std::path::Path::new("/nonexistent/ca.pem");
    let error = Ca::load(missing, missing, Strictness::Hardened).err().unwrap();
    assert_eq!(error.to_string(), "read CA cert: open /nonexistent/ca.pem: no such file or directory");
}

#[tokio::test]
async fn cache_serves_the_same_leaf_until_evicted_and_distinguishes_letter_case() {
    let (_, cache) = cache(Strictness::Reference, 2);
    let a = cache.get("a.test").await.unwrap();
    assert!(Arc::ptr_eq(&a, &cache.get("a.test").await.unwrap()));
    let upper = cache.get("A.test").await.unwrap();
    assert!(!Arc::ptr_eq(&a, &upper));
    assert_eq!(cache.len(), 2);
    cache.get("c.test").await.unwrap();
    assert_eq!(cache.len(), 2);
    assert!(!Arc::ptr_eq(&a, &cache.get("a.test").await.unwrap()), "the oldest entry was evicted");
}

#[tokio::test]
async fn many_waiting_handshakes_share_one_mint() {
    let (_, cache) = cache(Strictness::Hardened, 100);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { cache.get("busy.test").await.unwrap() })
        })
        .collect();
    let mut leaves = Vec::new();
    for task in waiting {
        leaves.push(task.await.unwrap());
    }
    assert!(leaves.iter().all(|l| Arc::ptr_eq(l, &leaves[0])));
    assert_eq!(cache.len(), 1);
}

#[tokio::test]
async fn a_host_that_cannot_be_certified_leaves_no_entry() {
    let (_, cache) = cache(Strictness::Hardened, 10);
    assert!(matches!(cache.get("bücher.test").await, Err(CaError::Mint { .. })));
    assert!(cache.is_empty());
}
