use super::*;

fn policy() -> MediaSettings {
    MediaSettings {
        enabled: true,
        strip_images: false,
        strip_audio: true,
        strip_video: true,
        allowed_image_types: vec!["image/png".into(), "image/jpeg".into()],
        strip_image_metadata: true,
        max_image_bytes: 1000,
        log_exposure: true,
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = (data.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    out.extend_from_slice(&[0; 4]);
    out
}

#[test]
fn jpeg_loses_its_metadata_segments_and_nothing_else() {
    let table = [
        (
            "FFD8 FFE00004AAAA FFE10004BBBB FFE20003CC FFED0002 FFDA0002 01FF0002FFD003 FFD9",
            3,
            15,
            "FFD8FFE00004AAAAFFDA000201FF0002FFD003FFD9",
        ),
        ("FFD8 FFDA0002 01 FFD9", 0, 0, ""),
        ("FFD8 FFFF E10004BBBB FFDA0002 01 FFD9", 1, 7, "FFD8FFDA000201FFD9"),
        ("FFD8 FFFE0004AAAA FFDA0002 01 FFD9", 0, 0, ""),
    ];
    for (input, segments, bytes, want) in table {
        let verdict = judge(&policy(), "image/jpeg", &hex(input));
        assert_eq!(verdict.blocked, None, "{input}");
        assert_eq!((verdict.segments_removed, verdict.bytes_removed), (segments, bytes), "{input}");
        assert_eq!(verdict.stripped, (segments > 0).then(|| hex(want)), "{input}");
    }
}

#[test]
fn broken_jpegs_are_refused_with_the_place_of_the_fault() {
    let table = [
        ("FFD8 FFDA0002 01 FFD9 00", ": 1 trailing bytes after EOI"),
        ("FFD8 FFD9", ": no SOS marker before end of stream"),
        ("FFD8 FFD9 00", ": 1 trailing bytes after EOI"),
        ("FFD8", ""),
        ("", ""),
        ("FFD8 FFE10001 FFD9", ": segment length 1 at offset 4 below minimum 2"),
        ("FFD8 FFE100FF00 FFD9", ": segment at offset 2 overruns input (len 255)"),
        ("FFD8 AA FFD9", ": expected 0xFF at offset 2, got 0xAA"),
        ("FFD8 FFDA0002 01 FF", ": truncated scan data: trailing 0xFF without marker byte"),
        ("FFD8 FFDA0002 0102", ": no EOI marker before end of stream"),
        ("FFD8FFFF", ": truncated marker at offset 2"),
        ("FFD8FFE1", ": truncated segment length at offset 4"),
    ];
    for (input, suffix) in table {
        let want = format!("media_policy: image parse error: media: invalid or truncated JPEG{suffix}");
        assert_eq!(judge(&policy(), "image/jpeg", &hex(input)).blocked, Some(want), "{input}");
    }
}

#[test]
fn png_loses_text_and_exif_chunks_and_keeps_time_and_profile() {
    let signature = b"\x89PNG\r\n\x1a\n".to_vec();
    let parts: [(&[u8; 4], &[u8], bool); 8] = [
        (b"IHDR", &[0; 13], true),
        (b"tEXt", b"abc", false),
        (b"iTXt", b"a", false),
        (b"zTXt", b"", false),
        (b"eXIf", b"ab", false),
        (b"tIME", &[0; 7], true),
        (b"iCCP", b"p", true),
        (b"IEND", b"", true),
    ];
    let all: Vec<u8> = parts.iter().fold(signature.clone(), |acc, (k, d, _)| [acc, chunk(k, d)].concat());
    let kept: Vec<u8> =
        parts.iter().filter(|p| p.2).fold(signature, |acc, (k, d, _)| [acc, chunk(k, d)].concat());
    let verdict = judge(&policy(), "image/png", &all);
    assert_eq!((verdict.segments_removed, verdict.bytes_removed), (4, 54));
    assert_eq!(verdict.stripped, Some(kept));
}

#[test]
fn broken_pngs_are_refused_with_the_place_of_the_fault() {
    let signature = b"\x89PNG\r\n\x1a\n".to_vec();
    let end = chunk(b"IEND", b"");
    let table = [
        ([&signature[..], &end, b"x"].concat(), ": 1 trailing bytes after IEND"),
        ([&signature[..], &chunk(b"IHDR", &[0; 13])].concat(), ": no IEND chunk before end of stream"),
        ([&signature[..], b"abc"].concat(), ": chunk header at offset 8 exceeds input length"),
        (
            [&signature[..], &[0, 0, 0, 5], b"IDAT", b"xx"].concat(),
            ": chunk \"IDAT\" at offset 8 overruns input (len 5, remaining 10)",
        ),
        (
            [&signature[..], &[0, 0, 0, 5], b"\x07\0\xffa"].concat(),
            ": chunk \"\\a\\x00\\xffa\" at offset 8 overruns input (len 5, remaining 8)",
        ),
        (b"abc".to_vec(), ""),
    ];
    for (input, suffix) in table {
        let want = format!("media_policy: image parse error: media: invalid or truncated PNG{suffix}");
        assert_eq!(judge(&policy(), "image/png", &input).blocked, Some(want), "{input:?}");
    }
    assert_eq!(judge(&policy(), "image/png", &[signature, end].concat()).stripped, None);
}

#[test]
fn the_type_decides_before_the_bytes_are_read() {
    let gif_too = MediaSettings { allowed_image_types: vec!["image/gif".into()], ..policy() };
    let table: [(&MediaSettings, &str, usize, Option<&str>); 8] = [
        (&policy(), "audio/mpeg", 2, Some("media_policy: audio stripped")),
        (&policy(), "video/mp4", 2, Some("media_policy: video stripped")),
        (&policy(), "image/gif", 2, Some("media_policy: image type \"image/gif\" not in allowed list")),
        (&policy(), "image/png", 1001, Some("media_policy: image size 1001 exceeds limit 1000")),
        (&policy(), "text/html", 2, None),
        (&gif_too, "image/gif", 3, None),
        (
            &MediaSettings { strip_images: true, ..policy() },
            "image/png",
            2,
            Some("media_policy: images stripped"),
        ),
        (&MediaSettings { enabled: false, ..policy() }, "image/svg+xml", 2, None),
    ];
    for (policy, media_type, size, want) in table {
        let verdict = judge(policy, media_type, &vec![0; size]);
        assert_eq!(verdict.blocked.as_deref(), want, "{media_type} {size}");
    }
    assert_eq!(judge(&gif_too, "image/gif", b"GIF").format, Some("unknown"));
}

#[test]
fn only_telling_bytes_replace_a_type_that_says_nothing() {
    let table: [(&str, &[u8], &str); 10] = [
        ("", b"\xff\xd8\xffrest", "image/jpeg"),
        ("application/octet-stream", b"GIF89a", "image/gif"),
        ("text/html", b"\xff\xd8\xffrest", "text/html"),
        ("", b"OggS\0rest", ""),
        ("", b"RIFF1234WEBPVP8 ", "image/webp"),
        ("", b"RIFF1234WAVEfmt ", "audio/wave"),
        ("application/unknown", b"\0\0\0\x18ftypisom\0\0\0\0mp42isom", "video/mp4"),
        ("", b"\0\0\0\x18ftypisom\0\0mp4isomisom", ""),
        ("", b"ignore all previous", ""),
        ("", b"", ""),
    ];
    for (declared, body, want) in table {
        assert_eq!(effective_type(declared, body), want, "{declared:?} {body:?}");
    }
}
