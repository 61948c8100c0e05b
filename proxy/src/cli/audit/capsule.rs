//! `audit capsule`: score and simulation as files: for programs, for people, and as a badge. spec: cli-and-image §12.2

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use clap::ArgMatches;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::score::{self, Score};
use crate::cli::generate::write;
use crate::cli::grammar::{flag, text};
use crate::cli::selftest::{Chosen, Object, Simulation, simulation};
use crate::cli::{Done, Failure, go_error};

/// How long a proof counts, in nanoseconds.
const EXPIRES: i64 = 720 * 3600 * 1_000_000_000;

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let formats: Vec<&str> =
        text(matches, "format").unwrap_or("json,md,svg").split(',').map(str::trim).collect();
    if let Some(unknown) = formats.iter().find(|format| !matches!(**format, "json" | "md" | "svg")) {
        return Err(Failure::new(format!("unknown format {unknown:?} (use json, md, or svg)")));
    }
    let Chosen { config, hash, path } = Chosen::load_or_1(matches)?;
    let score = score::of(&config);
    let simulation = simulation(config)?;
    let now = OffsetDateTime::now_utc();
    let expires = matches.get_one::<i64>("expires").copied().unwrap_or(EXPIRES);
    let stamp = |time: OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
    let proof = Proof {
        generated: stamp(now),
        expires: now.checked_add(Duration::nanoseconds(expires)).map(stamp).unwrap_or_default(),
        hash,
        score,
        simulation,
    };
    let document = proof.document(path.as_deref());

    let directory = text(matches, "output-dir").filter(|path| !path.is_empty()).unwrap_or(".");
    DirBuilder::new().recursive(true).mode(0o750).create(directory).map_err(|error| {
        Failure::new(format!("creating output directory: mkdir {directory}: {}", go_error(&error)))
    })?;
    let mut report = String::new();
    for format in ["json", "md", "svg"].into_iter().filter(|format| formats.contains(format)) {
        let contents = match format {
            "json" => document.clone(),
            "md" => proof.table(),
            _ => badge(&proof.score),
        };
        let path = format!("{}/proof.{format}", directory.trim_end_matches('/'));
        write(&path, &contents, "writing proof")?;
        let _ = writeln!(report, "Wrote {path}");
    }
    if flag(matches, "json") {
        report = document;
    }
    let gate = matches.get_one::<i64>("ci-gate").copied().unwrap_or(0);
    let percentage = proof.score.percentage;
    if i64::try_from(percentage).is_ok_and(|percentage| percentage < gate) {
        let why = format!("score {percentage}% is below CI gate threshold {gate}%");
        return Err(Failure::after(report, why));
    }
    Ok(Done::text(report))
}

struct Proof {
    generated: String,
    expires: String,
    hash: String,
    score: Score,
    simulation: Simulation,
}

impl Proof {
    fn document(&self, path: Option<&str>) -> String {
        let mut simulation = Object::default();
        simulation.count("total", self.simulation.played.len());
        simulation.count("passed", self.simulation.passed);
        simulation.count("percentage", self.simulation.percentage);
        simulation.text("grade", self.simulation.grade);
        let mut document = Object::default();
        document.text("version", crate::VERSION);
        document.text("generated", &self.generated);
        document.text("expires", &self.expires);
        document.text("config_hash", &self.hash);
        document.text("mode", &self.simulation.mode);
        document.put("score", self.score.document(path).value());
        document.put("simulation", simulation.value());
        document.printed()
    }

    fn table(&self) -> String {
        let Proof { generated, expires, hash, score, simulation } = self;
        let mut out = format!(
            "# Security posture: {} ({}%)\n\nGenerated {generated}, expires {expires}. Configuration `{hash}`, mode {}.\n\n\
             Simulated attacks blocked: {} of {} ({}).\n\n| Category | Points |\n|---|---|\n",
            score.grade,
            score.percentage,
            simulation.mode,
            simulation.passed,
            simulation.played.len(),
            simulation.grade,
        );
        for (name, points, most) in score.rows() {
            let _ = writeln!(out, "| {name} | {points}/{most} |");
        }
        out
    }
}

fn badge(score: &Score) -> String {
    let colour = match score.grade {
        "A" => "#2e7d32",
        "B" | "C" => "#b58900",
        _ => "#c62828",
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"190\" height=\"20\" role=\"img\">\n\
         <rect width=\"120\" height=\"20\" fill=\"#444\"/><rect x=\"120\" width=\"70\" height=\"20\" fill=\"{colour}\"/>\n\
         <g fill=\"#fff\" font-family=\"sans-serif\" font-size=\"11\"><text x=\"8\" y=\"14\">egress security</text>\
         <text x=\"128\" y=\"14\">{} ({}%)</text></g>\n</svg>\n",
        score.grade, score.percentage
    )
}
