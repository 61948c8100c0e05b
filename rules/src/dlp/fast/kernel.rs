//! Which rules match a normalised text: one search for windows, checks around them, then the rule's own regex.

use std::borrow::Cow;
use std::cell::Cell;

use super::super::compiled::{Rule, RuleTable};
use super::super::{RuleSpec, Validator};
use super::known::Known;
use super::overlap;
use super::runs::{self, Class};
use super::shape::{self, Branch};
use super::windows::Windows;
use crate::text::lines_spaced;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;
use visit::Visit;

mod visit;

/// Anchored attempts for one rule in one text, after which its regex runs over the whole text once instead.
const MAX_ATTEMPTS: u32 = 24;

/// ASCII characters in a row that noise does not hold, but some match that is otherwise of few of them.
pub(super) const LENGTHY: u32 = 40;

/// How a window that passed the checks is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decide {
    /// Anchored at the start of the match: every match has a window at a fixed distance.
    Anchored,
    /// The regex over the whole text, once.
    Whole,
}

/// One expression with its validator, and the rules that have it.
#[derive(Debug)]
struct Pattern {
    /// Rule numbers: core rules first, then the merged list.
    rules: Vec<u16>,
    decide: Decide,
    /// Whether it may match a piece of a text that holds no match: it looks for the start or end of a text, or has a
    /// validator, which may turn down a longer match.
    context: bool,
}

/// The search over a core and a merged rule list at once.
#[derive(Debug)]
pub(in super::super) struct Kernel {
    windows: Windows,
    /// The same with those of known secrets, whose numbers follow the branches', where there are not too many.
    with_known: Option<Windows>,
    /// Known secrets and canaries that are looked for in what was decoded.
    values: Known,
    branches: Vec<(u16, Branch)>,
    patterns: Vec<Pattern>,
    /// Patterns without windows: their regex runs on every text.
    always: Vec<u16>,
    /// Wallet keys: a run of 51 characters that no window narrows down.
    wif: Option<u16>,
    core_rules: usize,
    /// Least number of characters of any match.
    min_chars: usize,
    /// Every match holds its window within a stretch of this many ASCII characters, of which the start of a text counts as one; 0
    /// when that is not known.
    stretch: usize,
    /// The same for stretches without an equals sign, where no stretch of the text is [`LENGTHY`].
    without_equals: usize,
}

/// Numbers of matching rules, ascending: the core list first.
pub(in super::super) type Hits = Vec<u16>;

