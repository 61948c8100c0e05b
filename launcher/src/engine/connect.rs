//! Where the engine is: `DOCKER_HOST`, then the docker client's context, then the usual sockets, rootless and Podman's
//! included (spec: launcher §5).

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// An address of an engine, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `unix:///…`, `tcp://…`, `http://…`.
    pub host: String,
    /// What to name in an error.
    pub source: String,
    /// Directory of `ca.pem`, `cert.pem` and `key.pem`, where it is to be spoken to over TLS.
    pub certificates: Option<PathBuf>,
}

/// What of the environment decides.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, or `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// Whether `DOCKER_TLS_VERIFY` is set and not empty.
    pub tls: bool,
    /// `DOCKER_CERT_PATH`.
    pub certificates: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// Sockets of the system, in the order they are tried.
    pub sockets: Vec<PathBuf>,
}

impl Surroundings {
    /// Reads the process's environment.
    pub fn of_process() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let home = var("HOME").map(PathBuf::from);
        let runtime_dir = var("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self {
            docker_host: var("DOCKER_HOST"),
            docker_context: var("DOCKER_CONTEXT"),
            docker_config: var("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| home.map(|h| h.join(".docker"))),
            tls: var("DOCKER_TLS_VERIFY").is_some(),
            certificates: var("DOCKER_CERT_PATH").map(PathBuf::from),
            runtime_dir,
            sockets: ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"]
                .map(PathBuf::from)
                .to_vec(),
        }
    }

    /// The engine's address; none when nothing is configured and no socket exists.
    ///
    /// # Errors
    /// When a context is asked for that does not exist: another engine than that would be a surprise.
    pub fn address(&self) -> Result<Option<Address>> {
        if let Some(host) = &self.docker_host {
            let tls = host.starts_with("https://") || (self.tls && host.starts_with("tcp://"));
            let dir = || self.certificates.as_ref().or(self.docker_config.as_ref()).cloned();
            let certificates = if tls { dir() } else { None };
            return Ok(Some(Address { host: host.clone(), source: "DOCKER_HOST".to_owned(), certificates }));
        }
        if let Some(name) = self.context_name() {
            let missing = || Error::NoEngine(format!("there is no docker context {name:?}"));
            return Ok(Some(self.context(&name).ok_or_else(missing)?));
        }
        Ok(self.socket())
    }

    fn socket(&self) -> Option<Address> {
        let rootless =
            self.runtime_dir.iter().flat_map(|dir| [dir.join("docker.sock"), dir.join("podman/podman.sock")]);
        let system = self.sockets.iter().cloned();
        let mut candidates: Vec<PathBuf> = system.collect();
        let podman = candidates.pop();
        candidates.extend(rootless);
        candidates.extend(podman);
        candidates.into_iter().find(|path| path.exists()).map(|path| Address {
            host: format!("unix://{}", path.display()),
            source: path.display().to_string(),
            certificates: None,
        })
    }

    /// The context that is asked for; `default` means the usual sockets.
    fn context_name(&self) -> Option<String> {
        let configured = || {
            let config = read_json(&self.docker_config.as_deref()?.join("config.json"))?;
            Some(config.get("currentContext")?.as_str()?.to_owned())
        };
        self.docker_context.clone().or_else(configured).filter(|name| !name.is_empty() && name != "default")
    }

    fn context(&self, name: &str) -> Option<Address> {
        let config = self.docker_config.as_deref()?;
        let digest = Sha256::digest(name.as_bytes());
        let id: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        let meta = read_json(&config.join("contexts/meta").join(&id).join("meta.json"))?;
        let host = meta.get("Endpoints")?.get("docker")?.get("Host")?.as_str()?.to_owned();
        let certificates = config.join("contexts/tls").join(id).join("docker");
        let certificates = Some(certificates).filter(|dir| host.starts_with("tcp://") && dir.is_dir());
        Some(Address { host, source: format!("docker context {name:?}"), certificates })
    }
}

fn read_json(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_beats_the_context_beats_the_sockets() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        std::fs::write(&socket, "").unwrap();
        let mut around = Surroundings {
            docker_config: Some(dir.path().to_owned()),
            sockets: vec![socket.clone(), dir.path().join("absent")],
            ..Surroundings::default()
        };
        assert_eq!(around.address().unwrap().unwrap().host, format!("unix://{}", socket.display()));
        let id: String = Sha256::digest(b"remote").iter().map(|b| format!("{b:02x}")).collect();
        let meta = dir.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Endpoints":{"docker":{"Host":"unix:///run/other.sock"}}}"#,
        )
        .unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"currentContext":"remote"}"#).unwrap();
        assert_eq!(around.address().unwrap().unwrap().host, "unix:///run/other.sock");
        around.docker_context = Some("typo".into());
        assert!(around.address().unwrap_err().to_string().contains("\"typo\""));
        around.docker_context = Some("default".into());
        assert_eq!(around.address().unwrap().unwrap().host, format!("unix://{}", socket.display()));
        around.docker_host = Some("tcp://127.0.0.1:1".into());
        assert_eq!(around.address().unwrap().unwrap().host, "tcp://127.0.0.1:1");
    }

    #[test]
    fn tls_is_spoken_where_the_variable_says_something_and_where_a_context_has_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let config = Some(dir.path().to_owned());
        let around = |host: &str, tls: bool| Surroundings {
            docker_host: Some(host.to_owned()),
            docker_config: config.clone(),
            tls,
            ..Surroundings::default()
        };
        let certificates = |around: &Surroundings| around.address().unwrap().unwrap().certificates;
        assert_eq!(certificates(&around("tcp://h:1", false)), None);
        assert_eq!(certificates(&around("tcp://h:1", true)), config);
        assert_eq!(certificates(&around("https://h:1", false)), config);
        assert_eq!(certificates(&around("unix:///s", true)), None);
        let named = Surroundings { certificates: Some("/c".into()), ..around("tcp://h:1", true) };
        assert_eq!(certificates(&named), Some("/c".into()));

        let id: String = Sha256::digest(b"remote").iter().map(|b| format!("{b:02x}")).collect();
        let meta = dir.path().join("contexts/meta").join(&id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Endpoints":{"docker":{"Host":"tcp://h:2376"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let context = Surroundings {
            docker_context: Some("remote".into()),
            docker_config: config.clone(),
            ..Surroundings::default()
        };
        assert_eq!(certificates(&context), None);
        let tls = dir.path().join("contexts/tls").join(&id).join("docker");
        std::fs::create_dir_all(&tls).unwrap();
        assert_eq!(certificates(&context), Some(tls));
    }

    #[test]
    fn without_any_socket_there_is_no_address() {
        assert_eq!(Surroundings::default().address().unwrap(), None);
    }
}
