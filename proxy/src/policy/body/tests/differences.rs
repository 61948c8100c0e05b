//! Each listed difference: what only the hardened mode finds, and a benign neighbour that it lets through.

use std::io::Write;

use base64::Engine as _;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

/// Body with a secret, and the same body without one.
struct Case {
    id: &'static str,
    content_types: &'static [&'static str],
    with_secret: Vec<u8>,
    benign: Vec<u8>,
}

fn case(id: &'static str, content_types: &'static [&'static str], write: impl Fn(&str) -> Vec<u8>) -> Case {
    Case { id, content_types, with_secret: write(K), benign: write("AKIB4OSFODNN7EXAMPLF") }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn written<W: Write>(
    mut encoder: W,
    text: &[u8],
    finish: impl FnOnce(W) -> std::io::Result<Vec<u8>>,
) -> Vec<u8> {
    encoder.write_all(text).and_then(|()| finish(encoder)).expect("into memory")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    written(GzEncoder::new(Vec::new(), Compression::default()), text, GzEncoder::finish)
}

fn zlib(text: &[u8]) -> Vec<u8> {
    written(ZlibEncoder::new(Vec::new(), Compression::fast()), text, ZlibEncoder::finish)
}

/// A member without name.
fn zip(text: &[u8]) -> Vec<u8> {
    let packed =
        written(DeflateEncoder::new(Vec::new(), Compression::default()), text, DeflateEncoder::finish);
    [&b"PK\x03\x04\x14\0\0\0\x08"[..], &[0; 21], &packed].concat()
}

fn zstd(text: &str) -> Vec<u8> {
    // A text of its own length would stand in the frame as it is.
    let words: String = (0..500).map(|number| format!("{number} ")).collect();
    zstd::stream::encode_all(format!("{words}{text}").as_bytes(), 0).expect("into memory")
}

fn binary_part(header: &str, content: &[u8]) -> Vec<u8> {
    [format!("--B\r\n{header}\r\n\r\n").as_bytes(), content, b"\r\n--B--\r\n"].concat()
}

fn cases() -> Vec<Case> {
    const JSON: &[&str] = &["application/json"];
    const FORM_DATA: &[&str] = &["multipart/form-data; boundary=B"];
    let part = |headers: String, content: String| {
        format!("--B\r\n{headers}\r\n\r\n{content}\r\n--B--\r\n").into_bytes()
    };
    let printable = |text: &str| text.bytes().map(|byte| format!("={byte:02X}")).collect::<String>();
    let encoded = |v: &str| part("Content-Transfer-Encoding: quoted-printable".into(), printable(v));
    vec![
        case("D-801", JSON, |v| format!(r#"{{"a":"{v}","a":"x"}}"#).into_bytes()),
        case("D-801", JSON, |v| format!(r#"{{"a":{{"b":["{v}"]}},"\u0061":1}}"#).into_bytes()),
        case("D-801", JSON, |v| format!(r#"{{"a":"{}","a":"{}"}}"#, &v[..10], &v[10..]).into_bytes()),
        case("D-802", JSON, |v| format!(r#"{{"a":"{v}","n":1e999}}"#).into_bytes()),
        case("D-802", JSON, |v| {
            let others: Vec<String> = (0..40).map(|number| format!("\"7b{number:02}\"")).collect();
            let (others, first, last) = (others.join(","), &v[..10], &v[10..]);
            format!(r#"{{"a":"{first}","b":"{last}","c":[{others}],"n":1e999}}"#).into_bytes()
        }),
        case("D-821", JSON, |v| {
            let codes: Vec<String> = v.bytes().map(|byte| byte.to_string()).collect();
            format!(r#"{{"type":"Buffer","data":[{}]}}"#, codes.join(",")).into_bytes()
        }),
        case("D-115", &["application/x-www-form-urlencoded"], |v| {
            let codes: Vec<String> = v.bytes().map(|byte| byte.to_string()).collect();
            format!("d=[{}]&e=1", codes.join(",")).into_bytes()
        }),
        case("D-115", JSON, |v| {
            let codes: Vec<String> = v.bytes().map(|byte| byte.to_string()).collect();
            format!(r#"{{"arguments":"{{\"data\":[{}]}}"}}"#, codes.join(", ")).into_bytes()
        }),
        case("D-114", JSON, |v| {
            let hex =
                |part: &str| part.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
            let (first, last) = (hex(&v[..8]), hex(&v[8..]));
            format!(r#"{{"output":"00000000  {first}  |x|\n00000008  {last}  |y|\n"}}"#).into_bytes()
        }),
        case("D-821", &["text/plain"], |v| {
            let members: Vec<String> =
                v.bytes().enumerate().map(|(at, b)| format!("\"k{at}\": {b}")).collect();
            format!("{{{}}}", members.join(", ")).into_bytes()
        }),
        case("D-821", &["application/x-ndjson"], |v| {
            let codes: Vec<String> = v.bytes().map(|byte| format!("{{\"k\":{byte}}}")).collect();
            format!("{{\"a\":1}}\n[{}]\n", codes.join(",")).into_bytes()
        }),
        case("D-804", JSON, |v| format!("{}\"{v}\"{}", "[".repeat(66), "]".repeat(66)).into_bytes()),
        case("D-805", FORM_DATA, |v| {
            [format!("{v}\r\n").into_bytes(), part("A: b".into(), "c".into())].concat()
        }),
        case("D-805", FORM_DATA, |v| [part("A: b".into(), "c".into()), v.as_bytes().to_vec()].concat()),
        case("D-805", FORM_DATA, |v| part(format!("X-{v}: b"), "c".into())),
        case("D-805", FORM_DATA, |v| part(format!("Content-Type: text/{v}"), "c".into())),
        case("D-805", FORM_DATA, |v| part(format!("Content-Transfer-Encoding: {v}"), "c".into())),
        case("D-808", &["text/plain", "application/json"], |v| {
            format!(r#"{{"k":"{}\t{}"}}"#, &v[..10], &v[10..]).into_bytes()
        }),
        case("D-808", &["application/octet-stream", "multipart/form-data; boundary=B"], encoded),
        case("D-810", &["multipart/mixed; boundary=B"], encoded),
        case("D-810", FORM_DATA, |v| {
            let inner = format!(
                "--C\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n--C--",
                printable(v)
            );
            part("Content-Type: multipart/mixed; boundary=C".into(), inner)
        }),
        case("D-811", FORM_DATA, |v| {
            // Decoding takes `=AA` for one byte and with it the first letter of the key.
            part("Content-Transfer-Encoding: quoted-printable".into(), format!("=A{v}"))
        }),
        case("D-812", &["text/plain"], |v| format!(r#"{{"k":"{}\t{}"}}"#, &v[..10], &v[10..]).into_bytes()),
        case("D-812", &["text/plain"], |v| {
            format!(r#"{{"a":"{}","b":"{}"}}"#, &v[..10], &v[10..]).into_bytes()
        }),
        case("D-812", &["application/x-ndjson"], |v| {
            format!("{{}}\n{{\"k\":\"{}\\t{}\"}}\n", &v[..10], &v[10..]).into_bytes()
        }),
        case("D-813", &["text/plain; charset=utf-16"], |v| utf16(&v.replace('K', "\u{212a}"))),
        case("D-814", &["application/xml"], |v| format!("<k>&#65;{}</k>", &v[1..]).into_bytes()),
        case("D-814", &["text/plain"], |v| format!("<k>&#65;{}</k>", &v[1..]).into_bytes()),
        case("D-814", JSON, |v| format!(r#"{{"page":"<k>&#65;{}</k>"}}"#, &v[1..]).into_bytes()),
        case("D-113", &["text/plain"], |v| format!("k = \"\\x41{}\"", &v[1..]).into_bytes()),
        case("D-113", &["text/plain"], |v| format!("\u{feff}{{\"k\":\"\\u0041{}\"}}", &v[1..]).into_bytes()),
        case("D-113", JSON, |v| format!(r#"{{"k":"{{\"k\":\"\\u0041{}\"}}"}}"#, &v[1..]).into_bytes()),
        case("D-113", FORM_DATA, |v| {
            part("Content-Type: application/json".into(), format!(r#"{{"k":"\u0041{}"}}"#, &v[1..]))
        }),
        // A value that parts the pieces where they are sorted.
        case("D-822", &["application/x-www-form-urlencoded"], |v| {
            format!("x={}&y={}&m=B-", &v[..10], &v[10..]).into_bytes()
        }),
        case("D-822", JSON, |v| {
            format!(r#"{{"x":"{}","y":"{}","m":"B-"}}"#, &v[..10], &v[10..]).into_bytes()
        }),
        case("D-822", JSON, |v| {
            format!(r#"{{"x":"{}","y":"{}","m":"B-","r":1,"r":2}}"#, &v[..10], &v[10..]).into_bytes()
        }),
        case("D-822", &["text/plain"], |v| {
            format!(r#"{{"x":"{}","y":"{}","m":"B-1"}}"#, &v[..10], &v[10..]).into_bytes()
        }),
        case("D-822", &["application/x-ndjson"], |v| {
            let record = |value: &str| format!(r#"{{"x":"\u{:04x}{}"}}"#, value.as_bytes()[0], &value[1..]);
            let (first, second) = (record(&v[..10]), record(&v[10..]));
            format!("{first}\n{second}\n{}\n{}", record("B-"), record("B-")).into_bytes()
        }),
        case("D-822", FORM_DATA, |v| {
            let field =
                |value: &str| format!("--B\r\nContent-Disposition: form-data; name=f\r\n\r\n{value}\r\n");
            format!("{}{}{}--B--\r\n", field(&v[..10]), field(&v[10..]), field("B-")).into_bytes()
        }),
        case("D-822", &["application/json", "application/json"], |v| {
            let others: Vec<String> = (0..17).map(|number| format!("\"W{number}\"")).collect();
            format!(r#"{{"x":"{}","y":"{}","m":["B-",{}]}}"#, &v[..10], &v[10..], others.join(","))
                .into_bytes()
        }),
        case("D-822", JSON, |v| {
            let others: Vec<String> = (0..200).map(|number| format!("\"A {number}\"")).collect();
            format!(r#"{{"x":" {}","y":"{}\n","m":["B-",{}]}}"#, &v[..10], &v[10..], others.join(","))
                .into_bytes()
        }),
        case("D-822", FORM_DATA, |v| {
            let field = |value: String| {
                format!("--B\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{value}\r\n")
            };
            let (first, last) = (field(printable(&v[..10])), field(printable(&v[10..])));
            format!("{first}{last}{}--B--\r\n", field("B-".into())).into_bytes()
        }),
        case("D-822", FORM_DATA, |v| {
            // Letters and digits are base64 to the reference, and themselves to most receivers.
            let field = |value: &str| format!("--B\r\nContent-Transfer-Encoding: base64\r\n\r\n{value}\r\n");
            format!("{}{}{}--B--\r\n", field(&v[..12]), field(&v[12..]), field("B+++")).into_bytes()
        }),
        case("D-823", &["application/x-www-form-urlencoded"], |v| {
            format!("a=1&k=%26%2365%3B{}", &v[1..]).into_bytes()
        }),
        case("D-816", &["application/gzip"], |v| gzip(v.as_bytes())),
        case("D-816", &["application/octet-stream"], |v| {
            gzip(&gzip(format!(r#"{{"k":"{}\t{}"}}"#, &v[..10], &v[10..]).as_bytes()))
        }),
        case("D-816", &[], |v| zlib(&[&[0; 512], v.as_bytes(), &[0xff; 700]].concat())),
        case("D-816", &["application/zstd"], zstd),
        case("D-816", FORM_DATA, |v| binary_part("A: b", &gzip(v.as_bytes()))),
        case("D-816", FORM_DATA, |v| {
            let encoded = base64::engine::general_purpose::STANDARD.encode(gzip(v.as_bytes()));
            part("Content-Transfer-Encoding: base64".into(), encoded)
        }),
        case("D-816", &["application/x-git-receive-pack-request"], |v| {
            let head = [
                &b"0000PACK\0\0\0\x02\0\0\0\x01"[..],
                &[3 << 4 | v.len() as u8 & 15 | 0x80, v.len() as u8 >> 4],
            ];
            [&head.concat(), &zlib(v.as_bytes())[..]].concat()
        }),
        case("D-816", FORM_DATA, |v| binary_part("A: b", &zip(v.as_bytes()))),
        case("D-816", JSON, |v| {
            let encoded = base64::engine::general_purpose::STANDARD.encode(gzip(v.as_bytes()));
            format!(r#"{{"_attachments":{{"a.tgz":{{"data":"{encoded}"}}}}}}"#).into_bytes()
        }),
        case("D-816", JSON, |v| {
            let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(zip(v.as_bytes()));
            format!(r#"{{"archive":"{encoded}"}}"#).into_bytes()
        }),
        case("D-816", &["application/grpc+proto"], |v| {
            let message = gzip(v.as_bytes());
            [&[1, 0, 0, 0, u8::try_from(message.len()).expect("short")], &message[..]].concat()
        }),
        case("D-814", JSON, |v| {
            format!(r#"{{"k":"\u0026#{};{}","k":2}}"#, v.as_bytes()[0], &v[1..]).into_bytes()
        }),
        case("D-814", &["text/html"], |v| format!("<k>{}</k>", v.replace('E', "&#x45;")).into_bytes()),
        case("D-814", JSON, |v| format!(r#"{{"k":"\u0026#{};{}"}}"#, v.as_bytes()[0], &v[1..]).into_bytes()),
        case("D-814", JSON, |v| {
            format!(r#"{{"r":1,"r":2,"k":"\u0026#{};{}"}}"#, v.as_bytes()[0], &v[1..]).into_bytes()
        }),
        case("D-814", &["text/html"], |v| {
            format!("<k>{}&ZeroWidthSpace;{}</k>", &v[..9], &v[9..]).into_bytes()
        }),
        case("D-818", &["message/rfc822"], |v| {
            let head = "Subject: x\r\nContent-Transfer-Encoding: quoted-printable";
            format!("{head}\r\n\r\n{}=\r\n={:02X}{}", &v[..9], v.as_bytes()[9], &v[10..]).into_bytes()
        }),
        case("D-818", FORM_DATA, |v| {
            let inner = format!("Content-Transfer-Encoding: Quoted-Printable\r\n\r\n{}", printable(v));
            part("Content-Type: message/rfc822".into(), inner)
        }),
        case("D-818", FORM_DATA, |v| {
            let twice = "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: quoted-printable";
            part(twice.into(), printable(v))
        }),
        case("D-818", &["multipart/mixed; boundary=X; boundary=B"], encoded),
        case("D-818", &["text/plain"], |v| format!("Subject: =?utf-8?Q?{}?=", printable(v)).into_bytes()),
        case("D-819", &["application/xml"], |v| {
            format!("<k>{}<!-- x -->{}</k>", &v[..9], &v[9..]).into_bytes()
        }),
        case("D-819", &["text/xml"], |v| {
            format!("<k><![CDATA[{}]]><![CDATA[{}]]></k>", &v[..9], &v[9..]).into_bytes()
        }),
        case("D-819", &["application/yaml"], |v| {
            format!("k: \"{}\\\n  {}\"\n", &v[..9], &v[9..]).into_bytes()
        }),
    ]
}

fn headers(content_types: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for content_type in content_types {
        headers.append(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a value"));
    }
    headers
}

#[test]
fn each_closes_its_bypass_and_blocks_nothing_benign() {
    let reference = policy(&config(Strictness::Reference));
    let mut config = config(Strictness::Hardened);
    config.muselet.decompress = true;
    let hardened = policy(&config);
    for case in cases() {
        let headers = headers(case.content_types);
        let shown = format!("{} {:?} {}", case.id, case.content_types, case.with_secret.escape_ascii());
        let before = reference.scan(&case.with_secret, &headers, "h").finding;
        assert_eq!(before, None, "the reference finds it: {shown}");
        let found = hardened.scan(&case.with_secret, &headers, "h").finding;
        let found = found.unwrap_or_else(|| panic!("not found: {shown}"));
        assert!(!found.fail_closed && found.reason.starts_with(SECRET), "{}: {shown}", found.reason);
        assert_eq!(found.difference, Some(case.id), "{shown}");
        for policy in [&reference, &hardened] {
            let found = policy.scan(&case.benign, &headers, "h").finding;
            assert_eq!(found, None, "{} {}", case.id, case.benign.escape_ascii());
        }
    }
}

#[test]
fn d_808_reads_a_body_as_few_types_at_most() {
    let hardened = policy(&config(Strictness::Hardened));
    let scan = |lines: &[String]| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        hardened.scan(b"[1, 2, 3]", &headers(&lines), "h").finding
    };
    let numbered =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("text/plain;a={n}")).collect() };
    assert_eq!(scan(&numbered(9)), None);
    assert_eq!(scan(&vec!["application/json".to_owned(); 5000]), None);
    let refused = scan(&numbered(10)).expect("too many");
    assert!(refused.fail_closed && refused.difference == Some("D-808"), "{}", refused.reason);
}

#[test]
fn d_803_scans_numbers_as_written() {
    let rows = [
        (r#"{"n":912345678901234567}"#, true),
        (r#"{"n":812345678901234567}"#, false),
        (r#"{"n":0.10}"#, false),
    ];
    for (body, caught) in rows {
        let scan = |strictness| {
            policy(&config(strictness)).scan(body.as_bytes(), &typed("application/json"), "h").finding
        };
        assert_eq!(scan(Strictness::Reference), None, "{body}");
        let found = scan(Strictness::Hardened);
        assert_eq!(found.is_some(), caught, "{body}");
        assert!(found.is_none_or(|finding| finding.difference == Some("D-803")), "{body}");
    }
}

#[test]
fn d_824_reads_a_name_with_its_value() {
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let part = |encoding: &str, value: &str| {
        let head = "--B\r\nContent-Disposition: form-data; name=secret_access_key\r\n";
        let next = "--B\r\nContent-Disposition: form-data; name=t\r\n\r\nu\r\n--B--\r\n";
        format!("{head}{encoding}\r\n{value}\r\n{next}")
    };
    let bodies = |value: &str| {
        let json = format!(r#"{{"AccessKeyId":"x","SecretAccessKey":"{value}","SessionToken":"abc"}}"#);
        let form = format!("AccessKeyId=x&SecretAccessKey={}&SessionToken=abc", value.replace('/', "%2F"));
        let base64 = base64::engine::general_purpose::STANDARD.encode(value);
        vec![
            ("application/json", json.clone()),
            ("application/json", json.replace("SecretAccess", "Secret\\u0041ccess")),
            ("application/json", json.replace("\"x\"", "[1e999,true]")),
            ("application/json", json.replace("AccessKeyId", "SessionToken")),
            ("application/x-www-form-urlencoded", form),
            ("multipart/form-data; boundary=B", part("", value)),
            ("multipart/form-data; boundary=B", part("Content-Transfer-Encoding: base64\r\n", &base64)),
        ]
    };
    let (reference, hardened) =
        (policy(&config(Strictness::Reference)), policy(&config(Strictness::Hardened)));
    let secret = bodies(SECRET).into_iter().map(|body| (body, true));
    let benign = bodies("nobody's name here").into_iter().map(|body| (body, false));
    let login = [
        ("application/json", r#"{"user":"someone","password":"correct-horse-battery-staple"}"#),
        (
            "application/json",
            r#"{"SecretAccessKeyId":"wJalrXUtnFEMIwJalrXUtnFEMI","keys":"0123456789abcdef0123"}"#,
        ),
        (
            "application/json",
            r#"{"api_token":"from-north-to-asia","keyidentifier01":"0123456789abcdef0123"}"#,
        ),
        ("application/x-www-form-urlencoded", "grant_type=password&x_token=0123456789abcdef0123"),
    ];
    let login = login.map(|(content_type, body)| ((content_type, body.to_owned()), false));
    for ((content_type, body), caught) in secret.chain(benign).chain(login) {
        let scan = |policy: &BodyPolicy| policy.scan(body.as_bytes(), &typed(content_type), "h").finding;
        assert_eq!(scan(&reference), None, "{content_type} {body}");
        let found = scan(&hardened).map(|found| found.difference);
        assert_eq!(found, caught.then_some(Some("D-824")), "{content_type} {body}");
    }
}

#[test]
fn d_809_an_address_that_blocks_is_not_hidden_by_a_secret_that_warns() {
    let body = format!(r#"{{"k":"{K}","to":"0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e"}}"#);
    let scan = |strictness| {
        policy(&with_addresses(strictness)).scan(body.as_bytes(), &typed("application/json"), "h")
    };
    let before = scan(Strictness::Reference).finding.expect("a secret");
    assert_eq!((before.reason.as_str(), before.action, before.difference), (SECRET, None, None));
    let found = scan(Strictness::Hardened).finding.expect("both");
    assert!(found.reason.starts_with("address poisoning detected: "), "{}", found.reason);
    assert_eq!(
        (found.action, found.difference, found.label),
        (Some(Action::Block), Some("D-809"), Label::BodyDlp)
    );
    assert_eq!(found.patterns(), ["AWS Access ID"]);
}

#[test]
fn ordinary_bodies_of_every_kind_pass_the_hardened_mode() {
    let chat = r#"{"model":"gpt","messages":[{"role":"user","content":"Fix this:\n```py\nprint(\"x\")\n```"}],"temperature":0.70,"seed":1234567890123456789}"#;
    let upload = "This is a multi-part message in MIME format.\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"report.pdf\"\r\nContent-Type: application/pdf\r\nContent-Length: 12\r\n\r\n%PDF-1.7 etc\r\n--B--\r\n";
    let page = "<html><p>Caf&eacute; &#8211; don&#39;t</p></html>";
    let rows: &[(&[&str], &[u8])] = &[
        (&["application/json"], chat.as_bytes()),
        (&["application/json", "application/json"], chat.as_bytes()),
        (&["text/plain"], chat.as_bytes()),
        (&["multipart/form-data; boundary=B"], upload.as_bytes()),
        (&["multipart/related; boundary=B"], upload.as_bytes()),
        (&["text/html"], page.as_bytes()),
        (&["text/plain; charset=utf-16"], &utf16("a letter of no importance")),
        (&["application/x-www-form-urlencoded"], b"grant_type=client&scope=read+write"),
        (&["application/octet-stream"], &[0, 159, 146, 150, 255, 254, 1, 2, 3]),
    ];
    let hardened = policy(&config(Strictness::Hardened));
    for (content_types, body) in rows {
        let found = hardened.scan(body, &headers(content_types), "h").finding;
        assert_eq!(found, None, "{content_types:?} {}", body.escape_ascii());
    }
}

/// Numbers without order, the same in each run.
fn noise() -> impl FnMut(u32) -> u32 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from((state >> 33) % u64::from(below)).expect("small")
    }
}

#[test]
fn d_821_leaves_arrays_of_numbers_alone() {
    let hardened = policy(&config(Strictness::Hardened));
    let mut noise = noise();
    let mut check = |what: &str, mut number: Box<dyn FnMut(&mut dyn FnMut(u32) -> u32, u32) -> String>| {
        let numbers: Vec<String> = (0..20_000).map(|at| number(&mut noise, at)).collect();
        let row = numbers.join(",");
        let rows: Vec<String> = numbers.chunks(16).map(|row| format!("[{}]", row.join(","))).collect();
        for body in [format!("{{\"data\":[{row}]}}"), format!("[{}]", rows.join(",\n"))] {
            for content_type in ["application/json", "text/plain"] {
                let found = hardened.scan(body.as_bytes(), &typed(content_type), "h").finding;
                assert_eq!(found, None, "{what}");
            }
        }
    };
    check("an embedding", Box::new(|noise, _| format!("-0.{:08}", noise(100_000_000))));
    check("the bytes of a picture", Box::new(|noise, _| noise(256).to_string()));
    check("a gradient", Box::new(|_, at| (at / 16 % 256).to_string()));
    check("tokens", Box::new(|noise, _| noise(50_257).to_string()));
    check("a histogram", Box::new(|noise, _| (noise(40) * noise(40)).to_string()));
    for (from, to) in [(0, 101), (32, 127), (48, 58), (48, 91), (65, 91), (60, 100), (97, 103), (97, 123)] {
        check("measurements", Box::new(move |noise, _| (from + noise(to - from)).to_string()));
        let mut last = from;
        let slow = move |noise: &mut dyn FnMut(u32) -> u32, _| {
            last = (last + noise(3)).saturating_sub(1).clamp(from, to - 1);
            last.to_string()
        };
        check("measurements that follow each other", Box::new(slow));
    }
}

#[test]
fn pieces_in_json_under_another_type_are_found_whatever_is_sorted_between_them() {
    let hardened = policy(&config(Strictness::Hardened));
    let body = br#"[0,"NN7EXAMPLE","AKIAIOSFOD","Content-Disposition: form-data"]"#;
    for content_type in ["text/plain", "application/json; a=1; a=2", ""] {
        assert!(reason(&hardened, content_type, body).is_some(), "{content_type}");
    }
    assert!(hardened.secrets_in(body).is_some());
}

#[test]
fn lines_of_code_sent_as_an_array_are_no_seed_phrase_together() {
    // By its checksum they are one.
    let words = "code color column craft cycle detail device digital distance document east economy";
    let lines: Vec<String> = words.split(' ').map(|word| format!("\"{word} = 1;\"")).collect();
    let hardened = policy(&config(Strictness::Hardened));
    let array = format!("[{}]", lines.join(","));
    assert_eq!(reason(&hardened, "application/json", array.as_bytes()), None);
    let text = words.replace(' ', " = 1;\n");
    assert!(reason(&hardened, "text/plain", text.as_bytes()).is_some());
    let values = format!("[\"{}\"]", words.replace(' ', "\",\""));
    assert!(reason(&hardened, "application/json", values.as_bytes()).is_some());
}

#[test]
fn names_and_words_of_json_under_other_types_are_no_credential_together() {
    // Sorted and without what parts them, these are a seed phrase by its checksum, or a key by its first letters.
    let schema = "code color column craft cycle detail device digital distance document east economy"
        .split(' ')
        .map(|word| format!(r#""{word}": {{"type": "x-number"}}"#));
    let identifiers: Vec<String> = (0..40u64)
        .map(|number| format!("\"A3T{:08X}\"", number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32))
        .collect();
    let bodies = [
        format!("{{{}}}", schema.collect::<Vec<_>>().join(", ")),
        r#"{"name": "asianwidth", "keywords": ["asian", "full", "halfwidth", "lookup"], "asiaRegion": "assignments"}"#
            .to_owned(),
        format!("[{}]", identifiers.join(", ")),
    ];
    let (reference, hardened) =
        (policy(&config(Strictness::Reference)), policy(&config(Strictness::Hardened)));
    for body in &bodies {
        let body = body.as_bytes();
        assert!(reason(&reference, "application/json", body).is_some(), "{}", body.escape_ascii());
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", ""]
        {
            let shown = format!("{content_type} {}", body.escape_ascii());
            assert_eq!(reason(&reference, content_type, body), None, "{shown}");
            assert_eq!(reason(&hardened, content_type, body), None, "{shown}");
        }
        assert_eq!(hardened.secrets_in(body), None, "{}", body.escape_ascii());
    }
}

#[test]
fn compressed_bodies_are_scanned_where_that_is_switched_on() {
    use std::io::Write;
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    };
    let mut headers = typed("application/json");
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let mut on = config(Strictness::Hardened);
    on.muselet.decompress = true;
    let on = policy(&on);
    assert!(matches!(on.gate(&headers, true, None), Gate::Buffer { .. }));
    let secret = on.scan(&gzip(&format!("{{\"k\":\"{K}\"}}")), &headers, "h");
    assert_eq!(secret.finding.map(|finding| finding.reason).as_deref(), Some(SECRET));
    let clean = on.scan(&gzip("{\"k\":\"v\"}"), &headers, "h");
    assert!(clean.finding.is_none() && clean.replacement.is_none(), "forwarded as received: {clean:?}");
    let broken = on.scan(b"not gzip", &headers, "h").finding.expect("refused");
    assert!(broken.fail_closed, "{broken:?}");
    let off = policy(&config(Strictness::Hardened));
    assert!(matches!(off.gate(&headers, true, None), Gate::Block(_)));
}
