//! Texts to scan, made from a fixed seed: what agents send, without a secret in it.
//!
//! Half of a chat body is prose, half is code whose line ends and quotes are JSON escapes, since escapes are what makes a
//! JSON body costly.

/// A small generator; the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

const WORDS: &[&str] = &[
    "the",
    "request",
    "of",
    "a",
    "function",
    "returns",
    "when",
    "value",
    "is",
    "not",
    "found",
    "in",
    "table",
    "and",
    "should",
    "be",
    "checked",
    "before",
    "use",
    "because",
    "caller",
    "may",
    "hold",
    "lock",
    "while",
    "reading",
    "configuration",
    "file",
    "path",
    "result",
    "every",
    "change",
    "needs",
    "test",
    "with",
    "small",
    "input",
    "please",
    "explain",
    "how",
    "this",
    "works",
];

const LINES: &[&str] = &[
    "fn parse(text: &str) -> Result<Value, Error> {",
    "    let mut items = Vec::with_capacity(text.len());",
    "    for (index, line) in text.lines().enumerate() {",
    "        if line.trim().is_empty() { continue; }",
    "        items.push(Item { index, name: line.to_owned() });",
    "    }",
    "    println!(\"{} items\", items.len());",
    "    Ok(Value::List(items))",
    "}",
    "",
];

/// A chat-completion request of about `bytes` bytes.
#[must_use]
pub fn chat(bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut body = String::from(r#"{"model":"gpt-4.1","temperature":0.7,"stream":true,"messages":["#);
    let mut first = true;
    while body.len() < bytes.saturating_sub(16) || first {
        if !first {
            body.push(',');
        }
        first = false;
        body.push_str(r#"{"role":"user","content":""#);
        let end = (body.len() + 3000).min(bytes);
        while body.len() < end {
            if numbers.below(2) == 0 {
                for _ in 0..30 {
                    body.push_str(WORDS[numbers.below(WORDS.len())]);
                    body.push(' ');
                }
                body.push_str(".\\n");
            } else {
                for line in LINES {
                    body.push_str(&line.replace('"', "\\\""));
                    body.push_str("\\n");
                }
            }
        }
        body.push_str("\"}");
    }
    body.push_str("]}");
    body.into_bytes()
}
