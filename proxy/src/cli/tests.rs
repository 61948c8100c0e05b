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
        "\n  healthcheck    Check if the proxy is healthy (for Docker HEALTHCHECK)\n",
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
    let list = text("session list --help");
    assert!(
        list.contains("\nGlobal Flags:\n      --api-token string   ")
            && list.contains("\n      --home string        "),
        "{list}"
    );
    assert!(text("session -h").contains("\nFlags:\n      --api-token string   "));
    assert!(text("init -h").contains("Usage:\n  pipelock init [flags]\n  pipelock init [command]\n"));
    assert!(text("healthcheck -h").contains("\nGlobal Flags:\n      --home string   "));
}

#[test]
fn checks_configurations_and_urls() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let good =
        file("good.yaml", "internal: []\nfetch_proxy: {monitoring: {blocklist: [\"*.paste.example\"]}}\n");
    let summary = "Config validation: OK\n  Mode:           balanced\n  Listen:         127.0.0.1:8888\n  \
                   API allowlist:  0 domains\n  Blocklist:      1 patterns\n  DLP patterns:   48 rules\n  \
                   Entropy thresh: 4.5 bits\n  Max URL length: 2048 chars\n";
    let shown = |line: &str| String::from_utf8(ran(line).expect("success").stdout).expect("text");
    assert_eq!(shown(&format!("check --config {good}")), summary);
    assert_eq!(
        shown(&format!("check -c {good} --url http://example.com/x")),
        format!("{summary}\nScanning URL: http://example.com/x\n  Result:  ALLOWED\n  Score:   0.00\n")
    );
    assert_eq!(shown("check"), "Using default config (no --config specified)\n");

    let failure =
        ran(&format!("check -c {good} --url https://a.paste.example/x")).err().expect("a blocked URL");
    assert_eq!(failure.stderr, "url blocked");
    let blocked = "  Result:  BLOCKED\n  Scanner: blocklist\n  Reason:  domain blocked: a.paste.example matches *.paste.example\n  Score:   1.00\n";
    assert!(String::from_utf8_lossy(&failure.stdout).ends_with(blocked));

    let bad = file("bad.yaml", "mode: bogus\n");
    let why = "invalid config: invalid mode \"bogus\": must be strict, balanced, or audit";
    let failure = ran(&format!("check -c {bad}")).err().expect("an invalid configuration");
    assert_eq!(failure.stderr, format!("Config validation FAILED: {why}\n{why}"));
}

#[test]
fn generates_files_that_only_their_owner_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (command, said, first) in [
        ("config --preset strict", "Config written to ", "# Pipelock config — strict preset\n"),
        ("docker-compose --agent openhands", "Docker Compose file written to ", "# The agent has no route"),
    ] {
        let path = dir.path().join(command.replace(' ', "_"));
        let done = ran(&format!("generate {command} -o {}", path.display())).expect("success");
        assert!(String::from_utf8_lossy(&done.stdout).starts_with(said), "{command}");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.starts_with(first), "{command}");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{command}");
        assert!(!text.contains("VERSION"), "{text}");
        let printed = ran(&format!("generate {command}")).expect("success").stdout;
        assert_eq!(printed, std::fs::read(&path).expect("a file"), "{command}");
    }
    for (line, wanted) in [
        ("generate config --preset x", "unknown preset \"x\": choose strict, balanced, or audit"),
        (
            "generate docker-compose --agent x",
            "unknown agent type \"x\": choose generic, claude-code, or openhands",
        ),
        ("generate config -o /nowhere/x", "writing config file: open /nowhere/x: no such file or directory"),
    ] {
        assert_eq!(ran(line).err().expect("a failure").stderr, wanted, "{line}");
    }
}
