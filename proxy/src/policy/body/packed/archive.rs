//! Archives in a body, wherever they begin in it: the members of zip archives, the objects of git packs, and compressed data that is
//! written as base64, as registries of packages take it.
//!
//! Of an object that git writes as changes of another, what is new in it is looked at; the other may be at the receiver only.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use memchr::memmem;

use super::{Allowance, is_packed, unpack};

const ZIP: &[u8] = b"PK\x03\x04";
const PACK: &[u8] = b"PACK\0\0\0";
/// How base64 of gzip, zip and zstd begins, at a place where groups do.
const ENCODED: [&[u8]; 3] = [b"H4sI", b"UEsDB", b"KLUv/"];

/// Digits without padding, which is not among those that are looked for.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// What `judge` finds in one of the members, each as it unpacks.
pub(in super::super) fn find_in<T>(
    data: &[u8],
    allowance: &mut Allowance,
    judge: &mut dyn FnMut(Vec<u8>, &mut Allowance) -> Option<T>,
) -> Option<T> {
    let in_zip = memmem::find_iter(data, ZIP).find_map(|at| {
        let (unpacked, _) = inflate(Stream::Deflate, member(&data[at..])?, allowance);
        judge(unpacked, allowance)
    });
    in_zip
        .or_else(|| memmem::find_iter(data, PACK).find_map(|at| each_object(&data[at..], allowance, judge)))
        .or_else(|| {
            ENCODED.iter().find_map(|begin| {
                memmem::find_iter(data, begin).find_map(|at| {
                    let decoded = decoded(&data[at..], allowance)?;
                    match is_packed(&decoded) {
                        true => judge(unpack(&decoded, allowance)?, allowance),
                        false => judge(decoded, allowance),
                    }
                })
            })
        })
}

#[derive(Clone, Copy)]
enum Stream {
    Deflate,
    Zlib,
}

/// What the stream that `data` begins with unpacks to, and its length, both taken from the allowance.
fn inflate(stream: Stream, data: &[u8], allowance: &mut Allowance) -> (Vec<u8>, usize) {
    let data = &data[..data.len().min(allowance.read)];
    let (unpacked, read) = match stream {
        Stream::Deflate => {
            let mut decoder = DeflateDecoder::new(data);
            (allowance.read(&mut decoder), decoder.total_in())
        }
        Stream::Zlib => {
            let mut decoder = ZlibDecoder::new(data);
            (allowance.read(&mut decoder), decoder.total_in())
        }
    };
    let read = usize::try_from(read).unwrap_or(data.len());
    allowance.read -= read;
    (unpacked, read)
}

/// The deflate stream behind the header of a member; `None` if it is stored, which needs no unpacking, or packed otherwise.
fn member(file: &[u8]) -> Option<&[u8]> {
    const HEADER: usize = 30;
    const DEFLATE: usize = 8;
    let number =
        |at: usize| file.get(at..at + 2).map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])));
    let (method, name, extra) = (number(8)?, number(26)?, number(28)?);
    (method == DEFLATE).then(|| file.get(HEADER + name + extra..))?
}

/// The objects of a pack, up to the first that cannot be read.
fn each_object<T>(
    pack: &[u8],
    allowance: &mut Allowance,
    judge: &mut dyn FnMut(Vec<u8>, &mut Allowance) -> Option<T>,
) -> Option<T> {
    /// Version and number of objects are behind the magic bytes.
    const HEADER: usize = 12;
    const OFFSET_DELTA: u8 = 6;
    const REFERENCE_DELTA: u8 = 7;
    const NAME: usize = 20;
    let count = u32::from_be_bytes(pack.get(8..HEADER)?.try_into().ok()?);
    let mut rest = &pack[HEADER..];
    for _ in 0..count {
        let kind = *rest.first()? >> 4 & 7;
        rest = behind_number(rest)?;
        match kind {
            OFFSET_DELTA => rest = behind_number(rest)?,
            REFERENCE_DELTA => rest = rest.get(NAME..)?,
            _ => {}
        }
        let (object, length) = inflate(Stream::Zlib, rest, allowance);
        if length == 0 {
            return None;
        }
        rest = &rest[length..];
        let object = if kind >= OFFSET_DELTA { added(&object)? } else { object };
        if let Some(found) = judge(object, allowance) {
            return Some(found);
        }
    }
    None
}

/// What is behind a number of which each byte but the last has its top bit set.
fn behind_number(text: &[u8]) -> Option<&[u8]> {
    let last = text.iter().position(|byte| byte & 0x80 == 0)?;
    text.get(last + 1..)
}

/// What a change adds to another object; a line end stands for what it takes from it.
fn added(change: &[u8]) -> Option<Vec<u8>> {
    let mut rest = behind_number(behind_number(change)?)?;
    let mut new = Vec::with_capacity(change.len());
    while let Some((&first, behind)) = rest.split_first() {
        if first & 0x80 == 0 {
            let (bytes, behind) = behind.split_at_checked(usize::from(first))?;
            new.extend_from_slice(bytes);
            rest = behind;
        } else {
            rest = behind.get((first & 0x7f).count_ones() as usize..)?;
            new.push(b'\n');
        }
    }
    Some(new)
}

