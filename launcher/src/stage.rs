//! The private directory of one launch: the sidecar's configuration and the CA (spec: launcher §4, §8, §10).
//!
//! Its creation is also what claims a slug on this machine: making a directory is atomic, so two launches of one agent at
//! the same moment get two slugs. The name carries the launcher's process id, so that `bottle cleanup` can tell what a
//! killed launcher left.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The stage directory of one slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    dir: PathBuf,
}

/// Where stage directories are: below `XDG_RUNTIME_DIR` (memory, gone at log-out), else in the temporary directory under
/// a name of this user.
pub fn root(runtime_dir: Option<&Path>, temporary: &Path, uid: u32) -> PathBuf {
    match runtime_dir.filter(|dir| dir.is_dir()) {
        Some(dir) => dir.join("bottle"),
        None => temporary.join(format!("bottle-{uid}")),
    }
}

/// The root for this process.
pub fn root_of_process() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    root(runtime.as_deref(), &std::env::temp_dir(), rustix::process::getuid().as_raw())
}

impl Stage {
    /// Claims a slug: none when another launch has it.
    ///
    /// # Errors
    /// When the directory cannot be made, or the root belongs to somebody else or is open to others.
    pub fn claim(root: &Path, slug: &str) -> Result<Option<Self>> {
        private_dir(root)?;
        let dir = root.join(slug);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => {
                let stage = Self { dir };
                stage.write("pid", 0o600, std::process::id().to_string().as_bytes())?;
                Ok(Some(stage))
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(Error::step("make the stage directory", dir.display().to_string(), e)),
        }
    }

    /// Path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file with exactly these permission bits; an existing one is rewritten in place.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let failed = |e: std::io::Error| Error::step("write", path.display().to_string(), e);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)
            .map_err(failed)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
        file.write_all(bytes).map_err(failed)
    }

    /// Removes it with all that is in it; a missing one is success.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(dir: &Path) -> std::io::Result<()> {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

fn private_dir(root: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let failed = |e: std::io::Error| Error::step("make the stage directory", root.display().to_string(), e);
    match DirBuilder::new().mode(0o700).create(root) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
        Err(_) => {}
    }
    let meta = std::fs::symlink_metadata(root).map_err(failed)?;
    if !meta.is_dir() || meta.uid() != rustix::process::getuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(Error::Refused(format!(
            "{} must be a directory of yours that nobody else may enter (mode 0700): it holds the CA's key",
            root.display()
        )));
    }
    Ok(())
}

/// A stage directory that a launcher left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The directory.
    pub dir: PathBuf,
    /// Its slug.
    pub slug: String,
    /// The launcher, when its file could be read.
    pub pid: Option<u32>,
    /// When that file was written, else when the directory was made, in seconds since the epoch.
    pub since: u64,
}

fn changed(path: &Path) -> Option<u64> {
    let at = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    at.duration_since(std::time::UNIX_EPOCH).ok().map(|age| age.as_secs())
}

/// All stage directories below a root.
pub fn list(root: &Path) -> Vec<Leftover> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let mut found: Vec<Leftover> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| Leftover {
            slug: entry.file_name().to_string_lossy().into_owned(),
            pid: std::fs::read_to_string(entry.path().join("pid"))
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            since: changed(&entry.path().join("pid")).or_else(|| changed(&entry.path())).unwrap_or_default(),
            dir: entry.path(),
        })
        .collect();
    found.sort_by(|a, b| a.slug.cmp(&b.slug));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_slug_can_be_claimed_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("bottle");
        let stage = Stage::claim(&root, "a").unwrap().unwrap();
        assert_eq!(Stage::claim(&root, "a").unwrap(), None);
        stage.write("pipelock.yaml", 0o600, b"x").unwrap();
        stage.write("pipelock.yaml", 0o600, b"yy").unwrap();
        assert_eq!(
            (mode(&root), mode(stage.dir()), mode(&stage.path("pipelock.yaml"))),
            (0o700, 0o700, 0o600)
        );
        assert_eq!(list(&root)[0].pid, Some(std::process::id()));
        Stage::remove(stage.dir()).unwrap();
        Stage::remove(stage.dir()).unwrap();
        assert!(Stage::claim(&root, "a").unwrap().is_some());
    }

    #[test]
    fn a_root_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("bottle");
        std::fs::create_dir(&root).unwrap();
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Stage::claim(&root, "a").unwrap_err().to_string().contains("0700"));
    }
}
