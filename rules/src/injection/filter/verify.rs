//! Looks whether an atom matches around a literal: backwards over its prefix, forwards over its suffix, with automata that
//! are built as far as texts need them. The text is folded while it is read.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind, PatternID};
use regex_syntax::hir::{Hir, HirKind};

use super::atoms::Atom;
use super::fold::{Folding, sign, table};

/// Memory of one automaton's states, bytes. When it is full the states are forgotten and built again.
const STATES: usize = 4 << 20;

const FULL: [u8; 256] = table(Folding::Full);
const DIGITS: [u8; 256] = table(Folding::Digits);
const FULL_SIGNS: [u8; 256] = with_signs(&FULL);
const DIGITS_SIGNS: [u8; 256] = with_signs(&DIGITS);

const fn with_signs(table: &[u8; 256]) -> [u8; 256] {
    let mut out = [0; 256];
    let mut b = 0;
    while b < 256 {
        out[b] = table[sign(b as u8) as usize];
        b += 1;
    }
    out
}

/// The states built so far. Belongs to one verifier.
#[derive(Default)]
pub(super) struct Look {
    forward: Option<Cache>,
    reverse: Option<Cache>,
}

/// Both automata of all atoms.
pub(super) struct Verifier {
    automata: Option<(DFA, DFA)>,
    /// For each atom its folding and whether nothing stands before the literal.
    atoms: Vec<(Folding, bool)>,
}

impl Verifier {
    /// Verifies nothing.
    pub fn none() -> Self {
        Self { automata: None, atoms: Vec::new() }
    }

    /// `None` when the atoms do not fit into an automaton.
    pub fn new(atoms: &[Atom]) -> Option<Self> {
        let build = |expressions: Vec<&Hir>, reverse: bool| {
            let mut compiler = thompson::Compiler::new();
            compiler.configure(
                thompson::Config::new()
                    .utf8(false)
                    .reverse(reverse)
                    .which_captures(thompson::WhichCaptures::None)
                    .nfa_size_limit(Some(64 << 20)),
            );
            let nfa = compiler.build_many_from_hir(&expressions).ok()?;
            DFA::builder()
                .configure(
                    DFA::config()
                        .match_kind(MatchKind::All)
                        .starts_for_each_pattern(true)
                        .cache_capacity(STATES)
                        .skip_cache_capacity_check(true),
                )
                .build_from_nfa(nfa)
                .ok()
        };
        let forward = build(atoms.iter().map(|a| &a.suffix).collect(), false)?;
        let reverse = build(atoms.iter().map(|a| &a.prefix).collect(), true)?;
        let atoms = atoms.iter().map(|a| (a.folding, matches!(a.prefix.kind(), HirKind::Empty))).collect();
        Some(Self { automata: Some((forward, reverse)), atoms })
    }

    /// Whether the atom matches with its literal at `at`. True as well when `steps` run out.
    pub fn matches(
        &self,
        atom: usize,
        text: &[u8],
        at: usize,
        signs: bool,
        look: &mut Look,
        steps: &mut usize,
    ) -> bool {
        let Some((forward, reverse)) = &self.automata else { return true };
        let (folding, bare) = self.atoms[atom];
        let tables: [&[u8; 256]; 2] = match folding {
            Folding::Full => [&FULL, &FULL_SIGNS],
            Folding::Digits => [&DIGITS, &DIGITS_SIGNS],
        };
        let pattern = PatternID::new_unchecked(atom);
        tables[..if signs { 2 } else { 1 }].iter().any(|fold| {
            let before = |b: Option<&u8>| b.map(|&b| fold[b as usize]);
            let cache = look.forward.get_or_insert_with(|| forward.create_cache());
            let ahead = text[at..].iter().map(|&b| fold[b as usize]);
            let behind = before(at.checked_sub(1).and_then(|i| text.get(i)));
            if !run(forward, cache, pattern, behind, ahead, steps) {
                return false;
            }
            let cache = look.reverse.get_or_insert_with(|| reverse.create_cache());
            let back = text[..at].iter().rev().map(|&b| fold[b as usize]);
            bare || run(reverse, cache, pattern, before(text.get(at)), back, steps)
        })
    }
}

/// Whether the automaton matches some first part of `bytes`, of which `behind` is the byte before.
fn run(
    dfa: &DFA,
    cache: &mut Cache,
    pattern: PatternID,
    behind: Option<u8>,
    bytes: impl Iterator<Item = u8>,
    steps: &mut usize,
) -> bool {
    let start = start::Config::new().look_behind(behind).anchored(Anchored::Pattern(pattern));
    // An automaton that cannot go on knows nothing, so the rule is named.
    let Ok(mut state) = dfa.start_state(cache, &start) else { return true };
    for byte in bytes {
        let Ok(next) = dfa.next_state(cache, state, byte) else { return true };
        state = next;
        if state.is_tagged()
            && let Some(verdict) = decided(state)
        {
            return verdict;
        }
        match steps.checked_sub(1) {
            Some(left) => *steps = left,
            None => return true,
        }
    }
    dfa.next_eoi_state(cache, state).map_or(true, |state| state.is_match())
}

fn decided(state: LazyStateID) -> Option<bool> {
    if state.is_match() || state.is_quit() {
        Some(true)
    } else if state.is_dead() {
        Some(false)
    } else {
        None
    }
}
