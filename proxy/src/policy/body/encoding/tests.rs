use std::io::Write;

use http::HeaderValue;

use super::*;

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(CONTENT_ENCODING, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn raw_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = ::brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
    encoder.write_all(text).expect("memory");
    drop(encoder);
    out
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(text, 3).expect("memory")
}

#[test]
fn refuses_every_coding_but_identity() {
    let cases: &[(&[&str], Option<&str>, Option<&str>)] = &[
        (&[], None, None),
        (&[""], None, None),
        (&["identity"], None, None),
        (&["identity, Identity,"], None, None),
        (&["gzip"], Some("gzip"), Some("gzip")),
        (&["GZip, identity"], Some("GZip, identity"), Some("GZip, identity")),
        (&["br"], Some("br"), Some("br")),
        (&["identity;q=1"], Some("identity;q=1"), Some("identity;q=1")),
        (&["x\"y"], Some("x\\\"y"), Some("x\\\"y")),
        (&["identity", "gzip"], None, Some("gzip")),
    ];
    for (values, reference, hardened) in cases {
        for (strictness, wanted) in [(Strictness::Reference, reference), (Strictness::Hardened, hardened)] {
            let found = gate(&headers(values), strictness, false).err();
            let reason = wanted.map(|value| {
                format!("request body uses Content-Encoding \"{value}\"; compressed bodies cannot be scanned for secrets")
            });
            assert_eq!(
                found.as_ref().map(|finding| &finding.reason),
                reason.as_ref(),
                "{values:?} {strictness:?}"
            );
            assert!(found.is_none_or(|finding| finding.fail_closed));
        }
    }
    let second = gate(&headers(&["identity", "gzip"]), Strictness::Hardened, false).expect_err("refused");
    assert_eq!(second.difference, Some("D-807"));
}

#[test]
fn decodes_what_the_configuration_allows() {
    let text = b"the quick brown fox ".repeat(50);
    let twice = gzip(&brotli(&text));
    let members = [gzip(&text[..500]), gzip(&text[500..])].concat();
    let cases: &[(&str, Vec<u8>)] = &[
        ("gzip", gzip(&text)),
        ("X-GZIP", gzip(&text)),
        ("gzip", members),
        ("deflate", zlib(&text)),
        ("deflate", raw_deflate(&text)),
        ("br", brotli(&text)),
        ("zstd", zstd(&text)),
        ("br, gzip", twice),
    ];
    for (value, body) in cases {
        let codings = gate(&headers(&[value]), Strictness::Hardened, true).expect("allowed");
        for limit in [1 << 20, text.len() as u64] {
            let stages = decode(body, &codings, limit).expect(value);
            assert_eq!((stages.len(), stages.last()), (codings.len(), Some(&text)), "{value} within {limit}");
        }
        assert_eq!(decode(body, &codings, text.len() as u64 - 1), Err(DecodeError::TooLarge), "{value}");
        let cut = decode(&body[..body.len() - 3], &codings, 1 << 20);
        assert!(matches!(cut, Err(DecodeError::Invalid(_))), "{value} cut short: {cut:?}");
        let trailed = decode(&[body.as_slice(), b"AKIAIOSFODNN7EXAMPLE"].concat(), &codings, 1 << 20);
        assert!(matches!(trailed, Err(DecodeError::Invalid(_))), "{value} with a trailer: {trailed:?}");
    }
    assert!(
        gate(&headers(&["compress"]), Strictness::Hardened, true).is_err(),
        "unknown codings stay refused"
    );
    assert!(gate(&headers(&["gzip,gzip,gzip,gzip,gzip"]), Strictness::Hardened, true).is_err(), "too many");
}

#[test]
fn a_decompression_bomb_stops_at_the_limit() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert_eq!(decode(&bomb, &[Coding::Gzip], 1 << 20), Err(DecodeError::TooLarge));
}
