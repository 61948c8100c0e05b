//! Follows a chunked body just far enough to know where it ends.
//!
//! hyper decodes the body; this only keeps the bytes of the next request out of hyper's hands until the answer to the present
//! one is finished. It is stricter than any decoder behind it: what it cannot follow is an error, so the two cannot disagree
//! about the end of a body.

/// Longest chunk-size line, and all trailers together.
const MAX_LINE: usize = 4096;
const MAX_TRAILERS: usize = 64 * 1024;

/// A chunk that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size { digits: u8, value: u64 },
    Extension { value: u64, length: usize },
    SizeLineFeed { value: u64 },
    Data { left: u64 },
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    LastLineFeed,
    Done,
}

/// Position inside a chunked body.
#[derive(Debug)]
pub struct Chunks {
    at: At,
    trailer_bytes: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { at: At::Size { digits: 0, value: 0 }, trailer_bytes: 0 }
    }
}

impl Chunks {
    /// Whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// How many of these bytes belong to the body.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut used = 0;
        while used < bytes.len() && self.at != At::Done {
            if let At::Data { left } = self.at {
                let step = left.min((bytes.len() - used) as u64);
                used += step as usize;
                self.at = if step == left { At::DataReturn } else { At::Data { left: left - step } };
                continue;
            }
            self.at = self.step(bytes[used])?;
            used += 1;
        }
        Ok(used)
    }

    fn step(&mut self, b: u8) -> Result<At, Malformed> {
        Ok(match (self.at, b) {
            (At::Size { digits, value }, _) if b.is_ascii_hexdigit() => {
                if digits == 15 {
                    return Err(Malformed);
                }
                let digit = (b as char).to_digit(16).map_or(0, u64::from);
                At::Size { digits: digits + 1, value: value << 4 | digit }
            }
            (At::Size { digits: 0, .. }, _) => return Err(Malformed),
            (At::Size { value, .. }, b';' | b' ' | b'\t') => At::Extension { value, length: 1 },
            (At::Size { value, .. } | At::Extension { value, .. }, b'\r') => At::SizeLineFeed { value },
            (At::Extension { value, length }, _) if length < MAX_LINE && is_text(b) => {
                At::Extension { value, length: length + 1 }
            }
            (At::SizeLineFeed { value: 0 }, b'\n') => At::TrailerStart,
            (At::SizeLineFeed { value }, b'\n') => At::Data { left: value },
            (At::DataReturn, b'\r') => At::DataLineFeed,
            (At::DataLineFeed, b'\n') => At::Size { digits: 0, value: 0 },
            (At::TrailerStart, b'\r') => At::LastLineFeed,
            (At::LastLineFeed, b'\n') => At::Done,
            (At::Trailer, b'\r') => At::TrailerLineFeed,
            (At::TrailerLineFeed, b'\n') => At::TrailerStart,
            (At::TrailerStart | At::Trailer, _) if is_text(b) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > MAX_TRAILERS || (self.at == At::TrailerStart && b == b' ') {
                    return Err(Malformed);
                }
                At::Trailer
            }
            _ => return Err(Malformed),
        })
    }
}

fn is_text(b: u8) -> bool {
    b == b'\t' || (b >= b' ' && b != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_at_every_split() {
        let bodies: &[&[u8]] =
            &[b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"A;x=1\r\n0123456789\r\n00\r\nX-T: v\r\nY: w\r\n\r\n"];
        for body in bodies {
            let stream = [*body, b"GET / HTTP/1.1\r\n"].concat();
            for split in 0..stream.len() {
                let mut chunks = Chunks::default();
                let first = chunks.advance(&stream[..split]).unwrap();
                let second = if first == split { chunks.advance(&stream[split..]).unwrap() } else { 0 };
                assert_eq!(first + second, body.len(), "{body:?} split at {split}");
                assert!(chunks.is_done(), "{body:?} split at {split}");
            }
        }
    }

    #[test]
    fn what_is_not_a_chunk_is_an_error() {
        let bodies: &[&[u8]] = &[
            b"\r\n",
            b"g\r\n",
            b"3\nabc",
            b"3\r\nabcd\r\n",
            b"-1\r\n",
            b"+3\r\n",
            b"0x3\r\n",
            b"3;\x00\r\n",
            b"1000000000000000\r\n",
            b"3\r\nabc0\r\n",
            b"0\r\nX\x01: v\r\n\r\n",
            b"0\r\n X: v\r\n\r\n",
            b"3\r\nabc\n0\r\n",
        ];
        for body in bodies {
            assert_eq!(
                Chunks::default().advance(body),
                Err(Malformed),
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
