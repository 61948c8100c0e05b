//! `install DEST` (hidden): copies this binary, for init containers of an image without a shell. spec: cli-and-image §15.3

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use clap::{ArgMatches, Command};

use super::grammar::{command, extra};
use super::{Done, Failure, go_error};

pub(super) fn definition() -> Command {
    command("install", "Copy this binary to DEST").hide(true).after_help("DEST")
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let args = extra(matches);
    let [destination] = args.as_slice() else {
        return Err(Failure::new(format!("accepts 1 arg(s), received {}", args.len())));
    };
    copy_to(Path::new(destination)).map_err(Failure::new)?;
    Ok(Done::silent())
}

/// Writes beside the destination and renames, so that nobody ever runs half a binary.
fn copy_to(destination: &Path) -> Result<(), String> {
    if let Ok(there) = fs::symlink_metadata(destination) {
        if there.file_type().is_symlink() {
            return Err(format!("refusing to install over symlink: {}", destination.display()));
        }
        if !there.is_file() {
            return Err(format!(
                "refusing to install over non-regular file: {} ({})",
                destination.display(),
                mode_text(&there)
            ));
        }
    }
    let parent = destination.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(parent)
        .map_err(|e| format!("creating {}: {}", parent.display(), go_error(&e)))?;
    let own = std::env::current_exe().map_err(|e| format!("finding this binary: {}", go_error(&e)))?;
    let bytes = fs::read(&own).map_err(|e| format!("reading {}: {}", own.display(), go_error(&e)))?;
    let temporary = parent.join(format!(".pipelock-install-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(&bytes)?;
            file.set_permissions(fs::Permissions::from_mode(0o755))?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, destination));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        format!("writing {}: {}", destination.display(), go_error(&e))
    })
}

/// `drwxr-xr-x`, as the reference prints a mode.
fn mode_text(metadata: &fs::Metadata) -> String {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = metadata.file_type();
    let mut text = String::new();
    text.push_str(match () {
        () if kind.is_dir() => "d",
        () if kind.is_socket() => "S",
        () if kind.is_fifo() => "p",
        () if kind.is_char_device() => "Dc",
        () if kind.is_block_device() => "D",
        () => "-",
    });
    let mode = metadata.permissions().mode();
    for (i, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> i) != 0 { letter } else { '-' });
    }
    text
}
