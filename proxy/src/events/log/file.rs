//! The log file, opened again where it was moved away: rotation by renaming needs no signal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two looks at the path, at least.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    looked: Instant,
}

impl LogFile {
    /// Opens for appending; a new file has mode 0600.
    pub(super) fn open(path: PathBuf) -> Result<LogFile, (PathBuf, io::Error)> {
        match open(&path) {
            Ok(file) => Ok(LogFile { path, file, looked: Instant::now() }),
            Err(error) => Err((path, error)),
        }
    }

    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() >= LOOK {
            self.look();
        }
        self.file.write_all(lines)
    }

    /// Opens what the path names now, when that is no longer the file. Where nothing can be opened the old one goes on.
    fn look(&mut self) {
        self.looked = Instant::now();
        let is = |metadata: io::Result<std::fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
        if is(std::fs::metadata(&self.path)) != is(self.file.metadata())
            && let Ok(file) = open(&self.path)
        {
            self.file = file;
        }
    }
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_is_opened_anew() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut log = LogFile::open(path.clone()).map_err(|(_, error)| error)?;
        log.write(b"one\n")?;
        std::fs::rename(&path, &old)?;
        log.look();
        log.write(b"two\n")?;
        log.look();
        log.write(b"three\n")?;
        assert_eq!(
            (std::fs::read_to_string(&old)?, std::fs::read_to_string(&path)?),
            ("one\n".into(), "two\nthree\n".into())
        );
        // Without its directory the file goes on.
        std::fs::remove_dir_all(directory.path())?;
        log.look();
        log.write(b"four\n")
    }
}
