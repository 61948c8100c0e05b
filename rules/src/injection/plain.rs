//! The scan exactly as specified: every view is made, every rule is run. Slow and obvious; the oracle of the filter, and
//! what decides once the filter has not cleared a text. spec: response-scan §4

use std::borrow::Cow;
use std::cell::OnceCell;

use super::filter::Suspects;
use super::rule::{Expression, Family, Rule};
use super::{Match, RuleError, ScanResult, Settings, Tier, Without, core_rules, encoded, views};
use crate::Strictness;
use crate::text::{self, lossy};

/// Both tiers, compiled.
pub(super) struct Rules {
    pub(super) core: Vec<Rule>,
    /// `None` when response scanning is switched off.
    pub(super) standard: Option<Vec<Rule>>,
    strictness: Strictness,
}

/// Which expression of a rule a pass runs.
#[derive(Clone, Copy)]
enum Variant {
    Base,
    OptionalWhitespace,
    VowelFolded,
}

/// How the rules are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As the reference does.
    Exact,
    /// Without the known gaps: rules also in normalised form, no keyword gate, thorough normalisation. What only this
    /// reading finds carries the difference's id.
    Thorough {
        /// The thorough form of the text is another one than the normalised form.
        other_text: bool,
    },
}

impl Rules {
    pub(super) fn new(settings: Settings) -> Result<Self, RuleError> {
        let compile = |specs: Vec<super::RuleSpec>| specs.into_iter().map(Rule::new).collect();
        Ok(Self {
            core: compile(core_rules().to_vec())?,
            standard: settings.standard.map(compile).transpose()?,
            strictness: settings.strictness,
        })
    }

    pub(super) fn is_hardened(&self) -> bool {
        self.strictness == Strictness::Hardened
    }

    /// All rules by number: core, then standard.
    pub(super) fn all(&self) -> impl Iterator<Item = &Rule> {
        self.core.iter().chain(self.standard.iter().flatten())
    }

    /// The whole scan. With suspects, rules that are not among them are taken not to match. Rules named by `without` are left out.
    pub(super) fn scan(&self, text: &[u8], suspects: Option<&Suspects>, without: Without<'_>) -> ScanResult {
        let text = &*lossy(text);
        let normalised = views::normalised(text.as_bytes());
        let found = self.passes(text, &normalised, Reading::Exact, suspects, without);
        if !found.is_clean() || !self.is_hardened() {
            return found;
        }
        let thorough = views::thorough(text);
        let other_text = thorough != normalised;
        self.passes(text, &thorough, Reading::Thorough { other_text }, suspects, without)
    }

    fn passes(
        &self,
        text: &str,
        normalised: &str,
        reading: Reading,
        suspects: Option<&Suspects>,
        without: Without<'_>,
    ) -> ScanResult {
        let views = Views::new(text, normalised);
        let all: Vec<&Rule> = self.all().collect();
        let (core, standard) = all.split_at(self.core.len());
        let is_suspect = |number: usize| suspects.is_none_or(|s| s.has(number));
        let payloads = suspects.is_none_or(|s| s.payload);
        let mut first = 0;
        for (tier, rules) in [(Tier::Core, core), (Tier::Standard, standard)] {
            let kept = || rules.iter().enumerate().filter(|(_, rule)| !without(&rule.spec.name));
            let likely: Vec<&Rule> = kept().filter(|(i, _)| is_suspect(first + i)).map(|(_, r)| *r).collect();
            let every: Vec<&Rule> = kept().filter(|_| payloads).map(|(_, r)| *r).collect();
            first += rules.len();
            for pass in 1..=6 {
                // A payload is another text, in which other rules may match.
                let rules = if pass == 6 { &every } else { &likely };
                if rules.is_empty() {
                    continue;
                }
                let matches = run_pass(tier, rules, pass, &views, reading);
                if !matches.is_empty() {
                    return ScanResult { matches, origin: Some((tier, pass)) };
                }
            }
        }
        ScanResult::default()
    }

    /// The text with its findings replaced. spec: response-scan §4.8
    pub(super) fn transformed(&self, text: &[u8], result: &ScanResult) -> Option<String> {
        let (tier, pass) = result.origin?;
        let text = &*lossy(text);
        let exact = result.matches.iter().all(|m| m.difference.is_none());
        let start = match (tier, pass) {
            (Tier::Standard, 2) => Cow::Owned(views::spaced(text, &views::normalised(text.as_bytes()))?),
            _ if exact => views::normalised(text.as_bytes()),
            _ => views::thorough(text),
        };
        let mut out = start.to_string();
        match tier {
            Tier::Core => self.core.iter().for_each(|r| redact(&mut out, r, Variant::Base, exact)),
            Tier::Standard => {
                for variant in [Variant::Base, Variant::OptionalWhitespace, Variant::VowelFolded] {
                    self.standard.iter().flatten().for_each(|r| redact(&mut out, r, variant, exact));
                }
            }
        }
        (out != start).then_some(out)
    }
}

/// The forms of one text, each made when first asked for.
struct Views<'t> {
    text: &'t str,
    normalised: &'t str,
    spaced: OnceCell<Option<String>>,
    leet: OnceCell<Option<String>>,
    folded: OnceCell<Option<String>>,
}

impl<'t> Views<'t> {
    fn new(text: &'t str, normalised: &'t str) -> Self {
        Self { text, normalised, spaced: OnceCell::new(), leet: OnceCell::new(), folded: OnceCell::new() }
    }

