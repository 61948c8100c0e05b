//! A rule and what is derived from its expression's text: the optional-whitespace and vowel-folded variants, the
//! keyword gate that the reference puts in front of it, and the normalised form. spec: response-scan §2.4, §4.5

use std::sync::{Arc, OnceLock};

use unicode_normalization::UnicodeNormalization;

use super::gate::Gate;
use super::{RuleError, builtin_rules};
use crate::goregex::{self, Regex};
use crate::text;

/// A rule as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    /// Name in findings. Not necessarily unique.
    pub name: Arc<str>,
    /// Go regular expression, used exactly as written.
    pub regex: Arc<str>,
    /// Rule bundle it came from; empty for built-in and YAML rules.
    pub bundle: Arc<str>,
    /// Version of that bundle; empty otherwise.
    pub bundle_version: Arc<str>,
    /// Compiled in, hence known to compile.
    pub builtin: bool,
}

impl RuleSpec {
    /// A rule from a configuration file.
    pub fn user(name: &str, regex: &str) -> Self {
        let none: Arc<str> = Arc::from("");
        Self {
            name: Arc::from(name),
            regex: Arc::from(regex),
            bundle: none.clone(),
            bundle_version: none,
            builtin: false,
        }
    }
}

/// The effective standard set: built-in rules whose name no user rule has, then the user's rules in file order; the
/// user's alone without defaults. spec: response-scan §2.6
pub fn merge(include_defaults: bool, user: &[RuleSpec]) -> Vec<RuleSpec> {
    let base = if include_defaults { builtin_rules() } else { &[] };
    let kept = base.iter().filter(|b| !user.iter().any(|u| u.name == b.name));
    kept.chain(user).cloned().collect()
}

/// The optional-whitespace variant of an expression, if it has one: every `\s+` becomes `\s*`, and so does the
/// separator class of *Prompt Injection*.
pub(super) fn optional_whitespace(source: &str) -> Option<String> {
    let variant = source.replace(r"\s+", r"\s*").replace(r"[-,;:.\s]+", r"[-,;:.\s]*");
    (variant != source && goregex::parse(&variant).is_ok()).then_some(variant)
}

/// The vowel-folded variant, if it has one: every vowel of the text behind the leading flags becomes `a` or `A`, escapes
/// and group syntax included, which is why some expressions stop being valid and have none.
pub(super) fn vowel_folded(source: &str) -> Option<String> {
    let flags = source
        .strip_prefix("(?")
        .and_then(|rest| rest.find(')').map(|end| (&rest[..end], end + 3)))
        .filter(|(flags, _)| !flags.is_empty() && flags.bytes().all(|b| b"imsU-".contains(&b)))
        .map_or(0, |(_, length)| length);
    let (prefix, rest) = source.split_at(flags);
    let folded: String = rest.chars().map(fold_vowel).collect();
    let variant = format!("{prefix}{folded}");
    (variant != source && goregex::parse(&variant).is_ok()).then_some(variant)
}

/// Vowel folding of one character. spec: response-scan §3.8
pub(super) fn fold_vowel(c: char) -> char {
    match c {
        'e' | 'i' | 'o' | 'u' => 'a',
        'E' | 'I' | 'O' | 'U' => 'A',
        c => c,
    }
}

/// The expression with its composed letters written as normalised text has them, so that a rule in Korean or with
/// accents can match at all (D-200). Inside a class only letters that stay one character can be rewritten.
pub(super) fn normalised(source: &str) -> Option<String> {
    if source.is_ascii() {
        return None;
    }
    let mut out = String::with_capacity(source.len() + 16);
    let (mut in_class, mut escaped) = (false, false);
    for c in source.chars() {
        if escaped || c.is_ascii() {
            match c {
                '[' if !escaped => in_class = true,
                ']' if !escaped => in_class = false,
                _ => {}
            }
            escaped = !escaped && c == '\\';
            out.push(c);
            continue;
        }
        let decomposed: Vec<char> =
            std::iter::once(c).nfd().filter(|&c| !text::is_nonspacing_mark(c)).collect();
        match (&decomposed[..], in_class) {
            ([one], _) => out.push(*one),
            ([], _) | (_, true) => out.push(c),
            (many, false) => {
                out.push_str("(?:");
                out.extend(many);
                out.push(')');
            }
        }
    }
    (out != source && goregex::parse(&out).is_ok()).then_some(out)
}

/// An expression that is compiled when it is first needed, with the gate that belongs to its text.
#[derive(Debug)]
pub(super) struct Expression {
    source: String,
    regex: OnceLock<Option<Regex>>,
    gate: OnceLock<Gate>,
}

impl Expression {
    /// `source` has been parsed before.
    fn new(source: String) -> Self {
        Self { source, regex: OnceLock::new(), gate: OnceLock::new() }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn gate(&self) -> &Gate {
        self.gate.get_or_init(|| Gate::of(&self.source))
    }

    /// The compiled program. `None` only for a program above the size limit, which [`Rule::new`] refuses for rules as
    /// written; a derived variant of that size is no variant.
    pub(super) fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| goregex::compile(&self.source).ok()).as_ref()
    }
}

/// One expression with its variants, which are derived when they are first needed.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) base: Expression,
    optional_whitespace: OnceLock<Option<Expression>>,
    vowel_folded: OnceLock<Option<Expression>>,
}

impl Family {
    fn new(source: String) -> Self {
        Self {
            base: Expression::new(source),
            optional_whitespace: OnceLock::new(),
            vowel_folded: OnceLock::new(),
        }
    }

    pub(super) fn optional_whitespace(&self) -> Option<&Expression> {
        self.optional_whitespace.get_or_init(|| self.derive(optional_whitespace)).as_ref()
    }

    pub(super) fn vowel_folded(&self) -> Option<&Expression> {
        self.vowel_folded.get_or_init(|| self.derive(vowel_folded)).as_ref()
    }

    fn derive(&self, variant: impl Fn(&str) -> Option<String>) -> Option<Expression> {
        variant(self.base.source()).map(Expression::new)
    }
}

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) spec: RuleSpec,
    pub(super) family: Family,
    /// The same for the normalised expression, where it differs.
    pub(super) normalised: Option<Family>,
}

impl Rule {
    pub(super) fn new(spec: RuleSpec) -> Result<Self, RuleError> {
        let refuse = |e: goregex::Error| RuleError { name: spec.name.to_string(), message: e.to_string() };
        goregex::parse(&spec.regex).map_err(refuse)?;
        let family = Family::new(spec.regex.to_string());
        if !spec.builtin {
            let compiled = goregex::compile(&spec.regex).map_err(refuse)?;
            // Compiling once is enough; the cell was made two lines above and is still empty.
            let _ = family.base.regex.set(Some(compiled));
        }
        let normalised = normalised(&spec.regex).map(Family::new);
        Ok(Self { spec, family, normalised })
    }
}
