//! How the program is linked. Users of the library are not concerned.

use std::env;
use std::path::Path;
use std::process::Command;

/// The first glibc whose loader reads packed relative relocations.
const PACKS_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if glibc().is_some_and(|version| version >= PACKS_SINCE) {
        // The table of addresses that are adjusted at start shrinks from a megabyte to a few pages.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if links_with_own_lld() {
        // One copy of functions that came out the same.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        let order = Path::new(&variable("CARGO_MANIFEST_DIR")).join("rare.ld");
        println!("cargo::rerun-if-changed={}", order.display());
        println!("cargo::rustc-link-arg-bins=-T{}", order.display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Whether the linker is the one that comes with the compiler: the default for this target, where the compiler has one.
fn links_with_own_lld() -> bool {
    let target = "x86_64-unknown-linux-gnu";
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    if variable("TARGET") != target
        || variable("HOST") != target
        || !variable("RUSTC_LINKER").is_empty()
        || flags.contains("linker")
        || flags.contains("fuse-ld")
    {
        return false;
    }
    let Ok(answer) = Command::new(variable("RUSTC")).args(["--print", "sysroot"]).output() else {
        return false;
    };
    let root = String::from_utf8_lossy(&answer.stdout).into_owned();
    Path::new(root.trim()).join("lib/rustlib").join(target).join("bin/gcc-ld/ld.lld").exists()
}

/// The version of the glibc that is linked; `None` when it is another C library or not this machine's.
fn glibc() -> Option<(u32, u32)> {
    if variable("CARGO_CFG_TARGET_OS") != "linux"
        || variable("CARGO_CFG_TARGET_ENV") != "gnu"
        || variable("HOST") != variable("TARGET")
    {
        return None;
    }
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let answer = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = answer.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
