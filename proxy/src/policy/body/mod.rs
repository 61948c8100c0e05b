//! Request bodies: what may be read, what of it is scanned, what a finding does.
//!
//! Two steps, so that the server can refuse before it reads: [`BodyPolicy::gate`] judges the headers, [`BodyPolicy::scan`] the
//! bytes. Everything that cannot be decided (too large, compressed, not what its type says) is refused whatever the
//! configured action is. No I/O, no logging: the verdict says all that the server and the log need.
//!
//! spec: tls-and-request-bodies §12-14, §18.7-18.14; differences D-801 to D-824

mod addresses;
mod charset;
mod encoding;
mod extract;
mod form;
mod joints;
mod json;
mod media_type;
mod memory;
pub(super) mod mime;
mod multipart;
mod packed;
mod redaction;
mod strings;
mod verdict;

use std::collections::HashSet;
use std::sync::Arc;

use http::HeaderMap;
use muselet_rules::dlp::{Match, Scanner};

use self::addresses::AddressGuard;
use self::encoding::Coding;
use self::memory::{Known, Memory};
use self::packed::Allowance;
pub use self::redaction::RedactionError;
use self::redaction::RedactionPolicy;
use self::strings::{Kind, Strings};
pub use self::verdict::{
    Action, AddressFinding, BodyFinding, BodyVerdict, Label, Outcome, Redaction, Transport,
};
use super::{difference, named};
use crate::config::{Config, Strictness};

/// The body inspection, compiled from a configuration.
#[derive(Debug)]
pub struct BodyPolicy {
    enabled: bool,
    action: Action,
    max_body_bytes: u64,
    strictness: Strictness,
    decompress: bool,
    redaction: Option<RedactionPolicy>,
    addresses: Option<AddressGuard>,
    scanner: Arc<Scanner>,
    /// Absent where bodies may be rewritten.
    memory: Option<Memory>,
}

/// What to do with a body, judged by the headers.
#[derive(Debug)]
pub enum Gate {
    /// Not scanned: stream it through.
    Skip,
    /// Read it, refuse it with [`BodyFinding::too_large`] as soon as it is longer than `limit` bytes, else pass it to
    /// [`BodyPolicy::scan`].
    Buffer {
        /// Longest body in bytes.
        limit: u64,
    },
    /// Refuse without reading.
    Block(BodyFinding),
}

impl BodyPolicy {
    /// Compiles the inspection from `request_body_scanning`, `redaction`, `address_protection` and `muselet`.
    ///
    /// # Errors
    /// The redaction profile cannot be compiled.
    pub fn new(config: &Config, scanner: Arc<Scanner>) -> Result<Self, RedactionError> {
        let section = &config.request_body_scanning;
        let redaction = RedactionPolicy::new(&config.redaction)?;
        Ok(Self {
            enabled: section.enabled,
            action: Action::from_config(&section.action),
            max_body_bytes: u64::try_from(section.max_body_bytes).unwrap_or_default(),
            strictness: config.muselet.strictness,
            decompress: config.muselet.decompress,
            memory: if redaction.is_none() { Memory::new() } else { None },
            redaction,
            addresses: AddressGuard::new(&config.address_protection),
            scanner,
        })
    }

    /// `request_body_scanning.action`, for findings without their own.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether bodies are scanned at all.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Longest body that is read, bytes; 0 where none is.
    pub fn limit(&self) -> u64 {
        if self.enabled { self.max_body_bytes.min(strings::MAX_BYTES as u64) } else { 0 }
    }

    /// Whether bodies may be rewritten.
    pub fn redacts(&self) -> bool {
        self.redaction.is_some()
    }

    /// Judges by the headers. `carries`: the request has a body (HTTP/1: a length above zero, or chunked; HTTP/2: always).
    /// `declared`: its length, if the framing tells.
    pub fn gate(&self, headers: &HeaderMap, carries: bool, declared: Option<u64>) -> Gate {
        if !self.enabled || !carries {
            return Gate::Skip;
        }
        let limit = self.limit();
        match encoding::gate(headers, self.strictness, self.decompresses()) {
            Err(finding) => Gate::Block(finding),
            Ok(_) if declared.is_some_and(|length| length > limit) => {
                Gate::Block(BodyFinding::too_large(limit))
            }
            Ok(_) => Gate::Buffer { limit },
        }
    }

