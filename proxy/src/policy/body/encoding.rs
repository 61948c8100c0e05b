//! `Content-Encoding`: what may be read, and, where `muselet.decompress` allows it, what it decodes to.
//!
//! A compressed body cannot be scanned as it is, so by default it is refused as the reference does. Decoding is bounded by the
//! same limit as any body and must use up its whole input: bytes behind the end of a stream would be forwarded unseen.
//!
//! spec: tls-and-request-bodies §13.3

use std::io::Read;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::verdict::{BodyFinding, Label};
use crate::config::Strictness;
use crate::policy::difference;
use crate::policy::url::quote;

/// A coding that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    /// The framing of uploads to S3: no compression, but pieces with lengths, and check sums behind them.
    AwsChunked,
}

impl Coding {
    fn parse(token: &str) -> Option<Self> {
        match token {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            "aws-chunked" => Some(Self::AwsChunked),
            _ => None,
        }
    }
}

/// Codings in the order in which they were applied.
const MAX_CODINGS: usize = 4;

/// The codings to undo (none for an uncompressed body), or why the body is refused before it is read.
pub(super) fn gate(
    headers: &HeaderMap,
    strictness: Strictness,
    decompress: bool,
) -> Result<Vec<Coding>, BodyFinding> {
    let mut codings = Vec::new();
    for (index, line) in headers.get_all(CONTENT_ENCODING).iter().enumerate() {
        if index > 0 && strictness == Strictness::Reference {
            break;
        }
        let lower = String::from_utf8_lossy(line.as_bytes()).to_lowercase();
        for token in lower.split(',').map(str::trim).filter(|token| !matches!(*token, "" | "identity")) {
            match Coding::parse(token) {
                Some(coding) if decompress && codings.len() < MAX_CODINGS => codings.push(coding),
                _ => {
                    let mut finding = refusal(line.as_bytes());
                    finding.difference = (index > 0).then_some(difference::CONTENT_ENCODING_LINES);
                    return Err(finding);
                }
            }
        }
    }
    // S3 takes it as applied last wherever it stands. A stream that begins with a size is neither of these two.
    if let [Coding::AwsChunked, Coding::Gzip | Coding::Zstd] = codings[..] {
        codings.swap(0, 1);
    }
    Ok(codings)
}

fn refusal(value: &[u8]) -> BodyFinding {
    let quoted = quote(value);
    let reason = format!(
        "request body uses Content-Encoding {quoted}; compressed bodies cannot be scanned for secrets"
    );
    BodyFinding::fail_closed(Label::BodyDlp, reason)
}

/// Why a compressed body is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// More than the limit comes out.
    TooLarge,
    /// Not a stream of that coding, cut short, or with bytes behind its end.
    Invalid(Coding),
}

impl DecodeError {
    pub(super) fn finding(&self, limit: u64) -> BodyFinding {
        match self {
            Self::TooLarge => BodyFinding::too_large(limit),
            Self::Invalid(coding) => {
                let name = match coding {
                    Coding::Gzip => "gzip",
                    Coding::Deflate => "deflate",
                    Coding::Brotli => "br",
                    Coding::Zstd => "zstd",
                    Coding::AwsChunked => "aws-chunked",
                };
                let reason = format!(
                    "request body is not valid Content-Encoding \"{name}\" and cannot be scanned for secrets"
                );
                BodyFinding::fail_closed(Label::BodyDlp, reason)
            }
        }
    }
}

/// Undoes `codings`, last applied first; what each step gave, the content last. Each step may give at most `limit` bytes.
pub(super) fn decode(body: &[u8], codings: &[Coding], limit: u64) -> Result<Vec<Vec<u8>>, DecodeError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut stages: Vec<Vec<u8>> = Vec::with_capacity(codings.len());
    for &coding in codings.iter().rev() {
        let input = stages.last().map_or(body, Vec::as_slice);
        stages.push(match coding {
            Coding::Gzip => read_all(flate2::bufread::MultiGzDecoder::new(input), limit, coding)?,
            Coding::Deflate => deflate(input, limit)?,
            Coding::Zstd => match zstd::stream::read::Decoder::with_buffer(input) {
                Ok(decoder) => read_all(decoder, limit, coding)?,
                Err(_) => return Err(DecodeError::Invalid(coding)),
            },
            Coding::Brotli => brotli(input, limit)?,
            Coding::AwsChunked => aws_chunked(input, limit)?,
        });
    }
    Ok(stages)
}

/// Reads to the end; a decoder that reads several members or frames fails on anything else behind them.
fn read_all(decoder: impl Read, limit: usize, coding: Coding) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(bound).read_to_end(&mut out).map_err(|_| DecodeError::Invalid(coding))?;
    if out.len() > limit { Err(DecodeError::TooLarge) } else { Ok(out) }
}

/// `deflate` is zlib by the standard and raw deflate by custom.
fn deflate(input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut zlib = flate2::bufread::ZlibDecoder::new(input);
    match read_all(&mut zlib, limit, Coding::Deflate) {
        Ok(out) if zlib.get_ref().is_empty() => return Ok(out),
        Err(DecodeError::TooLarge) => return Err(DecodeError::TooLarge),
        _ => {}
    }
    let mut raw = flate2::bufread::DeflateDecoder::new(input);
    let out = read_all(&mut raw, limit, Coding::Deflate)?;
    if raw.get_ref().is_empty() { Ok(out) } else { Err(DecodeError::Invalid(Coding::Deflate)) }
}

/// The stream interface: the reader of the crate does not say how much of its input it used.
fn brotli(input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    use brotli::enc::StandardAlloc;
    use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let (mut available_in, mut input_offset, mut total) = (input.len(), 0, 0);
    let mut buffer = vec![0; 1 << 16];
    let mut out = Vec::new();
    loop {
        let (mut available_out, mut output_offset) = (buffer.len(), 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut input_offset,
            input,
            &mut available_out,
            &mut output_offset,
            &mut buffer,
            &mut total,
            &mut state,
        );
        out.extend_from_slice(&buffer[..output_offset]);
        if out.len() > limit {
            return Err(DecodeError::TooLarge);
        }
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess if available_in == 0 => return Ok(out),
            _ => return Err(DecodeError::Invalid(Coding::Brotli)),
        }
    }
}

/// `SIZE[;EXTENSION]`, data, until size 0; then lines of a trailer, and an empty one, with which the body ends.
fn aws_chunked(input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    const INVALID: DecodeError = DecodeError::Invalid(Coding::AwsChunked);
    let mut out = Vec::new();
    let mut left = input;
    loop {
        let line = take_line(&mut left).ok_or(INVALID)?;
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let is_size = matches!(digits.len(), 1..=8) && digits.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(digits).ok().filter(|_| is_size);
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).ok_or(INVALID)?;
        if size == 0 {
            break;
        }
        if size > limit - out.len() {
            return Err(DecodeError::TooLarge);
        }
        let (data, behind) = left.split_at_checked(size).ok_or(INVALID)?;
        out.extend_from_slice(data);
        left = behind.strip_prefix(b"\r\n").ok_or(INVALID)?;
    }
    while !take_line(&mut left).ok_or(INVALID)?.is_empty() {}
    if left.is_empty() { Ok(out) } else { Err(INVALID) }
}

fn take_line<'a>(left: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = memchr::memmem::find(left, b"\r\n")?;
    let line = &left[..end];
    *left = &left[end + 2..];
    Some(line)
}

#[cfg(test)]
mod tests;