    fn spaced(&self) -> Option<&str> {
        self.spaced.get_or_init(|| views::spaced(self.text, self.normalised)).as_deref()
    }

    fn leet(&self) -> Option<&str> {
        self.leet.get_or_init(|| views::unleet(self.normalised)).as_deref()
    }

    fn folded(&self) -> Option<&str> {
        self.folded.get_or_init(|| views::one_vowel(self.normalised)).as_deref()
    }
}

/// One pass of one tier; empty when it is skipped. spec: response-scan §4.2
fn run_pass(tier: Tier, rules: &[&Rule], pass: u8, views: &Views<'_>, reading: Reading) -> Vec<Match> {
    let on =
        |text: Option<&str>, variant| text.map(|text| run(rules, variant, text, reading)).unwrap_or_default();
    match pass {
        1 => on(Some(views.normalised), Variant::Base),
        2 => on(views.spaced(), Variant::Base),
        3 => on(views.leet(), Variant::Base),
        4 => on(Some(views.normalised), Variant::OptionalWhitespace),
        5 => on(views.folded(), Variant::VowelFolded),
        _ if encoded::is_candidate(views.normalised) => {
            encoded::search(views.normalised.as_bytes(), &mut |payload| {
                let found = check_payload(tier, rules, payload, reading);
                (!found.is_empty()).then_some(found)
            })
            .unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// A decoded payload: base rules, and for the standard tier the variants. spec: response-scan §4.3, §4.4
fn check_payload(tier: Tier, rules: &[&Rule], payload: &[u8], reading: Reading) -> Vec<Match> {
    let text = match reading {
        Reading::Exact => views::normalised(payload),
        Reading::Thorough { .. } => Cow::Owned(views::thorough(&lossy(payload)).into_owned()),
    };
    let mut found = run(rules, Variant::Base, &text, reading);
    if tier == Tier::Standard {
        if found.is_empty() {
            found = run(rules, Variant::OptionalWhitespace, &text, reading);
        }
        if found.is_empty()
            && let Some(folded) = views::one_vowel(&text)
        {
            found = run(rules, Variant::VowelFolded, &folded, reading);
        }
    }
    found
}

fn pick(family: &Family, variant: Variant) -> Option<&Expression> {
    match variant {
        Variant::Base => Some(&family.base),
        Variant::OptionalWhitespace => family.optional_whitespace(),
        Variant::VowelFolded => family.vowel_folded(),
    }
}

/// All matches of one variant of every rule.
fn run(rules: &[&Rule], variant: Variant, text: &str, reading: Reading) -> Vec<Match> {
    let lower = OnceCell::new();
    let mut found = Vec::new();
    for rule in rules {
        let Some(expression) = pick(&rule.family, variant) else { continue };
        let gate = expression.gate();
        let open = !gate.is_set() || gate.is_open(lower.get_or_init(|| text::to_lower(text)));
        let difference = match reading {
            Reading::Exact if open => None,
            Reading::Exact => continue,
            Reading::Thorough { other_text: true } => Some("D-202"),
            Reading::Thorough { .. } if open => None,
            Reading::Thorough { .. } => Some("D-201"),
        };
        let before = found.len();
        collect(&mut found, rule, expression, text, difference);
        if found.len() == before && reading != Reading::Exact {
            let normalised = rule.normalised.as_ref().and_then(|family| pick(family, variant));
            if let Some(expression) = normalised {
                collect(&mut found, rule, expression, text, Some("D-200"));
            }
        }
    }
    found
}

fn collect(
    found: &mut Vec<Match>,
    rule: &Rule,
    expression: &Expression,
    text: &str,
    difference: Option<&'static str>,
) {
    let Some(regex) = expression.regex() else { return };
    found.extend(regex.find_iter(text).map(|range| Match {
        name: rule.spec.name.clone(),
        offset: range.start,
        bundle: rule.spec.bundle.clone(),
        bundle_version: rule.spec.bundle_version.clone(),
        difference,
    }));
}

/// Replaces every match of one variant by the rule's marker.
fn redact(text: &mut String, rule: &Rule, variant: Variant, exact: bool) {
    let normalised = rule.normalised.as_ref().filter(|_| !exact);
    let families = std::iter::once(&rule.family).chain(normalised);
    for regex in families.filter_map(|f| pick(f, variant)).filter_map(Expression::regex) {
        let mut out = String::new();
        let mut copied = 0;
        for range in regex.find_iter(text) {
            out.push_str(&text[copied..range.start]);
            out.push_str("[REDACTED: ");
            expand(&mut out, &rule.spec.name, &text[range.clone()]);
            out.push(']');
            copied = range.end;
        }
        if copied > 0 || !out.is_empty() {
            out.push_str(&text[copied..]);
            *text = out;
        }
    }
}

/// A rule name as the reference's replacement template reads it: `$$` is a dollar sign, `$0` the match, and any other
/// reference is empty, since no rule that is known has groups to refer to.
fn expand(out: &mut String, name: &str, matched: &str) {
    let mut rest = name;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let word = |s: &str| s.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(s.len());
        let (reference, after) = match rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            Some((inner, after)) if !inner.is_empty() && word(inner) == inner.len() => (inner, after),
            _ => rest.split_at(word(rest)),
        };
        match reference {
            "" => out.push('$'),
            "0" => out.push_str(matched),
            _ => {}
        }
        rest = after;
    }
    out.push_str(rest);
}