    /// Whether the headers name a coding of the body other than `identity`.
    pub fn is_encoded(&self, headers: &HeaderMap) -> bool {
        encoding::gate(headers, self.strictness, true).map_or(true, |codings| !codings.is_empty())
    }

    /// A redacted body could not be sent under the coding of the original, so redaction keeps compressed bodies out.
    fn decompresses(&self) -> bool {
        self.decompress && self.redaction.is_none()
    }

    /// The same as [`Self::scan`], but not for a body that was found clean and comes again: it is known by a tag over all of its bytes.
    pub fn recall_or_scan(&self, body: &[u8], headers: &HeaderMap, host: &str) -> BodyVerdict {
        let known = self.memory.as_ref().map_or(Known::No, |memory| memory.look_up(body, headers));
        if matches!(known, Known::Clean) {
            return BodyVerdict::default();
        }
        let verdict = self.scan(body, headers, host);
        if let (Known::Seen(seen), Some(memory)) = (known, &self.memory)
            && verdict.is_clean()
        {
            memory.remember(seen);
        }
        verdict
    }

    /// Inspects a whole body that the gate let through. `host`: of the target, for exemption lists.
    ///
    /// Takes time in proportion to the body; call it off the async workers for large ones.
    pub fn scan(&self, body: &[u8], headers: &HeaderMap, host: &str) -> BodyVerdict {
        let codings = match encoding::gate(headers, self.strictness, self.decompresses()) {
            Ok(codings) => codings,
            Err(finding) => return finding.into(),
        };
        if body.is_empty() {
            return BodyVerdict::default();
        }
        if body.len() as u64 > self.max_body_bytes || body.len() > strings::MAX_BYTES {
            return BodyFinding::too_large(self.max_body_bytes).into();
        }
        let mut verdict = BodyVerdict::default();
        if let Some(redaction) = &self.redaction {
            match redaction.apply(body, headers, host) {
                Ok(Some(rewritten)) => {
                    verdict.replacement = Some(rewritten.body);
                    verdict.redaction = rewritten.summary;
                }
                Ok(None) => {}
                Err(refusal) => return redaction::finding(refusal).into(),
            }
        }
        let text = verdict.replacement.as_deref().unwrap_or(body);
        let (finding, warnings) = self.judge(text, headers, &codings);
        verdict.finding = finding;
        verdict.warnings = warnings;
        verdict
    }

    fn judge(
        &self,
        body: &[u8],
        headers: &HeaderMap,
        codings: &[Coding],
    ) -> (Option<BodyFinding>, Vec<Match>) {
        if codings.is_empty() {
            return self.judge_whole(body, headers);
        }
        let mut stages = match encoding::decode(body, codings, self.max_body_bytes) {
            Ok(stages) => stages,
            Err(error) => return (Some(error.finding(self.max_body_bytes)), Vec::new()),
        };
        let text = stages.pop().unwrap_or_default();
        let judged = self.judge_whole(&text, headers);
        if judged.0.is_some() {
            return judged;
        }
        // Names and comments of gzip, frames to skip of zstd, metadata of brotli.
        let beside = std::iter::once(body).chain(stages.iter().map(Vec::as_slice)).find_map(|stage| {
            let (finding, _) =
                self.judge_text(&packed::runs(stage), &HeaderMap::new(), &mut Allowance::nothing());
            finding.map(|finding| BodyFinding { difference: Some(difference::BESIDE_CONTENT), ..finding })
        });
        (beside, judged.1)
    }

    fn judge_whole(&self, body: &[u8], headers: &HeaderMap) -> (Option<BodyFinding>, Vec<Match>) {
        let mut allowance = Allowance::of(body.len());
        let (finding, warnings) = self.judge_text(body, headers, &mut allowance);
        (finding.or_else(|| self.judge_archives(body, &mut allowance)), warnings)
    }

    /// `allowance`: what compressed streams in the text may unpack to.
    fn judge_text(
        &self,
        text: &[u8],
        headers: &HeaderMap,
        allowance: &mut Allowance,
    ) -> (Option<BodyFinding>, Vec<Match>) {
        let hardened = self.strictness == Strictness::Hardened;
        // The quick reading first: nearly every body is clean, and then the order of its strings does not matter.
        match extract::quick(text, headers, hardened) {
            Some(Err(finding)) => (Some(finding), Vec::new()),
            Some(Ok(Some(strings))) if !strings.overflowed() => match self.are_clean(&strings, hardened) {
                true => (self.in_several(&strings).or_else(|| self.addresses_in(&strings, None)), Vec::new()),
                false => self.judge_exactly(text, headers, allowance, true),
            },
            _ => self.judge_exactly(text, headers, allowance, false),
        }
    }

