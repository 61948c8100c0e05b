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

#[test]
fn uploads_to_s3_are_put_together_or_refused() {
    let whole: &[(&[u8], &[u8])] = &[
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"3;chunk-signature=00\r\na\r\n\r\n0;chunk-signature=11\r\n\r\n", b"a\r\n"),
        (
            b"A\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:00\r\n\r\n",
            b"0123456789",
        ),
        (b"0\r\n\r\n", b""),
    ];
    for (body, content) in whole {
        let stages = decode(body, &[Coding::AwsChunked], 10).expect("aws-chunked");
        assert_eq!(stages.last().map(Vec::as_slice), Some(*content), "{}", body.escape_ascii());
    }
    let broken: &[&[u8]] = &[
        b"",
        b"abc",
        b"3\r\nabc",
        b"3\r\nabcde\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n",
        b"3\r\nabc\r\n0\r\n\r\nmore",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b";3\r\nabc\r\n0\r\n\r\n",
        b"000000003\r\nabc\r\n0\r\n\r\n",
    ];
    for body in broken {
        let refused = Err(DecodeError::Invalid(Coding::AwsChunked));
        assert_eq!(decode(body, &[Coding::AwsChunked], 10), refused, "{}", body.escape_ascii());
    }
    let long = b"6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n";
    assert_eq!(decode(long, &[Coding::AwsChunked], 10), Err(DecodeError::TooLarge));
}

#[test]
fn the_framing_of_s3_is_undone_first_wherever_it_is_named() {
    let packed = gzip(b"content");
    let body = [format!("{:x}\r\n", packed.len()).as_bytes(), &packed, b"\r\n0\r\n\r\n"].concat();
    for value in ["aws-chunked,gzip", "gzip, aws-chunked"] {
        let codings = gate(&headers(&[value]), Strictness::Hardened, true).expect("known");
        let stages = decode(&body, &codings, 1 << 20).expect(value);
        assert_eq!(stages.last().map(Vec::as_slice), Some(&b"content"[..]), "{value}");
    }
}
