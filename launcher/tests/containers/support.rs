//! What the container tests share: the engine, images made without a registry, a launch with a body.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use muselet_launcher::engine::connect::Surroundings;
use muselet_launcher::engine::docker::Docker;
use muselet_launcher::engine::{ContainerSpec, Engine, ExecSpec};
use muselet_launcher::launch::{self, Launched, Options, Report};
use muselet_launcher::manifest::Manifest;
use muselet_launcher::names::DEFAULT_IMAGE;
use muselet_launcher::plan::{Plan, Variables};
use muselet_launcher::{Error, Result};
use tokio_util::sync::CancellationToken;

/// Agent and origin: programs of this machine in an image of their own.
pub const AGENT_IMAGE: &str = "muselet-test-agent:1";
/// The sidecar image with the test CA among its roots.
pub const SIDECAR_IMAGE: &str = "muselet-test-sidecar:1";
/// A range that stands in for the internet: for documentation, never routed, and not internal by the rules.
pub const INTERNET: &str = "203.0.113.0/24";

static IMAGES: OnceLock<TestCa> = OnceLock::new();
static BUILDING: Mutex<()> = Mutex::new(());

/// The CA that signs the origin's certificate.
pub struct TestCa {
    pub origin_cert: String,
    pub origin_key: String,
    root: String,
}

/// The engine with all images in place. None, with a word, where there is no engine; with `REQUIRE_DOCKER=1` that fails.
pub async fn engine() -> Option<Docker> {
    let connected = match Surroundings::of_process().address().unwrap() {
        Some(address) => Docker::connect(&address).await.map_err(|e| e.to_string()),
        None => Err("no socket".to_owned()),
    };
    match connected {
        Ok(engine) => {
            images(&engine).await;
            Some(engine)
        }
        Err(why) => {
            assert!(std::env::var("REQUIRE_DOCKER").as_deref() != Ok("1"), "no container engine: {why}");
            eprintln!("skipped: no container engine ({why})");
            None
        }
    }
}

/// The origin's certificate and key.
pub fn test_ca() -> &'static TestCa {
    IMAGES.get().expect("engine() comes first")
}

async fn images(engine: &Docker) {
    let missing = !engine.image_exists(DEFAULT_IMAGE).await.unwrap();
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if IMAGES.get().is_some() {
        return;
    }
    if missing {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = bottle().args(["image", "build", "--source"]).arg(workspace).status().unwrap();
        assert!(built.success(), "bottle image build: {built}");
    }
    let ca = make_ca();
    let handle = tokio::runtime::Handle::current();
    // Building is async, and the lock must be held meanwhile: a thread of its own does it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            handle.block_on(async {
                engine.build_image(AGENT_IMAGE, agent_context(), &|_| {}).await.unwrap();
                engine.build_image(SIDECAR_IMAGE, sidecar_context(&ca.root), &|_| {}).await.unwrap();
            });
        });
    });
    let _ = IMAGES.set(ca);
}

fn make_ca() -> TestCa {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "container test root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let origin_key = KeyPair::generate().unwrap();
    let names = ["allowed.test", "*.wild.test"].map(str::to_owned);
    let leaf = CertificateParams::new(names).unwrap().signed_by(&origin_key, &issuer).unwrap();
    TestCa { origin_cert: leaf.pem(), origin_key: origin_key.serialize_pem(), root }
}

fn add(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path.trim_start_matches('/'), bytes).unwrap();
}

fn dockerfile(text: &str, root: tar::Builder<Vec<u8>>) -> Vec<u8> {
    let mut context = tar::Builder::new(Vec::new());
    add(&mut context, "Dockerfile", 0o644, text.as_bytes());
    add(&mut context, "rootfs.tar", 0o644, &root.into_inner().unwrap());
    context.into_inner().unwrap()
}

