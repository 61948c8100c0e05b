//! Real traffic from an agent through its sidecar to an origin that stands in for the internet.

use muselet_launcher::engine::Engine;
use muselet_launcher::launch::Launched;

use super::MANIFEST;
use super::support::{Place, SIDECAR_IMAGE, engine, expect, log_with, origin, sh};

#[tokio::test(flavor = "multi_thread")]
async fn allowed_hosts_work_with_interception_and_everything_else_is_refused_and_logged() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let plan = place.plan("traffic", SIDECAR_IMAGE);
    let label = "c2VjcmV0LWRhdGEtbGVha2luZy1vdXQ4Zjdk";
    // Put together here, so that no scanner of source code takes it for a real one.
    let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let body = async |launched: Launched<'_, _>| {
        let names = &launched.plan.names;
        let encoded = format!("{label}.wild.test");
        let (container, network) =
            origin(&engine, "traffic", &names.sidecar, &["allowed.test", "www.wild.test", &encoded]).await;
        let result = async {
            for host in ["allowed.test", "www.wild.test"] {
                let script = format!("curl -sS -m 60 -v https://{host}/ 2>&1");
                let (code, output) = sh(&engine, &names.agent, &script).await;
                expect(code == 0 && output.contains("s_server"), || format!("{host}: {code} {output}"))?;
                expect(output.contains("Pipelock CA"), || format!("not intercepted: {output}"))?;
            }
            let status = |url: &str, more: &str| {
                format!("curl -sS -m 60 -o /dev/null -w '%{{http_connect}} %{{http_code}}' {more} {url} 2>/dev/null")
            };
            let (_, refused) = sh(&engine, &names.agent, &status("https://other.test/", "")).await;
            expect(refused.starts_with("403"), || format!("an unlisted host: {refused}"))?;
            let (_, refused) = sh(&engine, &names.agent, &status("http://other.test/", "")).await;
            expect(refused.ends_with("403"), || format!("an unlisted host without TLS: {refused}"))?;
            let (_, refused) = sh(&engine, &names.agent, &status(&format!("https://{encoded}/"), "")).await;
            expect(refused.starts_with("403"), || format!("an encoded label: {refused}"))?;
            let post = format!("-H 'Content-Type: application/json' -d '{{\"note\":\"{token}\"}}'");
            let (_, refused) = sh(&engine, &names.agent, &status("https://allowed.test/", &post)).await;
            expect(refused.ends_with("403"), || format!("a token in a body: {refused}"))?;
            let last = ["\"event\":\"blocked\"", "\"scanner\":\"body_dlp\"", "GitHub Token"];
            let log = log_with(&engine, &names.sidecar, &last).await;
            expect(!log.contains(&token), || "the token is in the log".to_owned())?;
            let event = |wanted: &[&str]| log.lines().any(|line| wanted.iter().all(|word| line.contains(word)));
            expect(event(&last), || log.clone())?;
            expect(event(&["\"event\":\"blocked\"", "\"scanner\":\"subdomain_entropy\""]), || log.clone())?;
            expect(event(&["\"event\":\"blocked\"", "\"scanner\":\"allowlist\"", "other.test"]), || log.clone())
        }
        .await;
        engine.remove_container(&container).await.unwrap();
        let removed = engine.remove_network(&network).await;
        if removed.is_err() {
            // The sidecar is still on it: it goes with the launch, and the network after that.
            let _ = engine.remove_container(&names.sidecar).await;
            engine.remove_network(&network).await.unwrap();
        }
        result.map(|()| 0)
    };
    place.launch(&engine, &plan, body).await.unwrap();
}
