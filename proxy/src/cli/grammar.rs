//! The argument grammar: flags and commands as data, and parsing errors in the words that scripts expect.
//!
//! clap does the parsing; what differs from its habits is set here once: a boolean takes its value only after `=`, the last of a
//! repeated flag wins, a string flag takes the next argument whatever it looks like, positionals that nobody asked for are
//! let through, and errors are one line without usage. spec: cli-and-image §1.2, §1.5

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::Failure;
use crate::config::grammar as values;

/// Id of the hidden positional that collects what a command has no use for.
pub(super) const EXTRA: &str = "extra";

/// A command with our conventions.
pub(super) fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .arg(Arg::new(EXTRA).num_args(0..).action(ArgAction::Append).hide(true))
}

/// `--name string`; absent unless given.
pub(super) fn string(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("string").allow_hyphen_values(true).help(help)
}

/// `--name[=true|false]`
pub(super) fn boolean(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
        .value_parser(go_bool)
        .help(help)
}

/// `--name duration`, Go's syntax; nanoseconds.
pub(super) fn duration(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("duration")
        .allow_hyphen_values(true)
        .value_parser(values::duration)
        .help(help)
}

/// `--name int`
pub(super) fn integer(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("int")
        .allow_hyphen_values(true)
        .value_parser(|text: &str| {
            text.parse::<i64>().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        })
        .help(help)
}

fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// The text of a flag, if it was given.
pub(super) fn text<'m>(matches: &'m ArgMatches, name: &str) -> Option<&'m str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// The value of a boolean flag.
pub(super) fn flag(matches: &ArgMatches, name: &str) -> bool {
    matches.get_one::<bool>(name).copied().unwrap_or(false)
}

/// The positionals of a command.
pub(super) fn extra(matches: &ArgMatches) -> Vec<String> {
    matches.get_many::<String>(EXTRA).map(|values| values.cloned().collect()).unwrap_or_default()
}

/// A parsing error in the reference's words.
pub(super) fn failure(error: &clap::Error, root: &Command, args: &[String]) -> Failure {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let named = context(ContextKind::InvalidArg).unwrap_or("");
    let flag = named.split([' ', '=', '[']).next().unwrap_or("");
    let text = match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with("--") => format!("unknown flag: {flag}"),
        ErrorKind::UnknownArgument if flag.len() > 1 => {
            let letter = flag.chars().nth(1).unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {}", as_typed(letter, args).unwrap_or(flag))
        }
        ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::WrongNumberOfValues
            if context(ContextKind::InvalidValue).unwrap_or("").is_empty() =>
        {
            match args.last().filter(|a| a.starts_with('-') && !a.starts_with("--")) {
                Some(short) => {
                    format!("flag needs an argument: '{}' in {short}", short.chars().last().unwrap_or('-'))
                }
                None => format!("flag needs an argument: {flag}"),
            }
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let value = context(ContextKind::InvalidValue).unwrap_or("");
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("invalid argument {value:?} for \"{}\" flag: {why}", with_shorthand(flag, root, args))
        }
        _ => {
            // Nothing else is reachable with these definitions; one line of clap's own words, should that change.
            error
                .to_string()
                .lines()
                .next()
                .unwrap_or("invalid arguments")
                .trim_start_matches("error: ")
                .into()
        }
    };
    Failure::new(text)
}

/// The argument in which a short flag was typed.
fn as_typed(letter: char, args: &[String]) -> Option<&str> {
    args.iter()
        .map(String::as_str)
        .take_while(|a| *a != "--")
        .find(|a| a.starts_with('-') && !a.starts_with("--") && a.contains(letter))
}

/// `-n, --last` where the flag has a short form.
fn with_shorthand(flag: &str, root: &Command, args: &[String]) -> String {
    let name = flag.trim_start_matches('-');
    let mut at = root;
    for arg in args {
        if let Some(sub) = at.find_subcommand(arg) {
            at = sub;
        }
    }
    let short = at.get_arguments().find(|a| a.get_long() == Some(name)).and_then(Arg::get_short);
    short.map_or_else(|| flag.to_owned(), |s| format!("-{s}, {flag}"))
}

/// Edit distance of two short words, case ignored.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// `unknown command …` with suggestions, for the root.
pub(super) fn unknown_command(root: &Command, typed: &str, hidden: &[&str]) -> Failure {
    let mut text = format!("unknown command {typed:?} for {:?}", root.get_name());
    let mut near: Vec<&str> = root
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(Command::get_name)
        .chain(hidden.iter().copied())
        .filter(|name| name.to_lowercase().starts_with(&typed.to_lowercase()) || distance(name, typed) <= 2)
        .collect();
    near.sort_unstable();
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        for name in near {
            text.push_str(&format!("\t{name}\n"));
        }
    }
    Failure::new(text)
}