/// Programs of this machine with the libraries they load.
pub fn host_root() -> tar::Builder<Vec<u8>> {
    let mut files = BTreeSet::new();
    for program in ["bash", "sleep", "cat", "ls", "curl", "openssl", "getent", "env", "id"] {
        let path = which(program);
        let listing = Command::new("ldd").arg(&path).output().unwrap();
        let text = String::from_utf8_lossy(&listing.stdout).into_owned();
        files.extend(text.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned));
        files.insert(path);
    }
    // Loaded by name when a host is looked up.
    for library in ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"] {
        files.extend(
            ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"]
                .map(|dir| format!("{dir}/{library}"))
                .into_iter()
                .filter(|p| Path::new(p).exists()),
        );
    }
    let mut root = tar::Builder::new(Vec::new());
    for path in files {
        let mode = if path.contains(".so") { 0o644 } else { 0o755 };
        let name = if path.contains(".so") {
            path.clone()
        } else {
            format!("/bin/{}", path.rsplit('/').next().unwrap())
        };
        add(&mut root, &name, mode | 0o111, &std::fs::read(&path).unwrap());
    }
    add(&mut root, "/etc/nsswitch.conf", 0o644, b"hosts: files dns\n");
    add(&mut root, "/etc/passwd", 0o644, b"root:x:0:0:root:/:/bin/bash\n");
    add(&mut root, "/tmp/.keep", 0o644, b"");
    add(&mut root, "/etc/ssl/openssl.cnf", 0o644, b"");
    root
}

fn which(program: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places: Vec<&str> = vec!["/usr/bin", "/bin"];
    places.extend(path.split(':'));
    let found = places.iter().map(|dir| format!("{dir}/{program}")).find(|path| Path::new(path).exists());
    found.unwrap_or_else(|| panic!("the container tests need the program {program}"))
}

fn agent_context() -> Vec<u8> {
    dockerfile("FROM scratch\nADD rootfs.tar /\nENV PATH=/bin\nCMD [\"/bin/bash\"]\n", host_root())
}

fn sidecar_context(root_ca: &str) -> Vec<u8> {
    let mut root = tar::Builder::new(Vec::new());
    let bundle = muselet_launcher::ca::public_roots() + root_ca;
    add(&mut root, "/etc/ssl/certs/ca-certificates.crt", 0o644, bundle.as_bytes());
    dockerfile(&format!("FROM {DEFAULT_IMAGE}\nADD rootfs.tar /\n"), root)
}

/// An image whose `/pipelock` has the reference's command line and records what it got.
pub fn stub_context() -> Vec<u8> {
    const STUB: &str = "#!/bin/bash\ncase $1 in\n\
        healthcheck) exit 0 ;;\n\
        run) echo \"argv: $*\"; ls -ln /etc/pipelock.yaml /etc/pipelock-ca.pem /etc/pipelock-ca-key.pem; exec sleep infinity ;;\n\
        *) echo \"unknown command $1\"; exit 1 ;;\nesac\n";
    let mut root = host_root();
    add(&mut root, "/pipelock", 0o755, STUB.as_bytes());
    dockerfile(
        "FROM scratch\nADD rootfs.tar /\nENV PATH=/bin\nENTRYPOINT [\"/pipelock\"]\nCMD [\"run\"]\n",
        root,
    )
}

/// The program under test.
pub fn bottle() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bottle"))
}

/// A directory with a manifest, and a stage root of its own.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new(manifest: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bottles.json"), manifest).unwrap();
        let place = Self { dir };
        std::fs::create_dir(place.runtime_dir()).unwrap();
        place
    }

    pub fn runtime_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub fn plan(&self, slug: &str, image: &str) -> Plan {
        let manifest = Manifest::load(&self.dir.path().join("bottles.json")).unwrap();
        let variables = Variables { image: Some(image.to_owned()), ..Variables::default() };
        Plan::new(&manifest, "a", slug, &[], &variables).unwrap()
    }

    /// `bottle` in this place, with its own stage root.
    pub fn bottle(&self) -> Command {
        let mut command = bottle();
        command.current_dir(self.dir.path()).env("XDG_RUNTIME_DIR", self.runtime_dir());
        command.env("CLAUDE_BOTTLE_PIPELOCK_IMAGE", SIDECAR_IMAGE);
        command
    }

    /// Launches and runs a body when all is up.
    pub async fn launch<B>(&self, engine: &Docker, plan: &Plan, body: B) -> Result<i64>
    where
        B: AsyncFn(Launched<'_, Docker>) -> Result<i64>,
    {
        let root = self.runtime_dir().join("bottle");
        let options = Options { fixed_name: true, ..Options::default() };
        launch::run(engine, plan, &root, &options, &CancellationToken::new(), &Told, body).await
    }
}

