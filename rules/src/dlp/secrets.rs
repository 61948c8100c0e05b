//! Known secrets: what is taken from the environment and the secrets file, and how they are found again, in plain or
//! encoded (spec: dlp §8.6b, url-scan §12.4).
//!
//! Collection takes names, values and file text; reading them is the caller's. Values never show up in `Debug`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use data_encoding::{BASE32_NOPAD, HEXLOWER};

use super::Encoding;
use crate::text::shannon_entropy;

/// Entropy that an environment value must exceed, bits per character.
const MIN_ENTROPY: f64 = 3.0;
/// Longest line of a secrets file that is used, bytes.
const MAX_LINE: usize = 4096;
/// Length from which a line of a secrets file is an error, bytes.
const FATAL_LINE: usize = 12288;
/// Lines of a secrets file that are used.
const MAX_ENTRIES: usize = 1000;

/// Shortest normalised secret that is searched.
const MIN_FOLDED: usize = 12;

/// Names that never hold secrets.
const EXCLUDED: &str = "PWD OLDPWD HOME PATH TMPDIR TEMP TMP _ USER LOGNAME USERNAME HOSTNAME HOST SHELL SHLVL TERM \
    TERM_PROGRAM COLORTERM COLORFGBG LANG LANGUAGE DISPLAY WAYLAND_DISPLAY EDITOR VISUAL PAGER LESS LS_COLORS \
    LSCOLORS DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK GOPATH GOROOT GOBIN PYTHONPATH PYTHONHOME NODE_PATH MANPATH \
    INFOPATH PS1 PS2 PS3 PS4 USERPROFILE APPDATA LOCALAPPDATA PROGRAMFILES PROGRAMDATA SYSTEMROOT WINDIR COMSPEC \
    COMPUTERNAME PATHEXT SESSIONNAME";

/// How a known secret was written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretForm {
    /// As it is.
    Raw,
    /// Standard base64.
    Base64,
    /// URL-safe base64, where it differs.
    Base64Url,
    /// Hex, contiguous or delimited.
    Hex,
    /// Base32.
    Base32,
}

impl SecretForm {
    /// The label of a file secret's finding.
    pub fn encoding(self) -> Encoding {
        match self {
            SecretForm::Raw => Encoding::Plain,
            SecretForm::Base64 => Encoding::Base64,
            SecretForm::Base64Url => Encoding::Base64Url,
            SecretForm::Hex => Encoding::Hex,
            SecretForm::Base32 => Encoding::Base32,
        }
    }

    /// What the URL pipeline appends to its reason.
    pub fn reason_suffix(self) -> &'static str {
        match self {
            SecretForm::Raw => "",
            SecretForm::Base64 => " (base64-encoded)",
            SecretForm::Base64Url => " (base64url-encoded)",
            SecretForm::Hex => " (hex-encoded)",
            SecretForm::Base32 => " (base32-encoded)",
        }
    }
}

/// One known secret with its searched forms. Unpadded forms suffice: the padded ones contain them.
#[derive(Clone)]
pub struct Secret {
    value: Vec<u8>,
    /// What normalisation makes of the secret, if that is something else.
    folded: Option<Vec<u8>>,
    /// Case-sensitive forms in order, then the hex forms, lower-case, which are searched ignoring ASCII case.
    needles: Vec<(SecretForm, Vec<u8>)>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    fn new(value: &[u8]) -> Secret {
        let mut needles = vec![(SecretForm::Raw, value.to_vec())];
        let standard = STANDARD_NO_PAD.encode(value).into_bytes();
        let url = URL_SAFE_NO_PAD.encode(value).into_bytes();
        needles.push((SecretForm::Base64, standard.clone()));
        if url != standard {
            needles.push((SecretForm::Base64Url, url));
        }
        let pairs: Vec<String> = value.iter().map(|&b| HEXLOWER.encode(&[b])).collect();
        for joined in [":", " ", "-", ","].map(|by| pairs.join(by)) {
            needles.push((SecretForm::Hex, joined.into_bytes()));
        }
        for prefix in ["", "\\x", "0x"] {
            needles.push((
                SecretForm::Hex,
                pairs.iter().flat_map(|p| [prefix, p]).collect::<String>().into_bytes(),
            ));
        }
        needles.push((SecretForm::Base32, BASE32_NOPAD.encode(value).into_bytes()));
        let folded = crate::text::norm_dlp(value).into_owned().into_bytes();
        let folded = (folded != value && folded.len() >= MIN_FOLDED).then_some(folded);
        Secret { value: value.to_vec(), folded, needles }
    }

    /// The secret as it is in normalised texts.
    pub(super) fn normalised(&self) -> &[u8] {
        self.folded.as_ref().unwrap_or(&self.value)
    }

    /// The forms that are searched, in order; [`SecretForm::Hex`] forms are lower-case and match any ASCII case.
    pub(super) fn needles(&self) -> &[(SecretForm, Vec<u8>)] {
        &self.needles
    }
}

