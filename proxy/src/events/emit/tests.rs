use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use super::*;
use crate::config::{Config, Secret};
use crate::events::{Context, Event};

fn blocked(emitters: &Emitters, strictness: Strictness) {
    let ctx = Context { method: "GET", url: "http://h.example/?k=<SECRET>", ..Context::default() };
    let event = Event::Blocked { ctx, scanner: "dlp", reason: "a & b" };
    emitters.emit(Severity::Warn, &event, strictness);
}

/// Takes one POST and answers 200.
fn take_post(listener: &TcpListener) -> (String, Vec<u8>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "cut after {head:?}");
    }
    let length = head
        .lines()
        .find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap()))
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    reader.into_inner().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    (head, body)
}

#[test]
fn webhook_posts_the_payload_with_its_token() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::defaults().emit;
    config.webhook.url = format!("http://{}/h?x=1", listener.local_addr().unwrap());
    config.webhook.auth_token = Secret::from("token");
    for (strictness, url) in [
        (Strictness::Reference, r#""url":"http://h.example/?k=\u003cSECRET\u003e""#),
        (Strictness::Hardened, r#""url":"http://h.example/[redacted]""#),
    ] {
        let emitters = Emitters::connect(&config, "unit-1").unwrap();
        blocked(&emitters, strictness);
        let (head, body) = take_post(&listener);
        emitters.close();
        assert!(head.starts_with("POST /h?x=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("authorization: bearer token\r\n"), "{head}");
        let body = String::from_utf8(body).unwrap();
        assert!(body.starts_with(r#"{"severity":"warn","type":"blocked","timestamp":""#), "{body}");
        let fields = format!(
            r#""pipelock_instance":"unit-1","fields":{{"method":"GET","mitre_technique":"T1048","reason":"a \u0026 b","scanner":"dlp",{url}}}}}"#
        );
        assert!(body.ends_with(&fields), "{body}");
    }
}

#[test]
fn syslog_lines_carry_priority_and_tag() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = Config::defaults().emit;
    config.syslog.address = format!("udp://{}", socket.local_addr().unwrap());
    config.syslog.facility = "LOCAL7".into();
    config.syslog.tag = "t".into();
    config.syslog.min_severity = "info".into();
    let emitters = Emitters::connect(&config, "i").unwrap();
    blocked(&emitters, Strictness::Hardened);
    let mut line = [0; 2048];
    let n = socket.recv(&mut line).unwrap();
    let line = String::from_utf8_lossy(&line[..n]).into_owned();
    emitters.close();
    assert!(line.starts_with("<188>"), "{line}");
    assert!(line.contains(&format!(" t[{}]: {{\"severity\":\"warn\"", std::process::id())), "{line}");
    assert!(line.ends_with("}\n"), "{line}");
}

#[test]
fn sinks_skip_what_is_below_their_severity() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = Config::defaults().emit;
    config.syslog.address = format!("udp://{}", socket.local_addr().unwrap());
    config.syslog.min_severity = "critical".into();
    let emitters = Emitters::connect(&config, "i").unwrap();
    blocked(&emitters, Strictness::Hardened);
    let event = Event::KillSwitchDeny {
        transport: "http",
        endpoint: "/",
        source: "api",
        deny_message: "m",
        client_ip: "::1",
    };
    emitters.emit(Severity::Critical, &event, Strictness::Hardened);
    let mut line = [0; 2048];
    let n = socket.recv(&mut line).unwrap();
    emitters.close();
    assert!(String::from_utf8_lossy(&line[..n]).contains("kill_switch_deny"));
}

#[test]
fn otlp_sends_one_record_with_every_field_as_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::defaults().emit;
    config.otlp.endpoint = format!("http://{}/v1/logs/", listener.local_addr().unwrap());
    let emitters = Emitters::connect(&config, "unit-1").unwrap();
    blocked(&emitters, Strictness::Reference);
    let (head, body) = take_post(&listener);
    emitters.close();
    assert!(head.starts_with("POST /v1/logs HTTP/1.1\r\n"), "{head}");
    for part in ["service.name", "blocked", "WARN", "pipelock.instance", "unit-1", "scanner", "dlp"] {
        assert!(memchr::memmem::find(&body, part.as_bytes()).is_some(), "{part}");
    }
}

#[test]
fn an_unreachable_syslog_collector_is_an_error_at_once() {
    // Bound, and nobody listens.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let closed = socket.local_addr().unwrap().as_socket().unwrap();
    let mut config = Config::defaults().emit;
    config.syslog.address = format!("tcp://{closed}");
    assert!(Emitters::connect(&config, "i").is_err());
}
