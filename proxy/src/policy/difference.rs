//! Ids of the differences by which the hardened mode scans more of a body than the reference does.
//! What each means and why it is safe stands in `tests/conformance/differences.yaml`.

/// Every member of a JSON object that repeats a name is scanned, not only the last.
pub(crate) const JSON_REPEATED_NAMES: &str = "D-801";
/// A number outside the range of a float no longer hides the body.
pub(crate) const JSON_NUMBER_RANGE: &str = "D-802";
/// Numbers are also scanned as written.
pub(crate) const JSON_NUMBER_TEXT: &str = "D-803";
/// JSON below level 64 is scanned.
pub(crate) const JSON_DEPTH: &str = "D-804";
/// Preamble, epilogue and whole header lines of multipart bodies are scanned.
pub(crate) const MULTIPART_MARGINS: &str = "D-805";
/// Trailers are scanned.
pub(crate) const TRAILERS: &str = "D-806";
/// The method is scanned.
pub(crate) const METHOD: &str = "D-815";
/// The user-info of a URL is scanned like the header that it becomes.
pub(crate) const USER_INFO: &str = "D-817";
/// Every Content-Encoding line counts.
pub(crate) const CONTENT_ENCODING_LINES: &str = "D-807";
/// Every Content-Type line counts, and several mean a raw scan too.
pub(crate) const CONTENT_TYPE_LINES: &str = "D-808";
/// Addresses are checked although a secret was found that only warns.
pub(crate) const ADDRESS_BESIDE_SECRET: &str = "D-809";
/// Multipart bodies of any subtype are taken apart.
pub(crate) const MULTIPART_SUBTYPES: &str = "D-810";
/// Quoted-printable parts are also scanned as sent.
pub(crate) const QUOTED_PRINTABLE_RAW: &str = "D-811";
/// A body that is JSON is scanned as JSON whatever its type says.
pub(crate) const JSON_BY_CONTENT: &str = "D-812";
/// UTF-16 text is also scanned decoded.
pub(crate) const UTF_16: &str = "D-813";
/// What a compressed body or part holds is scanned, whatever its headers say.
pub(crate) const PACKED: &str = "D-816";
/// Quoted-printable text is scanned decoded wherever it stands.
pub(crate) const QUOTED_PRINTABLE: &str = "D-818";
/// Comments, sections and broken lines in the middle of a word do not part it.
pub(crate) const JOINTS: &str = "D-819";
/// What a compressed body carries beside its content is scanned.
pub(crate) const BESIDE_CONTENT: &str = "D-820";
/// Lists of character codes in JSON are also scanned as the text that they spell.
pub(crate) const CHARACTER_CODES: &str = "D-821";
/// Credentials in neighbouring fields of a form, cookies, or the end of a path and the query behind it are found.
pub(crate) const PIECES: &str = "D-822";
/// Names of members, fields and headers are scanned together with their values.
pub(crate) const NAMED: &str = "D-824";
/// Values of headers, forms and queries are also read as they are shown.
pub(crate) const SHOWN: &str = "D-823";
/// Character references of XML and HTML are also scanned decoded.
pub(crate) const CHARACTER_REFERENCES: &str = "D-814";