    /// With every string in the order of the reference. `one_by_one`: they are known not to be clean together.
    fn judge_exactly(
        &self,
        text: &[u8],
        headers: &HeaderMap,
        allowance: &mut Allowance,
        one_by_one: bool,
    ) -> (Option<BodyFinding>, Vec<Match>) {
        let hardened = self.strictness == Strictness::Hardened;
        let strings = match extract::exact(text, headers, hardened) {
            Ok(strings) if strings.overflowed() => return (Some(extract::expands()), Vec::new()),
            Ok(strings) => strings,
            Err(finding) => return (Some(finding), Vec::new()),
        };
        let scanned = if !one_by_one && strings.count() > 1 && strings.are_clean(&self.scanner) {
            Scanned::default()
        } else {
            self.texts(&strings, hardened)
        };
        let finding = if scanned.matches.is_empty() {
            self.in_several(&strings)
                .or_else(|| self.addresses_in(&strings, None))
                .or_else(|| self.judge_packed(&strings, allowance))
        } else {
            let secret = secret(scanned.matches, scanned.difference);
            Some(if hardened && self.action == Action::Warn {
                self.addresses_in(&strings, Some(&secret)).unwrap_or(secret)
            } else {
                secret
            })
        };
        (finding, scanned.warnings)
    }

    /// What is found in a text when it is scanned like a body that does not say what it is. `None`: nothing.
    pub fn secrets_in(&self, text: &[u8]) -> Option<Vec<Match>> {
        if text.is_empty() || text.len() > strings::MAX_BYTES {
            return None;
        }
        let (finding, _) = self.judge_text(text, &HeaderMap::new(), &mut Allowance::nothing());
        finding.filter(|finding| finding.label == Label::BodyDlp).map(|finding| finding.matches)
    }

    /// What compressed streams hold, as bodies of no type.
    fn judge_packed(&self, strings: &Strings<'_>, allowance: &mut Allowance) -> Option<BodyFinding> {
        if !self.decompress {
            return None;
        }
        strings.packed().find_map(|stream| self.judge_unpacked(packed::unpack(stream, allowance)?, allowance))
    }

    /// The same of archives, wherever they begin.
    fn judge_archives(&self, data: &[u8], allowance: &mut Allowance) -> Option<BodyFinding> {
        if !self.decompress {
            return None;
        }
        packed::find_in_archives(data, allowance, &mut |unpacked, allowance| {
            self.judge_unpacked(unpacked, allowance)
        })
    }

    fn judge_unpacked(&self, unpacked: Vec<u8>, allowance: &mut Allowance) -> Option<BodyFinding> {
        allowance.within(|allowance| {
            let archived = self.judge_archives(&unpacked, allowance);
            archived.or_else(|| {
                let (finding, _) = self.judge_text(&packed::text(unpacked), &HeaderMap::new(), allowance);
                finding.map(|finding| BodyFinding { difference: Some(difference::PACKED), ..finding })
            })
        })
    }

    /// A credential that is spread over neighbouring strings, or that its name tells. Only in hardened mode.
    fn in_several(&self, strings: &Strings<'_>) -> Option<BodyFinding> {
        if self.strictness == Strictness::Reference {
            return None;
        }
        let pieces = strings.pieces();
        let found = self.scanner.scan_pieces(&pieces).or_else(|| self.scanner.phrase_in_pieces(&pieces));
        if let Some(found) = found {
            return Some(secret(vec![found], Some(difference::PIECES)));
        }
        let named = named::secrets_in(&self.scanner, strings.named());
        (!named.is_empty()).then(|| secret(named, Some(difference::NAMED)))
    }

    /// Whether there is nothing in any of the texts.
    fn are_clean(&self, strings: &Strings<'_>, hardened: bool) -> bool {
        match strings.count() {
            0 | 1 => self.texts(strings, hardened).silent(),
            _ => strings.are_clean(&self.scanner),
        }
    }