/// What the digits that a text begins with stand for, taken from the allowance. Line ends may be between them, as they are or as JSON
/// writes them, and slashes may be escaped.
fn decoded(text: &[u8], allowance: &mut Allowance) -> Option<Vec<u8>> {
    let most = allowance.bytes / 3 * 4;
    let mut digits = Vec::new();
    let mut rest = text;
    while digits.len() < most
        && let Some((&byte, behind)) = rest.split_first()
    {
        rest = behind;
        match (byte, behind.first()) {
            (b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/', _) => digits.push(byte),
            (b'-', _) => digits.push(b'+'),
            (b'_', _) => digits.push(b'/'),
            (b'\r' | b'\n', _) | (b'\\', Some(b'/')) => {}
            (b'\\', Some(b'r' | b'n')) => rest = &behind[1..],
            _ => break,
        }
    }
    digits.truncate(digits.len() - usize::from(digits.len() % 4 == 1));
    let decoded = BASE64.decode(&digits).ok()?;
    allowance.bytes -= decoded.len();
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"a text that is worth to be packed, a text";

    fn members(data: &[u8]) -> Vec<Vec<u8>> {
        let mut members = Vec::new();
        let found: Option<()> = find_in(data, &mut Allowance::of(data.len()), &mut |member, _| {
            members.push(member);
            None
        });
        assert_eq!(found, None);
        members
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// A member with a name of one byte and an extra field of two.
    fn member(method: u8, packed: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 30];
        file[..4].copy_from_slice(ZIP);
        (file[8], file[26], file[28]) = (method, 1, 2);
        [&file, &b"nxx"[..], packed].concat()
    }

    #[test]
    fn finds_the_members_of_zip_archives() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        let packed = encoder.finish().unwrap();
        let archive =
            [b"--B\r\n\r\n", &member(8, &packed)[..], &member(0, TEXT), &member(8, &packed)].concat();
        assert_eq!(members(&archive), [TEXT, TEXT]);
        assert_eq!(members(&archive[..30]).len(), 0);
        for end in 0..archive.len() {
            members(&archive[..end]);
        }
    }

    #[test]
    fn finds_the_objects_of_git_packs() {
        let head = [PACK, &[2, 0, 0, 0, 3]].concat();
        // A blob of 41 bytes; then 6 of another and three that are new, by offset and by name.
        let blob =
            [&[0x80 | 3 << 4 | (TEXT.len() & 15) as u8, (TEXT.len() >> 4) as u8], &zlib(TEXT)[..]].concat();
        let change = zlib(&[41, 9, 0b1001_0000, 6, 3, b'n', b'e', b'w', 0b1001_0001, 1, 2, 1, b'!']);
        let by_offset = [&[6 << 4 | 13, 0x81, 0x01], &change[..]].concat();
        let by_name = [&[7 << 4 | 13], &[0xaa; NAME_LENGTH][..], &change].concat();
        let pack = [b"0000", &head[..], &blob, &by_offset, &by_name].concat();
        assert_eq!(members(&pack), [TEXT, b"\nnew\n!", b"\nnew\n!"]);
        for end in 0..pack.len() {
            members(&pack[..end]);
        }
    }

    const NAME_LENGTH: usize = 20;

    #[test]
    fn members_that_share_their_bytes_are_not_read_for_ever() {
        // Blocks without anything in them, the last of which is never reached.
        let empty = [0, 0, 0, 0xff, 0xff].repeat(50_000);
        let mut archive = member(8, b"").repeat(1_000);
        let length = archive.len();
        for (number, header) in archive.chunks_mut(length / 1_000).enumerate() {
            let behind = length - (number + 1) * (length / 1_000) + 2;
            header[28..30].copy_from_slice(&(behind as u16).to_le_bytes());
        }
        archive.extend_from_slice(&empty);
        let mut allowance = Allowance::of(archive.len());
        let found: Option<()> = find_in(&archive, &mut allowance, &mut |_, _| None);
        assert_eq!((found, allowance.read), (None, 0));

        let digits = b"H4sI".repeat(100_000);
        let mut allowance = Allowance::of(digits.len());
        let found: Option<()> = find_in(&digits, &mut allowance, &mut |_, _| None);
        assert!(found.is_none() && allowance.bytes < 3);
    }

    #[test]
    fn finds_packed_data_that_is_written_as_base64() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        let digits = BASE64.encode(encoder.finish().unwrap());
        let (first, last) = digits.split_at(21);
        for (between, end) in [("", "=="), ("\n", ""), ("\\r\\n", "\"}")] {
            let body = format!("{{\"data\":\"{first}{between}{last}{end}");
            assert_eq!(members(body.as_bytes()), [TEXT], "{body}");
        }
        let escaped = digits.replace('/', "\\/");
        assert_eq!(members(escaped.as_bytes()), [TEXT], "{escaped}");
        let archive = member(8, b"");
        assert_eq!(members(BASE64.encode(&archive).as_bytes()), [archive]);
    }
}
