//! Browser shield: takes probes, trackers and hidden traps out of pages before a browsing agent renders them, and puts a
//! script in that refuses the probes that remain. Pattern by pattern on bytes, without building a document: that is how
//! the reference works, and what it removes is its contract. spec: response-scan §9

mod script;
mod svg;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use http::HeaderMap;
use regex::bytes::{Regex, RegexBuilder};

use super::ShieldSettings;

/// Bytes that are looked at for a type.
const SNIFF: usize = 512;

/// Words that make a hidden text a trap.
const TRAP_WORDS: &str = "(?:ignore|disregard|forget|override|instead|instruction)";

/// What a body is rewritten as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipeline {
    Html,
    Js,
    Svg,
}

impl Pipeline {
    /// Chooses by the declared type, or by the first bytes when it says nothing.
    pub fn select(declared: &str, body: &[u8]) -> Option<Self> {
        let media_type = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "text/javascript" | "application/javascript" => Some(Self::Js),
            "image/svg+xml" => Some(Self::Svg),
            "" | "application/octet-stream" => looks_like_html(body).then_some(Self::Html),
            other if !is_media_type(other) => looks_like_html(body).then_some(Self::Html),
            _ => None,
        }
    }
}

/// Whether a header value is a media type at all.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    match text.split_once('/') {
        Some((main, sub)) => token(main) && token(sub),
        None => token(text),
    }
}

fn looks_like_html(body: &[u8]) -> bool {
    const TAGS: [&str; 17] = [
        "<!DOCTYPE HTML",
        "<HTML",
        "<HEAD",
        "<SCRIPT",
        "<IFRAME",
        "<H1",
        "<DIV",
        "<FONT",
        "<TABLE",
        "<A",
        "<STYLE",
        "<TITLE",
        "<B",
        "<BODY",
        "<BR",
        "<P",
        "<!--",
    ];
    let head = &body[..body.len().min(SNIFF)];
    let skipped = head.iter().take_while(|b| matches!(b, b'\t' | b'\n' | 0x0c | b'\r' | b' ')).count();
    let head = &head[skipped..];
    TAGS.iter().any(|tag| {
        head.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
            && matches!(head.get(tag.len()), Some(b' ' | b'>'))
    })
}

/// What was done to one body. spec: response-scan §9.2, §11
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Extension probes removed.
    pub extension: usize,
    /// Trackers removed.
    pub tracking: usize,
    /// Hidden traps removed.
    pub trap: usize,
    /// Where the script was put in, if it was.
    pub script: Option<Range<usize>>,
    changed: bool,
}

impl Report {
    /// Whether the body is another one than before.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Categories with hits, as logs and metrics name them.
    pub fn categories(&self) -> impl Iterator<Item = (&'static str, usize)> {
        [("extension", self.extension), ("tracking", self.tracking), ("trap", self.trap)]
            .into_iter()
            .filter(|(_, hits)| *hits > 0)
    }
}

/// A pattern of this module: case-insensitive, `.` matches LF, bytes.
pub(super) fn pattern(source: &str) -> Regex {
    RegexBuilder::new(source)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .unicode(false)
        .build()
        .expect("built from constants and escaped literals; the tests compile every one")
}

/// Removes all matches and counts them.
fn remove(pattern: &Regex, body: &mut Cow<'_, [u8]>) -> usize {
    replace(pattern, body, b"")
}

/// Replaces all matches and counts them.
pub(super) fn replace(pattern: &Regex, body: &mut Cow<'_, [u8]>, with: &[u8]) -> usize {
    replace_each(pattern.find_iter(body).map(|found| found.range()).collect(), body, with)
}

fn replace_each(places: Vec<Range<usize>>, body: &mut Cow<'_, [u8]>, with: &[u8]) -> usize {
    if places.is_empty() {
        return 0;
    }
    let (mut out, mut copied) = (Vec::with_capacity(body.len()), 0);
    for place in &places {
        out.extend_from_slice(&body[copied..place.start]);
        out.extend_from_slice(with);
        copied = place.end;
    }
    out.extend_from_slice(&body[copied..]);
    *body = Cow::Owned(out);
    places.len()
}

/// Patterns of which the first that matches at the first place counts, as if they were one pattern with alternatives.
///
/// They are not, because a search is quadratic there: while one alternative has begun and not ended, which hostile pages see to, each
/// match of another is only certain at the end of the page.
pub(super) struct Alternatives(Vec<Regex>);

impl Alternatives {
    pub(super) fn new(sources: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(sources.into_iter().map(|source| pattern(source.as_ref())).collect())
    }

    /// Removes all matches and counts them.
    pub(super) fn remove(&self, body: &mut Cow<'_, [u8]>) -> usize {
        let search = |pattern: &Regex, from: usize| pattern.find_at(body, from).map(|found| found.range());
        let mut next: Vec<_> = self.0.iter().map(|pattern| search(pattern, 0)).collect();
        let mut places = Vec::new();
        // Of those that begin at the same place `min_by_key` takes the first.
        while let Some(place) = next.iter().flatten().min_by_key(|place| place.start).cloned() {
            for (pattern, next) in self.0.iter().zip(&mut next) {
                if next.as_ref().is_some_and(|next| next.start < place.end) {
                    *next = search(pattern, place.end);
                }
            }
            places.push(place);
        }
        replace_each(places, body, b"")
    }
}