    /// Scans every string, then all of them sorted and joined; then, in hardened mode, what the reference leaves out.
    fn texts(&self, strings: &Strings<'_>, hardened: bool) -> Scanned {
        let mut scanned = Scanned::default();
        // Equal strings have equal results; short ones repeat most (names, flags, numbers).
        let mut silent: HashSet<&[u8]> = HashSet::new();
        for text in strings.iter() {
            let short = text.len() <= 32;
            if short && silent.contains(text) {
                continue;
            }
            let warnings = scanned.warnings.len();
            if self.text(text, None, |_| true, &mut scanned) {
                return scanned;
            }
            if short && scanned.warnings.len() == warnings {
                silent.insert(text);
            }
        }
        // The joined text of a single string is that string.
        if (strings.len() > 1 || !scanned.warnings.is_empty())
            && self.text(&strings.joined(), None, is_of_several, &mut scanned)
        {
            return scanned;
        }
        if !hardened {
            return scanned;
        }
        for (text, difference, kind) in strings.extras() {
            // Measurements around fifty spell digits, and identifiers of 18 digits are card numbers, one in ten.
            let counts = |m: &Match| kind != Kind::Digits || m.is_certain();
            if self.text(text, Some(difference), counts, &mut scanned) {
                return scanned;
            }
        }
        if let Some((joined, difference)) = strings.joined_with_extras() {
            self.text(&joined, Some(difference), is_of_several, &mut scanned);
        }
        scanned
    }

    /// Scans one text and says whether it ends the scan: whether there are matches that count.
    fn text(
        &self,
        text: &[u8],
        difference: Option<&'static str>,
        counts: impl Fn(&Match) -> bool,
        scanned: &mut Scanned,
    ) -> bool {
        let mut found = self.scanner.scan_text(text);
        found.matches.retain(counts);
        // Warnings of texts that the reference does not scan are not worth an event.
        if difference.is_none() {
            scanned.warnings.extend(found.informational);
        }
        if found.matches.is_empty() {
            return false;
        }
        scanned.matches = found.matches;
        scanned.difference = difference;
        true
    }

    /// Addresses in a text that are not what they look like, or not known. For text that is not a body.
    pub fn addresses(&self, text: &[u8]) -> Vec<AddressFinding> {
        self.addresses.as_ref().map(|guard| guard.check(text)).unwrap_or_default()
    }

    /// The address check. Beside a secret that only warns, an address that blocks is the stricter of the two (D-809).
    fn addresses_in(&self, strings: &Strings<'_>, beside: Option<&BodyFinding>) -> Option<BodyFinding> {
        let addresses = self.addresses.as_ref()?.check(&strings.joined());
        let action = addresses.iter().map(|finding| finding.action).max()?;
        if beside.is_some() && action == Action::Warn {
            return None;
        }
        let explanation = &addresses.first()?.explanation;
        Some(BodyFinding {
            label: if beside.is_some() { Label::BodyDlp } else { Label::AddressProtection },
            reason: format!("address poisoning detected: {explanation}"),
            action: Some(action),
            fail_closed: false,
            matches: beside.map(|secret| secret.matches.clone()).unwrap_or_default(),
            difference: beside.map(|_| difference::ADDRESS_BESIDE_SECRET),
            addresses,
        })
    }
}

fn secret(matches: Vec<Match>, difference: Option<&'static str>) -> BodyFinding {
    let names: Vec<&str> = matches.iter().map(|hit| &*hit.name).collect();
    BodyFinding {
        label: Label::BodyDlp,
        reason: format!("request body contains secret: {}", names.join(", ")),
        action: None,
        fail_closed: false,
        difference: difference.or(matches.iter().find_map(|hit| hit.difference)),
        matches,
        addresses: Vec::new(),
    }
}

/// Whether a match counts in all strings of a body, sorted: words of a seed phrase are not in order there, unless by chance, as in
/// code that is sent line by line. Those that stand each in a string are looked for in their order.
fn is_of_several(m: &Match) -> bool {
    !m.is_punctuated_phrase()
}

/// What the text scans of one body found so far.
#[derive(Default)]
struct Scanned {
    matches: Vec<Match>,
    warnings: Vec<Match>,
    difference: Option<&'static str>,
}

impl Scanned {
    fn silent(&self) -> bool {
        self.matches.is_empty() && self.warnings.is_empty()
    }
}

#[cfg(test)]
pub(crate) mod tests;
