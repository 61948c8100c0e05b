//! `init sidecar`: a companion proxy for a Kubernetes workload, as manifests to apply. spec: cli-and-image §15.2
//!
//! Nothing is applied here, and no cluster is asked: the configuration is tried out in a proxy of this process. Progress goes to
//! standard output, but to standard error where that is where the manifests go.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::manifests;
use super::workload::Workload;
use super::{Tried, create_directory, force_flag, set_up, skip_canary_flag, write_new};
use crate::cli::grammar::{boolean, command, flag, string, text};
use crate::cli::run::prepare::say;
use crate::cli::selftest::Object;
use crate::cli::{Done, Failure, go_error};
use crate::config::{Config, Preset, write};

pub(super) fn definition() -> Command {
    command("sidecar", "Generate a companion proxy for a Kubernetes workload")
        .arg(string("inject-spec", "file with the workload: a Deployment, StatefulSet, Job or CronJob"))
        .arg(string("emit", "output format: patch, kustomize, helm-values (default \"patch\")"))
        .arg(
            string("output", "output file, or directory for kustomize and helm-values (default: stdout)")
                .short('o'),
        )
        .arg(string("preset", "config preset: strict, balanced, audit (default \"balanced\")"))
        .arg(string("image", "proxy image (default \"muselet:VERSION\")"))
        .arg(string("agent-identity", "identity of the agent in the log (default: kind/name)"))
        .arg(boolean("dry-run", "write nothing, print what would be written"))
        .arg(force_flag())
        .arg(skip_canary_flag())
        .arg(boolean("skip-verify", "do not start a proxy with the configuration"))
        .arg(boolean("json", "print the result as JSON; needs --output, or --dry-run"))
}

#[derive(Clone, Copy, PartialEq)]
enum Emit {
    Patch,
    Kustomize,
    HelmValues,
}

