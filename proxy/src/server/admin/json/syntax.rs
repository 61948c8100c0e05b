//! What is wrong with a text that is no JSON, in the reference's words.
//!
//! serde says it in others, at another place of the text; so the text is read once more, by the states that the words name.

use crate::policy::url::quote;

/// Containers in containers; serde takes fewer.
const MAX_DEPTH: usize = 500;

/// The first error in the first value of a text; `None`: there is none that this reading knows.
pub(super) fn error(text: &[u8]) -> Option<String> {
    Reader { rest: text.iter() }.value(0).err()
}

struct Reader<'t> {
    rest: std::slice::Iter<'t, u8>,
}

impl Reader<'_> {
    fn peek(&self) -> Result<u8, String> {
        self.rest.as_slice().first().copied().ok_or_else(|| "unexpected EOF".to_owned())
    }

    /// The next character, or, if it is not one of those that are `wanted`, what it was found in place of.
    fn next(&mut self, wanted: impl Fn(u8) -> bool, place: &str) -> Result<u8, String> {
        let byte = self.peek()?;
        if !wanted(byte) {
            return Err(format!("invalid character {} {place}", quoted(byte)));
        }
        self.rest.next();
        Ok(byte)
    }

    fn skip(&mut self, unwanted: impl Fn(u8) -> bool) {
        while self.peek().is_ok_and(&unwanted) {
            self.rest.next();
        }
    }

    fn space(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.space();
        let begins = |byte| matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
        match self.next(begins, "looking for beginning of value")? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            first => self.number(first),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), String> {
        self.space();
        if self.peek()? == b'}' {
            self.rest.next();
            return Ok(());
        }
        loop {
            self.space();
            self.next(|byte| byte == b'"', "looking for beginning of object key string")?;
            self.string()?;
            self.space();
            self.next(|byte| byte == b':', "after object key")?;
            self.value(depth + 1)?;
            self.space();
            if self.next(|byte| matches!(byte, b',' | b'}'), "after object key:value pair")? == b'}' {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), String> {
        self.space();
        if self.peek()? == b']' {
            self.rest.next();
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            if self.next(|byte| matches!(byte, b',' | b']'), "after array element")? == b']' {
                return Ok(());
            }
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next(|byte| byte >= b' ', "in string literal")? {
                b'"' => return Ok(()),
                b'\\' => {
                    let escaped =
                        self.next(|byte| br#"bfnrt\/"u"#.contains(&byte), "in string escape code")?;
                    let digits = if escaped == b'u' { 4 } else { 0 };
                    for _ in 0..digits {
                        self.next(|byte| byte.is_ascii_hexdigit(), r"in \u hexadecimal character escape")?;
                    }
                }
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for letter in word.bytes().skip(1) {
            let place = format!("in literal {word} (expecting '{}')", char::from(letter));
            self.next(|byte| byte == letter, &place)?;
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let is_digit = |byte: u8| byte.is_ascii_digit();
        let first = if first == b'-' { self.next(is_digit, "in numeric literal")? } else { first };
        if first != b'0' {
            self.skip(is_digit);
        }
        if self.peek().is_ok_and(|byte| byte == b'.') {
            self.rest.next();
            self.next(is_digit, "after decimal point in numeric literal")?;
            self.skip(is_digit);
        }
        if self.peek().is_ok_and(|byte| matches!(byte, b'e' | b'E')) {
            self.rest.next();
            if self.peek().is_ok_and(|byte| matches!(byte, b'+' | b'-')) {
                self.rest.next();
            }
            self.next(is_digit, "in exponent of numeric literal")?;
            self.skip(is_digit);
        }
        Ok(())
    }
}

fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        byte => {
            let text = quote(char::from(byte).to_string().as_bytes());
            format!("'{}'", &text[1..text.len() - 1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_reference() {
        let cases: [(&[u8], &str); 24] = [
            (br#"{"tier":}"#, "invalid character '}' looking for beginning of value"),
            (br#"{"tier":"soft",}"#, "invalid character '}' looking for beginning of object key string"),
            (br"{tier:1}", "invalid character 't' looking for beginning of object key string"),
            (br#"{"tier" 1}"#, "invalid character '1' after object key"),
            (br#"{"tier":"soft" "x"}"#, "invalid character '\"' after object key:value pair"),
            (br#"{"tier":01}"#, "invalid character '1' after object key:value pair"),
            (br#"{"tier":tRue}"#, "invalid character 'R' in literal true (expecting 'r')"),
            (br#"{"a":"\q"}"#, "invalid character 'q' in string escape code"),
            (br#"{"a":"\u12g4"}"#, r"invalid character 'g' in \u hexadecimal character escape"),
            (b"{\"a\x01\":1}", r"invalid character '\x01' in string literal"),
            (b"{\"a\":\"\n\"}", r"invalid character '\n' in string literal"),
            (b"[1 2]", "invalid character '2' after array element"),
            (b"\xef\xbb\xbf{}", "invalid character '\u{ef}' looking for beginning of value"),
            (b"'a'", r"invalid character '\'' looking for beginning of value"),
            (b"-", "unexpected EOF"),
            (b"-a", "invalid character 'a' in numeric literal"),
            (b"[1.]", "invalid character ']' after decimal point in numeric literal"),
            (b"[1e+]", "invalid character ']' in exponent of numeric literal"),
            (b"[1,]", "invalid character ']' looking for beginning of value"),
            (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
            (b"{", "unexpected EOF"),
            (b"[", "unexpected EOF"),
            (b"\"abc", "unexpected EOF"),
            (b"{\"a\":1", "unexpected EOF"),
        ];
        for (text, wanted) in cases {
            assert_eq!(error(text).as_deref(), Some(wanted), "{}", text.escape_ascii());
        }
        for text in [&br#" {"a":[1.5e-3,-0,"\u00e9\n",true,null,{}],"b":[]} x"#[..], b"0"] {
            assert_eq!(error(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(error(&b"[".repeat(100_000)).as_deref(), Some("exceeded max depth"));
    }
}