/// The base58 letters under the case-insensitive flag.
const BASE58_ANY_CASE: Class = Class::new(b"123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

impl Kernel {
    pub(in super::super) fn new(
        core: &RuleTable,
        main: &RuleTable,
        secrets: &Known,
        values: Known,
    ) -> Kernel {
        let shortest = values.shortest().unwrap_or(usize::MAX);
        let mut kernel = Kernel {
            windows: Windows::plan(&[]),
            with_known: None,
            values,
            branches: Vec::new(),
            patterns: Vec::new(),
            always: Vec::new(),
            wif: None,
            core_rules: core.rules.len(),
            min_chars: shortest,
            stretch: shortest,
            without_equals: shortest,
        };
        let mut known: Vec<(&RuleSpec, u16)> = Vec::new();
        for (number, rule) in core.rules.iter().chain(&main.rules).enumerate() {
            let spec = rule.spec();
            let same = known.iter().find(|(k, _)| k.regex == spec.regex && k.validator == spec.validator);
            if let Some(&(_, pattern)) = same {
                kernel.patterns[usize::from(pattern)].rules.push(number as u16);
                continue;
            }
            let id = kernel.patterns.len() as u16;
            known.push((spec, id));
            kernel.add(id, number as u16, rule);
        }
        kernel.branches.shrink_to_fit();
        let mut windows: Vec<_> =
            kernel.branches.iter().enumerate().map(|(i, (_, b))| (b.window, b.tail, i as u32)).collect();
        let at_boundary =
            |number: u32| kernel.branches.get(number as usize).is_some_and(|(_, b)| b.begins_at_boundary());
        kernel.windows = Windows::plan_apart(&windows, at_boundary);
        if let Some(known) = secrets.windows(windows.len() as u32) {
            windows.extend(known);
            kernel.with_known = Some(Windows::plan_apart(&windows, at_boundary)).filter(Windows::are_exact);
        }
        kernel
    }

    fn add(&mut self, id: u16, number: u16, rule: &Rule) {
        let hir = rule.regex().hir();
        self.min_chars = self.min_chars.min(min_chars(hir));
        let mut decide = Decide::Whole;
        if is_wif(rule.spec()) {
            self.wif = Some(id);
        } else {
            let branches = shape::branches(hir).filter(|branches| !branches.is_empty());
            let (stretch, without_equals) = match &branches {
                Some(_) if shape::is_ascii(hir) => {
                    let length = hir.properties().minimum_len().unwrap_or(0);
                    (length, length)
                }
                Some(branches) => {
                    let rest = branches.iter().filter(|b| !b.equals && b.longest < LENGTHY as usize);
                    let least = branches.iter().map(|b| b.stretch).min();
                    (least.unwrap_or(0), rest.map(|b| b.stretch).min().unwrap_or(usize::MAX))
                }
                None => (0, 0),
            };
            self.stretch = self.stretch.min(stretch);
            self.without_equals = self.without_equals.min(without_equals);
            match branches {
                Some(branches) => {
                    // Anchored attempts are made at every start in ascending order, which reproduces successive
                    // leftmost matches; a validated rule with unbounded matches would make that quadratic.
                    let bounded = hir.properties().maximum_len().is_some()
                        && branches.iter().all(|b| b.start == branches[0].start);
                    if branches.iter().all(|b| b.start.is_some())
                        && (bounded || rule.spec().validator.is_none())
                    {
                        decide = Decide::Anchored;
                    }
                    let ready = |mut branch: Branch| {
                        branch.take_lines_for_spaces();
                        (id, branch)
                    };
                    self.branches.extend(branches.into_iter().map(ready));
                }
                _ => self.always.push(id),
            }
        }
        let context = rule.spec().validator.is_some() || rule.looks_at_edges();
        self.patterns.push(Pattern { rules: vec![number], decide, context });
    }

    /// The number of the first rule of the merged list.
    pub(in super::super) fn core_rules(&self) -> usize {
        self.core_rules
    }

    /// Least number of characters of any match of any rule, and of any known secret that is looked for in what was decoded.
    pub(super) fn min_chars(&self) -> usize {
        self.min_chars
    }

    /// Every match of any rule holds its window within a stretch of at least this many ASCII characters, of which the
    /// start of the text counts as one; 0 when that is not known.
    pub(super) fn stretch(&self) -> u32 {
        self.stretch.min(40) as u32
    }

    /// The same where the stretch holds no equals sign, and no stretch of the text is [`LENGTHY`].
    pub(super) fn stretch_without_equals(&self) -> u32 {
        self.without_equals.min(40) as u32
    }

    /// Whether a known secret or a canary is in a normalised text.
    pub(in super::super) fn holds_value(&self, text: &[u8]) -> bool {
        self.values.possible(text)
    }

    /// Bytes of the shortest.
    pub(in super::super) fn shortest_value(&self) -> Option<usize> {
        self.values.shortest()
    }

    /// Whether there are any.
    pub(super) fn has_values(&self) -> bool {
        !matches!(self.values, Known::Nothing)
    }

    /// Whether a match may have its window within a part of a normalised text.
    pub(super) fn may_match(&self, part: &[u8]) -> bool {
        self.windows.search(part, |at, buckets| {
            let may_hold = |number: u32| self.branches[number as usize].1.may_hold(part, at);
            self.windows.owners(part, at, buckets, may_hold)
        }) || self.wif.is_some() && wif_in(part, &mut crate::scratch::Buffer::new())
    }

    /// Whether the conditions of a rule are met in a normalised text or may be met in a part of it that stands between
    /// characters which belong to no word.
    pub(in super::super) fn may_match_part(&self, text: &[u8]) -> bool {
        let search = || {
            self.windows.search(text, |at, buckets| {
                let holds = |number: u32| self.branches[number as usize].1.holds_in_part(text, at);
                self.windows.owners(text, at, buckets, holds)
            })
        };
        let wif = || self.wif.is_some() && wif_in(text, &mut crate::scratch::Buffer::new());
        !self.always.is_empty() || search() || wif()
    }

    /// Every rule that matches the text, as far as its regex and validator go (gates are the caller's).
    pub(in super::super) fn hits(&self, rules: &Rules<'_>, text: &[u8]) -> Hits {
        self.hits_and_keys(rules, text, true)
    }

    /// The same; `keys` is false where it is known that the text holds no wallet key.
    pub(in super::super) fn hits_and_keys(&self, rules: &Rules<'_>, text: &[u8], keys: bool) -> Hits {
        self.hits_in(rules, Text { bytes: text, lines: false, secrets: None }, keys)
    }

    /// The same for a text that is normalised but for its tabs and line ends, each of which stands for a space.
    pub(in super::super) fn hits_in_lines(&self, rules: &Rules<'_>, text: &[u8], keys: bool) -> Hits {
        self.hits_in(rules, Text { bytes: text, lines: true, secrets: None }, keys)
    }

    /// The same, and whether a known secret may be in the text: false is certain.
    pub(super) fn hits_and_known(
        &self,
        rules: &Rules<'_>,
        text: &[u8],
        keys: bool,
        secrets: &Known,
    ) -> (Hits, bool) {
        if self.with_known.is_none() || text.len() < self.min_chars {
            return (self.hits_and_keys(rules, text, keys), secrets.possible(text));
        }
        let seen = Cell::new(false);
        let hits =
            self.hits_in(rules, Text { bytes: text, lines: false, secrets: Some((secrets, &seen)) }, keys);
        (hits, seen.get())
    }

    fn hits_in(&self, rules: &Rules<'_>, text: Text<'_>, keys: bool) -> Hits {
        let mut hits = Vec::new();
        if text.bytes.len() >= self.min_chars {
            self.search(rules, &text, keys, |pattern| {
                hits.extend_from_slice(&self.patterns[usize::from(pattern)].rules);
                false
            });
        }
        hits.sort_unstable();
        hits
    }

    /// Whether any rule matches.
    /// True also for what is not UTF-8, which no normalised text is.
    pub(in super::super) fn any(&self, rules: &Rules<'_>, text: &[u8]) -> bool {
        let text = Text { bytes: text, lines: false, secrets: None };
        text.bytes.len() >= self.min_chars && self.search(rules, &text, true, |_| true)
    }

    /// [`Kernel::hits_and_known`] of a text, and every rule that matches the `spaced` one, which differs from it only by a space
    /// for each `+`. Notes where rules may match in a piece of that which stands between characters that are no part of words
    /// (or the ends of the text), although they do not match in the whole. `None` when such places cannot be told.
    pub(super) fn hits_and_spaced(
        &self,
        rules: &Rules<'_>,
        text: &[u8],
        spaced: &[u8],
        keys: bool,
        secrets: &Known,
        places: &mut Vec<u64>,
    ) -> (Hits, bool, Option<Hits>) {
        places.clear();
        if !self.always.is_empty() || text.len() < self.min_chars {
            let (hits, known) = self.hits_and_known(rules, text, keys, secrets);
            return (hits, known, None);
        }
        let together = self.with_known.as_ref();
        let seen = Cell::new(together.is_none() && secrets.possible(text));
        let (mut hits, mut spaced_hits) = (Hits::new(), Hits::new());
        let add = |pattern: u16, hits: &mut Hits| {
            hits.extend_from_slice(&self.patterns[usize::from(pattern)].rules);
            false
        };
        let plain = Text { bytes: text, lines: false, secrets: together.map(|_| (secrets, &seen)) };
        let mut plain = Visit::new(self, rules, plain);
        let mut other = Visit::new(self, rules, Text { bytes: spaced, lines: false, secrets: None });
        let windows = together.unwrap_or(&self.windows);
        windows.search_spaced(text, |at, buckets| {
            plain.candidate(windows, at, buckets, &mut |found| add(found, &mut hits), &mut |_| {})
                | other.candidate(
                    windows,
                    at,
                    buckets,
                    &mut |found| add(found, &mut spaced_hits),
                    &mut |at| {
                        places.push(at as u64);
                    },
                )
        });
        if let Some(wif) = self.wif.filter(|_| keys && wif_in(text, &mut crate::scratch::Buffer::new())) {
            // Wallet keys hold neither character.
            add(wif, &mut hits);
            add(wif, &mut spaced_hits);
        }
        hits.sort_unstable();
        spaced_hits.sort_unstable();
        (hits, seen.get(), Some(spaced_hits))
    }

    /// Calls `found` once for each pattern that matches, until it returns true; returns whether it did.
    fn search(
        &self,
        rules: &Rules<'_>,
        text: &Text<'_>,
        keys: bool,
        mut found: impl FnMut(u16) -> bool,
    ) -> bool {
        let windows = self.with_known.as_ref().filter(|_| text.secrets.is_some()).unwrap_or(&self.windows);
        let mut visit = Visit::new(self, rules, *text);
        if windows
            .search(text.bytes, |at, buckets| visit.candidate(windows, at, buckets, &mut found, &mut |_| {}))
        {
            return true;
        }
        let matches = |id: u16| text.view().is_none_or(|view| self.rule(rules, id).matches(&view));
        let wif = || text.bytes.len() > 50 && wif_in(text.bytes, &mut crate::scratch::Buffer::new());
        self.wif.is_some_and(|id| keys && wif() && found(id))
            || self.always.iter().any(|&id| matches(id) && found(id))
    }

    fn rule<'r>(&self, rules: &Rules<'r>, pattern: u16) -> &'r Rule {
        rules.get(usize::from(self.patterns[usize::from(pattern)].rules[0]))
    }

    /// Decides a candidate; true when it made its pattern match for the first time.
    fn decide(
        &self,
        rules: &Rules<'_>,
        pattern: u16,
        branch: &Branch,
        text: &str,
        at: usize,
        state: &mut State,
    ) -> bool {
        if state.decided {
            return false;
        }
        let rule = self.rule(rules, pattern);
        let validator = rule.spec().validator;
        let start = branch.start.map(|distance| at - distance);
        let (Decide::Anchored, Some(start)) = (self.patterns[usize::from(pattern)].decide, start) else {
            state.decided = true;
            return rule.matches(text);
        };
        state.attempts += 1;
        if validator.is_none() && state.attempts > MAX_ATTEMPTS {
            state.decided = true;
            return rule.matches(text);
        }
        if start < state.next || !text.is_char_boundary(start) {
            return false;
        }
        let input =
            Input::new(text).span(start..text.len()).anchored(Anchored::Yes).earliest(validator.is_none());
        let Some(found) = rule.regex().engine().find(input) else { return false };
        state.next = found.end().max(start + 1);
        let good = validator.is_none_or(|v| v.check(&text[found.range()]));
        state.decided = good;
        good
    }
}

