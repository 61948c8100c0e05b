//! The URL pipeline as the server asks it, and the URLs that both the clock and the instruction counts measure.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use muselet::config::Config;
use muselet::policy::secrets::scanner;
use muselet::policy::url::{Outcome, Pipeline, Settings};

const ENVIRONMENT: [(&str, &str); 2] =
    [("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m"), ("SERVICE_CREDENTIAL", "pX3-vB8_kT5+nR1/wY6=qL0.")];

/// The default configuration with two secrets in the environment, and a rate limit that a benchmark does not meet.
///
/// # Panics
/// When the built-in rules do not compile, which their own tests exclude.
#[must_use]
pub fn pipeline() -> Pipeline {
    let config = Config::defaults();
    let (scanner, _) = scanner(&config, ENVIRONMENT, None).expect("the built-in rules compile");
    let mut settings = Settings::from(&config);
    settings.max_requests_per_minute = 1_000_000_000;
    Pipeline::new(settings, Arc::new(scanner)).expect("the built-in ranges are valid").forgetful()
}

/// One scan as the server makes it, with the address at hand. Whether the URL is allowed.
#[must_use]
pub fn scan(pipeline: &Pipeline, url: &str, now: Instant) -> bool {
    let address = [IpAddr::from([93, 184, 216, 34])];
    let verdict = match pipeline.begin(url.as_bytes(), now) {
        Outcome::Done(verdict) => verdict,
        Outcome::NeedsDns(pending) => pipeline.finish(pending, Ok(&address), now),
    };
    verdict.allowed
}

