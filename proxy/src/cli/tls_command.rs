//! Flags of the `tls` commands. What they do: [`super::tls`].

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};

use super::grammar::{boolean, command, flag, string, text};
use super::tls::{HomeSources, InitOptions, init, install_ca, show_ca};
use super::{Done, Failure};

pub(super) fn definition() -> Command {
    command("tls", "TLS certificate management for CONNECT tunnel interception")
        .subcommand(
            command("init", "Generate a CA certificate and key for TLS interception")
                .arg(string("out", "output directory (default ~/.pipelock)"))
                .arg(string("org", "organization name in the CA certificate (default \"Pipelock\")"))
                .arg(string("validity", "CA validity as a duration (default \"87600h\")"))
                .arg(boolean("force", "overwrite existing CA files")),
        )
        .subcommand(
            command("show-ca", "Print the CA certificate in PEM form")
                .arg(string("cert", "path of the CA certificate (default ~/.pipelock/ca.pem)")),
        )
        .subcommand(
            command("install-ca", "Show how to add the CA to the system's trust store")
                .arg(string("cert", "path of the CA certificate (default ~/.pipelock/ca.pem)")),
        )
}

pub(super) fn run(name: &str, matches: &ArgMatches, home: Option<PathBuf>) -> Result<Done, Failure> {
    let home = HomeSources::from_environment(home);
    let certificate = |matches| text(matches, "cert").filter(|p: &&str| !p.is_empty()).map(Path::new);
    let failed = |e: super::tls::TlsCommandError| Failure::new(e.to_string());
    match name {
        "init" => {
            let defaults = InitOptions::default();
            let options = InitOptions {
                org: text(matches, "org").map_or(defaults.org, str::to_owned),
                validity: text(matches, "validity").map_or(defaults.validity, str::to_owned),
                out: text(matches, "out").map(PathBuf::from),
                force: flag(matches, "force"),
            };
            init(&options, &home).map(Done::text).map_err(failed)
        }
        "show-ca" => show_ca(certificate(matches), &home).map(Done::text).map_err(failed),
        _ => install_ca(certificate(matches), &home).map(Done::text).map_err(failed),
    }
}
