//! Isolation: what an agent can reach, and that the probe would tell.

use muselet_launcher::engine::{ContainerSpec, Engine, NetworkSpec};
use muselet_launcher::launch::Launched;
use muselet_launcher::names::DEFAULT_IMAGE;
use muselet_launcher::networks;

use super::MANIFEST;
use super::support::{Place, SIDECAR_IMAGE, engine, expect, left, log_with, sh};

/// Runs `probe` on a network made with or without our options; gives exit code and output.
async fn probe(engine: &impl Engine, isolated: bool) -> (i64, String) {
    let name = if isolated { "claude-bottle-test-isolated" } else { "claude-bottle-test-leaky" };
    let info = engine.info().await.unwrap();
    let mut spec = networks::internal(name, &info, Default::default());
    if !isolated {
        spec = NetworkSpec { options: Default::default(), dns: true, ..spec };
    }
    engine.remove_container(name).await.unwrap();
    engine.remove_network(name).await.unwrap();
    engine.create_network(&spec).await.unwrap();
    let network = engine.inspect_network(name).await.unwrap();
    // The bridge's address alone: it is what tells the two networks apart.
    let mut command = vec!["probe".to_owned()];
    command.extend(networks::forbidden_addresses(&network).iter().take(1).map(ToString::to_string));
    let container = ContainerSpec {
        name: name.to_owned(),
        image: DEFAULT_IMAGE.to_owned(),
        command,
        network: name.to_owned(),
        hardened: true,
        ..ContainerSpec::default()
    };
    engine.create_container(&container).await.unwrap();
    engine.start_container(name).await.unwrap();
    let code = engine.wait_container(name).await.unwrap();
    let output = engine.last_logs(name, 20).await.unwrap();
    engine.remove_container(name).await.unwrap();
    engine.remove_network(name).await.unwrap();
    (code, output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_reachable_on_a_default_internal_network_and_not_on_ours() {
    let Some(engine) = engine().await else { return };
    let (code, output) = probe(&engine, true).await;
    assert_eq!(code, 0, "{output}");
    // From engine 28 on the default may be better than it was; then there is nothing to compare with.
    if engine.info().await.unwrap().major() < 28 {
        let (code, output) = probe(&engine, false).await;
        assert_eq!(code, 3, "{output}");
        assert!(output.contains("reached "), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_reaches_its_siblings_and_nothing_else() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let plan = place.plan("island", SIDECAR_IMAGE);
    let body = async |launched: Launched<'_, _>| {
        let names = &launched.plan.names;
        // Engines before 28 leave a default route through an address that no longer exists; that nothing is behind it
        // is what the attempts below show. Newer ones leave none.
        if engine.info().await.unwrap().major() >= 28 {
            let (_, routes) = sh(&engine, &names.agent, "cat /proc/net/route").await;
            let default = |line: &str| line.split_whitespace().nth(1) == Some("00000000");
            expect(!routes.lines().skip(1).any(default), || format!("a default route: {routes}"))?;
        }
        // The host's end of the network has a link-local address wherever the host has IPv6.
        let off = "for i in /proc/sys/net/ipv6/conf/eth*; do [ ! -e $i ] || echo $(<$i/disable_ipv6); done";
        let (_, off) = sh(&engine, &names.agent, off).await;
        expect(!off.contains('0'), || format!("an interface has IPv6: {off}"))?;
        let (_, status) = sh(&engine, &names.agent, "cat /proc/self/status").await;
        let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap_or("all").trim();
        let raw = u64::from_str_radix(bounding, 16).unwrap() & (1 << 13);
        expect(raw == 0, || format!("the agent may open raw sockets: {bounding}"))?;
        let network = engine.inspect_network(&names.internal).await.unwrap();
        let gateway = networks::forbidden_addresses(&network)[0];
        for (what, script) in [
            ("the gateway", format!("curl -sS -m 2 --noproxy '*' http://{gateway}/")),
            ("the gateway's ssh port", format!("exec 3<>/dev/tcp/{gateway}/22")),
            ("an outside name", "curl -sS -m 2 --noproxy '*' http://outside.example/".to_owned()),
            ("an outside name's address", "getent ahosts outside.example".to_owned()),
        ] {
            let (code, output) = sh(&engine, &names.agent, &script).await;
            expect(code != 0, || format!("{what} was reached: {output}"))?;
        }
        let (code, output) =
            sh(&engine, &names.agent, &format!("getent hosts {} pipelock", names.sidecar)).await;
        expect(code == 0, || format!("a sibling has no name: {output}"))?;
        let log = log_with(&engine, &names.sidecar, &["outside.example", "\"method\":\"DNS\""]).await;
        let line = log.lines().find(|line| line.contains("outside.example")).unwrap_or_default();
        expect(line.contains("\"method\":\"DNS\"") && line.contains("\"event\":\"blocked\""), || {
            format!("the look-up is not in the log: {log}")
        })
        .map(|()| 0)
    };
    place.launch(&engine, &plan, body).await.unwrap();
    assert_eq!(left(&engine, "island").await, Vec::<String>::new());
}
