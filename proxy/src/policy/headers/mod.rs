//! Request headers: which are scanned, in which form, and what a finding says.
//!
//! Values go to the text scanner as they are; a credential in `Authorization: Basic …` is found because the scanner decodes
//! segments, not because headers are understood. The joined text catches a secret spread over several lines.
//!
//! The caller passes the headers that the specification leaves at that point: without `Host`, without the framing headers of
//! HTTP/1.1, and over HTTP/2 with the `cookie` fields joined into one.
//!
//! spec: tls-and-request-bodies §12, http-proxy §5.4; differences D-806, D-815, D-817, and D-822 to D-824

use std::collections::HashSet;
use std::sync::Arc;

use http::header::COOKIE;
use http::{HeaderMap, HeaderName};
use muselet_rules::decode;
use muselet_rules::dlp::{Match, Scanner};

use super::body::Action;
use super::shown::shown;
use super::url::parse::UserInfo;
use super::{difference, named};
use crate::config::{Config, Strictness};

/// Name of the header in findings that only the joined text shows.
const JOINED: &str = "(joined)";
/// The same for the method.
const METHOD: &str = "(method)";
/// The beginning of an `Authorization` with name and password.
const BASIC: &[u8] = b"Basic ";
/// No shorter token matches a rule.
const SHORTEST_METHOD: usize = 10;

/// Which headers are scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Exactly these, by lower-case name; values only.
    Sensitive(HashSet<String>),
    /// All but these, by lower-case name; names and values.
    All {
        /// Names left out.
        ignore: HashSet<String>,
    },
}

/// The header scan, compiled from a configuration.
#[derive(Debug, Clone)]
pub struct HeaderPolicy {
    enabled: bool,
    action: Action,
    mode: Mode,
    strictness: Strictness,
    scanner: Arc<Scanner>,
}

/// A secret in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFinding {
    /// Canonical name, `(joined)` or `(method)`.
    pub header: String,
    /// The configured action.
    pub action: Action,
    /// Enforcing matches of the first string that was not clean.
    pub matches: Vec<Match>,
    /// The listed difference without which this would have passed.
    pub difference: Option<&'static str>,
}

impl HeaderFinding {
    /// Reason in answers and events.
    pub const REASON: &'static str = "request header contains secret";

    /// Whether the request is refused.
    pub fn blocks(&self, enforce: bool) -> bool {
        enforce && self.action == Action::Block
    }

    /// Names of the matches, for the `patterns` field.
    pub fn patterns(&self) -> Vec<&str> {
        self.matches.iter().map(|hit| &*hit.name).collect()
    }
}

/// The scan of one request's headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderVerdict {
    /// `None`: nothing against them.
    pub finding: Option<HeaderFinding>,
    /// Matches of warn-mode rules, one `dlp_warn` event each.
    pub warnings: Vec<Match>,
}

impl HeaderPolicy {
    /// Compiles the scan from `request_body_scanning`.
    pub fn new(config: &Config, scanner: Arc<Scanner>) -> Self {
        let section = &config.request_body_scanning;
        let names = |list: &[String]| list.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self {
            enabled: section.enabled && section.scan_headers,
            action: Action::from_config(&section.action),
            mode: match section.header_mode.as_str() {
                "all" => Mode::All { ignore: names(&section.ignore_headers) },
                _ => Mode::Sensitive(names(&section.sensitive_headers)),
            },
            strictness: config.muselet.strictness,
            scanner,
        }
    }

    /// Whether headers are scanned at all.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Scans the headers of a request, and in hardened mode its method, which may be any token.
    pub fn scan_request(&self, method: &str, headers: &HeaderMap) -> HeaderVerdict {
        if self.enabled && self.strictness == Strictness::Hardened && method.len() >= SHORTEST_METHOD {
            let difference = Some(difference::METHOD);
            let mut scan = Scan { policy: self, texts: Vec::new(), warnings: Vec::new(), difference };
            if let Err(finding) = scan.text(METHOD, method.as_bytes()) {
                return HeaderVerdict { finding: Some(finding), warnings: scan.warnings };
            }
        }
        self.scan(headers)
    }

