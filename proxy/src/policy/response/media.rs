//! Media policy: which images, audio and video may pass, and their metadata. A type that says nothing is replaced by
//! what the first bytes look like. spec: response-scan §8

mod jpeg;
mod png;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::MediaSettings;
use super::types::Transport;
use crate::policy::url::quote;

/// Bytes that are looked at for a type.
const SNIFF: usize = 512;

/// What was done about one media response, for event `media_exposure`. spec: response-scan §8.6
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaExposure {
    /// The way of the response.
    pub transport: Transport,
    /// The media type the decision was made for.
    pub content_type: String,
    /// `jpeg`, `png` or `unknown`; only when the metadata step ran.
    pub format: Option<&'static str>,
    /// Bytes before anything was removed.
    pub size: usize,
    /// Whole segments or chunks removed.
    pub segments_removed: usize,
    /// Their bytes.
    pub bytes_removed: usize,
    /// The reason when it was refused.
    pub blocked: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Audio,
    Video,
}

/// The decision on one media body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The body is image, audio or video and the policy is on.
    pub media: bool,
    pub blocked: Option<String>,
    /// The body without its metadata, when there was some.
    pub stripped: Option<Vec<u8>>,
    pub format: Option<&'static str>,
    pub segments_removed: usize,
    pub bytes_removed: usize,
}

impl Verdict {
    /// What is to be reported, if anything.
    pub fn exposure(
        &self,
        policy: &MediaSettings,
        media_type: &str,
        size: usize,
        transport: Transport,
    ) -> Option<MediaExposure> {
        (self.media && policy.log_exposure).then(|| MediaExposure {
            transport,
            content_type: media_type.to_owned(),
            format: self.format,
            size,
            segments_removed: self.segments_removed,
            bytes_removed: self.bytes_removed,
            blocked: self.blocked.clone(),
        })
    }
}

/// The media type without parameters, lower-cased.
pub(super) fn canonical_type(header: Cow<'_, str>) -> String {
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Image, audio or video.
pub(super) fn kind(media_type: &str) -> Option<Kind> {
    match media_type.split_once('/')?.0 {
        "image" => Some(Kind::Image),
        "audio" => Some(Kind::Audio),
        "video" => Some(Kind::Video),
        _ => None,
    }
}

/// Types that say nothing about the body.
pub(super) fn is_generic(media_type: &str) -> bool {
    matches!(
        media_type,
        "" | "application/octet-stream"
            | "binary/octet-stream"
            | "application/binary"
            | "application/unknown"
    )
}

/// The declared type, or the sniffed one when the declared type says nothing and the bytes are media.
pub(super) fn effective_type(declared: &str, body: &[u8]) -> String {
    if is_generic(declared)
        && !body.is_empty()
        && let Some(found) = sniff(body).filter(|t| kind(t).is_some())
    {
        return found.to_owned();
    }
    declared.to_owned()
}

/// Media signatures at the start of a body. spec: response-scan §8.2
fn sniff(body: &[u8]) -> Option<&'static str> {
    let head = &body[..body.len().min(SNIFF)];
    let at = |offset: usize, text: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(text));
    let table: [(&[u8], Option<&[u8]>, &str); 13] = [
        (b"\x00\x00\x01\x00", None, "image/x-icon"),
        (b"\x00\x00\x02\x00", None, "image/x-icon"),
        (b"BM", None, "image/bmp"),
        (b"GIF87a", None, "image/gif"),
        (b"GIF89a", None, "image/gif"),
        (b"RIFF", Some(b"WEBPVP"), "image/webp"),
        (b"\x89PNG\r\n\x1a\n", None, "image/png"),
        (b"\xff\xd8\xff", None, "image/jpeg"),
        (b"FORM", Some(b"AIFF"), "audio/aiff"),
        (b"ID3", None, "audio/mpeg"),
        (b"MThd\x00\x00\x00\x06", None, "audio/midi"),
        (b"RIFF", Some(b"AVI "), "video/avi"),
        (b"RIFF", Some(b"WAVE"), "audio/wave"),
    ];
    for (start, after, media_type) in table {
        if at(0, start) && after.is_none_or(|text| at(8, text)) {
            return Some(media_type);
        }
    }
    if is_mp4(head) {
        return Some("video/mp4");
    }
    at(0, b"\x1a\x45\xdf\xa3").then_some("video/webm")
}

/// An ISO box `ftyp` with an `mp4` brand.
fn is_mp4(head: &[u8]) -> bool {
    let Some((size, rest)) = head.split_first_chunk::<4>() else { return false };
    let size = u32::from_be_bytes(*size) as usize;
    if head.len() < 12 || !size.is_multiple_of(4) || size > head.len() || !rest.starts_with(b"ftyp") {
        return false;
    }
    // Offset 12 holds the minor version, not a brand.
    (8..size).step_by(4).filter(|&i| i != 12).any(|i| head[i..].starts_with(b"mp4"))
}

/// Decides on a body of type `media_type` (already effective). spec: response-scan §8.3
pub(super) fn judge(policy: &MediaSettings, media_type: &str, body: &[u8]) -> Verdict {
    let Some(kind) = kind(media_type).filter(|_| policy.enabled) else { return Verdict::default() };
    let block = |what: &str| Verdict {
        media: true,
        blocked: Some(format!("media_policy: {what}")),
        ..Verdict::default()
    };
    let pass = || Verdict { media: true, ..Verdict::default() };
    match kind {
        Kind::Audio if policy.strip_audio => return block("audio stripped"),
        Kind::Video if policy.strip_video => return block("video stripped"),
        Kind::Audio | Kind::Video => return pass(),
        Kind::Image => {}
    }
    if policy.strip_images {
        return block("images stripped");
    }
    if !policy.allowed_image_types.iter().any(|t| t == media_type) {
        return block(&format!("image type {} not in allowed list", quote(media_type.as_bytes())));
    }
    if body.len() > policy.max_image_bytes {
        return block(&format!("image size {} exceeds limit {}", body.len(), policy.max_image_bytes));
    }
    if !policy.strip_image_metadata {
        return pass();
    }
    let (format, result) = match media_type {
        "image/jpeg" | "image/jpg" | "image/pjpeg" => ("jpeg", jpeg::strip(body)),
        "image/png" => ("png", png::strip(body)),
        _ => ("unknown", Ok(Stripped::default())),
    };
    match result {
        Err(error) => Verdict { format: Some(format), ..block(&format!("image parse error: {error}")) },
        Ok(stripped) => Verdict {
            media: true,
            blocked: None,
            format: Some(format),
            segments_removed: stripped.segments,
            bytes_removed: stripped.bytes,
            stripped: (stripped.segments > 0).then_some(stripped.body),
        },
    }
}

/// An image without its metadata. `body` is only meaningful when something was removed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stripped {
    body: Vec<u8>,
    segments: usize,
    bytes: usize,
}
