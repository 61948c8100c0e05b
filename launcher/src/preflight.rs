//! What is shown before anything is created (spec: launcher §11). Names of variables, never their values.

use std::fmt::Write;

use crate::allowlist;
use crate::plan::Plan;

/// The plan in words, for standard error.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{:<16}{value}", format!("{name}:"));
    };
    line("Agent", &plan.agent);
    line("Bottle", &plan.bottle);
    line("Image", &plan.image);
    line("Slug", &plan.names.slug);
    if !plan.command.is_empty() {
        line("Command", &plan.command.join(" "));
    }
    line("Workdir", plan.workdir.as_deref().unwrap_or("(the image's own)"));
    for mount in &plan.mounts {
        let mode = if mount.read_only { " (read-only)" } else { "" };
        line("Mount", &format!("{} -> {}{mode}", mount.source, mount.target));
    }
    let names: Vec<&str> = plan.env.iter().map(|(name, _)| name.as_str()).collect();
    line("Environment", &if names.is_empty() { "(none)".to_owned() } else { names.join(", ") });
    line("Egress", &allowlist::summary(&plan.egress.allowlist));
    if plan.egress.tls_interception {
        line("TLS", &format!("intercepted, except {}", plan.egress.passthrough.join(", ")));
    } else {
        line("TLS", "not intercepted");
    }
    line("Sidecar image", &plan.sidecar_image);
    line("Runtime", plan.runtime.as_deref().unwrap_or("(the engine's default)"));
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

/// Whether an answer to `Start? [y/N]` is a yes.
pub fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
