//! `exec`: what the command gets, and what is told.

use std::path::Path;
use std::process::{Command, Output};

/// Runs `muselet exec` with arguments, away from this machine's own roots.
fn exec(args: &[&str], env: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muselet"));
    command.arg("exec").args(args).env_remove("SSL_CERT_FILE").env_remove("NODE_EXTRA_CA_CERTS");
    command.envs(env.iter().copied()).output().expect("the program runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_command_may_stand_without_dashes_before_it_and_keeps_its_flags() {
    for args in [
        &["--", "sh", "-c", "echo $0 $1", "a", "--no-intercept"][..],
        &["sh", "-c", "echo $0 $1", "a", "--no-intercept"],
        &["--no-intercept", "sh", "-c", "echo $0 $1", "a", "--no-intercept"],
    ] {
        assert_eq!(stdout(&exec(args, &[])), "a --no-intercept\n", "{args:?}");
    }
    let unknown = exec(&["--bogus", "true"], &[]);
    assert_eq!(String::from_utf8_lossy(&unknown.stderr), "unknown flag: --bogus\n");
    assert_eq!(exec(&["sh", "-c", "exit 7"], &[]).status.code(), Some(7));
}

#[test]
fn a_configuration_with_interception_needs_no_ca_of_its_own() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("muselet.yaml");
    std::fs::write(&path, "forward_proxy: {enabled: true}\ntls_interception: {enabled: true}\n")
        .expect("written");
    let config = path.to_str().expect("a name");
    let said =
        exec(&["-c", config, "sh", "-c", "grep -c BEGIN $NODE_EXTRA_CA_CERTS"], &[("HOME", home.path())]);
    assert_eq!(stdout(&said), "1\n");
}

#[test]
fn every_way_to_name_roots_names_the_run_s_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let (roots, more) = (file("roots.pem", "# roots"), file("more.pem", "# more"));
    let apt = file("apt.conf", "Quiet \"1\";\n");
    let env = [
        ("SSL_CERT_FILE", roots.as_path()),
        ("NODE_EXTRA_CA_CERTS", more.as_path()),
        ("APT_CONFIG", apt.as_path()),
    ];
    let script = "for f in $npm_config_cafile $AWS_CA_BUNDLE $NODE_EXTRA_CA_CERTS $SYSTEM_WGETRC $APT_CONFIG; do \
        echo \"== $f\"; cat $f; done; echo $NODE_USE_ENV_PROXY $HTTPS_PROXY; \
        [ $HTTPS_PROXY = $YARN_HTTPS_PROXY ] && [ $PERL_LWP_SSL_CA_FILE = $AWS_CA_BUNDLE ] && echo same";
    let said = stdout(&exec(&["sh", "-c", script], &env));
    let parts: Vec<&str> = said.split("== ").skip(1).collect();
    let [npm, aws, node, wget, apt] = parts[..] else { panic!("{said}") };
    let bundle = npm.lines().next().expect("a name");
    assert_eq!(npm, aws);
    for (part, before) in [(npm, "# roots\n"), (node, "# more\n")] {
        assert!(part.contains(&format!("{before}-----BEGIN CERTIFICATE-----")), "{part}");
    }
    assert!(wget.contains(&format!("ca_certificate = {bundle}\n")), "{wget}");
    assert!(apt.contains(&format!("Quiet \"1\";\nAcquire::https::CAInfo \"{bundle}\";\n")), "{apt}");
    assert!(apt.contains("\n1 http://127.0.0.1:") && apt.ends_with("\nsame\n"), "{apt}");
    assert!(!Path::new(bundle).exists(), "the files outlive the run");
}
