//! The flags of `run` and what is wrong with them before anything is read. spec: cli-and-image §3.1, §3.2 steps 1-3

use std::path::PathBuf;

use clap::ArgMatches;

use crate::cli::Failure;
use crate::cli::grammar::{extra, flag, text};
use crate::config::grammar::url_with_host;

/// Sets `muselet.decompress` where the configuration must stay one that the reference loads too: in launched bottles.
const DECOMPRESS_VARIABLE: &str = "MUSELET_DECOMPRESS";

/// Parsed and checked flags.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Options {
    /// Path as typed.
    pub(super) config: Option<PathBuf>,
    pub(super) overrides: Overrides,
    /// What stands after `--`; shown, never run.
    pub(super) agent: Vec<String>,
}

/// What the command line, or the environment, changes in a configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Overrides {
    pub(super) mode: Option<String>,
    pub(super) listen: Option<String>,
    /// Upstream and listen address.
    pub(super) reverse: Option<(String, String)>,
    pub(super) decompress: bool,
}

impl Overrides {
    /// Whether nothing but an address was asked for.
    pub(super) fn only_listen(&self) -> bool {
        self.mode.is_none() && self.reverse.is_none()
    }
}

impl Options {
    pub(super) fn read(matches: &ArgMatches) -> Result<Options, Failure> {
        let agent: Vec<String> =
            matches.get_many::<String>("agent").map(|v| v.cloned().collect()).unwrap_or_default();
        let stray = extra(matches);
        if !stray.is_empty() {
            return Err(Failure::new(if agent.is_empty() {
                format!("unexpected arguments {}; pass agent args after --", quoted_list(&stray))
            } else {
                format!("unexpected arguments before --: {}", quoted_list(&stray))
            }));
        }
        let given = |name| text(matches, name).filter(|t| !t.is_empty());
        match (given("mcp-listen"), given("mcp-upstream")) {
            (Some(_), None) => return Err(Failure::new("--mcp-listen requires --mcp-upstream")),
            (None, Some(_)) => return Err(Failure::new("--mcp-upstream requires --mcp-listen")),
            (Some(_), Some(url)) => {
                check_url("--mcp-upstream", url)?;
                return Err(Failure::new("--mcp-listen: MCP is outside of what muselet covers"));
            }
            (None, None) => {}
        }
        let reverse = match (flag(matches, "reverse-proxy"), given("reverse-upstream")) {
            (true, None) => return Err(Failure::new("--reverse-proxy requires --reverse-upstream")),
            (false, Some(_)) => return Err(Failure::new("--reverse-upstream requires --reverse-proxy")),
            (true, Some(url)) => {
                check_url("--reverse-upstream", url)?;
                Some((url.to_owned(), text(matches, "reverse-listen").unwrap_or(":8890").to_owned()))
            }
            (false, None) => None,
        };
        if given("capture-output").is_some() {
            return Err(Failure::new("--capture-output: verdict capture is not implemented"));
        }
        Ok(Options {
            config: given("config").map(PathBuf::from),
            overrides: Overrides {
                mode: text(matches, "mode").map(str::to_owned),
                listen: text(matches, "listen").map(str::to_owned),
                reverse,
                decompress: std::env::var_os(DECOMPRESS_VARIABLE).is_some_and(|value| !value.is_empty()),
            },
            agent,
        })
    }
}

fn check_url(flag: &str, url: &str) -> Result<(), Failure> {
    match url_with_host(url, &["http", "https"]) {
        Some(_) => Ok(()),
        None => Err(Failure::new(format!("invalid {flag} {url:?}: must be http:// or https:// with a host"))),
    }
}

/// `["a" "b"]`, as the reference prints a list of arguments.
fn quoted_list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|i| format!("{i:?}")).collect();
    format!("[{}]", items.join(" "))
}
