//! Lines and fields of an event stream, as the reference reads them. spec: response-scan §7.2

use memchr::{memchr, memchr2};

/// Longest line, bytes without its ending.
const LINE: usize = 10_485_760;

/// What the next bytes completed.
pub(super) enum Parsed {
    /// Nothing: all bytes are taken.
    More,
    /// An event with data.
    Event(Event),
    /// A line that never ends.
    LineTooLong,
}

/// One event. Data beyond the limit is counted but not kept.
#[derive(Debug, Default, Clone)]
pub(super) struct Event {
    kind: Vec<u8>,
    id: Vec<u8>,
    retry: Vec<u8>,
    /// Lines of data joined by LF.
    data: Vec<u8>,
    lines: usize,
    size: usize,
}

impl Event {
    /// Bytes of the joined data, kept or not.
    pub fn data_size(&self) -> usize {
        self.size
    }

    pub fn data_is_broken(&self) -> bool {
        std::str::from_utf8(&self.data).is_err()
    }

    /// Bytes of type, id and retry.
    pub fn metadata_size(&self) -> usize {
        self.kind.len() + self.id.len() + self.retry.len()
    }

    /// The text that is scanned: metadata lines that are set, then the data behind one `data: `.
    pub fn scan_text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.data.len() + self.kind.len() + self.id.len() + 32);
        self.write_metadata(&mut text);
        text.extend_from_slice(b"data: ");
        text.extend_from_slice(&self.data);
        text
    }

    /// The event as the client gets it.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_metadata(out);
        for line in self.data.split(|&b| b == b'\n') {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    fn write_metadata(&self, out: &mut Vec<u8>) {
        for (name, value) in [("event: ", &self.kind), ("id: ", &self.id), ("retry: ", &self.retry)] {
            if !value.is_empty() {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(value);
                out.push(b'\n');
            }
        }
    }
}

/// State between reads.
#[derive(Debug)]
pub(super) struct Parser {
    limit: usize,
    /// A CR ends a line, alone or before an LF (D-209); otherwise only an LF does.
    cr_ends: bool,
    /// The last byte was such a CR: an LF now belongs to it.
    after_cr: bool,
    line: Vec<u8>,
    event: Event,
}

impl Parser {
    /// `limit` is the most data bytes of one event that are kept; `cr_ends`: a lone CR ends a line.
    pub fn new(limit: usize, cr_ends: bool) -> Self {
        Self { limit, cr_ends, after_cr: false, line: Vec::new(), event: Event::default() }
    }

    fn line_end(&self, input: &[u8]) -> Option<usize> {
        if self.cr_ends { memchr2(b'\r', b'\n', input) } else { memchr(b'\n', input) }
    }

    /// Takes bytes from the front of `input` up to the end of an event, or all of them.
    pub fn feed(&mut self, input: &mut &[u8]) -> Parsed {
        loop {
            if std::mem::take(&mut self.after_cr) {
                self.after_cr = input.is_empty();
                *input = input.strip_prefix(b"\n").unwrap_or(input);
            }
            let Some(end) = self.line_end(input) else { break };
            let (head, rest) = (&input[..end], &input[end + 1..]);
            self.after_cr = input[end] == b'\r';
            if self.line.len() + head.len() > LINE {
                return Parsed::LineTooLong;
            }
            *input = rest;
            let event = if self.line.is_empty() {
                self.take_line(head)
            } else {
                self.line.extend_from_slice(head);
                let line = std::mem::take(&mut self.line);
                let event = self.take_line(&line);
                self.line = line;
                self.line.clear();
                event
            };
            if let Some(event) = event {
                return Parsed::Event(event);
            }
        }
        if self.line.len() + input.len() > LINE {
            return Parsed::LineTooLong;
        }
        self.line.extend_from_slice(input);
        *input = &[];
        Parsed::More
    }

    /// The end of the source: a last line without LF counts, and so does an event without blank line.
    pub fn finish(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty()
            && let Some(event) = self.take_line(&line)
        {
            return Some(event);
        }
        self.complete()
    }

    fn take_line(&mut self, line: &[u8]) -> Option<Event> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return self.complete();
        }
        // A comment has an empty field name, which no field has.
        let (field, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let event = &mut self.event;
        match field {
            b"data" => {
                let separator = usize::from(event.lines > 0);
                event.lines += 1;
                event.size += separator + value.len();
                if event.size <= self.limit {
                    if separator == 1 {
                        event.data.push(b'\n');
                    }
                    event.data.extend_from_slice(value);
                }
            }
            b"event" => event.kind = value.to_vec(),
            b"retry" => event.retry = value.to_vec(),
            b"id" if !value.contains(&0) => event.id = value.to_vec(),
            _ => {}
        }
        None
    }

    /// Ends the event if it has data. The id stays for later events, and so do type and retry of an event without data.
    fn complete(&mut self) -> Option<Event> {
        if self.event.lines == 0 {
            return None;
        }
        let next = Event { id: self.event.id.clone(), ..Event::default() };
        Some(std::mem::replace(&mut self.event, next))
    }
}
