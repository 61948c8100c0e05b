//! The log file, opened again where it was moved away: rotation by renaming needs no signal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks at the path, at least.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    looked: Instant,
    /// What was written ends in the middle of a line.
    torn: bool,
}

impl LogFile {
    /// Opens for appending; a new file has mode 0600.
    pub(super) fn open(path: PathBuf) -> Result<LogFile, (PathBuf, io::Error)> {
        match open(&path) {
            Ok(file) => Ok(LogFile { path, file, looked: Instant::now(), torn: false }),
            Err(error) => Err((path, error)),
        }
    }

    /// # Errors
    /// The system's, with the number of lines that were not written whole.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), (io::Error, u64)> {
        if self.looked.elapsed() >= LOOK {
            self.look();
        }
        let mut rest = lines;
        // Half a line that a full disk left behind ends before the next one begins.
        let ended = if self.torn { self.append(&mut &b"\n"[..]) } else { Ok(()) };
        ended.and_then(|()| self.append(&mut rest)).map_err(|error| (error, super::lines(rest)))
    }

    fn append(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.torn = rest[n - 1] != b'\n';
                    *rest = &rest[n..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Opens what the path names now, when that is no longer the file. Where nothing can be opened the old one goes on.
    fn look(&mut self) {
        self.looked = Instant::now();
        let is = |metadata: io::Result<std::fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
        if is(std::fs::metadata(&self.path)) != is(self.file.metadata())
            && let Ok(file) = open(&self.path)
        {
            self.file = file;
            self.torn = false;
        }
    }
}

/// Opens a file for appending, a new one for its owner alone. A pipe is opened for reading as well, because that does not wait for
/// a reader; what is written waits in it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let is_pipe = std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    OpenOptions::new().append(true).read(is_pipe).create(!is_pipe).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_a_reader_takes_lines_until_one_comes() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )?;
        let mut log = LogFile::open(path.clone()).map_err(|(_, error)| error)?;
        log.write(b"one\n").map_err(|(error, _)| error)?;
        let mut reader = File::open(&path)?;
        log.look();
        log.write(b"two\n").map_err(|(error, _)| error)?;
        let mut read = [0; 8];
        io::Read::read_exact(&mut reader, &mut read)?;
        assert_eq!(&read, b"one\ntwo\n");
        Ok(())
    }

    #[test]
    fn a_file_that_was_moved_is_opened_anew() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut log = LogFile::open(path.clone()).map_err(|(_, error)| error)?;
        let write = |log: &mut LogFile, line: &[u8]| log.write(line).map_err(|(error, _)| error);
        write(&mut log, b"one\n")?;
        std::fs::rename(&path, &old)?;
        log.look();
        write(&mut log, b"two\n")?;
        log.look();
        write(&mut log, b"three\n")?;
        assert_eq!(
            (std::fs::read_to_string(&old)?, std::fs::read_to_string(&path)?),
            ("one\n".into(), "two\nthree\n".into())
        );
        // Without its directory the file goes on.
        std::fs::remove_dir_all(directory.path())?;
        log.look();
        write(&mut log, b"four\n")
    }

    #[test]
    fn lines_that_were_not_written_are_counted_and_half_a_line_is_ended() -> io::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        let mut log = LogFile::open(file.path().to_owned()).map_err(|(_, error)| error)?;
        let full = OpenOptions::new().append(true).open("/dev/full")?;
        let file_again = std::mem::replace(&mut log.file, full);
        let failed = log.write(b"one\ntwo\n").err().map(|(error, lost)| (error.kind(), lost));
        assert_eq!(failed, Some((io::ErrorKind::StorageFull, 2)));
        log.file = file_again;
        for (torn, line) in [(false, "three\n"), (true, "four\n")] {
            log.torn = torn;
            assert!(log.write(line.as_bytes()).is_ok() && !log.torn);
        }
        assert_eq!(std::fs::read_to_string(file.path())?, "three\n\nfour\n");
        Ok(())
    }
}
