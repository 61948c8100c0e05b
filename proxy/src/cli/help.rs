//! Help texts in the layout that users of the reference know, made from the clap definitions. spec: cli-and-image §1.3

use clap::{Arg, Command};
use muselet_rules::order::sort_few;

/// The help of the command at `path` below `root` (`[]`: the root itself).
pub(super) fn render(root: &Command, path: &[&str]) -> String {
    let mut at = root;
    let mut above = Vec::new();
    let mut full = super::program().to_owned();
    for name in path {
        let Some(sub) = at.find_subcommand(name) else { break };
        above.push(at);
        at = sub;
        full = format!("{full} {name}");
    }
    let about = at.get_long_about().or_else(|| at.get_about());
    let mut out = about.map_or_else(String::new, |text| format!("{}\n\n", text.to_string().trim_end()));
    out.push_str(&usage(&above, at, &full));
    if at.get_subcommands().next().is_some() {
        out.push_str(&format!("\nUse \"{full} [command] --help\" for more information about a command.\n"));
    }
    out
}

/// The usage part of the root's help.
pub(super) fn usage_of(root: &Command) -> String {
    usage(&[], root, super::program())
}

/// The part from `Usage:` on. What the groups `above` a command accept, it accepts as well.
fn usage(above: &[&Command], at: &Command, full: &str) -> String {
    let mut out = String::from("Usage:\n");
    let group = at.get_subcommands().next().is_some();
    if group {
        if at.is_subcommand_negates_reqs_set() {
            out.push_str(&format!("  {full} [flags]\n"));
        }
        out.push_str(&format!("  {full} [command]\n"));
        // Hidden commands count for the width, as they do in the reference.
        let width = at.get_subcommands().map(|c| c.get_name().len()).max().unwrap_or(0).max(11);
        let mut rows: Vec<(&str, String)> = at
            .get_subcommands()
            .filter(|c| !c.is_hide_set())
            .map(|c| (c.get_name(), c.get_about().map(ToString::to_string).unwrap_or_default()))
            .collect();
        sort_few(&mut rows, |a, b| a < b);
        out.push_str("\nAvailable Commands:\n");
        for (name, about) in rows {
            out.push_str(&format!("  {name:width$} {about}\n"));
        }
    } else {
        // The positionals of a leaf are told in its `after_help`.
        let tail = at.get_after_help().map(ToString::to_string).unwrap_or_default();
        let space = if tail.is_empty() { "" } else { " " };
        out.push_str(&format!("  {full} [flags]{space}{tail}\n"));
    }
    let name = full.rsplit(' ').next().unwrap_or(full);
    out.push_str("\nFlags:\n");
    let named = |arg: &&Arg| arg.get_long().is_some_and(|long| long != "help");
    let help = Row { short: Some('h'), left: "--help".into(), text: format!("help for {name}") };
    let own = at.get_arguments().filter(named).map(Row::of);
    table(&mut out, own.chain([help]).collect());
    let inherited = above.iter().flat_map(|group| group.get_arguments()).filter(named);
    let inherited: Vec<Row> = inherited.filter(|arg| arg.is_global_set()).map(Row::of).collect();
    if !inherited.is_empty() {
        out.push_str("\nGlobal Flags:\n");
        table(&mut out, inherited);
    }
    out
}

struct Row {
    short: Option<char>,
    left: String,
    text: String,
}

impl Row {
    fn of(arg: &Arg) -> Row {
        let long = arg.get_long().unwrap_or_default();
        let kind = arg
            .get_value_names()
            .and_then(|names| names.first())
            .map(|n| n.to_string())
            .filter(|kind| !kind.eq_ignore_ascii_case(long));
        let left = kind.map_or_else(|| format!("--{long}"), |kind| format!("--{long} {kind}"));
        let text = arg.get_help().map(ToString::to_string).unwrap_or_default();
        Row { short: arg.get_short(), left, text }
    }
}

fn table(out: &mut String, mut rows: Vec<Row>) {
    sort_few(&mut rows, |a, b| a.left < b.left);
    let width = rows.iter().map(|r| r.left.len()).max().unwrap_or(0);
    for Row { short, left, text } in rows {
        let short = short.map_or_else(|| "    ".to_owned(), |s| format!("-{s}, "));
        out.push_str(format!("  {short}{left:width$}   {text}").trim_end());
        out.push('\n');
    }
}
