//! What the inspection of a request body says, as a value: the server answers, the log writes.
//!
//! spec: tls-and-request-bodies §8 step 9, §13.9-13.12

use std::collections::BTreeMap;

use muselet_rules::dlp::Match;

/// What a finding does, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Action {
    /// Record and forward.
    #[default]
    Warn,
    /// Refuse, if `enforce` is on.
    Block,
}

impl Action {
    /// As written in the configuration and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }

    /// From the configuration, which knows only these two.
    pub(crate) fn from_config(text: &str) -> Self {
        if text == "block" { Self::Block } else { Self::Warn }
    }
}

/// Which check a finding comes from: scanner label, metric label and receipt layer alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// A secret, or a body that cannot be read as what it claims to be.
    BodyDlp,
    /// Only look-alike or unknown blockchain addresses.
    AddressProtection,
    /// Redaction refused the body.
    Redaction,
}

impl Label {
    /// As it appears in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BodyDlp => "body_dlp",
            Self::AddressProtection => "address_protection",
            Self::Redaction => "redaction",
        }
    }
}

/// Something about a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyFinding {
    /// Which check.
    pub label: Label,
    /// The reason, without `blocked: ` and without ` (escalated)`.
    pub reason: String,
    /// Its own action, where it does not follow `request_body_scanning.action`.
    pub action: Option<Action>,
    /// The body cannot be kept or judged: blocked whatever `action` and `enforce` say.
    pub fail_closed: bool,
    /// Enforcing matches, in order.
    pub matches: Vec<Match>,
    /// Address findings, in order.
    pub addresses: Vec<AddressFinding>,
    /// The listed difference without which the reference would have been milder.
    pub difference: Option<&'static str>,
}

/// An address that is not the one it looks like, or not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressFinding {
    /// `ETH`, `BTC`, `SOL` or `BNB`.
    pub chain: &'static str,
    /// `lookalike` or `unknown`.
    pub verdict: &'static str,
    /// What it does.
    pub action: Action,
    /// One sentence for people.
    pub explanation: String,
}

/// What to do with a request whose body has a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Refuse; `escalated` adds ` (escalated)` to the reason.
    Block {
        /// Whether the reason gets the suffix.
        escalated: bool,
    },
    /// Record and forward.
    Forward,
}

/// Where the request came in: the two paths disagree when enforcement is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP forward request.
    Forward,
    /// Request inside an intercepted tunnel.
    Intercept,
}

impl BodyFinding {
    /// A finding that blocks whatever the configuration says.
    pub(super) fn fail_closed(label: Label, reason: impl Into<String>) -> Self {
        Self {
            label,
            reason: reason.into(),
            action: None,
            fail_closed: true,
            matches: Vec::new(),
            addresses: Vec::new(),
            difference: None,
        }
    }

    /// The body could not be read to its end.
    pub fn unreadable(detail: impl std::fmt::Display) -> Self {
        Self::fail_closed(Label::BodyDlp, format!("error reading request body: {detail}"))
    }

    /// The body is longer than `limit` bytes.
    pub fn too_large(limit: u64) -> Self {
        Self::fail_closed(Label::BodyDlp, format!("request body exceeds max_body_bytes ({limit})"))
    }

    /// The action before any upgrade by the session's level.
    pub fn action(&self, configured: Action) -> Action {
        self.action.unwrap_or(configured)
    }

    /// What to do, given the action after the session's level had its say. (spec: §13.11, §13.12, http-proxy §5.3)
    ///
    /// `upgraded`: the level has just turned the action into `block`.
    pub fn outcome(&self, transport: Transport, action: Action, upgraded: bool, enforce: bool) -> Outcome {
        if self.fail_closed {
            return Outcome::Block { escalated: false };
        }
        match (action, enforce, transport) {
            (Action::Warn, ..) => Outcome::Forward,
            (Action::Block, true, _) => Outcome::Block { escalated: false },
            (Action::Block, false, Transport::Forward) => Outcome::Block { escalated: true },
            (Action::Block, false, Transport::Intercept) if upgraded => Outcome::Block { escalated: true },
            (Action::Block, false, Transport::Intercept) => Outcome::Forward,
        }
    }

    /// Names of the matches, for the `patterns` field.
    pub fn patterns(&self) -> Vec<&str> {
        self.matches.iter().map(|hit| &*hit.name).collect()
    }
}

/// What redaction did to a body that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redaction {
    /// Name of the profile.
    pub profile: String,
    /// Values replaced.
    pub total: usize,
    /// The same by class.
    pub by_class: BTreeMap<String, usize>,
}

/// The inspection of one body.
#[derive(Default)]
pub struct BodyVerdict {
    /// `None`: nothing against it.
    pub finding: Option<BodyFinding>,
    /// Matches of warn-mode rules, one `dlp_warn` event each.
    pub warnings: Vec<Match>,
    /// The body to forward in place of the one received.
    pub replacement: Option<Vec<u8>>,
    /// Set when redaction ran and replaced something.
    pub redaction: Option<Redaction>,
}

impl BodyVerdict {
    /// Whether there is nothing to say of the body, and nothing was changed in it.
    pub fn is_clean(&self) -> bool {
        let Self { finding, warnings, replacement, redaction } = self;
        finding.is_none() && warnings.is_empty() && replacement.is_none() && redaction.is_none()
    }
}

impl std::fmt::Debug for BodyVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyVerdict")
            .field("finding", &self.finding)
            .field("warnings", &self.warnings)
            .field("replacement", &self.replacement.as_ref().map(Vec::len))
            .field("redaction", &self.redaction)
            .finish()
    }
}

impl From<BodyFinding> for BodyVerdict {
    fn from(finding: BodyFinding) -> Self {
        Self { finding: Some(finding), ..Self::default() }
    }
}
