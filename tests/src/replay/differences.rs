//! The list of intended differences, `tests/conformance/differences.yaml`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use regex::Regex;

/// The ids of the list.
#[derive(Debug, Default)]
pub struct Differences(BTreeSet<String>);

impl Differences {
    /// Reads the ids out of the file; what else stands there is for people.
    ///
    /// # Errors
    /// When the file cannot be read or an id stands there twice.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let id = Regex::new(r"(?m)^\s*-?\s*id:\s*(D-\d{3})\s*$")?;
        let mut ids = BTreeSet::new();
        for found in id.captures_iter(&text) {
            anyhow::ensure!(
                ids.insert(found[1].to_owned()),
                "{}: {} is listed twice",
                path.display(),
                &found[1]
            );
        }
        Ok(Self(ids))
    }

    /// Whether `id` is listed.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }
}