/// Allowed URLs of several shapes, and one for each layer that blocks by the URL alone. Names begin with the verdict.
#[must_use]
pub fn cases() -> Vec<(&'static str, String)> {
    let mut cases: Vec<(&'static str, String)> =
        CASES.iter().map(|(name, url)| (*name, (*url).to_owned())).collect();
    cases.push(("blocked/length", format!("https://example.com/{}", "a".repeat(10_000))));
    cases.push(("blocked/length-query", format!("https://example.com/?{}", "name=value-of-it&".repeat(600))));
    cases
}

const CASES: &[(&str, &str)] = &[
    ("allowed/plain", "https://docs.python.org/3/library/os.html"),
    ("allowed/registry", "https://registry.npmjs.org/@scope/pkg/1.2.3"),
    ("allowed/api", "https://api.example.com/v1/chat/completions"),
    ("allowed/commit", "https://github.com/o/r/commit/1175afa59cbf432b32ebadc6151ee492cea5f3a7"),
    ("allowed/query", "https://example.com/search?q=hello+world&page=1&sort=name"),
    (
        "allowed/complex-query",
        "https://api.example.com/v2/items?filter=status%3Aopen%20label%3Abug&sort=created&order=desc&page=3&per_page=50&since=2024-05-01T10%3A00%3A00Z&fields=id,title,state",
    ),
    (
        "allowed/many-parameters",
        "https://e.com/?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&k=en&l=us&m=asc&n=true&o=x1&p=y2&q=z3&r=v4&s=w5&t=u6",
    ),
    ("allowed/unicode-path", "https://ja.wikipedia.org/wiki/%E6%97%A5%E6%9C%AC"),
    ("blocked/scheme", "ftp://example.com/"),
    ("blocked/traversal", "https://example.com/a/../../etc/passwd"),
    ("blocked/blocklist", "https://pastebin.com/raw/abc123"),
    ("blocked/core-dlp", "https://example.com/?k=AKIAIOSFODNN7EXAMPLE"),
    ("blocked/dlp", "https://example.com/?k=sk-ant-api03-AAAAAAAAAAAAAAAA"),
    ("blocked/entropy", "https://example.com/data/aB3xK9mQ7pR2wE5tY8uI0oL4hG6fD1sZ"),
    ("blocked/subdomain-entropy", "https://r7km2np9qw4xb5vy8za3.evil.com/"),
    ("blocked/ssrf", "http://169.254.169.254/latest/meta-data/"),
];

/// URLs as programs make them, long and full of encoded values; all of them are allowed when nothing looks random. The second
/// part of a name is what the entropy check says to the values.
#[must_use]
pub fn realistic() -> Vec<(&'static str, String)> {
    let search: Vec<String> = SEARCH.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let ids: Vec<String> =
        (0..20).map(|at| format!("ids={:08x}-aaaa-4bbb-8ccc-0123456789{at:02x}", at * 7)).collect();
    let numbers: Vec<String> =
        (0..20).map(|at| format!("id={}", 17_000_000_000_000_u64 + at * 7919)).collect();
    let hashes: Vec<String> =
        (0..20).map(|at| format!("h={:016x}{:016x}", at * 77_777_777_777_u64, at * 99_999_999_u64)).collect();
    let mut urls: Vec<(&'static str, String)> =
        REALISTIC.iter().map(|(name, url)| (*name, (*url).to_owned())).collect();
    urls.push(("search/30-parameters", format!("https://shop.example.com/search?{}", search.join("&"))));
    urls.push(("ids/20-uuids", format!("https://api.example.com/v1/items?{}", ids.join("&"))));
    urls.push(("ids/20-numbers", format!("https://api.example.com/v1/items?{}", numbers.join("&"))));
    urls.push(("ids/20-hashes", format!("https://api.example.com/v1/items?{}", hashes.join("&"))));
    urls
}

const SEARCH: [(&str, &str); 30] = [
    ("q", "wireless+noise+cancelling+headphones"),
    ("category", "electronics%3Eaudio%3Eheadphones"),
    ("brand", "sony%2Cbose%2Csennheiser"),
    ("price_min", "99.50"),
    ("price_max", "349.00"),
    ("currency", "EUR"),
    ("color", "black"),
    ("color", "midnight%20blue"),
    ("rating", "4"),
    ("in_stock", "true"),
    ("free_shipping", "true"),
    ("seller", "marketplace-europe"),
    ("sort", "relevance"),
    ("page", "2"),
    ("page_size", "48"),
    ("view", "grid"),
    ("lang", "de-DE"),
    ("region", "eu-central-1"),
    ("utm_source", "newsletter"),
    ("utm_medium", "email"),
    ("utm_campaign", "autumn_sale_2025"),
    ("utm_content", "hero-banner-top"),
    ("fbclid", "none"),
    ("session", "a1b2c3d4"),
    ("since", "2025-09-01T00%3A00%3A00Z"),
    ("until", "2025-09-30T23%3A59%3A59Z"),
    ("facets", "brand%2Ccolor%2Cprice%2Crating"),
    ("exclude", "refurbished"),
    ("debug", "0"),
    ("v", "20250915"),
];

const REALISTIC: &[(&str, &str)] = &[
    (
        "s3/signed",
        "https://bucket-name.s3.eu-central-1.amazonaws.com/reports/2025/09/summary.pdf?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=EXAMPLEKEYID%2F20250915%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20250915T101112Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024",
    ),
    (
        "oauth/authorize",
        "https://login.example.com/oauth2/v2.0/authorize?client_id=6731de76-14a6-49ae-97bc-6eba6914391e&response_type=code&redirect_uri=https%3A%2F%2Fapp.example.com%2Fauth%2Fcallback%3Fnext%3D%252Fdashboard%252Fhome&response_mode=query&scope=openid%20profile%20offline_access%20https%3A%2F%2Fgraph.example.com%2Fmail.read&state=12345&code_challenge_method=S256&nonce=678910&prompt=consent",
    ),
    (
        "graphql/get",
        "https://api.example.com/graphql?query=query%20Items(%24first%3AInt!%2C%24after%3AString)%7Bitems(first%3A%24first%2Cafter%3A%24after)%7Bedges%7Bnode%7Bid%20name%20price%7Bamount%20currency%7D%7D%7DpageInfo%7BhasNextPage%20endCursor%7D%7D%7D&operationName=Items&variables=%7B%22first%22%3A50%2C%22after%22%3A%22cursor-page-two%22%7D&extensions=%7B%22persistedQuery%22%3A%7B%22version%22%3A1%7D%7D",
    ),
    (
        "base64/json-cursor",
        "https://api.example.com/v1/list?limit=100&cursor=eyJvZmZzZXQiOjEwMCwib3JkZXIiOiJhc2MiLCJmaWVsZCI6ImNyZWF0ZWQifQ%3D%3D",
    ),
    (
        "base64/words",
        "https://api.example.com/v1/render?format=png&text=VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw%3D%3D",
    ),
    (
        "uuid/path",
        "https://api.example.com/v2/projects/3f2504e0-4f89-11d3-9a0c-0305e82c3301/builds/9b2f1a66-1c2d-4e3f-8a9b-0c1d2e3f4a5b/artifacts",
    ),
    ("jwt/short", "https://app.example.com/verify?token_type=jwt&payload=eyJhbGciOiJub25lIn0"),
    (
        "registry/tarball",
        "https://registry.npmjs.org/@babel/helper-create-class-features-plugin/-/helper-create-class-features-plugin-7.27.1.tgz",
    ),
    (
        "pypi/wheel",
        "https://files.pythonhosted.org/packages/84/0f/8b5f4a5c7a1e2d3c4b5a697887960a1b2c3d4e5f60718293a4b5c6d7e8f9/numpy-2.1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    ),
    ("git/info", "https://github.com/rust-lang/rust.git/info/refs?service=git-upload-pack"),
    (
        "maps/tiles",
        "https://tile.example.org/vt?lyrs=m@721000000&hl=en&x=17600&y=10743&z=15&s=Galil&apistyle=s.t%3A2%7Cp.v%3Aoff&scale=2",
    ),
    (
        "analytics/collect",
        "https://www.example-analytics.com/g/collect?v=2&tid=G-ABCDE12345&gtm=45je5990v9&_p=1757930000000&cid=123456789.1757930000&ul=en-us&sr=1920x1080&uaa=x86&uab=64&uafvl=Chromium%3B140.0.7339.80%7CNot%253DA%253FBrand%3B24.0.0.0&uamb=0&uap=Linux&uapv=6.8.0&_s=1&sid=1757930000&sct=3&seg=1&dl=https%3A%2F%2Fdocs.example.com%2Fguide%2Finstall&dt=Install%20%7C%20Docs&en=page_view&_ee=1&tfd=2345",
    ),
];
