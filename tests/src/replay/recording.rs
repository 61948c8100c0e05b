//! The recordings' file format: gzip, one JSON object a line.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// One input with the reference's answer. Which fields are there depends on the kind; see the recordings' README.
#[derive(Debug, Deserialize)]
pub struct Recording {
    /// Stable name of the case.
    pub id: String,
    /// `url`, `dlp`, `inj` or `config`.
    pub kind: String,
    /// Name of the configuration file.
    pub config: Option<String>,
    /// What the generator was after; for reading failures.
    #[serde(default)]
    pub tag: String,
    /// The exact input text.
    #[serde(default)]
    pub input: String,
    /// All other fields.
    #[serde(flatten)]
    pub answer: serde_json::Map<String, serde_json::Value>,
}

impl Recording {
    /// Whether the input is ordinary traffic, which no difference may block.
    #[must_use]
    pub fn is_benign(&self) -> bool {
        self.tag.split('/').any(|part| part == "benign")
    }

    /// A field of the answer.
    ///
    /// # Errors
    /// When it is missing or of another type.
    pub fn get<'r, T: Deserialize<'r>>(&'r self, field: &str) -> anyhow::Result<T> {
        let value = self.answer.get(field).with_context(|| format!("{}: no field {field:?}", self.id))?;
        T::deserialize(value).with_context(|| format!("{}: field {field:?}", self.id))
    }
}

/// Reads all recordings of a file.
///
/// # Errors
/// When the file cannot be read or a line is not a recording.
pub fn read(path: &Path) -> anyhow::Result<Vec<Recording>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    let parse = |(number, line): (usize, std::io::Result<String>)| {
        let line = line.with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&line).with_context(|| format!("{} line {}", path.display(), number + 1))
    };
    lines.enumerate().map(parse).collect()
}
