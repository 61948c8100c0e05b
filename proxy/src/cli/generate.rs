//! `generate config` and `generate docker-compose`: starting points to edit. spec: cli-and-image §7, §8

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use clap::{ArgMatches, Command};

use super::grammar::{command, string, text};
use super::{Done, Failure, go_error};
use crate::config::Preset;

pub(super) fn definition() -> Command {
    command("generate", "Generate configuration files")
        .subcommand(
            command("config", "Generate a configuration file from a preset")
                .arg(string("preset", "config preset: strict, balanced, audit (default \"balanced\")"))
                .arg(string("output", "output file path (default: stdout)").short('o')),
        )
        .subcommand(
            command("docker-compose", "Generate a Docker Compose file with network isolation")
                .arg(string("agent", "agent type: generic, claude-code, openhands (default \"generic\")"))
                .arg(string("output", "output file path (default: stdout)").short('o')),
        )
}

pub(super) fn run(name: &str, matches: &ArgMatches) -> Result<Done, Failure> {
    let output = text(matches, "output").filter(|path| !path.is_empty());
    match name {
        "config" => {
            let preset =
                Preset::named(text(matches, "preset").unwrap_or("balanced")).map_err(Failure::new)?;
            let document = preset.document(&std::env::temp_dir().display().to_string());
            let Some(path) = output else { return Ok(Done::text(document)) };
            write(path, &document, "writing config file")?;
            Ok(Done::text(format!("Config written to {path}\n")))
        }
        _ => {
            let document = compose(text(matches, "agent").unwrap_or("generic"))?;
            let Some(path) = output else { return Ok(Done::text(document)) };
            write(path, &document, "writing docker-compose file")?;
            Ok(Done::text(format!(
                "Docker Compose file written to {path}\n\nNext steps:\n  \
                 1. Generate a config: pipelock generate config -o pipelock.yaml\n  \
                 2. Create a .env file with your API keys\n  \
                 3. Start: docker compose -f {path} up\n"
            )))
        }
    }
}

/// Writes a file that only its owner may read, because it is going to hold tokens.
pub(super) fn write(path: &str, document: &str, doing: &str) -> Result<(), Failure> {
    let failed = |verb: &str, error: &std::io::Error| {
        Failure::new(format!("{doing}: {verb} {path}: {}", go_error(error)))
    };
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed("open", &error))?;
    file.write_all(document.as_bytes()).map_err(|error| failed("write", &error))
}

const NETWORKS_AND_PROXY: &str = r#"# The agent has no route but the proxy: its only network is internal.
networks:
  pipelock-internal:
    internal: true
    driver: bridge
  pipelock-external:
    driver: bridge

services:
  pipelock:
    image: muselet:VERSION
    container_name: pipelock
    networks:
      - pipelock-internal
      - pipelock-external
    command: ["run", "--listen", "0.0.0.0:8888", "--config", "/config/pipelock.yaml"]
    volumes:
      - ./pipelock.yaml:/config/pipelock.yaml:ro
    restart: unless-stopped
    healthcheck:
      test: ["CMD", "/pipelock", "healthcheck"]
      interval: 10s
      timeout: 3s
      start_period: 5s
      retries: 3

"#;

const GENERIC: &str = r"  agent:
    build: .
    container_name: agent
    environment:
      - PIPELOCK_FETCH_URL=http://pipelock:8888/fetch
      - ANTHROPIC_API_KEY=${ANTHROPIC_API_KEY}
";

const CLAUDE_CODE: &str = r"  claude-code:
    build:
      context: .
      dockerfile: Dockerfile.claude-code
    container_name: claude-code
    stdin_open: true
    tty: true
    working_dir: /workspace
    environment:
      - PIPELOCK_FETCH_URL=http://pipelock:8888/fetch
      - ANTHROPIC_API_KEY=${ANTHROPIC_API_KEY}
";

const OPENHANDS: &str = r#"  # Needs forward_proxy.enabled: true in pipelock.yaml: it speaks through http_proxy.
  openhands:
    image: ghcr.io/all-hands-ai/openhands:main
    container_name: openhands
    ports:
      - "3000:3000"
    environment:
      - PIPELOCK_FETCH_URL=http://pipelock:8888/fetch
      - LLM_API_KEY=${ANTHROPIC_API_KEY}
      - SANDBOX_NETWORK_MODE=none
      - http_proxy=http://pipelock:8888
      - https_proxy=http://pipelock:8888
      - no_proxy=localhost,127.0.0.1
"#;

const AGENT_TAIL: &str = r"    networks:
      - pipelock-internal
    volumes:
      - ./workspace:/workspace
    depends_on:
      pipelock:
        condition: service_healthy
    restart: unless-stopped
";

fn compose(agent: &str) -> Result<String, Failure> {
    let service = match agent {
        "generic" => GENERIC,
        "claude-code" => CLAUDE_CODE,
        "openhands" => OPENHANDS,
        _ => {
            let shown = crate::config::grammar::quoted(agent);
            return Err(Failure::new(format!(
                "unknown agent type {shown}: choose generic, claude-code, or openhands"
            )));
        }
    };
    // As `bottle image build` names the image.
    let proxy = NETWORKS_AND_PROXY.replace("muselet:VERSION", &format!("muselet:{}", crate::VERSION));
    Ok(format!("{proxy}{service}{AGENT_TAIL}"))
}
