//! Parts of a page that a reader does not see: comments, scripts, styles and hidden elements. They are joined into one
//! text for a scan of its own, because the content that `/fetch` returns no longer holds them. spec: response-scan §6.6

use std::sync::OnceLock;

use regex::bytes::Regex;

/// Texts between a start and an end pattern, in the order in which they are collected.
fn patterns() -> &'static [Regex; 4] {
    static PATTERNS: OnceLock<[Regex; 4]> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        [
            r"<!--(.*?)-->",
            r"<script[^>]*>(.*?)</script>",
            r"<style[^>]*>(.*?)</style>",
            r"<[a-z][a-z0-9]*\b(?:[^>]*(?:display[\t\n\f\r ]*:[\t\n\f\r ]*none|visibility[\t\n\f\r ]*:[\t\n\f\r ]*hidden)|[^>]*[\t\n\f\r ]hidden)[^>]*>(.*?)</",
        ]
        .map(compile)
    })
}

fn compile(pattern: &str) -> Regex {
    regex::bytes::RegexBuilder::new(pattern)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .unicode(false)
        .build()
        .expect("the pattern is a constant that the tests compile")
}

/// All hidden fragments, each followed by LF; empty when there are none.
pub(super) fn fragments(page: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for pattern in patterns() {
        for found in pattern.captures_iter(page).filter_map(|c| c.get(1)) {
            out.extend_from_slice(found.as_bytes());
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_come_kind_by_kind() {
        let table = [
            ("<p>x</p>", ""),
            ("<!-- a --><script type=x>b</script><!--c-->", " a \nc\nb\n"),
            ("<STYLE>d</style >e</style>", "d</style >e\n"),
            ("<div style=\"display : none\">x</div>", "x\n"),
            ("<span style='visibility:hidden'>y<b>z</b></span>", "y<b>z\n"),
            ("<p hidden>w</p>", "w\n"),
            ("<phidden>w</phidden>", ""),
            ("<div class=\"not-hidden\">w</div>", ""),
        ];
        for (page, want) in table {
            assert_eq!(String::from_utf8_lossy(&fragments(page.as_bytes())), want, "{page}");
        }
    }
}
