//! A secret is caught wherever a body can carry it, plain and in each encoding; a benign twin passes.

use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD, HEXLOWER};

use super::*;

/// How a secret may be written. `%` of the percent form survives in JSON and text as it is.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    vec![
        ("plain", secret.to_owned()),
        ("base64", BASE64.encode(bytes)),
        ("base64url", BASE64URL_NOPAD.encode(bytes)),
        ("hex", HEXLOWER.encode(bytes)),
        ("base32", BASE32.encode(bytes)),
        ("percent", percent),
    ]
}

/// Places in a body that can hold a value: name, content type, and the body around it.
type Channel = (&'static str, &'static str, fn(&str) -> String);

fn multipart(headers: &str, content: &str) -> String {
    format!("--B\r\n{headers}\r\n\r\n{content}\r\n--B--\r\n")
}

const FORM_DATA: &str = "multipart/form-data; boundary=B";
const FORM: &str = "application/x-www-form-urlencoded";

fn form_escape(value: &str) -> String {
    value.replace('%', "%25").replace('+', "%2B").replace('=', "%3D")
}

const CHANNELS: &[Channel] = &[
    ("JSON value", "application/json", |v| format!(r#"{{"model":"m","k":"{v}"}}"#)),
    ("JSON key", "application/json", |v| format!(r#"{{"{v}":true,"n":1}}"#)),
    ("nested JSON", "application/json", |v| format!(r#"{{"a":[1,{{"b":["x",["{v}"]]}}]}}"#)),
    ("escaped JSON", "application/json", |v| format!(r#"{{"k":"\u00{:02x}{}"}}"#, v.as_bytes()[0], &v[1..])),
    ("form value", FORM, |v| format!("a=1&k={}", form_escape(v))),
    ("form name", FORM, |v| format!("{}=1", form_escape(v))),
    ("multipart field", FORM_DATA, |v| multipart("Content-Disposition: form-data; name=\"f\"", v)),
    ("file name", FORM_DATA, |v| {
        multipart(&format!("Content-Disposition: form-data; name=\"f\"; filename=\"{v}\""), "x")
    }),
    ("field name", FORM_DATA, |v| multipart(&format!("Content-Disposition: form-data; name=\"{v}\""), "x")),
    ("part header", FORM_DATA, |v| {
        multipart(&format!("Content-Disposition: form-data; name=\"f\"\r\nX-Meta: {v}"), "x")
    }),
    ("multipart file", FORM_DATA, |v| {
        multipart(
            "Content-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream",
            v,
        )
    }),
    ("text", "text/plain", |v| format!("the key {v} is here")),
    ("XML", "application/xml", |v| format!("<a> {v} </a>")),
    ("unknown type", "application/x-something", |v| format!("\u{1} {v} \u{2}")),
    ("no type", "", |v| format!("x {v}")),
    ("line-delimited JSON", "application/x-ndjson", |v| format!("{{\"a\":1}}\n{{\"k\":\"{v}\"}}\n")),
];

#[test]
fn a_secret_is_caught_in_every_channel_and_form() {
    let policy = policy(&config(Strictness::Hardened));
    for (channel, content_type, wrap) in CHANNELS {
        for (form, value) in forms(K) {
            let body = wrap(&value);
            let found = reason(&policy, content_type, body.as_bytes());
            let caught = found.as_deref().is_some_and(|reason| reason.starts_with(SECRET));
            assert!(caught, "{channel}, {form}: {found:?} for {body:?}");
        }
    }
}

#[test]
fn a_benign_twin_passes_in_every_channel_and_form() {
    let twins = ["AKIB4OSFODNN7EXAMPLF", "hello world and good day", "0b2f5c1e-8d1c-4a57-9f0e-3d0a6c1b7e21"];
    for strictness in BOTH {
        let policy = policy(&config(strictness));
        for (channel, content_type, wrap) in CHANNELS {
            for (form, value) in twins.iter().flat_map(|twin| forms(twin)) {
                let body = wrap(&value);
                let found = reason(&policy, content_type, body.as_bytes());
                assert_eq!(found, None, "{channel}, {form}: {body:?}");
            }
        }
    }
}
