//! The linker takes a name that matches nothing without a word, so what `rare.ld` names has to be looked for here.

use std::fs;
use std::path::{Path, PathBuf};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The parts of a mangled path: each behind its length.
fn parts(mut mangled: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some(end) = mangled.find(|c: char| !c.is_ascii_digit()).filter(|&end| end > 0) {
        let (length, rest) = mangled.split_at(end);
        let Some((part, rest)) = length.parse().ok().and_then(|length| rest.split_at_checked(length)) else {
            return Vec::new();
        };
        parts.push(part);
        mangled = rest;
    }
    parts
}

/// The source of a module inside another; `None` when there is none of that name.
fn module(dir: &Path, name: &str) -> Option<(PathBuf, PathBuf)> {
    let inner = dir.join(name);
    [dir.join(format!("{name}.rs")), inner.join("mod.rs")]
        .into_iter()
        .find(|file| file.exists())
        .map(|file| (file, inner))
}

/// Whether a path of modules, which may end in items, exists in a crate's source.
fn exists(source: &Path, path: &[&str]) -> Result<bool> {
    let (mut dir, mut file) = (source.to_owned(), source.join("lib.rs"));
    for (at, name) in path.iter().enumerate() {
        if let Some(found) = module(&dir, name) {
            (file, dir) = found;
            continue;
        }
        let text = fs::read_to_string(&file)?;
        return Ok(path[at..].iter().all(|item| {
            ["fn", "struct", "enum", "trait", "mod"]
                .iter()
                .any(|kind| text.split(&format!("{kind} {item}")).skip(1).any(ends_a_name))
        }));
    }
    Ok(true)
}

fn ends_a_name(rest: &str) -> bool {
    !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric())
}

#[test]
fn every_name_in_the_link_order_exists() -> Result {
    let proxy = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(proxy.join("rare.ld"))?;
    let lock = fs::read_to_string(proxy.join("../Cargo.lock"))?.replace('-', "_");
    let mut seen = 0;
    let mut missing = Vec::new();
    let names = script.split([' ', '(', ')']).filter(|word| word.starts_with(".text._ZN"));
    for name in names.map(|word| word.trim_start_matches(".text._ZN").trim_end_matches('*')) {
        let path: Vec<&str> = match name.strip_prefix("*_$LT$") {
            Some(path) => path.trim_end_matches('.').split("..").collect(),
            None => parts(name),
        };
        let there = match path.as_slice() {
            ["muselet", path @ ..] => exists(&proxy.join("src"), path)?,
            ["muselet_rules", path @ ..] => exists(&proxy.join("../rules/src"), path)?,
            ["core" | "alloc" | "std" | "$RF$T$u20$as$u20$core", ..] => true,
            // A library may have a shorter name than its package.
            [krate, ..] => lock.contains(&format!("\nname = \"{krate}\"\n")) || *krate == "webpki",
            [] => false,
        };
        seen += 1;
        if !there {
            missing.push(name);
        }
    }
    assert!(seen > 100, "{seen} names");
    assert_eq!(missing, [""; 0]);
    Ok(())
}
