//! The parts of a multipart body, delimited as Go's `mime/multipart` delimits them.
//!
//! The body is in memory, so a part is a slice; only folded header lines are copied. Differences between readers of this
//! format are a way around a scanner, hence the care: bare line feeds only if the first delimiter has one, lines of at most
//! 4096 bytes between parts, a delimiter may be followed by blanks.
//!
//! spec: tls-and-request-bodies §13.7

use memchr::memmem;

use crate::policy::url::quote;

/// Bytes of a line outside parts, line end included.
const MAX_LINE: usize = 4096;

/// Bytes of a line that an error shows.
const MAX_SHOWN: usize = 256;

/// Header lines of one part, folded ones counted once.
const MAX_HEADER_LINES: usize = 10_000;

/// Bytes of the header lines of one part.
const MAX_HEADER_BYTES: usize = 10 << 20;

/// A header of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// Canonical form, unless the name contains a space.
    pub name: String,
    /// Without leading and trailing blanks, folds replaced by one space each.
    pub value: Vec<u8>,
    /// The line (with its continuations) as it stands in the body.
    pub line: &'a [u8],
}

/// One part.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub headers: Vec<Header<'a>>,
    /// Content as sent; `None` if the body ends before the next delimiter.
    pub body: Option<&'a [u8]>,
}

impl Part<'_> {
    /// The first value of a header, by canonical name.
    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|header| header.name == name).map(|header| header.value.as_slice())
    }
}

