//! A secret is caught wherever a request can carry it, in every encoding, on every way through the proxy; its benign twin passes.
//!
//! Real sockets: a client of hyper, our listener, an origin that answers everything with `ok`. Three ways: plain forwarding over
//! HTTP/1.1, and interception over HTTP/1.1 and over HTTP/2. (spec: tls-and-request-bodies §12-13, §20)

mod through;

use through::{Message, Way, World};

const SECRET: &str = "AKIAIOSFODNN7EXAMPLE";
const BENIGN: &str = "hello-AKIB-good-day!";

/// A way to write a value so that URLs, headers and bodies can all hold it.
type Form = (&'static str, fn(&str) -> String);

const FORMS: &[Form] = &[
    ("plain", |v| v.to_owned()),
    ("base64", |v| through::base64(v.as_bytes())),
    ("hex", |v| v.bytes().map(|b| format!("{b:02x}")).collect()),
    ("percent", |v| v.bytes().map(|b| format!("%{b:02X}")).collect()),
];

/// A place in a request.
type Channel = (&'static str, fn(&str) -> Message);

fn multipart(headers: &str, content: &str) -> Message {
    let body = format!("--B\r\n{headers}\r\n\r\n{content}\r\n--B--\r\n");
    Message::post("multipart/form-data; boundary=B", body)
}

const FIELD: &str = "Content-Disposition: form-data; name=\"f\"";

fn form_escape(value: &str) -> String {
    value.replace('%', "%25").replace('+', "%2B").replace('=', "%3D").replace('!', "%21")
}

const CHANNELS: &[Channel] = &[
    ("path", |v| Message::get(&format!("/v1/{}", v.replace('=', "")))),
    ("query", |v| Message::get(&format!("/v1?q={}", v.replace('=', "%3D")))),
    ("Authorization", |v| Message::get("/").header("authorization", &format!("Bearer {v}"))),
    ("X-Api-Key", |v| Message::get("/").header("x-api-key", v)),
    ("X-Token", |v| Message::get("/").header("x-token", v)),
    ("X-Goog-Api-Key", |v| Message::get("/").header("x-goog-api-key", v)),
    ("Cookie", |v| Message::get("/").header("cookie", &format!("session= {v}"))),
    ("JSON value", |v| Message::post("application/json", format!(r#"{{"model":"m","k":"{v}"}}"#))),
    ("JSON key", |v| Message::post("application/json", format!(r#"{{"{v}":1}}"#))),
    ("nested JSON", |v| Message::post("application/json", format!(r#"{{"a":[1,{{"b":["x",["{v}"]]}}]}}"#))),
    ("form field", |v| {
        Message::post("application/x-www-form-urlencoded", format!("a=1&k={}", form_escape(v)))
    }),
    ("multipart field", |v| multipart(FIELD, v)),
    ("file name", |v| multipart(&format!("{FIELD}; filename=\"{v}\""), "x")),
    ("part header", |v| multipart(&format!("{FIELD}\r\nX-Meta: {v}"), "x")),
    ("text", |v| Message::post("text/plain", format!("the key {v} is here"))),
    ("XML", |v| Message::post("application/xml", format!("<a> {v} </a>"))),
    ("unknown type", |v| Message::post("application/x-something", format!("\u{1} {v} \u{2}"))),
    ("trailer", |v| Message::post("text/plain", "clean".to_owned()).trailer("x-checksum", v)),
];

async fn check(way: Way) {
    let world = World::start().await;
    for (channel, build) in CHANNELS {
        for (form, write) in FORMS {
            let shown = format!("{channel}, {form}, {way:?}");
            let (status, body) = world.send(way, build(&write(SECRET))).await;
            assert!(status == 403 && body.starts_with("blocked: "), "{shown}: {status} {body}");
            let (status, body) = world.send(way, build(&write(BENIGN))).await;
            assert_eq!((status, body.as_str()), (200, "ok"), "the benign twin: {shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_plain_requests_over_http_1() {
    check(Way::Forward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_intercepted_requests_over_http_1() {
    check(Way::InterceptHttp1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_intercepted_requests_over_http_2() {
    check(Way::InterceptHttp2).await;
}
