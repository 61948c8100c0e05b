use super::*;

/// Strings of both kinds, or the reason of the refusal.
fn read(body: &str, hardened: bool) -> Result<(Vec<String>, Vec<String>), String> {
    let mut strings = Strings::new(body.as_bytes());
    extract(body.as_bytes(), Some(b"B"), &mut strings, hardened).map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((strings.iter().map(text).collect(), strings.extras().map(|(bytes, ..)| text(bytes)).collect()))
}

fn part(headers: &str, content: &str) -> String {
    format!("--B\r\n{headers}\r\n\r\n{content}\r\n--B--\r\n")
}

#[test]
fn takes_parts_apart_as_specified() {
    let field = "Content-Disposition: form-data; name=\"f\"";
    let long = "a".repeat(256);
    let cases: &[(String, Result<&[&str], &str>)] = &[
        (part(field, "v"), Ok(&["f", "v", "f"])),
        (part(field, ""), Ok(&["f", "f"])),
        (
            part(&format!("{field}; filename=\"a/b.png\"\r\nContent-Type: image/png"), "v"),
            Ok(&["a/b.png", "f", "v", "f", "b.png"]),
        ),
        (part("Content-Disposition: attachment; name=n; filename=x", "v"), Ok(&["x", "n", "v", "x"])),
        (part(&format!("{field}\r\nX-Secret: s\r\n t"), "v"), Ok(&["f", "s t", "v", "f"])),
        (part(&format!("{field}; x=\"y\""), "v"), Ok(&["f", "y", "v", "f"])),
        (
            part("Content-Disposition: form-data; name=a; name=b", "v"),
            Ok(&["form-data; name=a; name=b", "v"]),
        ),
        (
            part(&format!("{field}\r\nContent-Transfer-Encoding: base64"), "aGVs\r\nbG8="),
            Ok(&["f", "hello", "aGVs\r\nbG8=", "f"]),
        ),
        (
            part(&format!("{field}\r\ncontent-transfer-encoding: BASE64"), "not base64!"),
            Ok(&["f", "not base64!", "f"]),
        ),
        (
            part(&format!("{field}\r\nContent-Transfer-Encoding: quoted-printable"), "a=3D=\r\nb \r\nc"),
            Ok(&["f", "a=b\r\nc", "f"]),
        ),
        (part(&format!("{field}\r\nContent-Transfer-Encoding: 7bit"), "v"), Ok(&["f", "v", "f"])),
        (format!("preamble\r\n{}epilogue", part(field, "v")), Ok(&["f", "v", "f"])),
        ("--B--".to_owned(), Ok(&[])),
        ("--B--\r\nK".to_owned(), Ok(&[])),
        ("--B  \t\r\n\r\nv\r\n--B-- \t\r\n".to_owned(), Ok(&["v"])),
        (
            "--B\r\n\r\nv\r\n--B --\r\n".to_owned(),
            Err("multipart parse error: multipart: expecting a new Part; got line \"--B --\\r\\n\""),
        ),
        ("--B\n\nv\n--B--".to_owned(), Ok(&["v"])),
        ("--B\n\nv\r\n--B--\n".to_owned(), Ok(&["v\r"])),
        ("--B\r\n\r\nv\n--B--\n\r\n--B--\r\n".to_owned(), Ok(&["v\n--B--\n"])),
        ("--B\r\n\r\nv\r\n--Bx\r\n--B-\r\n--B--\r\n".to_owned(), Ok(&["v\r\n--Bx\r\n--B-"])),
        ("--B\r\n\r\n--B--\r\n".to_owned(), Ok(&[])),
        (format!("--B\r\n{field}\r\n\r\nx"), Err("error reading multipart part: unexpected EOF")),
        ("just text".to_owned(), Err("multipart parse error: multipart: NextPart: EOF")),
        (String::new(), Err("multipart parse error: multipart: NextPart: EOF")),
        (format!("--B\r\n{field}\r\n"), Err("multipart parse error: multipart: NextPart: EOF")),
        ("x".repeat(4096), Err("multipart parse error: multipart: NextPart: bufio: buffer full")),
        (format!("{}\n{}", "x".repeat(4095), part(field, "v")), Ok(&["f", "v", "f"])),
        (
            "--B\r\nno colon\r\n\r\nv\r\n--B--".to_owned(),
            Err("multipart parse error: malformed MIME header: missing colon: \"no colon\""),
        ),
        (
            "--B\r\n a: b\r\n\r\nv\r\n--B--".to_owned(),
            Err("multipart parse error: malformed MIME header initial line:  a: b"),
        ),
        (
            "--B\r\na\u{1}: b\r\n\r\nv\r\n--B--".to_owned(),
            Err("multipart parse error: malformed MIME header line: a\\x01: b"),
        ),
        (
            "--B\r\na: b\u{1}\r\n\r\nv\r\n--B--".to_owned(),
            Err("multipart parse error: malformed MIME header line: a: b\\x01"),
        ),
        ("--B\r\na b: c\r\n\r\nv\r\n--B--".to_owned(), Ok(&["c", "v"])),
        (part(&format!("{field}; filename=\"{long}\""), "v"), Ok(&[&long, "f", "v", "f", &long])),
        (part(&format!("{field}; filename=\"{long}a\""), "v"), Err("multipart filename exceeds 256 bytes")),
        (
            part(&format!("Content-Disposition: form-data; filename=\"{long}a/x\""), ""),
            Ok(&[&format!("{long}a/x"), "x"]),
        ),
        (
            part(&format!("{field}\r\nContent-Transfer-Encoding: quoted-printable"), "a\u{1}"),
            Err("error reading multipart part: quotedprintable: invalid unescaped byte 0x01 in body"),
        ),
        (
            part(&format!("{field}\r\nContent-Transfer-Encoding: quoted-printable"), "a=zz"),
            Err("error reading multipart part: quotedprintable: invalid hex byte 0x7a"),
        ),
    ];
    for (body, wanted) in cases {
        let wanted = wanted.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(body, false).map(|(texts, _)| texts), wanted.map_err(str::to_owned), "{body:?}");
        // The hardened mode reads the same and more.
        let hardened = read(body, true);
        assert_eq!(hardened.map(|(texts, _)| texts), read(body, false).map(|(texts, _)| texts), "{body:?}");
    }
}