/// Walks the parts of a body.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// `\r\n--boundary`; without the CR if the first delimiter line ends in a bare LF.
    delimiter: Vec<u8>,
    line_end: usize,
    parts: usize,
    preamble: &'a [u8],
    epilogue: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `boundary` is not empty.
    pub(super) fn new(text: &'a [u8], boundary: &[u8]) -> Self {
        Self {
            text,
            at: 0,
            delimiter: [b"\r\n--", boundary].concat(),
            line_end: 2,
            parts: 0,
            preamble: &[],
            epilogue: &[],
        }
    }

    /// What stood before the first delimiter.
    pub(super) fn preamble(&self) -> &'a [u8] {
        self.preamble
    }

    /// What stands behind the closing delimiter.
    pub(super) fn epilogue(&self) -> &'a [u8] {
        self.epilogue
    }

    fn dash_boundary(&self) -> &[u8] {
        &self.delimiter[self.line_end..]
    }

    fn new_line(&self) -> &[u8] {
        &self.delimiter[..self.line_end]
    }

    /// The next part; `None` behind the closing delimiter.
    ///
    /// # Errors
    /// The text in the words of Go's reader.
    pub(super) fn next_part(&mut self) -> Result<Option<Part<'a>>, String> {
        let mut expect_delimiter = false;
        loop {
            let start = self.at;
            let line = match self.read_line() {
                Ok(line) => line,
                Err(NoLine::TooLong) => return Err("multipart: NextPart: bufio: buffer full".to_owned()),
                Err(NoLine::End(rest)) if self.is_final(rest) => return Ok(self.finish(start)),
                Err(NoLine::End(_)) => return Err("multipart: NextPart: EOF".to_owned()),
            };
            if self.is_delimiter(line) {
                if self.parts == 0 {
                    self.preamble = &self.text[..start];
                }
                self.parts += 1;
                let headers = self.headers()?;
                let body = self.body();
                return Ok(Some(Part { headers, body }));
            }
            if self.is_final(line) {
                return Ok(self.finish(start));
            }
            if expect_delimiter {
                return Err(format!("multipart: expecting a new Part; got line {}", quote(line)));
            }
            if self.parts == 0 {
                continue;
            }
            if line != self.new_line() {
                return Err(format!("multipart: unexpected line in Next(): {}", quote(line)));
            }
            expect_delimiter = true;
        }
    }

    fn finish(&mut self, start: usize) -> Option<Part<'a>> {
        if self.parts == 0 {
            self.preamble = &self.text[..start];
        }
        self.epilogue = &self.text[start + self.dash_boundary().len() + 2..];
        None
    }

    fn read_line(&mut self) -> Result<&'a [u8], NoLine<'a>> {
        let rest = &self.text[self.at..];
        let window = &rest[..rest.len().min(MAX_LINE)];
        match memchr::memchr(b'\n', window) {
            Some(end) => {
                self.at += end + 1;
                Ok(&rest[..=end])
            }
            None if window.len() == MAX_LINE => Err(NoLine::TooLong),
            None => Err(NoLine::End(rest)),
        }
    }

    fn is_final(&self, line: &[u8]) -> bool {
        let rest = line.strip_prefix(self.dash_boundary()).and_then(|rest| rest.strip_prefix(b"--"));
        rest.map(skip_blanks).is_some_and(|rest| rest.is_empty() || rest == self.new_line())
    }

    fn is_delimiter(&mut self, line: &[u8]) -> bool {
        let Some(rest) = line.strip_prefix(self.dash_boundary()).map(skip_blanks) else {
            return false;
        };
        if self.parts == 0 && self.line_end == 2 && rest == b"\n" {
            self.delimiter.remove(0);
            self.line_end = 1;
        }
        rest == self.new_line()
    }

    fn headers(&mut self) -> Result<Vec<Header<'a>>, String> {
        let mut headers = Vec::new();
        let block = self.at;
        if matches!(self.text.get(self.at), Some(b' ' | b'\t')) {
            let line = self.header_line().unwrap_or_default();
            return Err(format!("malformed MIME header initial line: {}", beginning(line).escape_ascii()));
        }
        loop {
            let start = self.at;
            let Some(line) = self.header_line() else {
                return Err("multipart: NextPart: EOF".to_owned());
            };
            if line.is_empty() {
                return Ok(headers);
            }
            let malformed =
                |line: &[u8]| format!("malformed MIME header line: {}", beginning(line).escape_ascii());
            if !line.contains(&b':') {
                return Err(format!("malformed MIME header: missing colon: {}", quote(beginning(line))));
            }
            let mut whole = trim_blanks(line).to_vec();
            while matches!(self.text.get(self.at), Some(b' ' | b'\t')) {
                let Some(line) = self.header_line() else { break };
                whole.push(b' ');
                whole.extend_from_slice(trim_blanks(line));
            }
            let line = trim_line_end(&self.text[start..self.at]);
            if self.at - block > MAX_HEADER_BYTES || headers.len() == MAX_HEADER_LINES {
                return Err("multipart: message too large".to_owned());
            }
            let (name, value) = match memchr::memchr(b':', &whole) {
                Some(colon) => (&whole[..colon], skip_blanks(&whole[colon + 1..])),
                None => return Err(malformed(&whole)),
            };
            let Some(name) = canonical(name).filter(|_| !value.iter().any(|&byte| is_control(byte))) else {
                return Err(malformed(&whole));
            };
            headers.push(Header { name, value: value.to_vec(), line });
        }
    }

    /// One line without its end; `None` at the end of the text.
    fn header_line(&mut self) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        self.at += length;
        Some(trim_line_end(&rest[..length]))
    }

    /// The content up to the next delimiter, before which the reader then stands.
    fn body(&mut self) -> Option<&'a [u8]> {
        let rest = &self.text[self.at..];
        let mut from = 0;
        if rest.starts_with(self.dash_boundary()) {
            if ends_boundary(&rest[self.dash_boundary().len()..]) {
                return Some(&rest[..0]);
            }
            from = self.dash_boundary().len();
        }
        let finder = memmem::Finder::new(&self.delimiter);
        while let Some(found) = finder.find(&rest[from..]) {
            let start = from + found;
            let behind = start + self.delimiter.len();
            if ends_boundary(&rest[behind..]) {
                self.at += start;
                return Some(&rest[..start]);
            }
            from = behind;
        }
        self.at = self.text.len();
        None
    }
}

enum NoLine<'a> {
    /// No line end within the bound.
    TooLong,
    /// No line end before the end of the text.
    End(&'a [u8]),
}

/// Whether `rest`, what follows the boundary, makes it a delimiter and not text that happens to begin alike.
fn ends_boundary(rest: &[u8]) -> bool {
    matches!(rest, [] | [b' ' | b'\t' | b'\r' | b'\n', ..] | [b'-', b'-', ..])
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    &text[blanks..]
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let text = skip_blanks(text);
    let end = text.iter().rposition(|&byte| byte != b' ' && byte != b'\t').map_or(0, |last| last + 1);
    &text[..end]
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// First letter and letters after a hyphen upper-case, the rest lower-case; a name with spaces stays as it is.
/// `None` if it is empty or has a character that no header name may have.
fn canonical(name: &[u8]) -> Option<String> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(|byte| *byte == b' ' || is_name(byte)) {
        return None;
    }
    let name = String::from_utf8_lossy(name);
    Some(if name.contains(' ') { name.into_owned() } else { crate::policy::headers::canonical(&name) })
}
/// As much of a line as an error shows.
fn beginning(line: &[u8]) -> &[u8] {
    &line[..line.len().min(MAX_SHOWN)]
}
