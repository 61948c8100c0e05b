//! The main content of a page. (spec: http-proxy §7.3, response-scan §6.5 step 7)
//!
//! Mozilla's algorithm works on a tree, and trees of hostile pages can be arbitrarily deep. Pages beyond [`MAX_DEPTH`] are therefore
//! not taken apart; their raw text is scanned and returned instead, as for any page without an article.

use dom_smoothie::{Config, Readability, TextMode};

use crate::policy::response::Extraction;

/// Elements inside elements. Real pages stay far below.
const MAX_DEPTH: usize = 400;
/// Elements in all.
const MAX_ELEMENTS: usize = 60_000;

/// Elements that have no end tag, or whose end tag pages may leave out.
const UNBALANCED: [&[u8]; 30] = [
    b"area",
    b"base",
    b"br",
    b"col",
    b"embed",
    b"hr",
    b"img",
    b"input",
    b"link",
    b"meta",
    b"param",
    b"source",
    b"track",
    b"wbr",
    b"p",
    b"li",
    b"dt",
    b"dd",
    b"option",
    b"optgroup",
    b"tr",
    b"td",
    b"th",
    b"thead",
    b"tbody",
    b"tfoot",
    b"colgroup",
    b"rp",
    b"rt",
    b"html",
];

/// Title and text of an HTML page at `url`.
pub(super) fn extract(body: &[u8], url: &str) -> Extraction {
    if depth(body) > MAX_DEPTH {
        return Extraction::Failed("elements are nested too deeply".to_owned());
    }
    let html = String::from_utf8_lossy(body);
    let config =
        Config { max_elements_to_parse: MAX_ELEMENTS, text_mode: TextMode::Raw, ..Config::default() };
    let article = Readability::new(html.as_ref(), Some(url), Some(config)).and_then(|mut page| page.parse());
    match article {
        Ok(article) => {
            Extraction::Text { title: article.title, content: article.text_content.trim().to_owned() }
        }
        // No article is not a failure: the caller goes on with the whole body.
        Err(dom_smoothie::ReadabilityError::GrabFailed) => {
            Extraction::Text { title: String::new(), content: String::new() }
        }
        Err(error) => Extraction::Failed(error.to_string()),
    }
}

/// An upper bound of the nesting, from the tags alone.
fn depth(html: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for at in memchr::memchr_iter(b'<', html) {
        let rest = &html[at + 1..];
        let (closes, name) = match rest.first() {
            Some(b'/') => (true, &rest[1..]),
            Some(b) if b.is_ascii_alphabetic() => (false, rest),
            _ => continue,
        };
        let end = name.iter().take(12).position(|b| !b.is_ascii_alphanumeric()).unwrap_or(name.len().min(12));
        let name = &name[..end];
        if UNBALANCED.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        if closes {
            depth = depth.saturating_sub(1);
        } else {
            depth += 1;
            deepest = deepest.max(depth);
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_found_and_short_pages_are_text() {
        let page = format!(
            "<html><head><title>My Title</title></head><body><nav><a href='/'>home</a></nav><article><h1>Heading</h1><p>{}</p><p>{}</p></article></body></html>",
            "This is a paragraph of ordinary prose about gardens and rivers. ".repeat(6),
            "Another paragraph with more ordinary prose, commas, and words. ".repeat(6),
        );
        let Extraction::Text { title, content } = extract(page.as_bytes(), "http://h/") else {
            panic!("failed")
        };
        assert_eq!(title, "My Title");
        assert!(content.contains("gardens and rivers") && !content.contains("home"), "{content}");
        let Extraction::Text { content, .. } = extract(b"<html><body>hi</body></html>", "http://h/") else {
            panic!("failed")
        };
        assert!(content.is_empty() || content == "hi", "{content}");
    }

    #[test]
    fn hostile_pages_neither_crash_nor_take_long() {
        let began = std::time::Instant::now();
        let pages = [
            "<div>".repeat(200_000),
            "<b>".repeat(100_000),
            "<p>".repeat(20_000),
            "<table><tr><td>".repeat(350),
            "<div>".repeat(390) + &"<p>text, with commas, and words</p>".repeat(2000),
            "<a href=x>".repeat(300) + &"</a>".repeat(10_000),
            "<".repeat(500_000),
            "<!--".repeat(100_000),
        ];
        for page in pages {
            extract(page.as_bytes(), "http://h/");
        }
        assert!(began.elapsed().as_secs() < 60, "took {:?}", began.elapsed());
    }
}
