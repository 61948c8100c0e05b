//! Our own section: what the reference has no key for. Everything in it is optional.

use crate::Strictness;
use crate::config::value::{Canonical, KeyInfo, Setting, sections};
use crate::config::yaml::{Resolved, Tag, Value};

sections! {
    /// Settings of this program alone. A file without this section serves the reference too.
    Muselet("muselet.Settings") {
        /// `hardened` (default): the reference's verdicts, and blocks besides for the listed bypasses; `reference`: exactly
        /// the reference's verdicts.
        strictness: Strictness = "Strictness",
        /// Decode compressed bodies of requests and scan what is inside, declared by Content-Encoding (gzip, deflate, br, zstd, and the aws-chunked of S3) or told by their first bytes (gzip, zlib, zstd; zip archives, packs of git, and base64 of gzip, zip and zstd wherever they begin: in all the first five bytes for each byte of the body). Off: declared ones are refused unread, others pass as in the reference. Answers are not decoded; when this is on, plain requests go without `Accept-Encoding`, so that origins do not compress what would be refused.
        decompress: bool = "Decompress",
        /// Large bodies of requests and responses that are held at a time, MiB in all; what finds no room waits, then gets 503. 0: half of the memory of the machine or container. Needs a restart.
        held_mb: i64 = "HeldMB",
        /// Name service for containers that have no other resolver.
        dns: MuseletDns = "DNS",
    }

    /// The built-in name server, which answers with the proxy's view of names.
    MuseletDns("muselet.DNS") {
        /// Address to listen on, UDP and TCP, for example `0.0.0.0:53`; empty: off.
        listen: String = "Listen",
    }
}

impl Value for Strictness {
    fn go_type(&self) -> String {
        "string".to_owned()
    }

    fn scalar(&mut self, _tag: &Tag, _value: Resolved, text: &str) -> Result<bool, String> {
        *self = match text {
            "reference" => Strictness::Reference,
            "hardened" => Strictness::Hardened,
            _ => return Err(format!("invalid muselet.strictness {text:?}: must be reference or hardened")),
        };
        Ok(true)
    }
}

impl Setting for Strictness {
    fn zero() -> Self {
        Strictness::default()
    }
    fn is_empty_value(&self) -> bool {
        *self == Strictness::default()
    }
    fn dump(&self) -> serde_json::Value {
        serde_json::Value::from(self.as_str())
    }
    fn canonical(&self, out: &mut Canonical) {
        out.string(self.as_str());
    }
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        out.push(KeyInfo { path: path.to_owned(), kind: "str".to_owned(), doc });
    }
}
