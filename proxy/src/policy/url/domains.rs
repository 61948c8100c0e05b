//! Layers that compare the host with lists. (spec: url-scan §8)

use super::layers::Step;
use super::{Pipeline, Scan};
use crate::policy::verdict::{Label, UrlVerdict};

/// Layer 5: strict mode only.
pub(super) fn allowlist(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    let list = &pipeline.api_allowlist;
    if !pipeline.settings.strict || list.is_empty() || list.matches(&scan.host) {
        return Step::Pass;
    }
    Step::Block(UrlVerdict::block(Label::Allowlist, format!("domain not in allowlist: {}", scan.host)))
}

/// Layer 6.
pub(super) fn blocklist(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    pipeline
        .blocklist
        .find(&scan.host)
        .map(|pattern| {
            UrlVerdict::block(Label::Blocklist, format!("domain blocked: {} matches {pattern}", scan.host))
        })
        .into()
}