    /// Scans the headers of a request. The first string that is not clean decides.
    pub fn scan(&self, headers: &HeaderMap) -> HeaderVerdict {
        let mut scan = Scan { policy: self, texts: Vec::new(), warnings: Vec::new(), difference: None };
        let finding = if self.enabled { scan.headers(headers, |name| self.selects(name)) } else { None };
        HeaderVerdict { finding, warnings: scan.warnings }
    }

    /// Scans the values of one header of a handshake, whether headers are scanned otherwise or not.
    pub fn scan_one(&self, name: &HeaderName, headers: &HeaderMap) -> HeaderVerdict {
        let mut scan = Scan { policy: self, texts: Vec::new(), warnings: Vec::new(), difference: None };
        let finding = scan.values(name, headers).err();
        HeaderVerdict { finding, warnings: scan.warnings }
    }

    /// Scans the trailers of a request, all of them, names included. Only in hardened mode; the reference lets them through.
    pub fn scan_trailers(&self, trailers: &HeaderMap) -> HeaderVerdict {
        if !self.enabled || self.strictness == Strictness::Reference {
            return HeaderVerdict::default();
        }
        let everything = Self { mode: Mode::All { ignore: HashSet::new() }, ..self.clone() };
        let mut scan = Scan {
            policy: &everything,
            texts: Vec::new(),
            warnings: Vec::new(),
            difference: Some(difference::TRAILERS),
        };
        let finding = scan.headers(trailers, |_| true);
        HeaderVerdict { finding, warnings: scan.warnings }
    }

    /// Scans the user-info of a URL, which goes out as `Authorization` where there is no such header. Only in hardened mode; the
    /// reference looks at it as a part of the URL only, without its encodings.
    pub fn scan_user_info(&self, user: &UserInfo<'_>) -> HeaderVerdict {
        if !self.enabled || self.strictness == Strictness::Reference {
            return HeaderVerdict::default();
        }
        let difference = Some(difference::USER_INFO);
        let mut scan = Scan { policy: self, texts: Vec::new(), warnings: Vec::new(), difference };
        let (name, password) = (&*user.name, user.password.as_deref().unwrap_or_default());
        let texts = [name.to_vec(), password.to_vec(), [name, password].concat()];
        let finding = texts.iter().find_map(|text| scan.text("Authorization", text).err());
        HeaderVerdict { finding, warnings: scan.warnings }
    }

    fn selects(&self, name: &str) -> bool {
        match &self.mode {
            Mode::Sensitive(names) => names.contains(name),
            Mode::All { ignore } => !ignore.contains(name),
        }
    }

    fn with_names(&self) -> bool {
        matches!(self.mode, Mode::All { .. })
    }
}

struct Scan<'p> {
    policy: &'p HeaderPolicy,
    /// What takes part in the joined text.
    texts: Vec<Vec<u8>>,
    warnings: Vec<Match>,
    difference: Option<&'static str>,
}

