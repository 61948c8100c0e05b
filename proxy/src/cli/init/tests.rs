use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::{Done, Failure, dispatch};
use crate::config::{Config, yaml};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
    name: my-agent
spec:
    selector: {matchLabels: {app: my-agent}}
    template:
        metadata: {labels: {app: my-agent, tier: \"1\"}}
        spec:
            initContainers:
                - {name: prepare, image: busybox}
            containers:
                - name: agent
                  image: agent:1
                  command: [sh, -c, \"set -e\\nexec agent\\n\"]
                  env:
                      - {name: MODE, value: \"on\"}
                      - {name: LIMIT, value: \"NaN\"}
                      - {name: NO_PROXY, value: \"localhost,127.0.0.1,.svc,.cluster.local\"}
                - {name: pipelock, image: old}
";

struct Place(tempfile::TempDir);

impl Place {
    fn with(spec: &str) -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary directory"));
        std::fs::write(place.path("spec.yaml"), spec).expect("a file");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `init sidecar` of the specification, without the trial that takes its time.
    fn sidecar(&self, flags: &str) -> Result<Done, Failure> {
        let line = format!("init sidecar --inject-spec spec.yaml --skip-verify --skip-canary {flags}");
        self.ran(&line)
    }

    /// File names are those of this place.
    fn ran(&self, line: &str) -> Result<Done, Failure> {
        let args: Vec<String> = line
            .split_whitespace()
            .map(|word| match word {
                "spec.yaml" | "out" | "out.yaml" => self.path(word).display().to_string(),
                word => word.to_owned(),
            })
            .collect();
        dispatch(&args)
    }
}

fn printed(done: &Done) -> String {
    String::from_utf8(done.stdout.clone()).expect("text")
}

fn documents(text: &str) -> Vec<Value> {
    text.split("---\n")
        .map(|one| yaml::tree(one.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{one}")))
        .collect()
}

#[test]
fn a_workload_gets_a_companion() {
    let place = Place::with(DEPLOYMENT);
    let text = printed(&place.sidecar("--dry-run --preset strict").expect("success"));
    let documents = documents(&text);
    let kinds: Vec<&str> = documents.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "Deployment",
            "ConfigMap",
            "Deployment",
            "Service",
            "NetworkPolicy",
            "NetworkPolicy",
            "PodDisruptionBudget"
        ]
    );
    let workload = &documents[0];
    let annotations = json!({
        "pipelock.dev/topology": "companion-proxy",
        "pipelock.dev/proxy-name": "my-agent-pipelock",
        "pipelock.dev/proxy-service": "my-agent-pipelock",
    });
    assert_eq!(workload["metadata"]["annotations"], annotations);
    let template = &workload["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"], annotations);
    assert_eq!(template["metadata"]["labels"], json!({"app": "my-agent", "tier": "1"}));
    let url = "http://my-agent-pipelock:8888";
    let variables = json!([
        {"name": "HTTPS_PROXY", "value": url},
        {"name": "HTTP_PROXY", "value": url},
        {"name": "NO_PROXY", "value": "localhost,127.0.0.1,.svc,.cluster.local"},
    ]);
    let containers = &template["spec"]["containers"];
    assert_eq!(template["spec"]["initContainers"][0]["env"], variables);
    assert_eq!(
        containers[0]["env"],
        json!([{"name": "MODE", "value": "on"}, {"name": "LIMIT", "value": "NaN"}, variables[2], variables[0], variables[1]])
    );
    assert_eq!(containers[0]["command"][2], "set -e\nexec agent\n");
    assert_eq!(containers[1], json!({"name": "pipelock", "image": "old"}));

    let config = documents[1]["data"]["pipelock.yaml"].as_str().expect("a configuration");
    let config = Config::parse(config.as_bytes(), std::path::Path::new("/")).expect("valid");
    assert_eq!(
        (config.mode.as_str(), config.default_agent_identity.as_str(), config.bind_default_agent_identity),
        ("strict", "deployment/my-agent", true)
    );
    assert_eq!(
        (config.fetch_proxy.listen.as_str(), config.metrics_listen.as_str(), config.forward_proxy.enabled),
        ("0.0.0.0:8888", "0.0.0.0:9091", true)
    );

    let pod = &documents[2]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], format!("muselet:{}", crate::VERSION));
    assert_eq!(container["args"], json!(["run", "--config", "/etc/pipelock/pipelock.yaml"]));
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    let agent = json!({"app": "my-agent", "tier": "1"});
    assert_eq!(documents[4]["spec"]["podSelector"]["matchLabels"], agent);
    assert_eq!(documents[5]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"], agent);
    assert_eq!(documents[6]["spec"]["minAvailable"], 1);
}

#[test]
fn what_was_patched_stays_as_it_is() {
    let place = Place::with(DEPLOYMENT);
    let once = printed(&place.sidecar("--dry-run").expect("success"));
    let workload = once.split("---\n").next().expect("a workload");
    let again = Place::with(workload);
    assert_eq!(printed(&again.sidecar("--dry-run").expect("success")), once);
    let report = printed(&again.sidecar("--dry-run --json").expect("success"));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(
        report,
        json!({
            "detect": {"kind": "Deployment", "name": "my-agent", "already_patched": true},
            "patch": {"emit_format": "patch", "agent_identity": "deployment/my-agent", "written": false, "dry_run": true},
            "verify": {"reachable": false, "healthy": false, "skipped": true, "detail": ""},
            "canary": {"detected": false, "skipped": true, "detail": ""},
        })
    );
}

#[test]
fn a_cron_job_without_labels_is_selected_by_one_of_its_own() {
    let place = Place::with(
        "kind: CronJob\nmetadata: {name: nightly, namespace: jobs}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a}]}}}}}\n",
    );
    let documents =
        documents(&printed(&place.sidecar("--dry-run --agent-identity team/nightly").expect("success")));
    let label = json!({"pipelock.dev/agent": "nightly"});
    assert_eq!(documents[0]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"], label);
    assert_eq!(documents[4]["spec"]["podSelector"]["matchLabels"], label);
    assert!(documents.iter().all(|one| one["metadata"]["namespace"] == "jobs"), "{documents:?}");
    assert!(
        documents[1]["data"]["pipelock.yaml"]
            .as_str()
            .expect("text")
            .contains("default_agent_identity: team/nightly")
    );
}

#[test]
fn each_format_has_its_files() {
    let common = [
        "agent-networkpolicy.yaml",
        "agent-workload.yaml",
        "pipelock-networkpolicy.yaml",
        "pipelock-pdb.yaml",
    ];
    for (format, own) in [
        (
            "kustomize",
            &[
                "kustomization.yaml",
                "pipelock-configmap.yaml",
                "pipelock-deployment.yaml",
                "pipelock-service.yaml",
            ] as &[&str],
        ),
        ("helm-values", &["README.txt", "values.yaml"]),
    ] {
        let place = Place::with(DEPLOYMENT);
        let said = printed(
            &place.sidecar(&format!("--emit {format} -o out --image r.example/m:2")).expect("success"),
        );
        assert!(
            said.starts_with("[1/7] Detecting workload type...\n") && said.contains("\n[7/7] Summary\n"),
            "{said}"
        );
        let directory = place.path("out");
        let mut names: Vec<String> = std::fs::read_dir(&directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        let mut wanted = [&common[..], own].concat();
        wanted.sort_unstable();
        assert_eq!(names, wanted);
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join(own[0]))), (0o750, 0o600));
        for name in names.iter().filter(|name| name.ends_with(".yaml")) {
            let text = std::fs::read(directory.join(name)).expect("a file");
            let filled = String::from_utf8_lossy(&text);
            let is_mark =
                |part: &str| part.len() > 2 && part.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            assert!(!filled.split('@').any(is_mark), "{name}: {filled}");
            yaml::tree(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let refused = place.sidecar(&format!("--emit {format} -o out")).err().expect("a failure");
        assert!(
            refused.message().ends_with("already exists (use --force to overwrite)"),
            "{}",
            refused.message()
        );
        assert_eq!(refused.code, 2);
        assert!(place.sidecar(&format!("--emit {format} -o out --force")).is_ok());
    }
    let values = Place::with(DEPLOYMENT);
    values.sidecar("--emit helm-values -o out --image r.example:5000/m@sha256:ab").expect("success");
    let values =
        yaml::tree(&std::fs::read(values.path("out").join("values.yaml")).expect("a file")).expect("YAML");
    assert_eq!(values["image"], json!({"repository": "r.example:5000/m", "digest": "sha256:ab"}));
    assert_eq!(values["pipelock"]["forward_proxy"]["enabled"], true);
}

#[test]
fn says_what_is_wrong_with_a_specification() {
    let env = |entry: &str| {
        format!(
            "kind: Job\nmetadata: {{name: j}}\nspec: {{template: {{spec: {{containers: [{{name: agent, env: [{entry}]}}]}}}}}}\n"
        )
    };
    for (spec, flags, wanted, code) in [
        (
            "kind: Pod\nmetadata: {name: x}\n",
            "",
            "unsupported workload kind \"Pod\"; supported: [Deployment StatefulSet Job CronJob]",
            2,
        ),
        ("kind: Job\nmetadata: {name: \"a b\"}\n", "", "metadata.name \"a b\" is not a Kubernetes name", 2),
        (
            "kind: Job\nmetadata: {name: j, namespace: \"on\"}\n",
            "",
            "metadata.namespace \"on\" is not a Kubernetes name",
            2,
        ),
        ("kind: Job\nmetadata: {name: j}\n", "", "Job has no pod template", 2),
        (
            "kind: Job\n---\nkind: Job\n",
            "",
            "parsing inject-spec: more than one document; give the workload in a file of its own",
            2,
        ),
        (
            &env("{name: HTTPS_PROXY, value: x}"),
            "",
            "container \"agent\": HTTPS_PROXY already defined as \"x\", want \"http://j-pipelock:8888\"",
            2,
        ),
        (
            &env("{name: NO_PROXY, valueFrom: {}}"),
            "",
            "container \"agent\": NO_PROXY already defined via valueFrom; patch it manually",
            2,
        ),
        (DEPLOYMENT, "--emit foo", "unknown emit format \"foo\": choose patch, kustomize, or helm-values", 2),
        (DEPLOYMENT, "--preset foo", "unknown preset \"foo\": choose strict, balanced, or audit", 2),
        (DEPLOYMENT, "--emit kustomize", "emit: --output directory required for kustomize format", 2),
        (DEPLOYMENT, "--json", "--json requires --output when emitting patch content", 2),
        (DEPLOYMENT, "--bogus", "unknown flag: --bogus", 1),
    ] {
        let failure =
            Place::with(spec).sidecar(flags).err().unwrap_or_else(|| panic!("{spec} {flags} succeeded"));
        assert_eq!((failure.message(), failure.code), (wanted, code), "{spec} {flags}");
    }
    let place = Place::with(DEPLOYMENT);
    for (line, wanted, code) in [
        ("init sidecar", "required flag(s) \"inject-spec\" not set", 1),
        ("init bogus", "unknown command \"bogus\" for \"pipelock init\"", 1),
        ("init --preset foo --dry-run", "unknown preset \"foo\": choose strict, balanced, or audit", 2),
        (
            "init sidecar --inject-spec /nowhere/x",
            "reading inject-spec: open /nowhere/x: no such file or directory",
            2,
        ),
    ] {
        let failure = place.ran(line).err().unwrap_or_else(|| panic!("{line} succeeded"));
        assert_eq!((failure.message(), failure.code), (wanted, code), "{line}");
    }
}

#[test]
fn every_preset_starts_and_finds_a_credential() {
    for preset in ["strict", "balanced", "audit"] {
        let place = Place::with(DEPLOYMENT);
        let report = |line: &str| -> Value {
            let done = place.ran(line).unwrap_or_else(|failure| panic!("{line}: {}", failure.message()));
            serde_json::from_str(&printed(&done)).expect("JSON")
        };
        for line in [
            format!("init --preset {preset} --json -o out.yaml"),
            format!("init sidecar --inject-spec spec.yaml --preset {preset} --json --dry-run"),
        ] {
            let report = report(&line);
            let verify = &report["verify"];
            assert_eq!((&verify["reachable"], &verify["healthy"]), (&json!(true), &json!(true)), "{report}");
            assert_eq!(report["canary"]["detected"], true, "{report}");
        }
        assert!(Config::load(&place.path("out.yaml")).is_ok());
        let refused = place.ran("init -o out.yaml").err().expect("a failure");
        assert!(refused.message().ends_with("out.yaml already exists (use --force to overwrite)"));
        assert_eq!(refused.code, 2);
    }
}
