use super::samples;
use super::*;
use crate::cli::dispatch;

fn ran(line: &str) -> Result<Done, Failure> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    dispatch(&args)
}

#[test]
fn commands_without_positionals_say_so() {
    for (line, wanted) in [
        ("simulate extra", "unknown command \"extra\" for \"pipelock simulate\""),
        ("canary extra", "unknown command \"extra\" for \"pipelock canary\""),
        ("session list extra", "unknown command \"extra\" for \"pipelock session list\""),
        ("audit score extra", "unknown command \"extra\" for \"pipelock audit score\""),
        ("audit capsule extra", "unknown command \"extra\" for \"pipelock audit capsule\""),
        ("audit .", "audit DIR: not part of muselet, which covers HTTP egress only"),
        (
            "test --category dlp,foo",
            "unknown category \"foo\"; valid categories: dlp, blocklist, entropy, scheme, response_injection, \
             mcp_response, mcp_input, mcp_tools, clean",
        ),
    ] {
        let failure = ran(line).err().unwrap_or_else(|| panic!("{line} succeeded"));
        assert_eq!((failure.message(), failure.code), (wanted, 1), "{line}");
    }
}

/// Both modes agree on what the samples are, so that a configuration is graded alike in both.
#[test]
fn both_modes_find_the_same() {
    let trial = |strictness| {
        let mut config = Config::defaults();
        config.muselet.strictness = strictness;
        Trial::new(config, Vec::new()).expect("compiles")
    };
    let (reference, hardened) = (trial(crate::Strictness::Reference), trial(crate::Strictness::Hardened));
    for (aim, sample) in [
        (Aim::Url, samples::AWS_ESCAPED_IN_PATH),
        (Aim::Url, samples::GITHUB_ENCODED),
        (Aim::Url, samples::SLACK_IN_HEX),
        (Aim::Url, samples::WIF_IN_PATH),
        (Aim::Url, samples::RANDOM_HOST),
        (Aim::Text, samples::ANTHROPIC_IN_TEXT),
        (Aim::Answer, samples::TOOL_COVERT),
        (Aim::Call, samples::CALL_IGNORE),
        (Aim::Call, samples::PLAIN_CALL),
    ] {
        let (one, other) = (reference.judge(aim, sample), hardened.judge(aim, sample));
        assert_eq!(
            (one.blocked, one.scanner, one.reason),
            (other.blocked, other.scanner, other.reason),
            "{sample}"
        );
    }
}