impl Emit {
    fn named(name: &str) -> Result<Emit, Failure> {
        match name {
            "patch" => Ok(Emit::Patch),
            "kustomize" => Ok(Emit::Kustomize),
            "helm-values" => Ok(Emit::HelmValues),
            _ => {
                let known = "choose patch, kustomize, or helm-values";
                Err(set_up(format!("unknown emit format {name:?}: {known}")))
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Emit::Patch => "patch",
            Emit::Kustomize => "kustomize",
            Emit::HelmValues => "helm-values",
        }
    }
}

/// A file of the result: its name within a directory, and its text.
type File = (&'static str, String);

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let given = |name| text(matches, name).filter(|text| !text.is_empty());
    let spec = text(matches, "inject-spec")
        .ok_or_else(|| Failure::new("required flag(s) \"inject-spec\" not set"))?;
    let emit = Emit::named(given("emit").unwrap_or("patch"))?;
    let preset = Preset::named(given("preset").unwrap_or("balanced")).map_err(set_up)?;
    let (dry_run, json, force) = (flag(matches, "dry-run"), flag(matches, "json"), flag(matches, "force"));
    let output = given("output").map(PathBuf::from);
    if output.is_none() && !dry_run {
        if json {
            return Err(set_up("--json requires --output when emitting patch content"));
        }
        if emit != Emit::Patch {
            let format = emit.name();
            return Err(set_up(format!("emit: --output directory required for {format} format")));
        }
    }
    let mut progress = Progress { aside: output.is_none() || dry_run, silent: json, told: String::new() };

    progress.phase(1, "Detecting workload type...");
    let bytes = std::fs::read(spec)
        .map_err(|e| set_up(format!("reading inject-spec: open {spec}: {}", go_error(&e))))?;
    let workload = Workload::read(&bytes)?;
    let patched_before = if workload.already_patched { ", already patched" } else { "" };
    progress.detail(format!(
        "{} {} in namespace {}{patched_before}",
        workload.kind, workload.name, workload.namespace
    ));

    progress.phase(2, "Generating proxy configuration...");
    let identity = given("agent-identity")
        .map_or_else(|| format!("{}/{}", workload.kind.to_lowercase(), workload.name), str::to_owned);
    let settings = settings(preset, &identity);
    let document = settings.to_yaml();
    let config = Config::parse(document.as_bytes(), Path::new("/")).map_err(|e| set_up(e.to_string()))?;
    progress.detail(format!("preset {}, agent identity {identity}", preset.name()));

    progress.phase(3, "Patching workload...");
    let image = given("image").map_or_else(|| format!("muselet:{}", crate::VERSION), str::to_owned);
    let files = files(&workload, emit, &document, &image)?;
    progress.detail(format!("HTTPS_PROXY and HTTP_PROXY: {}", workload.proxy_url()));

    progress.phase(4, &format!("Emitting {}...", emit.name()));
    let manifests = match (&output, dry_run) {
        (Some(path), false) => {
            write_all(emit, &files, path, force)?;
            progress.detail(format!("written to {}", path.display()));
            String::new()
        }
        _ => printed(emit, &files),
    };

    progress.phase(5, "Verifying proxy...");
    let tried = Tried::of(config, flag(matches, "skip-verify"), flag(matches, "skip-canary"));
    let [verified, found] = tried.told();
    progress.detail(verified);
    progress.phase(6, "Running canary...");
    progress.detail(found);

    let written = output.is_some() && !dry_run;
    if json {
        let mut detect = Object::default();
        detect.text("kind", &workload.kind);
        detect.text("name", &workload.name);
        detect.put("already_patched", workload.already_patched.into());
        let mut patch = Object::default();
        patch.text("emit_format", emit.name());
        let path = output.as_ref().map(|path| path.display().to_string());
        patch.some_text("output_path", path.as_deref().unwrap_or_default());
        patch.text("agent_identity", &identity);
        patch.put("written", written.into());
        patch.put("dry_run", dry_run.into());
        let mut report = Object::default();
        report.put("detect", detect.value());
        report.put("patch", patch.value());
        tried.add_to(&mut report);
        return tried.outcome(report.printed());
    }
    progress.phase(7, "Summary");
    progress.detail(format!("{} {} behind {} ({image})", workload.kind, workload.name, workload.proxy));
    progress.detail(next_step(emit, output.as_deref(), written));
    tried.outcome(progress.told + &manifests)
}

/// Tells how far it is.
struct Progress {
    /// On standard error: standard output is for the manifests.
    aside: bool,
    silent: bool,
    told: String,
}

impl Progress {
    fn phase(&mut self, number: u8, what: &str) {
        self.line(format!("[{number}/7] {what}"));
    }

    fn detail(&mut self, what: String) {
        self.line(format!("  {what}"));
    }

