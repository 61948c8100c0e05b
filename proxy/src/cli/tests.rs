use super::*;

fn ran(line: &str) -> Result<Done, Failure> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    dispatch(&args)
}

#[test]
fn words_parsing_errors_as_scripts_expect() {
    for (line, wanted) in [
        ("version --bogus", "unknown flag: --bogus"),
        ("version --bogus=1", "unknown flag: --bogus"),
        ("version -x", "unknown shorthand flag: 'x' in -x"),
        ("logs -fx", "unknown shorthand flag: 'x' in -fx"),
        ("healthcheck --addr", "flag needs an argument: --addr"),
        ("logs -n", "flag needs an argument: 'n' in -n"),
        (
            "tls init --force=maybe",
            "invalid argument \"maybe\" for \"--force\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        (
            "logs --last x",
            "invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        ("version --version", "unknown flag: --version"),
        (
            "healthchek",
            "unknown command \"healthchek\" for \"pipelock\"\n\nDid you mean this?\n\thealthcheck\n",
        ),
        ("zzzzzz", "unknown command \"zzzzzz\" for \"pipelock\""),
        ("zzzzzz version", "unknown command \"zzzzzz\" for \"pipelock\""),
        ("install", "accepts 1 arg(s), received 0"),
        ("logs", "--file is required (specify the audit log file path)"),
    ] {
        let failure = ran(line).err().unwrap_or_else(|| panic!("{line} succeeded"));
        assert_eq!(failure.stderr, wanted, "{line}");
        assert_eq!(failure.code, 1, "{line}");
    }
}

#[test]
fn lets_through_what_the_reference_lets_through() {
    for line in [
        "version extra",
        "-v",
        "--version",
        "tls bogus",
        "help tls init",
        "--home /x version",
        "version --home /x",
    ] {
        assert!(ran(line).is_ok(), "{line}");
    }
}

#[test]
fn lays_help_out_in_the_familiar_way() {
    let text = |line: &str| String::from_utf8(ran(line).unwrap().stdout).unwrap();
    let root = text("--help");
    for part in [
        "\nUsage:\n  pipelock [command]\n",
        "\nAvailable Commands:\n",
        "\n  healthcheck Check if the proxy is healthy (for Docker HEALTHCHECK)\n",
        "\nFlags:\n  -h, --help          help for pipelock\n      --home string   ",
        "\n  -v, --version       version for pipelock\n",
        "\nUse \"pipelock [command] --help\" for more information about a command.\n",
    ] {
        assert!(root.contains(part), "{part:?} in\n{root}");
    }
    assert_eq!(text(""), root);
    assert_eq!(text("help"), root);
    assert_eq!(text("tls bogus"), text("tls --help"));
    assert_eq!(text("help healthcheck"), text("healthcheck --help"));
    assert!(text("healthcheck -h").contains("\nGlobal Flags:\n      --home string   "));
}