pub struct Told;

impl Report for Told {
    fn step(&self, text: &str) {
        eprintln!("step: {text}");
    }

    fn warning(&self, text: &str) {
        eprintln!("warning: {text}");
    }
}

/// Output of a shell command in the agent, both streams, with the exit code.
pub async fn sh(engine: &Docker, container: &str, script: &str) -> (i64, String) {
    let command = ["bash", "-c", script].map(str::to_owned).to_vec();
    let (code, output) = engine.exec(container, &ExecSpec { command, ..ExecSpec::default() }).await.unwrap();
    (code, String::from_utf8_lossy(&output).into_owned())
}

/// Names of everything that carries a slug.
pub async fn left(engine: &Docker, slug: &str) -> Vec<String> {
    let label = format!("claude-bottle.slug={slug}");
    let mut found = engine.containers(&label).await.unwrap();
    found.extend(engine.networks(&label).await.unwrap());
    found.into_iter().map(|thing| thing.name).collect()
}

/// Starts a TLS origin that answers every GET, on a network of its own that the sidecar joins, under the names that its
/// certificate has. `names` are added as aliases. The caller removes both by their names.
pub async fn origin(engine: &Docker, slug: &str, sidecar: &str, names: &[&str]) -> (String, String) {
    let network = format!("claude-bottle-test-internet-{slug}");
    let container = format!("claude-bottle-test-origin-{slug}");
    let _ = engine.remove_container(&container).await;
    let _ = engine.remove_network(&network).await;
    create_internet(&network);
    let ca = test_ca();
    let files =
        [("/origin.pem", &ca.origin_cert), ("/origin-key.pem", &ca.origin_key)].map(|(path, text)| {
            muselet_launcher::engine::FileEntry {
                path: path.to_owned(),
                mode: 0o644,
                uid: 0,
                bytes: text.clone().into_bytes(),
            }
        });
    let spec = ContainerSpec {
        name: container.clone(),
        image: AGENT_IMAGE.to_owned(),
        command: [
            "openssl",
            "s_server",
            "-accept",
            "443",
            "-cert",
            "/origin.pem",
            "-key",
            "/origin-key.pem",
            "-www",
        ]
        .map(str::to_owned)
        .to_vec(),
        network: network.clone(),
        aliases: names.iter().map(|&name| name.to_owned()).collect(),
        ..ContainerSpec::default()
    };
    engine.create_container(&spec).await.unwrap();
    engine.put_files(&container, &files).await.unwrap();
    engine.start_container(&container).await.unwrap();
    let listens = "until exec 3<>/dev/tcp/127.0.0.1/443; do sleep 0.1; done 2>/dev/null";
    let (code, output) = sh(engine, &container, listens).await;
    assert_eq!(code, 0, "{output}");
    engine.connect(&network, sidecar).await.unwrap();
    (container, network)
}

/// A network in the range that stands in for the internet. The launcher never chooses a range, so its own API does not.
fn create_internet(name: &str) {
    let runtime = std::thread::spawn({
        let name = name.to_owned();
        move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
                let address = Surroundings::of_process().address().unwrap().unwrap();
                let api = bollard::Docker::connect_with_host(&address.host)
                    .unwrap()
                    .negotiate_version()
                    .await
                    .unwrap();
                let config = IpamConfig { subnet: Some(INTERNET.to_owned()), ..IpamConfig::default() };
                let request = NetworkCreateRequest {
                    name,
                    internal: Some(true),
                    ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
                    ..NetworkCreateRequest::default()
                };
                api.create_network(request).await.unwrap();
            });
        }
    });
    runtime.join().unwrap();
}

/// Turns a failed expectation inside a body into the launch's error, so that the teardown still runs.
pub fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Refused(what())) }
}

/// Waits, half a minute at most, for a log line that holds all these words, and gives the whole log either way.
pub async fn log_with(engine: &Docker, container: &str, words: &[&str]) -> String {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let log = engine.last_logs(container, 1000).await.unwrap();
        let found = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        if found || tokio::time::Instant::now() > deadline {
            return log;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
