//! Noticing that the configuration file changed. spec: config §9.1, cli-and-image §3.11, §26 item 8
//!
//! The directory is watched, as editors and tools replace files by renaming; changes of the right name restart a short timer.
//! A file that is swapped elsewhere (a mounted ConfigMap's symbolic link, a bind mount) sends no such event, so hardened mode
//! (D-605) also looks at the file itself every few seconds and reports a real change of content.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Events are quiet for this long before the file is loaded.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Between two looks at the file itself.
const LOOK: Duration = Duration::from_secs(2);

/// Keeps watching while it lives.
pub(super) struct Watch {
    events: mpsc::UnboundedReceiver<()>,
    _watcher: RecommendedWatcher,
    content: Option<Content>,
}

struct Content {
    path: PathBuf,
    seen: Option<(u64, std::time::SystemTime, u64)>,
}

impl Watch {
    /// Watches the directory of `path` for changes of its base name; `content`: also looks at the file itself.
    ///
    /// # Errors
    /// The directory cannot be watched.
    pub(super) fn start(path: &Path, content: bool) -> notify::Result<Watch> {
        let (sender, events) = mpsc::unbounded_channel();
        let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if changes(&event.kind) && event.paths.iter().any(|p| p.file_name() == Some(&name)) {
                // The receiver only goes away with the process.
                let _ = sender.send(());
            }
        })?;
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        let content = content.then(|| Content { path: path.to_owned(), seen: None });
        let mut watch = Watch { events, _watcher: watcher, content };
        if let Some(content) = &mut watch.content {
            content.seen = state(&content.path);
        }
        Ok(watch)
    }

    /// Waits until the file has changed and been left alone for a moment.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            _ = self.events.recv() => {}
            () = swapped(&mut self.content) => return,
        }
        while let Ok(Some(())) = tokio::time::timeout(DEBOUNCE, self.events.recv()).await {}
        // What was told by an event is not to be found once more by looking.
        if let Some(content) = &mut self.content {
            content.seen = state(&content.path);
        }
    }
}

/// Waits until the file at the path is another one than before.
async fn swapped(content: &mut Option<Content>) {
    let Some(content) = content else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK).await;
        let now = state(&content.path);
        if now.is_some() && now != content.seen {
            content.seen = now;
            return;
        }
    }
}

/// Inode, time of change and length.
fn state(path: &Path) -> Option<(u64, std::time::SystemTime, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.modified().ok()?, metadata.len()))
}

/// Writes, creations and renames; not removals or changes of attributes.
fn changes(kind: &EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Any => true,
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
        EventKind::Access(notify::event::AccessKind::Close(notify::event::AccessMode::Write)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The system tells of a renaming twice, and may do so late: the events here are the test's own.
    #[tokio::test(start_paused = true)]
    async fn a_change_that_an_event_told_of_is_not_found_again_by_looking() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.yaml");
        std::fs::write(&path, "a").unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        let content = Content { path: path.clone(), seen: state(&path) };
        let watcher = notify::recommended_watcher(|_| {}).unwrap();
        let mut watch = Watch { events, _watcher: watcher, content: Some(content) };
        let again = async |watch: &mut Watch| tokio::time::timeout(LOOK * 30, watch.changed()).await.is_ok();
        std::fs::write(dir.path().join("new"), "b").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        sender.send(()).unwrap();
        sender.send(()).unwrap();
        watch.changed().await;
        assert!(!again(&mut watch).await, "once for both events and the look");
        std::fs::write(&path, "bb").unwrap();
        assert!(again(&mut watch).await, "a change without an event");
        assert!(!again(&mut watch).await);
    }
}
