//! A small file of the system that is read again when it changes.
//!
//! Container engines and network managers rewrite such files while a process runs, so each is looked at again at most every
//! five seconds, as Go's resolver does. (spec: url-scan §15.2)

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

const RECHECK: Duration = Duration::from_secs(5);

/// What a file says, the default where nothing could ever be read. `None` from `read` keeps what it said before: it may be half
/// written.
pub(super) struct Watched<T> {
    path: PathBuf,
    read: fn(&Path) -> Option<T>,
    recheck: Duration,
    state: RwLock<State<T>>,
}

struct State<T> {
    checked: Option<Instant>,
    stamp: Option<(SystemTime, u64)>,
    value: Option<T>,
}

impl<T: Default> Watched<T> {
    pub(super) fn new(path: impl Into<PathBuf>, read: fn(&Path) -> Option<T>) -> Self {
        let state = RwLock::new(State { checked: None, stamp: None, value: None });
        Self { path: path.into(), read, recheck: RECHECK, state }
    }

    /// Shows what the file says now.
    pub(super) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let (Some(at), Some(value)) = (state.checked, &state.value)
            && at.elapsed() < self.recheck
        {
            return look(value);
        }
        drop(state);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.checked = Some(Instant::now());
        let stamp = std::fs::metadata(&self.path).ok().and_then(|m| Some((m.modified().ok()?, m.len())));
        if (stamp != state.stamp || state.value.is_none())
            && let Some(value) = (self.read)(&self.path)
        {
            state.value = Some(value);
        }
        state.stamp = stamp;
        look(state.value.get_or_insert_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_and_what_cannot_be_read_changes_nothing() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("number");
        let read = |path: &Path| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let mut watched: Watched<u32> = Watched::new(&path, read);
        watched.recheck = Duration::ZERO;
        assert_eq!(watched.with(|n| *n), 0);
        for (text, wanted) in [("7", 7), ("15", 15), ("", 15), ("200", 200)] {
            std::fs::write(&path, text)?;
            assert_eq!(watched.with(|n| *n), wanted, "{text:?}");
        }
        std::fs::remove_file(&path)?;
        assert_eq!(watched.with(|n| *n), 200);
        watched.recheck = RECHECK;
        std::fs::write(&path, "3000")?;
        assert_eq!(watched.with(|n| *n), 200, "not looked at again so soon");
        Ok(())
    }
}