#[test]
fn refuses_the_hundredth_part() {
    for (parts, accepted) in [(99, true), (100, false)] {
        let body = "--B\r\nContent-Disposition: form-data; name=f\r\n\r\nv\r\n".repeat(parts) + "--B--\r\n";
        match read(&body, false) {
            Ok((texts, _)) => assert!(accepted && texts.len() == 3 * parts, "{parts} parts"),
            Err(reason) => assert!(
                !accepted && reason == "multipart body exceeds 100 parts limit",
                "{parts} parts: {reason}"
            ),
        }
    }
}

#[test]
fn needs_a_boundary() {
    for boundary in [None, Some(&b""[..])] {
        let found = extract(b"--B--", boundary, &mut Strings::new(b"--B--"), false);
        assert_eq!(found, Err(MultipartError::MissingBoundary));
    }
}

#[test]
fn d_805_takes_margins_and_header_lines_too() {
    let body = "pre\r\n--B\r\nX-Name: v\r\nContent-Type: text/secret\r\n\r\nv\r\n--B--\r\npost";
    let (_, extras) = read(body, true).expect("readable");
    assert_eq!(extras, ["X-Name: v", "Content-Type: text/secret", "pre\r\n", "\r\npost"]);
}

#[test]
fn d_811_keeps_quoted_printable_as_sent() {
    let body = part("Content-Transfer-Encoding: quoted-printable", "a=3Db");
    let (texts, extras) = read(&body, true).expect("readable");
    assert_eq!(texts, ["a=b"]);
    assert!(extras.iter().any(|text| text == "a=3Db"), "{extras:?}");
}

#[test]
fn takes_the_last_element_of_a_path() {
    for (path, wanted) in
        [("a/b", "b"), ("a", "a"), ("a/", "a"), ("/", "/"), ("///", "/"), ("", ""), ("a//b//", "b")]
    {
        assert_eq!(base_name(path.as_bytes()), wanted.as_bytes(), "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(body in "(--B|--|B|\r\n|\n|-| |:|a|=|Content-Disposition: form-data; name=x|;|\"){0,40}") {
        let _ = read(&body, true);
    }
}
