//! Strict JSON objects in the bodies of the admin and scan APIs.
//!
//! Unknown keys and trailing data are errors; the texts are those of the reference's JSON reader, as far as callers see them
//! often: they are logged as the result of a call.

mod syntax;

use serde_json::{Map, Value};

use crate::policy::url::quote;

/// Why a body is no object of the expected kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::server) enum JsonError {
    /// Not JSON, or not an object, or a key that nobody knows.
    Bad(String),
    /// More follows after the object.
    Trailing,
}

/// Reads one object that has no other keys than `keys` (whose case does not matter). An empty body is `Err(Bad("EOF"))`.
pub(in crate::server) fn object(body: &[u8], keys: &[&str]) -> Result<Map<String, Value>, JsonError> {
    // What is no UTF-8 in a string is read as U+FFFD.
    let readable = String::from_utf8_lossy(body);
    let mut values = serde_json::Deserializer::from_str(&readable).into_iter::<Value>();
    let object = match values.next() {
        None => return Err(JsonError::Bad("EOF".into())),
        Some(Err(e)) => {
            return Err(JsonError::Bad(syntax::error(body).unwrap_or_else(|| e.to_string())));
        }
        Some(Ok(Value::Object(object))) => object,
        Some(Ok(Value::Null)) => Map::new(),
        Some(Ok(other)) => {
            return Err(JsonError::Bad(format!("json: cannot unmarshal {} into an object", kind(&other))));
        }
    };
    let known = restrict(object, keys).map_err(JsonError::Bad)?;
    let trailing = readable.as_bytes().get(values.byte_offset()..).unwrap_or_default();
    if trailing.iter().any(|b| !b.is_ascii_whitespace()) {
        return Err(JsonError::Trailing);
    }
    Ok(known)
}

/// The object under the names of `keys`; an unknown key is an error.
pub(in crate::server) fn restrict(
    object: Map<String, Value>,
    keys: &[&str],
) -> Result<Map<String, Value>, String> {
    let mut known = Map::new();
    for (key, value) in object {
        let Some(name) = keys.iter().find(|k| k.eq_ignore_ascii_case(&key)) else {
            return Err(format!("json: unknown field {}", quote(key.as_bytes())));
        };
        known.insert((*name).to_owned(), value);
    }
    Ok(known)
}

/// A text of an object; empty where it is absent or null.
pub(in crate::server) fn text(object: &Map<String, Value>, key: &str) -> Result<String, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("json: cannot unmarshal {} into field {key} of type string", kind(other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_errors_as_the_reference_does() {
        for (body, wanted) in [
            ("", JsonError::Bad("EOF".into())),
            ("nope", JsonError::Bad("invalid character 'o' in literal null (expecting 'u')".into())),
            ("x", JsonError::Bad("invalid character 'x' looking for beginning of value".into())),
            ("{", JsonError::Bad("unexpected EOF".into())),
            (r#"{"y":1}"#, JsonError::Bad("json: unknown field \"y\"".into())),
            ("[]", JsonError::Bad("json: cannot unmarshal array into an object".into())),
            (r#"{"x":1} {}"#, JsonError::Trailing),
            (r#"{"x":1} junk"#, JsonError::Trailing),
        ] {
            assert_eq!(object(body.as_bytes(), &["x"]), Err(wanted), "{body:?}");
        }
        assert_eq!(object(b" {\"X\": 1} \n", &["x"]).unwrap()["x"], 1);
        assert_eq!(object(b"{\"x\": \"a\xff\"}", &["x"]).unwrap()["x"], "a\u{fffd}");
    }
}
