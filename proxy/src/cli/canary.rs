//! `canary`: the piece of configuration that sets a trap, a token that nobody may send. spec: cli-and-image §13

use std::fmt::Write as _;

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::grammar::{boolean, command, flag, string, text};
use super::{Done, Failure, no_arguments};

pub(super) fn definition() -> Command {
    command("canary", "Generate canary token configuration")
        .arg(string("format", "output format: yaml, json (default \"yaml\")"))
        .arg(string("name", "canary token name (default \"aws_canary\")"))
        .arg(string("env-var", "environment variable that holds the value (default \"AWS_CANARY_KEY\")"))
        .arg(string("value", "canary token value (default \"AKIAIOSFODNN7CANARY1\")"))
        .arg(boolean("literal", "print the value instead of a reference to the variable"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    no_arguments("canary", matches)?;
    let name = text(matches, "name").unwrap_or("aws_canary");
    let variable = text(matches, "env-var").unwrap_or("AWS_CANARY_KEY");
    let literal = flag(matches, "literal");
    // Without a variable there is nothing to refer to.
    let value = if literal || variable.is_empty() {
        let why = if literal { "--literal" } else { "an empty --env-var" };
        eprintln!("warning: {why} prints the canary token value to stdout; avoid capturing in shared logs");
        text(matches, "value").unwrap_or("AKIAIOSFODNN7CANARY1").to_owned()
    } else {
        format!("${{{variable}}}")
    };
    match text(matches, "format").unwrap_or("yaml") {
        "yaml" => Ok(Done::text(yaml(name, &value, variable))),
        "json" => {
            let token = json!({"Name": name, "Value": value, "EnvVar": variable});
            let document = json!({"canary_tokens": {"Enabled": true, "Tokens": [token]}});
            Ok(Done::text(format!("{document:#}\n")))
        }
        other => Err(Failure::new(format!("invalid format {other:?}: must be yaml or json"))),
    }
}

fn yaml(name: &str, value: &str, variable: &str) -> String {
    // Every JSON string is a double-quoted scalar of YAML.
    let quoted = |text: &str| Value::from(text).to_string();
    let mut out = format!(
        "canary_tokens:\n  enabled: true\n  tokens:\n    - name: {}\n      value: {}\n",
        quoted(name),
        quoted(value)
    );
    if !variable.is_empty() {
        let _ = writeln!(out, "      env_var: {}", quoted(variable));
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::cli::dispatch;

    fn printed(line: &str) -> Result<String, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let done = dispatch(&args).map_err(|failure| failure.message().to_owned())?;
        Ok(String::from_utf8(done.stdout).expect("text"))
    }

    #[test]
    fn prints_a_section_that_the_configuration_takes() {
        let by_variable = "canary_tokens:\n  enabled: true\n  tokens:\n    - name: \"aws_canary\"\n      value: \"${AWS_CANARY_KEY}\"\n      env_var: \"AWS_CANARY_KEY\"\n";
        assert_eq!(printed("canary").as_deref(), Ok(by_variable));
        let literal =
            printed("canary --name trap --value decoy-5f3a9c11 --env-var= --literal").expect("printed");
        assert!(literal.ends_with("- name: \"trap\"\n      value: \"decoy-5f3a9c11\"\n"), "{literal}");
        let config =
            crate::config::Config::parse(literal.as_bytes(), std::path::Path::new("/")).expect("valid");
        assert_eq!(config.canary_tokens.tokens.len(), 1);
    }

    #[test]
    fn json_has_the_names_of_the_reference() {
        let document: serde_json::Value =
            serde_json::from_str(&printed("canary --format json").expect("printed")).expect("JSON");
        assert_eq!(
            document,
            serde_json::json!({"canary_tokens": {"Enabled": true, "Tokens":
                [{"Name": "aws_canary", "Value": "${AWS_CANARY_KEY}", "EnvVar": "AWS_CANARY_KEY"}]}})
        );
        assert_eq!(
            printed("canary --format xml"),
            Err("invalid format \"xml\": must be yaml or json".to_owned())
        );
    }
}