/// The patterns that the settings select.
pub(super) struct Shield {
    extension: Vec<Regex>,
    tracking: Option<Alternatives>,
    traps: Vec<Alternatives>,
    svg: Option<svg::Patterns>,
    script: Option<String>,
}

impl Shield {
    /// Compiles the patterns; none when the shield is off.
    pub fn new(settings: &ShieldSettings) -> Self {
        let mut shield =
            Self { extension: Vec::new(), tracking: None, traps: Vec::new(), svg: None, script: None };
        if !settings.enabled {
            return shield;
        }
        if settings.strip_extension_probing {
            shield.extension = [
                r"(?:chrome|moz)-extension://[a-z0-9-]*|chrome\.runtime\.sendMessage",
                r"\b(?:fetchExtensions|scanDOMForPrefix|fireExtensionDetectedEvents)\b",
            ]
            .map(pattern)
            .into();
        }
        if settings.strip_tracking_pixels {
            shield.tracking = Some(Alternatives::new(tracking(&settings.tracking_domains)));
        }
        if settings.strip_hidden_traps {
            shield.traps.push(Alternatives::new([
                r#"<(?:div|span|p)[^>]*style\s*=\s*["'][^"']*(?:display\s*:\s*none|font-size\s*:\s*0|visibility\s*:\s*hidden)[^"']*["'][^>]*>.*?</(?:div|span|p)\s*>"#.to_owned(),
                format!(r#"<[a-z][^>]*aria-hidden\s*=\s*["']true["'][^>]*>[^<]*{TRAP_WORDS}[^<]*</[^>]*>"#),
            ]));
            if !settings.minimal {
                shield.traps.push(Alternatives::new([format!("<!--.*?{TRAP_WORDS}.*?-->")]));
            }
        }
        shield.svg = Some(svg::Patterns::new());
        shield.script = script::source(settings);
        shield
    }

    /// Rewrites a body. `nonce` is the one that the response's policy header allows.
    pub fn rewrite(&self, pipeline: Pipeline, body: &[u8], nonce: Option<&str>) -> (Vec<u8>, Report) {
        let mut report = Report::default();
        let mut text = Cow::Borrowed(body);
        match pipeline {
            Pipeline::Html => {
                self.probes_and_trackers(&mut text, &mut report);
                self.traps(&mut text, &mut report);
                if let Some(source) = &self.script {
                    let (page, at) = script::insert(&text, source, nonce);
                    text = Cow::Owned(page);
                    report.script = Some(at);
                }
            }
            Pipeline::Js => self.probes_and_trackers(&mut text, &mut report),
            Pipeline::Svg => {
                if let Some(svg) = &self.svg {
                    svg.scripts(&mut text, |script| self.probes_and_trackers(script, &mut report));
                    svg.clean(&mut text);
                }
                self.traps(&mut text, &mut report);
            }
        }
        report.changed = text != body;
        (text.into_owned(), report)
    }

    fn probes_and_trackers(&self, text: &mut Cow<'_, [u8]>, report: &mut Report) {
        report.extension += self.extension.iter().map(|p| remove(p, text)).sum::<usize>();
        report.tracking += self.tracking.iter().map(|p| p.remove(text)).sum::<usize>();
    }

    fn traps(&self, text: &mut Cow<'_, [u8]>, report: &mut Report) {
        report.trap += self.traps.iter().map(|p| p.remove(text)).sum::<usize>();
    }
}

/// One-pixel images, beacons, prefetching, and the configured texts.
fn tracking(domains: &[String]) -> Vec<String> {
    let one = |name: &str| format!(r#"{name}\s*=\s*["']?1"#);
    let pixel = |first: &str, second: &str| format!("<img[^>]*{}[^>]+{}[^>]*>", one(first), one(second));
    let mut parts = vec![
        pixel("width", "height"),
        pixel("height", "width"),
        r"navigator\.sendBeacon\s*\(".to_owned(),
        r#"<link[^>]*rel\s*=\s*["']?prefetch[^>]*>"#.to_owned(),
    ];
    let domains: Vec<_> = domains.iter().filter(|d| !d.is_empty()).map(|d| regex::escape(d)).collect();
    if !domains.is_empty() {
        parts.push(domains.join("|"));
    }
    parts
}

/// The nonce that a `Content-Security-Policy` header allows for scripts.
pub(super) fn policy_nonce(headers: &HeaderMap) -> Option<String> {
    let policy = headers.get(http::header::CONTENT_SECURITY_POLICY)?.to_str().ok()?;
    let value = policy.split_once("'nonce-")?.1.split_once('\'')?.0;
    script::is_nonce(value).then(|| value.to_owned())
}