impl Scan<'_> {
    fn headers(&mut self, headers: &HeaderMap, selects: impl Fn(&str) -> bool) -> Option<HeaderFinding> {
        // An error is a finding here: it ends the scan.
        self.each(headers, selects).err()
    }

    fn each(&mut self, headers: &HeaderMap, selects: impl Fn(&str) -> bool) -> Result<(), HeaderFinding> {
        for name in headers.keys().filter(|name| selects(name.as_str())) {
            let shown = canonical(name.as_str());
            if self.policy.with_names() {
                self.text(&shown, shown.as_bytes())?;
                self.texts.push(shown.clone().into_bytes());
            }
            for value in headers.get_all(name) {
                self.value(&shown, value.as_bytes())?;
                if self.policy.with_names() {
                    self.text(&shown, &[shown.as_bytes(), value.as_bytes()].concat())?;
                }
                self.texts.push(value.as_bytes().to_vec());
            }
        }
        if self.policy.strictness == Strictness::Hardened {
            if selects(COOKIE.as_str()) {
                self.crumbs(headers)?;
            }
            let mut text = Vec::new();
            for (name, value) in headers.iter().filter(|(name, _)| selects(name.as_str())) {
                named::note(&mut text, name.as_str().as_bytes(), value.as_bytes());
            }
            self.found(JOINED, named::secrets_in(&self.policy.scanner, &text), Some(difference::NAMED))?;
        }
        if self.texts.len() > 1 {
            self.texts.sort_unstable();
            let joined = self.texts.join(&b'\n');
            self.text(JOINED, &joined)?;
        }
        Ok(())
    }

    fn values(&mut self, name: &HeaderName, headers: &HeaderMap) -> Result<(), HeaderFinding> {
        let shown = canonical(name.as_str());
        headers.get_all(name).iter().try_for_each(|value| self.value(&shown, value.as_bytes()))?;
        match self.policy.strictness == Strictness::Hardened && name == COOKIE {
            true => self.crumbs(headers),
            false => Ok(()),
        }
    }

    fn value(&mut self, header: &str, value: &[u8]) -> Result<(), HeaderFinding> {
        self.text(header, value)?;
        let Some(login) = self.login(value) else { return Ok(()) };
        let found = self.policy.scanner.scan_text(&login).matches;
        self.found(header, found, Some(difference::SHOWN))?;
        self.found(header, self.as_shown(&login), Some(difference::SHOWN))
    }

    fn text(&mut self, header: &str, text: &[u8]) -> Result<(), HeaderFinding> {
        let found = self.policy.scanner.scan_text(text);
        self.warnings.extend(found.informational);
        let difference = found.matches.iter().find_map(|hit| hit.difference);
        self.found(header, found.matches, difference)?;
        self.found(header, self.as_shown(text), Some(difference::SHOWN))
    }

    /// What is found in a value as its reader sees it. Only in hardened mode.
    fn as_shown(&self, text: &[u8]) -> Vec<Match> {
        let read = if self.policy.strictness == Strictness::Hardened { shown(text) } else { Vec::new() };
        let mut found = read.iter().map(|read| self.policy.scanner.scan_text(read).matches);
        found.find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Name and password of `Basic` authorization. Only in hardened mode.
    fn login(&self, value: &[u8]) -> Option<Vec<u8>> {
        let (scheme, login) = value.split_at_checked(BASIC.len())?;
        let is_basic = self.policy.strictness == Strictness::Hardened && scheme.eq_ignore_ascii_case(BASIC);
        if is_basic { decode::base64(login.trim_ascii()).map(|login| login.bytes) } else { None }
    }

    /// A credential in neighbouring cookies.
    fn crumbs(&mut self, headers: &HeaderMap) -> Result<(), HeaderFinding> {
        let lines = || headers.get_all(COOKIE).iter().map(|line| line.as_bytes());
        let commas = lines().any(|line| line.contains(&b','));
        // Some servers end a cookie at a comma as well.
        let separators = [&b";"[..], b";,"].into_iter().take(1 + usize::from(commas));
        let found = separators.map(|ends| {
            let crumbs = lines().flat_map(|line| line.split(move |byte| ends.contains(byte)));
            let values: Vec<&[u8]> = crumbs.map(crumb_value).filter(|value| !value.is_empty()).collect();
            self.policy.scanner.scan_pieces(&values)
        });
        let found = found.into_iter().flatten().take(1).collect();
        self.found("Cookie", found, Some(difference::PIECES))
    }

    /// An error unless there are no matches. `difference`: what finds them.
    fn found(
        &self,
        header: &str,
        matches: Vec<Match>,
        difference: Option<&'static str>,
    ) -> Result<(), HeaderFinding> {
        if matches.is_empty() {
            return Ok(());
        }
        let difference = self.difference.or(difference);
        Err(HeaderFinding { header: header.to_owned(), action: self.policy.action, difference, matches })
    }
}

/// The value of a cookie, or its name if it has no more, without quotes.
fn crumb_value(crumb: &[u8]) -> &[u8] {
    let value = &crumb[memchr::memchr(b'=', crumb).map_or(0, |at| at + 1)..];
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value).trim_ascii()
}

/// First letter and letters after a hyphen upper-case, the rest lower-case.
pub(crate) fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let shown = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            upper = c == '-';
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests;
