//! `tls init | show-ca | install-ca`: making and showing the CA that TLS interception signs with.
//!
//! Each command is a function from options to the text for standard output; the dispatcher prints it or the error. Texts,
//! file modes and the order of checks are interface: people script these commands and mount the files into containers.
//!
//! spec: tls-and-request-bodies §2, cli-and-image §9.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use time::OffsetDateTime;

use crate::ca::{Ca, CaError, os_error_text};
use crate::config::grammar;

/// File names inside the CA directory.
const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";

/// Why a `tls` command failed; the texts are printed as they are.
#[derive(Debug, thiserror::Error)]
pub enum TlsCommandError {
    #[error("invalid validity: {0}")]
    Validity(String),
    #[error("resolving home directory: $HOME is not defined")]
    NoHome,
    #[error("resolve default path: {0}")]
    DefaultPath(Box<TlsCommandError>),
    #[error("generate CA: {0}")]
    Generate(CaError),
    #[error("CA {what} already exists at {path} (use --force to overwrite)")]
    Exists { what: &'static str, path: String },
    #[error("create {what} directory: {detail}")]
    Directory { what: &'static str, detail: String },
    #[error("write CA {what}: {detail}")]
    Write { what: &'static str, detail: String },
    #[error("read CA cert: {0}")]
    Read(String),
    #[error("CA cert not found at {path} (run 'pipelock tls init' first): {detail}")]
    NotFound { path: String, detail: String },
}

/// Where the CA lives when no path flag is given: `--home`, else `PIPELOCK_HOME`, else `$HOME/.pipelock`.
#[derive(Debug, Clone, Default)]
pub struct HomeSources {
    /// The global `--home` flag.
    pub flag: Option<PathBuf>,
    /// The variable `PIPELOCK_HOME`.
    pub pipelock_home: Option<PathBuf>,
    /// The variable `HOME`.
    pub home: Option<PathBuf>,
}

impl HomeSources {
    /// Reads both variables of this process.
    #[must_use]
    pub fn from_environment(flag: Option<PathBuf>) -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        HomeSources { flag, pipelock_home: variable("PIPELOCK_HOME"), home: variable("HOME") }
    }

    /// The default directory; empty values count as absent. spec: cli-and-image §1.7.
    pub fn directory(&self) -> Result<PathBuf, TlsCommandError> {
        let set = |path: &Option<PathBuf>| path.clone().filter(|p| !p.as_os_str().is_empty());
        set(&self.flag)
            .or_else(|| set(&self.pipelock_home))
            .or_else(|| set(&self.home).map(|home| home.join(".pipelock")))
            .ok_or(TlsCommandError::NoHome)
    }
}

/// Options of `tls init`.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Organization in the subject.
    pub org: String,
    /// Go duration, for example `87600h`.
    pub validity: String,
    /// Output directory; `None` or empty: the default one.
    pub out: Option<PathBuf>,
    /// Overwrite what is there.
    pub force: bool,
}

impl Default for InitOptions {
    fn default() -> Self {
        InitOptions { org: "Pipelock".into(), validity: "87600h".into(), out: None, force: false }
    }
}

/// `tls init`: writes a fresh CA certificate and key. spec: tls-and-request-bodies §2.1.
pub fn init(options: &InitOptions, home: &HomeSources) -> Result<String, TlsCommandError> {
    let validity = grammar::duration(&options.validity).map_err(TlsCommandError::Validity)?;
    let directory = match options.out.as_ref().filter(|p| !p.as_os_str().is_empty()) {
        Some(out) => out.clone(),
        None => home.directory().map_err(|e| TlsCommandError::DefaultPath(Box::new(e)))?,
    };
    let certificate_path = clean(&directory.join(CERTIFICATE));
    let key_path = clean(&directory.join(KEY));
    let made = Ca::generate(&options.org, time::Duration::nanoseconds(validity), OffsetDateTime::now_utc())
        .map_err(TlsCommandError::Generate)?;
    if !options.force {
        refuse_existing("cert", &certificate_path)?;
        refuse_existing("key", &key_path)?;
    }
    create_parent("cert", &certificate_path)?;
    create_parent("key", &key_path)?;
    write_private(&certificate_path, &made.certificate_pem)
        .map_err(|detail| TlsCommandError::Write { what: "cert", detail })?;
    if let Err(detail) = write_private(&key_path, &made.key_pem) {
        // A certificate without its key is of no use and would block the next attempt.
        let _ = fs::remove_file(&certificate_path);
        return Err(TlsCommandError::Write { what: "key", detail });
    }
    Ok(format!(
        "CA certificate: {}\nCA private key: {}\n\nNext: run 'pipelock tls install-ca' to add the CA to your system trust store.\n",
        certificate_path.display(),
        key_path.display()
    ))
}

/// `tls show-ca`: the bytes of the certificate file, unparsed. spec: tls-and-request-bodies §2.2.
pub fn show_ca(certificate: Option<&Path>, home: &HomeSources) -> Result<Vec<u8>, TlsCommandError> {
    let path = certificate_path(certificate, home)?;
    fs::read(&path).map_err(|e| TlsCommandError::Read(os_error_text("open", &path, &e)))
}

/// `tls install-ca`: instructions for the system's trust store; changes nothing. spec: tls-and-request-bodies §2.3.
pub fn install_ca(certificate: Option<&Path>, home: &HomeSources) -> Result<String, TlsCommandError> {
    let path = clean(&certificate_path(certificate, home)?);
    fs::metadata(&path).map_err(|e| TlsCommandError::NotFound {
        path: path.display().to_string(),
        detail: os_error_text("stat", &path, &e),
    })?;
    Ok(instructions(std::env::consts::OS, &format!("{:?}", path.display().to_string())))
}

fn instructions(os: &str, path: &str) -> String {
    match os {
        "linux" => format!(
            "Installing CA certificate on Linux...\n\n\
             Run one of the following (requires root):\n\n  \
             # Debian/Ubuntu:\n  \
             sudo cp {path} /usr/local/share/ca-certificates/pipelock-ca.crt\n  \
             sudo update-ca-certificates\n\n  \
             # RHEL/Fedora:\n  \
             sudo cp {path} /etc/pki/ca-trust/source/anchors/pipelock-ca.crt\n  \
             sudo update-ca-trust extract\n"
        ),
        "macos" => format!(
            "Installing CA certificate on macOS...\n\n\
             Run (requires admin password):\n\n  \
             sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {path}\n"
        ),
        "windows" => format!(
            "Installing CA certificate on Windows...\n\n\
             Run in elevated Command Prompt:\n\n  \
             certutil -addstore -f \"ROOT\" {path}\n"
        ),
        other => format!("Unsupported OS: {other}\nManually add {path} to your system trust store.\n"),
    }
}

fn certificate_path(given: Option<&Path>, home: &HomeSources) -> Result<PathBuf, TlsCommandError> {
    match given.filter(|p| !p.as_os_str().is_empty()) {
        Some(path) => Ok(path.to_owned()),
        None => Ok(home.directory()?.join(CERTIFICATE)),
    }
}

fn refuse_existing(what: &'static str, path: &Path) -> Result<(), TlsCommandError> {
    // An existence check that fails for another reason counts as "does not exist".
    match fs::metadata(path) {
        Ok(_) => Err(TlsCommandError::Exists { what, path: path.display().to_string() }),
        Err(_) => Ok(()),
    }
}

fn create_parent(what: &'static str, path: &Path) -> Result<(), TlsCommandError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(parent)
        .map_err(|e| TlsCommandError::Directory { what, detail: os_error_text("mkdir", parent, &e) })
}

/// Mode 0600 applies to a new file; an overwritten one keeps its mode, as in the reference.
fn write_private(path: &Path, text: &str) -> Result<(), String> {
    let write = |path: &Path| -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write(path).map_err(|e| os_error_text("open", path, &e))
}

/// Lexical cleaning like Go's `filepath.Clean`: no `.`, no doubled separators, `..` resolved where it can be.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn options(dir: &Path) -> InitOptions {
        InitOptions { out: Some(dir.to_owned()), ..InitOptions::default() }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn init_writes_two_private_files_and_names_them() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("deep/ca");
        let text = init(&options(&dir), &HomeSources::default()).unwrap();
        let shown = dir.display();
        assert_eq!(
            text,
            format!(
                "CA certificate: {shown}/ca.pem\nCA private key: {shown}/ca-key.pem\n\nNext: run 'pipelock tls install-ca' to add the CA to your system trust store.\n"
            )
        );
        assert_eq!((mode(&dir.join("ca.pem")), mode(&dir.join("ca-key.pem"))), (0o600, 0o600));
        assert_eq!(mode(&dir) & 0o027, 0, "directory mode 0750 at most");
        Ca::load(&dir.join("ca.pem"), &dir.join("ca-key.pem"), muselet_rules::Strictness::Reference).unwrap();
    }

    #[test]
    fn init_refuses_existing_files_and_force_overwrites_keeping_their_modes() {
        let temp = tempfile::tempdir().unwrap();
        let (cert, key) = (temp.path().join("ca.pem"), temp.path().join("ca-key.pem"));
        let home = HomeSources::default();
        init(&options(temp.path()), &home).unwrap();
        let before = fs::read(&cert).unwrap();
        let error = init(&options(temp.path()), &home).unwrap_err().to_string();
        assert_eq!(error, format!("CA cert already exists at {} (use --force to overwrite)", cert.display()));
        assert_eq!(fs::read(&cert).unwrap(), before);
        fs::remove_file(&cert).unwrap();
        let error = init(&options(temp.path()), &home).unwrap_err().to_string();
        assert_eq!(error, format!("CA key already exists at {} (use --force to overwrite)", key.display()));
        assert!(!cert.exists());
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        init(&InitOptions { force: true, ..options(temp.path()) }, &home).unwrap();
        assert_ne!(fs::read(&cert).unwrap(), before);
        assert_eq!(mode(&key), 0o644);
    }

    #[test]
    fn init_errors_have_the_reference_texts() {
        let temp = tempfile::tempdir().unwrap();
        let cases = [
            ("10y", "invalid validity: time: unknown unit \"y\" in duration \"10y\""),
            ("xx", "invalid validity: time: invalid duration \"xx\""),
            ("10", "invalid validity: time: missing unit in duration \"10\""),
            ("0", "generate CA: CA validity must be positive"),
            ("-1h", "generate CA: CA validity must be positive"),
        ];
        for (validity, want) in cases {
            let given = InitOptions { validity: validity.into(), ..options(temp.path()) };
            assert_eq!(init(&given, &HomeSources::default()).unwrap_err().to_string(), want);
        }
        let error = init(&InitOptions::default(), &HomeSources::default()).unwrap_err().to_string();
        assert_eq!(error, "resolve default path: resolving home directory: $HOME is not defined");
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        let error = init(&options(&file.join("x")), &HomeSources::default()).unwrap_err().to_string();
        assert!(error.starts_with("create cert directory: mkdir "), "{error}");
    }

    #[test]
    fn default_directory_prefers_flag_then_variable_then_home() {
        let path = |s: &str| Some(PathBuf::from(s));
        let cases = [
            (path("/f"), path("/p"), path("/h"), "/f"),
            (None, path("/p"), path("/h"), "/p"),
            (path(""), path(""), path("/h"), "/h/.pipelock"),
        ];
        for (flag, pipelock_home, home, want) in cases {
            let sources = HomeSources { flag, pipelock_home, home };
            assert_eq!(sources.directory().unwrap(), PathBuf::from(want), "{sources:?}");
        }
    }

    #[test]
    fn show_ca_prints_any_file_unchanged() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("notes.txt");
        fs::write(&file, b"any text").unwrap();
        assert_eq!(show_ca(Some(&file), &HomeSources::default()).unwrap(), b"any text");
        let home = HomeSources { home: Some(temp.path().to_owned()), ..HomeSources::default() };
        assert_eq!(
            show_ca(None, &home).unwrap_err().to_string(),
            format!(
                "read CA cert: open {}/.pipelock/ca.pem: no such file or directory",
                temp.path().display()
            )
        );
    }

    #[test]
    fn install_ca_prints_instructions_with_a_cleaned_quoted_path() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("ca.pem");
        fs::write(&file, b"x").unwrap();
        let odd = temp.path().join("./x/..//ca.pem");
        let text = install_ca(Some(&odd), &HomeSources::default()).unwrap();
        assert!(text.contains(&format!("sudo cp \"{}\" /usr/local", file.display())), "{text}");
        let missing = Path::new("/nonexistent/ca.pem");
        assert_eq!(
            install_ca(Some(missing), &HomeSources::default()).unwrap_err().to_string(),
            "CA cert not found at /nonexistent/ca.pem (run 'pipelock tls init' first): stat /nonexistent/ca.pem: no such file or directory"
        );
    }
}
