//! Certificates of the bench, and the TLS configurations made from them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The host of every request.
pub const HOST: &str = "localhost";

/// Two authorities and what they signed. The first is trusted by whoever talks to the origin, the second by clients of
/// intercepting proxies.
pub struct Material {
    /// Where the files are.
    pub dir: PathBuf,
}

/// One authority's files.
pub struct Names {
    pub root: PathBuf,
    pub root_key: PathBuf,
    leaf: PathBuf,
    leaf_key: PathBuf,
}

impl Material {
    /// Makes everything and writes it to `dir`.
    pub fn write(dir: &Path) -> anyhow::Result<Self> {
        let material = Self { dir: dir.to_owned() };
        for names in [material.origin(), material.proxy()] {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, "bench");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            std::fs::write(&names.root, params.self_signed(&key)?.pem())?;
            secret(&names.root_key, &key.serialize_pem())?;
            let issuer = Issuer::new(params, key);
            let leaf_key = KeyPair::generate()?;
            let leaf = CertificateParams::new([HOST.to_owned()])?.signed_by(&leaf_key, &issuer)?;
            std::fs::write(&names.leaf, leaf.der())?;
            std::fs::write(&names.leaf_key, leaf_key.serialize_der())?;
        }
        Ok(material)
    }

    /// Material that another process has written.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The origin's authority.
    pub fn origin(&self) -> Names {
        self.names("origin")
    }

    /// The proxies' authority.
    pub fn proxy(&self) -> Names {
        self.names("proxy")
    }

    fn names(&self, name: &str) -> Names {
        Names {
            root: self.dir.join(format!("{name}.pem")),
            root_key: self.dir.join(format!("{name}-key.pem")),
            leaf: self.dir.join(format!("{name}-leaf.der")),
            leaf_key: self.dir.join(format!("{name}-leaf-key.der")),
        }
    }
}

impl Names {
    /// A server that shows the leaf.
    pub fn server(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let chain = vec![CertificateDer::from(std::fs::read(&self.leaf)?)];
        let key = PrivateKeyDer::Pkcs8(std::fs::read(&self.leaf_key)?.into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }

    /// A client that trusts the root, without resumption: each handshake is a full one.
    pub fn client(&self) -> anyhow::Result<Arc<ClientConfig>> {
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.root)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}

fn secret(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}
