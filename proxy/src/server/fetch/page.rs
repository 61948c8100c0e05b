//! The main content of a page. (spec: http-proxy §7.3, response-scan §6.5 step 7)
//!
//! Mozilla's algorithm works on a tree, and a short page can make a tree of any depth and size: elements that are never closed nest,
//! and formatting that is never closed is opened again in every block. How deep is decided by the rules of the parser and not by the
//! tags alone, so the page is given to it tag by tag, within bounds, and its tree is measured. Pages beyond them are not taken apart;
//! their raw text is scanned and returned instead, as for any page without an article.

use std::time::Duration;

use dom_query::{Document, NodeId};
use dom_smoothie::{Config, Readability, TextMode};
use html5ever::tendril::{StrTendril, TendrilSink};
use rustix::time::{ClockId, clock_gettime};

use crate::policy::response::Extraction;

/// Elements inside elements. Real pages stay far below.
const MAX_DEPTH: usize = 400;
/// Elements in all.
const MAX_ELEMENTS: usize = 60_000;
/// Elements, texts and comments in all. One tag adds no more elements than there are already.
const MAX_NODES: usize = 4 * MAX_ELEMENTS;
/// Processor time of building the tree, for which megabytes of ordinary markup are enough.
const MAX_TIME: Duration = Duration::from_secs(1);

/// Title and text of an HTML page at `url`.
pub(super) fn extract(body: &[u8], url: &str) -> Extraction {
    let document = match tree(&String::from_utf8_lossy(body)) {
        Ok(document) => document,
        Err(excess) => return Extraction::Failed(excess.to_owned()),
    };
    let config =
        Config { max_elements_to_parse: MAX_ELEMENTS, text_mode: TextMode::Raw, ..Config::default() };
    let article =
        Readability::with_document(document, Some(url), Some(config)).and_then(|mut page| page.parse());
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

/// The tree of a page, or which bound it exceeds.
fn tree(html: &str) -> Result<Document, &'static str> {
    let end = spent() + MAX_TIME;
    let mut options = html5ever::ParseOpts::default();
    options.tree_builder.scripting_enabled = false;
    let mut parser = html5ever::parse_document(Document::default(), options);
    let tags = memchr::memchr_iter(b'<', html.as_bytes()).filter(|&at| at > 0);
    let mut from = 0;
    for (number, to) in tags.chain([html.len()]).enumerate() {
        // What grows with each attribute of a tag is not seen in the tree.
        for part in parts(&html[from..to]) {
            parser.process(StrTendril::from_slice(part));
            if (number.is_multiple_of(64) || part.len() == MAX_PART) && spent() > end {
                return Err("its markup takes too long to read");
            }
        }
        if parser.tokenizer.sink.sink.tree.len() > MAX_NODES {
            return Err("it has too many elements");
        }
        from = to;
    }
    let document = parser.finish();
    if is_too_deep(&document) { Err("elements are nested too deeply") } else { Ok(document) }
}

/// Bytes that are read at once.
const MAX_PART: usize = 4 << 10;

/// A text in parts of at most [`MAX_PART`] bytes.
fn parts(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let part;
        (part, text) = text.split_at(text.floor_char_boundary(MAX_PART));
        (!part.is_empty()).then_some(part)
    })
}

/// Processor time of this thread so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn is_too_deep(document: &Document) -> bool {
    let tree = &document.tree;
    let within = |id: &NodeId| {
        tree.query_node_or(id, None, |node| node.as_element().and_then(|element| element.template_contents))
    };
    let mut open = vec![(tree.root().id, 0)];
    while let Some((id, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return true;
        }
        open.extend(tree.child_ids_of_it(&id, false).chain(within(&id)).map(|id| (id, depth + 1)));
    }
    false
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
    fn hostile_pages_are_not_taken_apart() {
        const DEEP: &str = "elements are nested too deeply";
        const LARGE: &str = "it has too many elements";
        const SLOW: &str = "its markup takes too long to read";
        let formats = |n: usize| (0..n).map(|number| format!("<b a={number}>")).collect::<String>();
        let attributes = |n: usize| (0..n).map(|number| format!(" a{number}")).collect::<String>();
        // Those of which it depends on the machine which bound is met first have none.
        let pages = [
            ("<div>".repeat(200_000), None),
            ("<div>".repeat(MAX_DEPTH + 1), Some(DEEP)),
            ("<div></x>".repeat(MAX_DEPTH + 1), Some(DEEP)),
            ("<div a='</div>'>".repeat(MAX_DEPTH + 1), Some(DEEP)),
            ("<svg><style><div></style>".repeat(MAX_DEPTH + 1), Some(DEEP)),
            ("<template>".repeat(MAX_DEPTH + 1), Some(DEEP)),
            ("<table><tr><td>".repeat(MAX_DEPTH), Some(DEEP)),
            ("<b>".repeat(100_000), None),
            ("<p>".to_owned() + &formats(MAX_DEPTH - 10) + &"<p>x".repeat(16_000), Some(LARGE)),
            ("<p>".to_owned() + &formats(20_000) + &"<p>x".repeat(16_000), None),
            ("<i".to_owned() + &attributes(300_000) + ">", Some(SLOW)),
        ];
        for (page, bound) in pages {
            let began = spent();
            let shown = &page[..page.len().min(80)];
            match (extract(page.as_bytes(), "http://h/"), bound) {
                (Extraction::Failed(why), Some(bound)) => assert_eq!(why, bound, "{shown}"),
                (Extraction::Failed(_), None) => {}
                (Extraction::Text { .. }, _) => panic!("taken apart: {shown}"),
            }
            assert!(spent() - began < 4 * MAX_TIME, "{shown} took {:?}", spent() - began);
        }
    }

    #[test]
    fn pages_within_the_bounds_are_taken_apart() {
        let pages = [
            "<div>".repeat(MAX_DEPTH - 10) + &"<p>text, with commas, and words</p>".repeat(2000),
            "<p>".repeat(20_000),
            "<a href=x>".repeat(300) + &"</a>".repeat(10_000),
            "<".repeat(500_000),
            "<!--".repeat(100_000),
        ];
        for page in pages {
            let began = spent();
            let extraction = extract(page.as_bytes(), "http://h/");
            assert!(matches!(extraction, Extraction::Text { .. }), "{}", &page[..80]);
            assert!(spent() - began < Duration::from_secs(20), "{}", &page[..80]);
        }
    }
}
