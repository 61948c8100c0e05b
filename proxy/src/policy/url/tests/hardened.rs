//! Each listed difference: what the reference lets through and hardened mode does not, and a benign twin that both let
//! through.

use super::*;

/// Configuration, URL, difference, label, and the benign twin.
const BYPASSES: [(&str, &str, &str, &str, &str); 66] = [
    ("S", "https://g\u{130}thub.com/", "D-401", "allowlist", "https://github.com/"),
    (
        "W",
        "https://ap\u{130}.telegram.org/bot1234567890:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPqqr/x",
        "D-401",
        "dlp",
        "https://api.telegram.org/bot1234567890:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPqqr/x",
    ),
    ("B", "http://[::]/", "D-402", "core_ssrf", "http://[2606:4700::1]/"),
    ("I", "http://[::]/", "D-402", "ssrf", "http://[2606:4700::1]/"),
    ("B", "http://255.255.255.255/", "D-403", "core_ssrf", "http://223.255.255.255/"),
    ("I", "http://240.0.0.1/", "D-403", "ssrf", "http://198.51.100.1/"),
    ("B", "http://224.0.0.1/", "D-403", "core_ssrf", "http://9.9.9.9/"),
    ("I", "http://[64:ff9b::7f00:1]/", "D-403", "ssrf", "http://[64:ff9b::808:808]/"),
    ("I", "http://[2002:a00:1::]/", "D-403", "ssrf", "http://[2002:808:808::]/"),
    ("I", "http://[2001:0:808:808::80ff:fffe]/", "D-403", "ssrf", "http://[2001:db8::1]/"),
    ("B", "http://[::127.0.0.1]/", "D-403", "core_ssrf", "http://[::8.8.8.8]/"),
    ("B", "http://168.63.129.16/machine/?comp=goalstate", "D-423", "core_ssrf", "http://168.63.129.17/"),
    ("I", "http://192.0.0.192/opc/v2/", "D-423", "ssrf", "http://192.0.1.192/"),
    ("I", "http://[fec0::1]/", "D-423", "ssrf", "http://[2606:4700::fec0]/"),
    ("B", "http://127.1/", "D-404", "core_ssrf", "http://8.8/"),
    ("B", "http://127.0.0.1./", "D-404", "core_ssrf", "http://8.8.8.8./"),
    ("B", "http://１２７.0.0.1/", "D-404", "core_ssrf", "http://localhost/"),
    ("B", "http://127。0。0。1/", "D-404", "core_ssrf", "http://例え.jp/"),
    ("B", "http://pastebin.com:80:90/", "D-405", "parser", "http://example.com:80/"),
    ("B", "http://::1/", "D-405", "parser", "http://[2606:4700::1]:80/"),
    ("B", "https://example.com/sk%252Dant%252DAAAAAAAAAAAA", "D-406", "dlp", "https://example.com/a%252Db"),
    (
        "B",
        "https://example.com/?d=aB3xK9mQ7pR2wE5tY8uI0oL4hG6fD1sZ;x",
        "D-407",
        "entropy",
        "https://example.com/?a=b;c=d",
    ),
    (
        "B",
        "https://example.com/?d=aB3xK9mQ7pR2wE5tY8uI0oL4hG6fD1sZ%zz",
        "D-407",
        "entropy",
        "https://example.com/?q=100%&page=2",
    ),
    (
        "B",
        "https://example.com/?k=AKIA;IOSFODNN7EXAMPLE",
        "D-407",
        "core_dlp",
        "https://example.com/?k=a;b;c",
    ),
    (
        "B",
        "https://example.com/?k=AKIA%49OSFODNN7EXAMPLE;j=%zz",
        "D-407",
        "core_dlp",
        "https://example.com/?k=%41%zz",
    ),
    (
        "B",
        "https://example.com/?k=Pj4%2BQUtJQUlPU0ZPRE5ON0VYQU1QTEU%3D",
        "D-409",
        "core_dlp",
        "https://example.com/?k=aGVsbG8gd29ybGQ%3D",
    ),
    (
        "F",
        "https://example.com/?k=Secret%2BWith%2FSlash%3D%3D1234",
        "D-409",
        "dlp",
        "https://example.com/?k=Some%2BOther%2FText%3D%3D1234",
    ),
    (
        "F",
        "https://example.com/?k=%78%4b%39%6d%50%32%6e%51%37%76%52%34%77%54%36%79&z=%zz",
        "D-409",
        "dlp",
        "https://example.com/?z=%zz",
    ),
    (
        "B",
        "https://example.com/?k=NDE0YjQ5NDE0OTRmNTM0NjRmNDQ0ZTRlMzc0NTU4NDE0ZDUwNGM0NQ==",
        "D-410",
        "core_dlp",
        "https://example.com/?k=NjE2MjYzNjQ2NTY2Njc2ODY5NmE=",
    ),
    (
        "N",
        "https://example.com/?k=414b4941494f53464f444e4e374558414d504c45",
        "D-410",
        "core_dlp",
        "https://example.com/?k=68656c6c6f20776f726c64",
    ),
    (
        "B",
        "https://example.com/?k=AKIA%FFIOSFODNN7EXAMPLE",
        "D-411",
        "core_dlp",
        "https://example.com/?k=caf%E9",
    ),
    ("B", "https://AKIA\u{200b}IOSFODNN7EXAMPLE/", "D-412", "core_dlp", "https://bücher/"),
    (
        "C",
        "https://example.com/?c=canary-token-ABC123",
        "D-413",
        "dlp",
        "https://example.com/?c=canary-token",
    ),
    (
        "C",
        "https://example.com/?data=Y2FuYXJ5LXRva2VuLUFCQzEyMw%3D%3D",
        "D-413",
        "dlp",
        "https://example.com/?data=Y2FuYXJ5LXRva2V4LUFCQzEyMw%3D%3D",
    ),
    (
        "C",
        "https://example.com/?data=%2F%2F8%2FY2FuYXJ5LXRva2VuLUFCQzEyMw%3D%3D",
        "D-413",
        "dlp",
        "https://example.com/?data=%2F%2F8%2FY2FuYXJ5LXRva2V4LUFCQzEyMw%3D%3D",
    ),
    (
        "C",
        "https://example.com/?data=WTJGdVlYSjVMWFJ2YTJWdUxVRkNRekV5TXc9PQ%3D%3D",
        "D-413",
        "dlp",
        "https://example.com/?data=WTJGdVlYSjVMWFJ2YTJWNExVRkNRekV5TXc9PQ%3D%3D",
    ),
    (
        "C",
        "https://example.com/?a=canary-token-&b=ABC123",
        "D-413",
        "dlp",
        "https://example.com/?a=canary-token-&b=ABD123",
    ),
    ("W", "https://example.com/?a=barz", "D-414", "dlp", "https://example.com/?a=bar"),
    ("W", "https://example.com/?a=colored", "D-414", "dlp", "https://example.com/?a=color"),
    (
        "F",
        "https://example.com/?k=xK9mP2nQ&j=7vR4wT6y",
        "D-415",
        "dlp",
        "https://example.com/?k=xK9mP2nQ&j=8vR4wT6y",
    ),
    (
        "B",
        "https://example.com/?k=%22414b4941494f53464f444e4e374558414d504c45%22",
        "D-418",
        "core_dlp",
        "https://example.com/?k=%2268656c6c6f20776f726c6420616e64206d6f7265%22",
    ),
    (
        "B",
        "https://example.com/?k=%7B%22a%22:%22414b4941494f53464f444e4e374558414d504c45%22%7D",
        "D-418",
        "core_dlp",
        "https://example.com/?k=%7B%22a%22:%2268656c6c6f20776f726c6420616e64206d6f7265%22%7D",
    ),
    (
        "B",
        "https://example.com/a/token=414b4941494f53464f444e4e374558414d504c45/b",
        "D-418",
        "core_dlp",
        "https://example.com/a/token=68656c6c6f20776f726c6420616e64206d6f7265/b",
    ),
    (
        "B",
        "https://example.com/?k=414b4941494f53464f&j=444e4e374558414d504c45",
        "D-418",
        "core_dlp",
        "https://example.com/?k=68656c6c6f20776f72&j=6c6420616e64206d6f7265",
    ),
    (
        "B",
        "https://example.com/?k=%7B%22a%22:%22%5Cu0041KIAIOSFODNN7EXAMPLE%22%7D",
        "D-420",
        "core_dlp",
        "https://example.com/?k=%7B%22a%22:%22%5Cu0041KIB4OSF%22%7D",
    ),
    (
        "B",
        "https://example.com/x%5Cx41KIAIOSFODNN7EXAMPLE",
        "D-420",
        "core_dlp",
        "https://example.com/x%5Cx41KIB4OSF",
    ),
    (
        "B",
        "https://example.com/?k=%u0041%u004bIAIOSFODNN7EXAMPLE",
        "D-420",
        "core_dlp",
        "https://example.com/?k=100%unit&j=%u0041%u004bIB4OSF",
    ),
    (
        "B",
        "https://example.com/?k=%26%2365%3BKIAIOSFODNN7EXAMPLE",
        "D-421",
        "core_dlp",
        "https://example.com/?k=%26%2365%3BKIB4OSF",
    ),
    (
        "B",
        "https://example.com/?k==41=4B=49=41IOSFODNN7EXAMPLE",
        "D-421",
        "core_dlp",
        "https://example.com/?k==41=4B=49=41IOSF",
    ),
    (
        "B",
        "https://example.com/x/=41=4B=49=41IOSFODNN7EXAMPLE",
        "D-421",
        "core_dlp",
        "https://example.com/x/=41=4B=49=41IOSF",
    ),
    (
        "B",
        "https://example.com/?k=%F3%A0%81%81%F3%A0%81%8B%F3%A0%81%89%F3%A0%81%81%F3%A0%81%81%F3%A0%81%81%F3%A0%81%81%F3%A0%81%81AAAAAAAAAAAA",
        "D-421",
        "core_dlp",
        "https://example.com/?k=%F3%A0%81%81%F3%A0%81%8BAAAAAAAAAAAA",
    ),
    (
        "B",
        "https://example.com/?abandon+abandon+abandon+abandon+abandon+abandon+abandon+abandon+abandon+abandon+abandon+about=1",
        "D-422",
        "dlp",
        "https://example.com/?abandon+ability+able+about=1",
    ),
    ("F", "https://example.com/x.K9mP2nQ.7vR4wT6y", "D-415", "dlp", "https://example.com/x.K9mP2nQ.7vR4wT6"),
    (
        "F",
        "https://example.com/?k=%5Cu0078K9mP2nQ7vR4wT6y",
        "D-420",
        "dlp",
        "https://example.com/?k=%5Cu0078K9mP2nQ7vR4wT",
    ),
    (
        "F",
        "https://example.com/?k=%26%23120%3BK9mP2nQ7vR4wT6y",
        "D-421",
        "dlp",
        "https://example.com/?k=%26%23120%3BK9mP2nQ7vR4wT",
    ),
    (
        "F",
        "https://example.com/?k=%22YTp4SzltUDJuUTd2UjR3VDZ5Cg%22",
        "D-418",
        "dlp",
        "https://example.com/?k=%22YTp4SzltUDJuUTd2UjR3Cg%22",
    ),
    (
        "B",
        "https://example.com/?q=a%EF%BD%82andon,abandon,abandon,abandon,abandon,abandon,abandon,abandon,abandon,abandon,abandon,about",
        "D-422",
        "dlp",
        "https://example.com/?q=a%EF%BD%82andon,ability,able,about",
    ),
    (
        "B",
        "https://example.com/v1/AKIAIOSFOD?q=NN7EXAMPLE",
        "D-822",
        "dlp",
        "https://example.com/v1/AKIB4OSFOD?q=NN7EXAMPLE",
    ),
    (
        "B",
        "https://example.com/v1/AKIAIOSFOD?q=NN7EXA&r=MPLE",
        "D-822",
        "dlp",
        "https://example.com/v1/search?q=AKIAIOSFOD&r=NN7EX",
    ),
    (
        "B",
        "https://example.com/?k=41.4b.49.41.49.4f.53.46.4f.44.4e.4e.37.45.58.41.4d.50.4c.45",
        "D-418",
        "core_dlp",
        "https://example.com/?k=68.65.6c.6c.6f.20.77.6f.72.6c.64.20.61.67.61.69.6e",
    ),
    (
        "B",
        "https://example.com/v1/AKIAIOSFOD/?q=NN7EXAMPLE",
        "D-822",
        "dlp",
        "https://example.com/v1/AKIB4OSFOD/?q=NN7EXAMPLE",
    ),
    (
        "B",
        "https://example.com/v1/k=AKIAIOSFOD;?NN7EXA;y=MPLE&z=1",
        "D-822",
        "dlp",
        "https://example.com/v1/asia?id=0123456789abcdef&z=1",
    ),
    (
        "B",
        "https://example.com/pypi?q=-aaaaaaaaaaaaaaaa",
        "D-822",
        "dlp",
        "https://example.com/pypi?q=aaaaaaaaaaaaaaaa",
    ),
    (
        "F",
        "https://example.com/xK9mP2nQ?j=7vR4wT6y",
        "D-822",
        "dlp",
        "https://example.com/xK9mP2nQ?j=8vR4wT6y",
    ),
    (
        "C",
        "https://example.com/canary-token-?b=ABC123",
        "D-822",
        "dlp",
        "https://example.com/canary-token-?b=ABD123",
    ),
    (
        "B",
        "https://414b4941494f53464f444e4e374558414d504c45.a.example.com/",
        "D-418",
        "core_dlp",
        "https://68656c6c6f20776f726c6420616e64206d6f7265.a.example.com/",
    ),
];