    fn line(&mut self, line: String) {
        match (self.silent, self.aside) {
            (true, _) => {}
            (_, true) => say(&line),
            (_, false) => {
                self.told.push_str(&line);
                self.told.push('\n');
            }
        }
    }
}

fn next_step(emit: Emit, output: Option<&Path>, written: bool) -> String {
    let Some(path) = output.filter(|_| written) else {
        return "nothing was written or applied".to_owned();
    };
    let path = path.display();
    match emit {
        Emit::Patch => format!("next: kubectl apply -f {path}"),
        Emit::Kustomize => format!("next: kubectl apply -k {path}"),
        Emit::HelmValues => format!("next: see {path}/README.txt"),
    }
}

/// The configuration of the proxy beside a workload.
fn settings(preset: Preset, identity: &str) -> Config {
    let mut config = preset.config("/tmp");
    config.default_agent_identity = identity.to_owned();
    config.bind_default_agent_identity = true;
    config.fetch_proxy.listen = "0.0.0.0:8888".to_owned();
    config.metrics_listen = "0.0.0.0:9091".to_owned();
    config.forward_proxy.enabled = true;
    config
}

fn files(workload: &Workload, emit: Emit, config: &str, image: &str) -> Result<Vec<File>, Failure> {
    let (patched, agent) = workload.patched()?;
    let agent = write::document(&Value::Object(agent));
    let fill = |template: &str| {
        let pairs = [
            ("@LABELS@", manifests::LABELS.to_owned()),
            ("@AGENT@", indented(&agent, 6)),
            ("@DEEP@", indented(&agent, 14)),
            ("@CHART_IMAGE@", chart_image(image)),
            ("@PROXY@", workload.proxy.clone()),
            ("@NAMESPACE@", workload.namespace.clone()),
            ("@WORKLOAD@", workload.name.clone()),
            ("@KIND@", workload.kind.clone()),
            ("@URL@", workload.proxy_url()),
            ("@IMAGE@", write::scalar(image)),
            ("@VERSION@", write::scalar(crate::VERSION)),
            // Last: what it holds is left alone.
            ("@CONFIG@", indented(config, if template == manifests::VALUES { 2 } else { 4 })),
        ];
        pairs.iter().fold(template.to_owned(), |text, (mark, value)| text.replace(mark, value))
    };
    let agent_workload = ("agent-workload.yaml", write::document(&patched));
    let policies = [
        ("agent-networkpolicy.yaml", fill(manifests::AGENT_POLICY)),
        ("pipelock-networkpolicy.yaml", fill(manifests::PROXY_POLICY)),
        ("pipelock-pdb.yaml", fill(manifests::DISRUPTION_BUDGET)),
    ];
    let mut files = Vec::with_capacity(8);
    if emit == Emit::HelmValues {
        files.extend([("values.yaml", fill(manifests::VALUES)), agent_workload]);
        files.extend(policies);
        files.push(("README.txt", fill(manifests::README)));
        return Ok(files);
    }
    files.extend([
        agent_workload,
        ("pipelock-configmap.yaml", fill(manifests::CONFIG_MAP)),
        ("pipelock-deployment.yaml", fill(manifests::DEPLOYMENT)),
        ("pipelock-service.yaml", fill(manifests::SERVICE)),
    ]);
    files.extend(policies);
    if emit == Emit::Kustomize {
        let mut names = String::new();
        for (name, _) in &files {
            let _ = writeln!(names, "  - {name}");
        }
        files.push(("kustomization.yaml", fill(manifests::KUSTOMIZATION).replace("@FILES@", &names)));
    }
    Ok(files)
}

/// Repository and tag or digest, as the chart wants them.
fn chart_image(image: &str) -> String {
    let (repository, key, value) = match image.split_once('@') {
        Some((repository, digest)) => (repository, "digest", digest),
        None => match image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((repository, tag)) => (repository, "tag", tag),
            None => (image, "tag", "latest"),
        },
    };
    format!("  repository: {}\n  {key}: {}", write::scalar(repository), write::scalar(value))
}

/// Without the last line feed.
fn indented(text: &str, by: usize) -> String {
    let pad = " ".repeat(by);
    let lines: Vec<String> = text.lines().map(|line| format!("{pad}{line}")).collect();
    lines.join("\n")
}

/// Everything as one text.
fn printed(emit: Emit, files: &[File]) -> String {
    let texts: Vec<String> = files
        .iter()
        .map(|(name, text)| match emit {
            Emit::Patch => text.clone(),
            _ => format!("# {name}\n{text}"),
        })
        .collect();
    texts.join("---\n")
}

fn write_all(emit: Emit, files: &[File], output: &Path, force: bool) -> Result<(), Failure> {
    if emit == Emit::Patch {
        return write_new(output, &printed(emit, files), force);
    }
    create_directory(output)?;
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| output.join(name)).collect();
    // All or nothing.
    if let Some(there) = paths.iter().find(|path| !force && path.symlink_metadata().is_ok()) {
        return Err(set_up(format!("{} already exists (use --force to overwrite)", there.display())));
    }
    for (path, (_, text)) in paths.iter().zip(files) {
        write_new(path, text, force)?;
    }
    Ok(())
}
