//! What stands in the middle of a value although no reader of the format sees it: comments, processing instructions and CDATA
//! sections of XML, and line ends behind a backslash.
//!
//! Only where one of these has a character of a word on each side is anything put together: there it parts what its reader does not
//! part, and a writer without a reason to hide puts it elsewhere. Tags part cells, items and paragraphs; they stay.
//!
//! difference D-819

use memchr::memmem;

const COMMENT: &[u8] = b"<!--";
const COMMENT_END: &[u8] = b"-->";
const INSTRUCTION: &[u8] = b"<?";
const INSTRUCTION_END: &[u8] = b"?>";
const SECTION: &[u8] = b"<![CDATA[";
const SECTION_END: &[u8] = b"]]>";

/// The body without them; `None` if there are none.
pub(super) fn closed(body: &[u8]) -> Option<Vec<u8>> {
    let mut joints = Joints { body, out: Vec::new(), copied: 0, endless: [false; 3] };
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b'!', b'?', b'\\', &body[at..]).map(|found| at + found) {
        at = found + 1;
        let start = match (body[found], found.checked_sub(1)) {
            (b'\\', _) => found,
            (_, Some(before)) if body[before] == b'<' => before,
            _ => continue,
        };
        if start < joints.copied {
            continue;
        }
        let is_section = body[start..].starts_with(SECTION);
        at = at.max(joints.take_from(start));
        // Behind the end of a section the text may go on.
        if is_section && let Some(end) = joints.find(2, at, SECTION_END) {
            at = at.max(joints.take_from(end - SECTION_END.len()));
        }
    }
    if joints.copied == 0 {
        return None;
    }
    joints.out.extend_from_slice(&body[joints.copied..]);
    Some(joints.out)
}

struct Joints<'a> {
    body: &'a [u8],
    out: Vec<u8>,
    /// How much of the body is in `out`, or left out.
    copied: usize,
    /// Kinds of which none ends any more: they are not looked for again.
    endless: [bool; 3],
}

impl Joints<'_> {
    /// Leaves out what begins at `start` if words touch it on both sides; where it ends.
    fn take_from(&mut self, start: usize) -> usize {
        // One section may end where the next begins.
        let before = &self.body[self.copied..start];
        let start = start - if before.ends_with(SECTION_END) { SECTION_END.len() } else { 0 };
        if !self.body[..start].last().is_some_and(is_word_byte) {
            return start + 1;
        }
        let mut end = start;
        while let Some(next) = self.token(end) {
            end = next;
        }
        if end > start && self.body.get(end).is_some_and(is_word_byte) {
            self.out.extend_from_slice(&self.body[self.copied..start]);
            self.copied = end;
        }
        end.max(start + 1)
    }

    /// The end of the one at `at`.
    fn token(&mut self, at: usize) -> Option<usize> {
        let rest = &self.body[at..];
        match rest.first()? {
            b'\\' => {
                let line = rest.get(1..)?;
                let line = line.strip_prefix(b"\r").unwrap_or(line).strip_prefix(b"\n")?;
                let blanks = line.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
                Some(self.body.len() - line.len() + blanks)
            }
            b']' => rest.starts_with(SECTION_END).then_some(at + SECTION_END.len()),
            b'<' if rest.starts_with(SECTION) => Some(at + SECTION.len()),
            b'<' if rest.starts_with(COMMENT) => self.find(0, at + COMMENT.len(), COMMENT_END),
            b'<' if rest.starts_with(INSTRUCTION) => self.find(1, at + INSTRUCTION.len(), INSTRUCTION_END),
            _ => None,
        }
    }

    fn find(&mut self, kind: usize, from: usize, what: &[u8]) -> Option<usize> {
        if self.endless[kind] {
            return None;
        }
        let found = self.body.get(from..).and_then(|rest| memmem::find(rest, what));
        self.endless[kind] = found.is_none();
        Some(from + found? + what.len())
    }
}

fn is_word_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_+/=.".contains(byte)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_parts_a_word_is_left_out() {
        let cases: &[(&str, Option<&str>)] = &[
            ("<a>AK<!-- x -->IA</a>", Some("<a>AKIA</a>")),
            ("<a>AK<!----><!-- > --><?pi ?>IA</a>", Some("<a>AKIA</a>")),
            ("<a>AK<?x y?>IA</a>", Some("<a>AKIA</a>")),
            ("<a><![CDATA[AK]]><![CDATA[IA]]></a>", Some("<a><![CDATA[AKIA]]></a>")),
            ("<a>AK<![CDATA[IA]]>x</a>", Some("<a>AKIAx</a>")),
            ("<a><![CDATA[AK]]>IA</a>", Some("<a><![CDATA[AKIA</a>")),
            ("k: \"AK\\\n   IA\"", Some("k: \"AKIA\"")),
            ("k=AK\\\r\nIA", Some("k=AKIA")),
            ("a<!--1-->b c<!--2-->d", Some("ab cd")),
            ("<?xml version=\"1.0\"?><!-- a --><a><![CDATA[text]]></a><!-- b -->", None),
            ("curl -X POST \\\n  https://example.com \\\n  -d x", None),
            ("if (!a) { b ? c : d } \\n \\", None),
            ("<a>AK<b/>IA</a><td>41</td><td>11</td>", None),
            ("AK<!--IA", None),
            ("AK<![CDATA[", None),
            ("", None),
        ];
        for (body, wanted) in cases {
            let found = closed(body.as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{body}");
        }
    }

    #[test]
    fn takes_time_in_proportion_to_the_body() {
        for piece in
            ["a<!--", "a<?", "a<![CDATA[", "a]]><![CDATA[", "a\\\n", "<!-", "a<!---->", "a<!--a-->a<?"]
        {
            let body = piece.repeat((1 << 20) / piece.len());
            let began = Instant::now();
            closed(body.as_bytes());
            assert!(began.elapsed().as_secs() < 10, "{piece}: {:?}", began.elapsed());
        }
    }
}
