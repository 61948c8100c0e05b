//! SVG is active content: what can run or load something else is taken out, whatever the shield's settings.
//! spec: response-scan §9.2

use std::borrow::Cow;

use regex::bytes::Regex;

use super::{Alternatives, pattern, replace};

const ANIMATION: &str = "(?:animate|set|animateTransform|animateMotion)";
/// The tag of an animation that sets what an event does.
const HANDLER: &str =
    r#"<(?:animate|set|animateTransform|animateMotion)\b[^>]*attributeName\s*=\s*["']?on[^>]*>"#;

pub(super) struct Patterns {
    script: Regex,
    removed: [Alternatives; 3],
    linked: [(Regex, &'static [u8]); 2],
    unseen: [Regex; 2],
}

impl Patterns {
    pub fn new() -> Self {
        Self {
            script: pattern(r"(<script[^>]*>)(.*?)(</script\s*>)"),
            removed: [
                Alternatives::new([
                    r"<(?:[a-z0-9_-]+:)?foreignObject[^>]*>.*?</(?:[a-z0-9_-]+:)?foreignObject\s*>",
                    r"<(?:[a-z0-9_-]+:)?foreignObject[^>]*/>",
                ]),
                Alternatives::new([r#"\son[a-z]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"']+)"#]),
                Alternatives::new([format!("{HANDLER}.*?</{ANIMATION}\\s*>"), HANDLER.to_owned()]),
            ],
            linked: [
                (
                    pattern(r##"\sxlink:href\s*=\s*(?:"[^"#][^"]*"|'[^'#][^']*')"##),
                    br##" xlink:href="#_stripped""##,
                ),
                (pattern(r##"\shref\s*=\s*(?:"[^"#][^"]*"|'[^'#][^']*')"##), br##" href="#_stripped""##),
            ],
            unseen: [
                r#"<text[^>]*style\s*=\s*["'][^"']*(?:opacity\s*:\s*0|display\s*:\s*none|visibility\s*:\s*hidden)[^"']*["'][^>]*>.*?</text\s*>"#,
                r#"<text[^>]*\s(?:display\s*=\s*["']none["']|visibility\s*=\s*["']hidden["']|opacity\s*=\s*["']0(?:\.0*)?["'])[^>]*>.*?</text\s*>"#,
            ]
            .map(pattern),
        }
    }

    /// Applies `rewrite` to the body of every script; the elements stay.
    pub fn scripts(&self, text: &mut Cow<'_, [u8]>, mut rewrite: impl FnMut(&mut Cow<'_, [u8]>)) {
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        for found in self.script.captures_iter(text) {
            let Some(body) = found.get(2) else { continue };
            let mut script = Cow::Borrowed(body.as_bytes());
            rewrite(&mut script);
            out.extend_from_slice(&text[copied..body.start()]);
            out.extend_from_slice(&script);
            copied = body.end();
        }
        if copied > 0 {
            out.extend_from_slice(&text[copied..]);
            *text = Cow::Owned(out);
        }
    }

    /// Removes and replaces, in the specification's order.
    pub fn clean(&self, text: &mut Cow<'_, [u8]>) {
        for patterns in &self.removed {
            patterns.remove(text);
        }
        for (pattern, with) in &self.linked {
            replace(pattern, text, with);
        }
        for pattern in &self.unseen {
            replace(pattern, text, b"");
        }
    }
}
