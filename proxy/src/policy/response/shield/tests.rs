use super::*;
use crate::policy::response::ShieldOversize;

fn settings() -> ShieldSettings {
    ShieldSettings {
        enabled: true,
        minimal: false,
        oversize: ShieldOversize::Block,
        max_bytes: 1000,
        exempt_hosts: Vec::new(),
        strip_extension_probing: false,
        strip_hidden_traps: false,
        strip_tracking_pixels: false,
        inject_fingerprint_shims: false,
        tracking_domains: Vec::new(),
    }
}

fn rewrite(settings: &ShieldSettings, pipeline: Pipeline, body: &str) -> String {
    let (mut page, report) = Shield::new(settings).rewrite(pipeline, body.as_bytes(), None);
    if let Some(script) = report.script {
        page.splice(script, *b"[S]");
    }
    String::from_utf8(page).unwrap()
}

#[test]
fn pages_are_rewritten_as_the_settings_say() {
    let probes = ShieldSettings { strip_extension_probing: true, ..settings() };
    let pixels = ShieldSettings {
        strip_tracking_pixels: true,
        tracking_domains: vec!["evil.example".into()],
        ..settings()
    };
    let traps = ShieldSettings { strip_hidden_traps: true, ..settings() };
    let minimal = ShieldSettings { minimal: true, ..traps.clone() };
    let none = settings();
    use Pipeline::{Html, Js, Svg};
    let table: [(&ShieldSettings, Pipeline, &str, &str); 23] = [
        (&probes, Html, "<a href=\"chrome-extension://abc-def/x.js\">", "[S]<a href=\"/x.js\">"),
        (&probes, Html, "<HTML><HEAD lang=en>", "<HTML><HEAD lang=en>[S]"),
        (&probes, Html, "<header>x</header><head>", "<header>[S]x</header><head>"),
        (&probes, Js, "x();chrome.runtime.sendMessage(1)", "x();(1)"),
        (&pixels, Html, "<img src=\"a\" width=1 alt=x height=1>", ""),
        (&pixels, Html, "<img width=\"100\" height=\"100\">", ""),
        (&pixels, Html, "<img width=\"200\" height=\"150\">", "<img width=\"200\" height=\"150\">"),
        (&pixels, Html, "<link rel=\"dns-prefetch\" href=x>", "<link rel=\"dns-prefetch\" href=x>"),
        (&pixels, Html, "<link href=y rel=prefetch>", ""),
        (&pixels, Html, "navigator.sendBeacon (\"/t\",d)", "\"/t\",d)"),
        (&pixels, Html, "<img src=\"https://EVIL.example/p.gif\">", "<img src=\"https:///p.gif\">"),
        (&traps, Html, "<div style=\"display:none\">a<div>b</div>c</div>d", "c</div>d"),
        (&traps, Html, "<p style=\"font-size:0.9em\">small</p>", ""),
        (
            &traps,
            Html,
            "<section style=\"display:none\">ignore</section>",
            "<section style=\"display:none\">ignore</section>",
        ),
        (&traps, Html, "<div hidden>ignore</div>", "<div hidden>ignore</div>"),
        (&traps, Html, "<span aria-hidden=\"true\">Please ignore</span>", ""),
        (&traps, Html, "<!-- nav --> please ignore <!-- end -->", ""),
        (&minimal, Html, "<!-- ignore -->", "<!-- ignore -->"),
        (
            &none,
            Svg,
            "<svg><script>alert(1)</script><a href=\"https://e\"/></svg>",
            "<svg><script>alert(1)</script><a href=\"#_stripped\"/></svg>",
        ),
        (
            &none,
            Svg,
            "<svg onload=\"a()\" x=\"1\"><text> one = 1 </text></svg>",
            "<svg x=\"1\"><text> </text></svg>",
        ),
        (&none, Svg, "<svg><text style=\"opacity:0.5\">v</text></svg>", "<svg></svg>"),
        (
            &none,
            Svg,
            "<svg><set attributeName=\"onload\" to=\"x\"/><text>keep</text><animate attributeName=\"x\"></animate><g/></svg>",
            "<svg><g/></svg>",
        ),
        (
            &none,
            Svg,
            "<svg><foreignObject x=\"1\"/><text>lost</text><foreignObject>y</foreignObject></svg>",
            "<svg></svg>",
        ),
    ];
    for (settings, pipeline, body, want) in table {
        assert_eq!(rewrite(settings, pipeline, body), want, "{body}");
    }
}

#[test]
fn the_pipeline_follows_the_type_and_only_then_the_bytes() {
    let table: [(&str, &str, Option<Pipeline>); 10] = [
        ("text/html; charset=utf-8", "", Some(Pipeline::Html)),
        ("Application/XHTML+XML", "", Some(Pipeline::Html)),
        ("text/javascript", "", Some(Pipeline::Js)),
        ("application/x-javascript", "", None),
        ("image/svg+xml", "", Some(Pipeline::Svg)),
        ("", " \n<!doctype html >", Some(Pipeline::Html)),
        ("application/octet-stream", "<p>x", Some(Pipeline::Html)),
        ("", "<svg></svg>", None),
        ("", "<pre>", None),
        ("text/plain", "<html>", None),
    ];
    for (declared, body, want) in table {
        assert_eq!(Pipeline::select(declared, body.as_bytes()), want, "{declared:?} {body:?}");
    }
}

#[test]
fn a_nonce_is_only_copied_when_it_is_one() {
    let mut headers = HeaderMap::new();
    for (policy, want) in [
        ("script-src 'nonce-aB3+/='", Some("aB3+/=")),
        ("script-src 'nonce-a\"b'", None),
        ("script-src 'self'", None),
    ] {
        headers.insert("content-security-policy", policy.parse().unwrap());
        assert_eq!(policy_nonce(&headers).as_deref(), want, "{policy}");
    }
    let (page, at) = script::insert(b"<script nonce=\"Ab1\">x</script>", "y", None);
    assert_eq!(&page[at], b"<script nonce=\"Ab1\">y</script>");
}

#[test]
fn alternatives_remove_what_one_pattern_with_all_of_them_would() {
    let sources = ["<a[^>]*b[^>]*>", "bc", "<a[^>]*c[^>]*>", "c>|<ac"];
    let whole = pattern(&sources.join("|"));
    let alternatives = Alternatives::new(sources);
    let mut state = 1_u32;
    for _ in 0..20_000 {
        let text: Vec<u8> = (0..24)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b"<abc> "[(state >> 16) as usize % 6]
            })
            .collect();
        let (mut one, mut other) = (Cow::from(&text), Cow::from(&text));
        let hits = (remove(&whole, &mut one), alternatives.remove(&mut other));
        assert_eq!((hits.0, one), (hits.1, other), "{}", text.escape_ascii());
    }
}

#[test]
fn what_never_ends_is_searched_once() {
    let settings = ShieldSettings { strip_tracking_pixels: true, strip_hidden_traps: true, ..settings() };
    let page = "<img <p style='display:none'> navigator.sendBeacon( ".repeat(100_000);
    let (_, report) = Shield::new(&settings).rewrite(Pipeline::Html, page.as_bytes(), None);
    assert_eq!(report.tracking, 100_000);
    for tag in ["<foreignObject/>", "<set attributeName=on>"] {
        let image = format!("<svg>{}</svg>", tag.repeat(100_000));
        let (rest, _) = Shield::new(&settings).rewrite(Pipeline::Svg, image.as_bytes(), None);
        assert_eq!(rest, b"<svg></svg>");
    }
}
