//! The sidecar image without a registry (spec: launcher §12, cli §2.1): the static binary built by the local cargo, packed
//! into an image from nothing. The same layout as `Dockerfile.proxy`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::Engine;
use crate::{Error, Result, ca};

/// How the compiler makes the image's binary: without any library of the system, with functions copied into their callers only
/// where they are very short, which takes a sixth off the size and adds a fifth to the instructions of a small request, and
/// with loops neither aligned nor unrolled and blocks not repeated beyond what shows in no measurement. `Dockerfile.proxy` has
/// the same flags.
const RUSTFLAGS: &[&str] = &[
    "-Ctarget-feature=+crt-static",
    "-Cllvm-args=-inline-threshold=10",
    "-Cllvm-args=-inlinehint-threshold=50",
    "-Cllvm-args=-align-all-functions=2",
    "-Cllvm-args=-x86-experimental-pref-innermost-loop-alignment=0",
    "-Cllvm-args=-unroll-runtime=false",
    "-Cllvm-args=-unroll-threshold=30",
    "-Cllvm-args=-unroll-allow-partial=false",
    "-Cllvm-args=-tail-dup-size=1",
    "-Cllvm-args=-tail-dup-placement-threshold=1",
];

/// [`RUSTFLAGS`] as cargo takes them apart, and places in crates told without the user's own directories, which would be in
/// every panic's message.
fn encoded_rustflags() -> OsString {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut flags = OsString::from(RUSTFLAGS.join("\u{1f}"));
    if let Some(home) = cargo_home {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(home.join("registry/src"));
        flags.push("=");
    }
    flags
}

/// Target that a static binary is built for on this machine.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds the static binary in a checkout and gives its path. Cargo's own output goes to this process's standard error.
///
/// # Errors
/// When there is no checkout or cargo fails.
pub fn build_binary(source: &Path) -> Result<PathBuf> {
    if !source.join("Dockerfile.proxy").exists() {
        return Err(Error::Refused(format!(
            "{} is no muselet checkout: name one with --source DIR, or a static binary with --binary FILE",
            source.display()
        )));
    }
    let target = target();
    let target_dir =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| source.join("target"), PathBuf::from);
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "-p", "muselet", "--target", &target])
        .env("CARGO_ENCODED_RUSTFLAGS", encoded_rustflags())
        .current_dir(source)
        .status()
        .map_err(|e| Error::step("run", "cargo", e))?;
    if !status.success() {
        return Err(Error::step("build", "muselet", format!("cargo ended with {status}")));
    }
    Ok(target_dir.join(target).join("release/muselet"))
}

/// Packs a binary and makes the image.
///
/// # Errors
/// When the binary cannot be read, is not static, or the engine fails.
pub async fn build<E: Engine>(
    engine: &E,
    tag: &str,
    binary: &Path,
    user: Option<&str>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let bytes = std::fs::read(binary).map_err(|e| Error::step("read", binary.display().to_string(), e))?;
    if is_dynamic(&bytes) {
        return Err(Error::Refused(format!(
            "{} is linked dynamically and would not start in an empty image: build it with -C target-feature=+crt-static",
            binary.display()
        )));
    }
    let context = context(&bytes, user).map_err(|e| Error::step("pack", tag, e))?;
    engine.build_image(tag, context, progress).await.map_err(|e| Error::step("build image", tag, e))
}

/// Whether an ELF file names an interpreter.
fn is_dynamic(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let word = |at: usize, size: usize| -> Option<u64> {
        let mut value = [0; 8];
        value[..size].copy_from_slice(elf.get(at..at + size)?);
        Some(u64::from_le_bytes(value))
    };
    let headers = || -> Option<bool> {
        let (start, size, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
        let mut types = (0..count).filter_map(|i| word((start + i * size) as usize, 4));
        Some(types.any(|kind| kind == u64::from(PT_INTERP)))
    };
    elf.starts_with(b"\x7fELF") && headers().unwrap_or(false)
}

/// Text of the image's recipe; the files come as one archive, so that the link and the modes arrive as they are.
fn recipe(user: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let user = user.map(|user| format!("USER {user}\n")).unwrap_or_default();
    format!(
        "FROM scratch\nADD rootfs.tar /\n\
         LABEL org.opencontainers.image.title=muselet org.opencontainers.image.version={version} \
         org.opencontainers.image.licenses=Apache-2.0 \
         org.opencontainers.image.description=\"Scanning egress proxy for containers that run AI agents\"\n\
         EXPOSE 8888\n{user}\
         HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD [\"/pipelock\", \"healthcheck\"]\n\
         ENTRYPOINT [\"/pipelock\"]\nCMD [\"run\", \"--listen\", \"0.0.0.0:8888\"]\n"
    )
}

fn context(binary: &[u8], user: Option<&str>) -> std::io::Result<Vec<u8>> {
    let mut root = tar::Builder::new(Vec::new());
    for dir in ["etc/", "etc/ssl/", "etc/ssl/certs/"] {
        let mut header = header(0o755, 0);
        header.set_entry_type(tar::EntryType::Directory);
        root.append_data(&mut header, dir, std::io::empty())?;
    }
    append(&mut root, "etc/ssl/certs/ca-certificates.crt", 0o644, ca::public_roots().as_bytes())?;
    append(&mut root, "pipelock", 0o755, binary)?;
    let mut link = header(0o777, 0);
    link.set_entry_type(tar::EntryType::Symlink);
    root.append_link(&mut link, "muselet", "pipelock")?;
    let root = root.into_inner()?;

    let mut context = tar::Builder::new(Vec::new());
    append(&mut context, "Dockerfile", 0o644, recipe(user).as_bytes())?;
    append(&mut context, "rootfs.tar", 0o644, &root)?;
    context.into_inner()
}

fn header(mode: u32, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size as u64);
    header
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    archive.append_data(&mut header(mode, bytes.len()), path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_holds_the_recipe_and_the_root() {
        let bytes = context(b"binary", Some("65534")).unwrap();
        let names: Vec<String> = tar::Archive::new(bytes.as_slice())
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["Dockerfile", "rootfs.tar"]);
        assert!(recipe(Some("65534")).contains("USER 65534\n") && !recipe(None).contains("USER"));
        assert!(recipe(None).contains("ENTRYPOINT [\"/pipelock\"]"));
    }

    #[test]
    fn both_ways_to_the_image_compile_alike() {
        let recipe = include_str!("../../Dockerfile.proxy");
        let flags = RUSTFLAGS.join(" ");
        assert!(recipe.contains(&format!(
            "ENV RUSTFLAGS=\"{flags} --remap-path-prefix=/usr/local/cargo/registry/src=\"\n"
        )));
    }

    #[test]
    fn this_test_is_dynamic_and_rubbish_is_not() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(is_dynamic(&own), !cfg!(target_feature = "crt-static"));
        assert!(!is_dynamic(b"#!/bin/sh") && !is_dynamic(b"\x7fELF"));
    }
}
