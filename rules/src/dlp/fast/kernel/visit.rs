//! What becomes of the candidates of one text.

use std::borrow::Cow;

use super::super::windows::Windows;
use super::{Kernel, Rules, State, Text};
use crate::scratch::Buffer;

/// A search for patterns with windows.
pub(super) struct Visit<'k, 't> {
    kernel: &'k Kernel,
    rules: &'k Rules<'k>,
    text: Text<'t>,
    states: Buffer<State>,
    /// Looked at when something passes the checks.
    checked: Option<Cow<'t, str>>,
}

impl<'k, 't> Visit<'k, 't> {
    pub(super) fn new(kernel: &'k Kernel, rules: &'k Rules<'k>, text: Text<'t>) -> Self {
        Visit { kernel, rules, text, states: Buffer::empty(), checked: None }
    }

    /// Calls `found` once for each pattern that a candidate makes match, until it returns true, and `note` for places of those
    /// that depend on their context; returns whether the search is over.
    #[inline]
    pub(super) fn candidate(
        &mut self,
        windows: &Windows,
        at: usize,
        buckets: u16,
        found: &mut impl FnMut(u16) -> bool,
        note: &mut impl FnMut(usize),
    ) -> bool {
        let bytes = self.text.bytes;
        windows.owners(bytes, at, buckets, |number| {
            let Some((pattern, branch)) = self.kernel.branches.get(number as usize) else {
                if let Some((secrets, seen)) = self.text.secrets {
                    let form = number as usize - self.kernel.branches.len();
                    seen.set(seen.get() || secrets.is_at(form, bytes, at));
                }
                return false;
            };
            let context = self.kernel.patterns[usize::from(*pattern)].context;
            if self.states.get(usize::from(*pattern)).is_some_and(|state| state.decided) {
                if context {
                    note(at);
                }
                return false;
            }
            if !branch.holds(bytes, at) {
                if context && branch.looks_at_edges() {
                    note(at);
                }
                return false;
            }
            if context {
                note(at);
            }
            if self.states.is_empty() {
                self.states = Buffer::new();
                self.states.resize(self.kernel.patterns.len(), State::default());
            }
            if self.checked.is_none() {
                self.checked = self.text.view();
            }
            let Some(view) = &self.checked else {
                // Not UTF-8.
                self.text.secrets.inspect(|(_, seen)| seen.set(true));
                return true;
            };
            let state = &mut self.states[usize::from(*pattern)];
            self.kernel.decide(self.rules, *pattern, branch, view, at, state) && found(*pattern)
        })
    }
}
