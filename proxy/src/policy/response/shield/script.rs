//! The script that the shield puts into pages. spec: response-scan §9.3

use std::ops::Range;
use std::sync::OnceLock;

use regex::bytes::Regex;

use super::pattern;
use crate::policy::response::ShieldSettings;

/// Refuses requests to extension addresses.
const PROBES: &str = r#"(function () {
  var probe = /^(chrome|moz)-extension:\/\//i;
  var send = window.fetch;
  if (send) {
    window.fetch = function (input) {
      var url = typeof input === "string" ? input : String((input && input.url) || input);
      return probe.test(url) ? Promise.reject(new TypeError("Network request failed")) : send.apply(this, arguments);
    };
  }
  var begin = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url) {
    if (probe.test(String(url))) { throw new DOMException("Blocked", "NetworkError"); }
    begin.apply(this, arguments);
  };
})();"#;

/// Answers fingerprinting calls alike for everyone.
const SHIMS: &str = r#"(function () {
  var draw = HTMLCanvasElement.prototype.toDataURL;
  HTMLCanvasElement.prototype.toDataURL = function () {
    return this.width <= 300 && this.height <= 150 ? "data:image/png;base64,iVBORw0KGgo=" : draw.apply(this, arguments);
  };
  [window.WebGLRenderingContext, window.WebGL2RenderingContext].forEach(function (context) {
    if (!context) { return; }
    var ask = context.prototype.getParameter, extend = context.prototype.getExtension;
    context.prototype.getParameter = function (name) {
      if (name === 37445) { return "Generic Renderer"; }
      if (name === 37446) { return "Generic Vendor"; }
      return ask.apply(this, arguments);
    };
    context.prototype.getExtension = function (name) {
      return name === "WEBGL_debug_renderer_info" ? null : extend.apply(this, arguments);
    };
  });
  navigator.sendBeacon = function () { return false; };
})();"#;

/// The script's text under these settings, if there is one.
pub(super) fn source(settings: &ShieldSettings) -> Option<String> {
    let parts: Vec<&str> =
        [(settings.strip_extension_probing, PROBES), (settings.inject_fingerprint_shims, SHIMS)]
            .into_iter()
            .filter_map(|(on, part)| on.then_some(part))
            .collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// Characters of a nonce. Anything else is not copied into a page.
pub(super) fn is_nonce(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

struct Places {
    head: Regex,
    html: Regex,
    nonce: Regex,
}

fn places() -> &'static Places {
    static PLACES: OnceLock<Places> = OnceLock::new();
    PLACES.get_or_init(|| Places {
        head: pattern("<head[^>]*>"),
        html: pattern("<html[^>]*>"),
        nonce: pattern(r#"<script[^>]*\snonce\s*=\s*["']([a-z0-9+/=]+)["']"#),
    })
}

/// The page with the script in it, and where it is.
pub(super) fn insert(page: &[u8], source: &str, nonce: Option<&str>) -> (Vec<u8>, Range<usize>) {
    let places = places();
    let own_nonce = || {
        let found = places.nonce.captures(page)?.get(1)?;
        std::str::from_utf8(found.as_bytes()).ok().map(str::to_owned)
    };
    let attribute = nonce
        .map(str::to_owned)
        .or_else(own_nonce)
        .map_or_else(String::new, |value| format!(" nonce=\"{value}\""));
    let element = format!("<script{attribute}>{source}</script>");
    let at = places.head.find(page).or_else(|| places.html.find(page)).map_or(0, |tag| tag.end());
    let mut out = Vec::with_capacity(page.len() + element.len());
    out.extend_from_slice(&page[..at]);
    out.extend_from_slice(element.as_bytes());
    out.extend_from_slice(&page[at..]);
    (out, at..at + element.len())
}