/// A list of known secrets, in the order of their collection.
#[derive(Clone, Default)]
pub struct Secrets {
    list: Vec<Secret>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.list.len())
    }
}

/// A line of the secrets file that was not used; `Display` gives the reference's words, without its program name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileWarning {
    /// A NUL in the line.
    #[error("secrets_file line {0} contains null byte, skipping")]
    NullByte(usize),
    /// Longer than 4096 bytes.
    #[error("secrets_file line {0} exceeds 4096 bytes, skipping")]
    TooLong(usize),
    /// Shorter than the minimum.
    #[error("secrets_file line {line} too short ({len} < {min}), skipping")]
    TooShort {
        /// Number of the line, from 1.
        line: usize,
        /// Its length in bytes.
        len: usize,
        /// The minimum.
        min: usize,
    },
    /// More than 1000 usable lines.
    #[error("secrets_file exceeds 1000 entries, ignoring remainder")]
    TooMany,
}

/// A secrets file that cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileSecretsError {
    /// A line of 12288 bytes or more.
    #[error("line {0} is too long")]
    LineTooLong(usize),
}

impl Secrets {
    /// Secrets out of the process environment, given as (name, value) in its order: values of at least `min_len` bytes
    /// and more than 3 bits of entropy per character, whose name is not on the list of harmless ones.
    pub fn from_env<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        env: impl IntoIterator<Item = (N, V)>,
        min_len: usize,
    ) -> Secrets {
        let harmless = |name: &str| {
            name.starts_with("LC_") || name.starts_with("XDG_") || EXCLUDED.split(' ').any(|e| e == name)
        };
        let mut list = Vec::new();
        for (name, value) in env {
            let value = value.as_ref();
            let name = String::from_utf8_lossy(name.as_ref()).to_uppercase();
            if value.len() >= min_len
                && !harmless(&name)
                && shannon_entropy(&crate::text::lossy(value)) > MIN_ENTROPY
            {
                list.push(Secret::new(value));
            }
        }
        Secrets { list }
    }

    /// Secrets out of the text of a secrets file; `already` are the environment's, which are not taken again.
    pub fn from_file(
        text: &[u8],
        min_len: usize,
        already: &Secrets,
    ) -> Result<(Secrets, Vec<FileWarning>), FileSecretsError> {
        let mut found = Secrets::default();
        let mut warnings = Vec::new();
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let mut accepted = 0;
        for (i, raw) in text.split(|&b| b == b'\n').enumerate() {
            if raw.len() >= FATAL_LINE {
                return Err(FileSecretsError::LineTooLong(i + 1));
            }
            let line = trim(raw);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let problem = if line.contains(&0) {
                Some(FileWarning::NullByte(i + 1))
            } else if line.len() > MAX_LINE {
                Some(FileWarning::TooLong(i + 1))
            } else if line.len() < min_len {
                Some(FileWarning::TooShort { line: i + 1, len: line.len(), min: min_len })
            } else {
                None
            };
            if let Some(problem) = problem {
                warnings.push(problem);
                continue;
            }
            if accepted == MAX_ENTRIES {
                warnings.push(FileWarning::TooMany);
                break;
            }
            accepted += 1;
            if !already.has(line) && !found.has(line) {
                found.list.push(Secret::new(line));
            }
        }
        Ok((found, warnings))
    }

    fn has(&self, value: &[u8]) -> bool {
        self.list.iter().any(|s| s.value == value)
    }

    /// Number of secrets.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.list.iter()
    }

    /// Whether a secret that normalisation changes is in a normalised text.
    pub(super) fn folded_in(&self, norm: &[u8]) -> bool {
        self.list.iter().filter_map(|s| s.folded.as_deref()).any(|f| memchr::memmem::find(norm, f).is_some())
    }

    /// The form in which the first secret that is in any of the texts is written there. Texts are compared as they are:
    /// the caller normalises them (text DLP) or strips controls (URLs).
    pub fn find(&self, texts: &[&[u8]]) -> Option<SecretForm> {
        if self.list.is_empty() {
            return None;
        }
        let lower: Vec<Vec<u8>> = texts.iter().map(|t| t.to_ascii_lowercase()).collect();
        let within = |form: SecretForm, needle: &[u8]| match form {
            SecretForm::Hex => lower.iter().any(|t| memchr::memmem::find(t, needle).is_some()),
            _ => texts.iter().any(|t| memchr::memmem::find(t, needle).is_some()),
        };
        let first = |s: &Secret| s.needles.iter().find(|(form, n)| within(*form, n)).map(|(form, _)| *form);
        self.list.iter().find_map(first)
    }
}

/// White space trimmed as Unicode defines it, on bytes that need not be UTF-8.
fn trim(line: &[u8]) -> &[u8] {
    match std::str::from_utf8(line) {
        Ok(s) => s.trim().as_bytes(),
        Err(_) => line.trim_ascii(),
    }
}
