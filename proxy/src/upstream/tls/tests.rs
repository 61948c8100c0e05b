//! Handshakes in memory against servers with good and bad certificates.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsAcceptor;

use super::*;

struct Origin {
    chain: Vec<rustls_pki_types::CertificateDer<'static>>,
    key: KeyPair,
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::hours(1);
    params
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Origin {
    let mut params = params(&["localhost"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = key();
    let chain = vec![params.self_signed(&key).unwrap().into()];
    Origin { chain, key }
}

async fn handshake(
    origin: &Origin,
    trusted_pem: &str,
    host: &str,
    protocols: Protocols,
) -> Result<Option<Vec<u8>>, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("roots.pem");
    std::fs::write(&file, trusted_pem).unwrap();
    let client = TlsClient::new(TrustLocations { files: vec![file], directories: vec![] });
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(origin.chain.clone(), PrivateKeyDer::Pkcs8(origin.key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(TlsAcceptor::from(Arc::new(config)).accept(theirs));
    let result = client.connect(host, protocols, ours).await;
    let _ = server.await;
    result.map(|stream| stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)).map_err(|e| e.to_string())
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn a_chain_to_a_trusted_root_is_accepted_for_its_names_only() {
    let mut root = params(&[]);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = CertifiedIssuer::self_signed(root, key()).unwrap();
    let leaf_key = key();
    let leaf = params(&["localhost", "127.0.0.1"]).signed_by(&leaf_key, &root).unwrap();
    let origin = Origin { chain: vec![leaf.into()], key: leaf_key };
    for (host, accepted) in [
        ("localhost", true),
        ("localhost.", true),
        ("LOCALHOST", true),
        ("127.0.0.1", true),
        ("other.test", false),
        ("::1", false),
    ] {
        let got = handshake(&origin, &root.pem(), host, Protocols::Http2OrHttp1).await;
        assert_eq!(got.is_ok(), accepted, "{host}: {got:?}");
    }
    let h1 = handshake(&origin, &root.pem(), "localhost", Protocols::Http1).await;
    assert_eq!(h1.unwrap().unwrap(), b"http/1.1");
    let h2 = handshake(&origin, &root.pem(), "localhost", Protocols::Http2OrHttp1).await;
    assert_eq!(h2.unwrap().unwrap(), b"h2");
}

#[tokio::test]
async fn a_self_signed_certificate_is_accepted_only_when_it_is_itself_trusted_valid_and_for_servers() {
    let plain = self_signed(|_| {});
    let no_ca = self_signed(|p| p.is_ca = IsCa::NoCa);
    let client_only = self_signed(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let expired = self_signed(|p| p.not_after = OffsetDateTime::now_utc() - Duration::minutes(5));
    let other = self_signed(|_| {});
    let cases = [
        ("trusted, CA:TRUE", &plain, &plain, "localhost", true),
        ("trusted, not a CA", &no_ca, &no_ca, "localhost", true),
        ("other name", &plain, &plain, "other.test", false),
        ("other certificate trusted", &plain, &other, "localhost", false),
        ("for clients", &client_only, &client_only, "localhost", false),
        ("expired", &expired, &expired, "localhost", false),
    ];
    for (what, origin, trusted, host, accepted) in cases {
        let got = handshake(origin, &pem(&trusted.chain[0]), host, Protocols::Http1).await;
        assert_eq!(got.is_ok(), accepted, "{what}: {got:?}");
    }
}