/// A text that is searched.
#[derive(Clone, Copy)]
struct Text<'t> {
    bytes: &'t [u8],
    /// Tabs and line ends stand for spaces.
    lines: bool,
    /// Known secrets that are searched for in the same pass, and whether there may be any.
    secrets: Option<(&'t Known, &'t Cell<bool>)>,
}

impl<'t> Text<'t> {
    /// What rules see; `None` when it is not UTF-8.
    fn view(&self) -> Option<Cow<'t, str>> {
        if !self.lines {
            return std::str::from_utf8(self.bytes).ok().map(Cow::Borrowed);
        }
        String::from_utf8(lines_spaced(self.bytes).collect()).ok().map(Cow::Owned)
    }
}

/// Both rule lists, by number.
#[derive(Clone, Copy)]
pub(in super::super) struct Rules<'r> {
    pub(in super::super) core: &'r RuleTable,
    pub(in super::super) main: &'r RuleTable,
}

impl<'r> Rules<'r> {
    fn get(&self, number: usize) -> &'r Rule {
        match self.core.rules.get(number) {
            Some(rule) => rule,
            None => &self.main.rules[number - self.core.rules.len()],
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    decided: bool,
    attempts: u32,
    /// Where the next match of a validated rule may start.
    next: usize,
}

crate::scratch::pooled!(State);

/// Least number of characters of a match: a lower bound, exact for ASCII patterns.
fn min_chars(hir: &Hir) -> usize {
    // Every character of UTF-8 has at most four bytes; a pattern that needs non-ASCII characters counts bytes.
    let bytes = hir.properties().minimum_len().unwrap_or(usize::MAX);
    if ascii_literals(hir) { bytes } else { bytes / 4 }
}

fn ascii_literals(hir: &Hir) -> bool {
    use regex_syntax::hir::{Class, HirKind};
    match hir.kind() {
        HirKind::Literal(l) => l.0.is_ascii(),
        // A class counts with its shortest member: one byte if any is ASCII.
        HirKind::Class(Class::Unicode(c)) => c.ranges().first().is_none_or(|r| r.start().is_ascii()),
        HirKind::Class(Class::Bytes(_)) | HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Capture(c) => ascii_literals(&c.sub),
        HirKind::Repetition(r) => ascii_literals(&r.sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => subs.iter().all(ascii_literals),
    }
}

/// Whether a rule is the built-in rule for wallet keys, whatever its name and severity.
fn is_wif(spec: &RuleSpec) -> bool {
    spec.validator == Some(Validator::Wif)
        && super::super::builtin_rules()
            .iter()
            .any(|b| b.validator == spec.validator && b.regex == spec.regex)
}

/// The built-in rule for wallet keys: in every run of base58 letters of any case, successive stretches of 51 (after a
/// 5) or 52 (after K or L) characters, each validated (spec: dlp §2.2 rule 40, §6.5).
fn wif_in(text: &[u8], masks: &mut Vec<u64>) -> bool {
    // Where matches begin depends on those before, but valid keys hold fewer letters than matches.
    overlap::may_hold_key(text, masks)
        && runs::each(text, &BASE58_ANY_CASE, 51, masks, |start, end| {
            // The first character of a valid key; small ones only begin candidates that are not.
            if memchr::memchr3(b'5', b'K', b'L', &text[start..end - 50]).is_none() {
                return false;
            }
            let mut at = start;
            while at + 51 <= end {
                let len = match text[at] {
                    b'5' => 51,
                    b'K' | b'L' | b'k' | b'l' => 52,
                    _ => 0,
                };
                if len == 0 || at + len > end {
                    at += 1;
                    continue;
                }
                if let Ok(key) = std::str::from_utf8(&text[at..at + len])
                    && Validator::Wif.check(key)
                {
                    return true;
                }
                at += len;
            }
            false
        })
}