#[test]
fn names_a_difference_for_each_bypass() {
    let mut wrong = Vec::new();
    for (config, bypass, difference, label, benign) in BYPASSES {
        let with = |strictness| {
            let (url, text) = named(config);
            pipeline(url, text, strictness)
        };
        let (reference, hardened) = (with(Strictness::Reference), with(Strictness::Hardened));
        if !scan(&reference, bypass).allowed {
            wrong.push(format!("{config} {bypass}: the reference blocks it"));
        }
        let verdict = scan(&hardened, bypass);
        if (verdict.label.as_str(), verdict.difference) != (label, Some(difference)) {
            wrong.push(format!("{config} {bypass}: wanted {label} {difference}, got {verdict:?}"));
        }
        let twin = scan(&hardened, benign);
        if !twin.allowed {
            wrong.push(format!("{config} {benign}: blocked: {twin:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn decodes_labels_of_hosts_apart_and_together() {
    let (mut url, text) = named("B");
    // Else some are refused for how random they look, and some are not.
    url.subdomain_entropy_threshold = 0.0;
    let hardened = pipeline(url, text, Strictness::Hardened);
    let key = b"AKIAIOSFODNN7EXAMPLE";
    let base32 = data_encoding::BASE32_NOPAD.encode(key);
    let (hex, base64) = (data_encoding::HEXLOWER.encode(key), data_encoding::BASE64URL_NOPAD.encode(key));
    for encoded in [&base32, &base32.to_lowercase(), &hex, &base64] {
        for size in [63, 20, 9] {
            let labels = encoded.as_bytes().chunks(size).map(|label| label.escape_ascii().to_string());
            let name = labels.collect::<Vec<_>>().join(".");
            for host in
                [format!("{name}.example.com"), format!("x.{name}.a.example.com:443"), format!("{name}.io")]
            {
                let verdict = scan(&hardened, &format!("https://{host}/"));
                assert_eq!(verdict.label, Label::CoreDlp, "{host}: {verdict:?}");
            }
        }
    }
    for host in [
        "generativelanguage.googleapis.com",
        "4c9184f37cff01bcdc32dc486ec36961.r2.cloudflarestorage.com",
        "d111111abcdef8.cloudfront.net",
        "my-bucket-0123456789abcdef0123.s3.dualstack.eu-central-1.amazonaws.com",
        "prod-usw2-a-1234567890abcdef.elb.us-west-2.amazonaws.com",
        "pkg-containers-az.githubusercontent.com",
        "b5c2a8e4-7d1f-4c3a-9e6b-0f8d2a1c4e5b.cdn.example.com",
    ] {
        assert!(scan(&hardened, &format!("https://{host}/")).allowed, "{host}");
    }
}

#[test]
fn examines_queries_of_any_number_of_pieces() {
    let url = format!("https://example.com/?{}d=aB3xK9mQ7pR2wE5tY8uI0oL4hG6fD1sZ", "a&".repeat(10_000));
    let with = |strictness| {
        let (mut url, text) = named("B");
        url.max_url_length = 1 << 20;
        pipeline(url, text, strictness)
    };
    assert!(scan(&with(Strictness::Reference), &url).allowed);
    let verdict = scan(&with(Strictness::Hardened), &url);
    assert_eq!((verdict.label, verdict.difference), (Label::Entropy, Some("D-408")));
}

#[test]
fn resolved_addresses_meet_the_stricter_ranges() {
    let (url, text) = named("I");
    let hardened = pipeline(url, text, Strictness::Hardened);
    for (url, difference) in [("http://zero.test/", "D-402"), ("http://nat64.test/", "D-403")] {
        let verdict = scan(&hardened, url);
        assert_eq!((verdict.label, verdict.difference), (Label::Ssrf, Some(difference)), "{url}");
    }
    assert!(scan(&hardened, "http://public.test/").allowed);
    assert_eq!(scan(&hardened, "http://localhost/").difference, None);
}

#[test]
fn a_folded_host_is_not_trusted() {
    let with = |strictness| {
        let (mut url, text) = named("I");
        url.trusted_domains = strings(&["i.test"]);
        let pipeline = pipeline(url, text, strictness);
        let internal = |_: &str| Ok(vec!["10.0.0.1".parse().expect("an address")]);
        pipeline.scan("http://\u{130}.test/".as_bytes(), Instant::now(), internal)
    };
    assert!(with(Strictness::Reference).allowed);
    assert_eq!(with(Strictness::Hardened).difference, Some("D-401"));
}

#[test]
fn limits_ignore_dots_and_notations() {
    let (mut url, text) = named("B");
    url.max_requests_per_minute = 1;
    url.max_data_per_minute = 10;
    let hardened = pipeline(url, text, Strictness::Hardened);
    let now = Instant::now();
    let scan = |url: &str| hardened.scan(url.as_bytes(), now, resolve);
    assert!(scan("https://evil.com/").allowed);
    let verdict = scan("https://evil.com./");
    assert_eq!((verdict.label, verdict.difference), (Label::RateLimit, Some("D-416")));
    hardened.record_transfer("0x08080808", 10, now);
    assert_eq!(scan("http://8.8.8.8/").label, Label::DataBudget);
    hardened.record_transfer("other.com.", 10, now);
    assert_eq!(scan("http://other.com/").label, Label::DataBudget);
}

#[test]
fn what_the_reference_blocks_keeps_its_answer() {
    let mut pipelines: Vec<(String, Pipeline)> = Vec::new();
    for line in include_str!("examples.jsonl").lines() {
        let [number, config, url, label, reason, _]: [String; 6] = serde_json::from_str(line).expect(line);
        if label == "all" {
            continue;
        }
        if !pipelines.iter().any(|(name, _)| *name == config) {
            let (url, text) = named(&config);
            pipelines.push((config.clone(), pipeline(url, text, Strictness::Hardened)));
        }
        let (_, pipeline) = pipelines.iter().find(|(name, _)| *name == config).expect("just made");
        let verdict = scan(pipeline, &url);
        assert_eq!((verdict.label.as_str(), &*verdict.reason), (&*label, &*reason), "{number} {url}");
        assert_eq!(verdict.difference, None, "{number} {url}");
    }
}

#[test]
fn a_rate_limit_hides_nothing_from_tunnels() {
    let now = Instant::now();
    let long = format!("https://example.com/{}", "a".repeat(100));
    for (strictness, want) in [(Strictness::Hardened, Some("D-700")), (Strictness::Reference, None)] {
        let settings = Settings { max_requests_per_minute: 1, max_url_length: 50, ..settings() };
        let pipeline = pipeline(settings, dlp_settings(), strictness);
        scan(&pipeline, "https://example.com/");
        assert_eq!(scan(&pipeline, &long).label, Label::RateLimit);
        let behind = pipeline.behind_rate_limit(long.as_bytes(), now);
        assert_eq!(behind.as_ref().and_then(|verdict| verdict.difference), want);
        assert_eq!(pipeline.behind_rate_limit(b"https://example.com/", now), None);
    }
}

#[test]
fn a_rate_limit_that_does_not_block_hides_no_difference() {
    for (config, url, id, label, benign) in BYPASSES {
        let (settings, dlp) = named(config);
        let pipeline =
            pipeline(Settings { max_requests_per_minute: 1, ..settings }, dlp, Strictness::Hardened);
        let behind = |url: &str| pipeline.behind_rate_limit(url.as_bytes(), Instant::now());
        for _ in 0..2 {
            scan(&pipeline, url);
        }
        let block = behind(url).unwrap_or_else(|| panic!("{id} {url}"));
        assert_eq!((block.label.as_str(), block.difference), (label, Some(id)), "{url}");
        assert_eq!(behind(benign), None, "{id} {benign}");
    }
}
