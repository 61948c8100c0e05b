//! Base64, hex and base32 as the reference decodes them.
