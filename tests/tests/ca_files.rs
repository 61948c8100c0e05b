//! The CA's files and leaves as another implementation sees them: OpenSSL reads what we write, and we read what it writes.

mod tunnels;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use muselet::Strictness;
use muselet::ca::{Ca, LeafCache, LeafSettings};
use tunnels::has;

fn openssl(directory: &Path, args: &str) -> String {
    let output = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("openssl starts");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {args}: {text}");
    text
}

async fn leaf(ca: Ca, host: &str) -> Vec<u8> {
    let settings = LeafSettings { ttl: Duration::from_secs(3600), capacity: 4 };
    let cache = Arc::new(LeafCache::new(Arc::new(ca), settings).expect("a cache"));
    cache.get(host).await.expect("a leaf").certified.cert[0].to_vec()
}

#[tokio::test]
async fn openssl_accepts_our_ca_and_our_leaves() {
    if !has("openssl", &["version"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let dir = directory.path();
    let made =
        Ca::generate("My Company", time::Duration::hours(2), time::OffsetDateTime::now_utc()).expect("a CA");
    std::fs::write(dir.join("ca.pem"), &made.certificate_pem).expect("written");
    std::fs::write(dir.join("ca-key.pem"), &made.key_pem).expect("written");
    let about = openssl(dir, "x509 -in ca.pem -noout -subject -text");
    for wanted in [
        "O = My Company, CN = Pipelock CA",
        "CA:TRUE, pathlen:0",
        "Certificate Sign, CRL Sign",
        "ecdsa-with-SHA256",
        "NIST CURVE: P-256",
    ] {
        assert!(about.contains(wanted), "{wanted} in {about}");
    }
    assert!(openssl(dir, "ec -in ca-key.pem -check -noout").contains("Key valid"));
    for strictness in [Strictness::Hardened, Strictness::Reference] {
        for (host, option) in [
            ("api.example.com", "-verify_hostname"),
            ("93.184.216.34", "-verify_ip"),
            ("2001:db8::1", "-verify_ip"),
        ] {
            let ca = Ca::load(&dir.join("ca.pem"), &dir.join("ca-key.pem"), strictness).expect("loads");
            std::fs::write(dir.join("leaf.der"), leaf(ca, host).await).expect("written");
            openssl(dir, "x509 -inform der -in leaf.der -out leaf.pem");
            let check =
                format!("verify -x509_strict -purpose sslserver {option} {host} -CAfile ca.pem leaf.pem");
            assert!(openssl(dir, &check).contains("leaf.pem: OK"), "{host}");
        }
    }
}

#[tokio::test]
async fn cas_made_by_openssl_load_by_mode_and_sign_leaves_that_openssl_accepts() {
    if !has("openssl", &["version"]) {
        return;
    }
    // How the key is made, how it is converted, and whether the reference takes it.
    let cases = [
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out raw.pem",
            "pkcs8 -topk8 -nocrypt",
            false,
        ),
        ("ecparam -name prime256v1 -genkey -out raw.pem", "", false),
        ("ecparam -name prime256v1 -genkey -noout -out raw.pem", "", true),
        ("ecparam -name secp384r1 -genkey -noout -out raw.pem", "", true),
        ("genrsa -traditional -out raw.pem 2048", "", false),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out raw.pem", "", false),
    ];
    for (make, convert, reference) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        let dir = directory.path();
        openssl(dir, make);
        if convert.is_empty() {
            std::fs::rename(dir.join("raw.pem"), dir.join("key.pem")).expect("renamed");
        } else {
            openssl(dir, &format!("{convert} -in raw.pem -out key.pem"));
        }
        openssl(
            dir,
            "req -x509 -new -key key.pem -out ca.pem -days 2 -subj /C=SE/O=Corp/CN=Corp -addext keyUsage=critical,keyCertSign",
        );
        let load = |strictness| Ca::load(&dir.join("ca.pem"), &dir.join("key.pem"), strictness);
        let ca = load(Strictness::Hardened).unwrap_or_else(|error| panic!("{make}: {error}"));
        std::fs::write(dir.join("leaf.der"), leaf(ca, "a.test").await).expect("written");
        openssl(dir, "x509 -inform der -in leaf.der -out leaf.pem");
        let check = "verify -purpose sslserver -verify_hostname a.test -CAfile ca.pem leaf.pem";
        assert!(openssl(dir, check).contains("leaf.pem: OK"), "{make}");
        assert_eq!(load(Strictness::Reference).is_ok(), reference, "{make} in reference mode");
    }
}
