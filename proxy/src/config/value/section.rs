//! The macro that declares a section: one declaration for decoding, printing, hashing and documentation.

use serde_json::{Map as JsonMap, Value as Json};

use super::{Canonical, Setting};

/// Puts a field's effective value under its key, unless it is empty and one of those then left out.
pub fn dump_field<T: Setting>(
    out: &mut JsonMap<String, Json>,
    key: &str,
    value: &T,
    left_out_when_empty: bool,
) {
    if !(left_out_when_empty && value.is_empty_value()) {
        out.insert(key.to_owned(), value.dump());
    }
}

/// Appends `"Name":value` of one field; fields without a canonical name are ours alone and stay out.
pub fn canonical_field<T: Setting>(out: &mut Canonical, first: &mut bool, name: &str, value: &T) {
    if name.is_empty() {
        return;
    }
    if !std::mem::take(first) {
        out.text.push(',');
    }
    out.text.push('"');
    out.text.push_str(name);
    out.text.push_str("\":");
    value.canonical(out);
}

/// Declares sections. Each field reads `/// doc` `key: Type = "CanonicalName"` with an optional mark:
/// `[omit]` left out of effective values when empty; `[secure]` on unless the file says otherwise;
/// `[internal]` not settable from a file; `[wide]`, `[omit_wide]` the same numbers under the reference's other type name.
macro_rules! sections {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident($go_type:literal) {
            $( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $name:literal $([$mark:ident])?, )*
        }
    )*) => { $(
        $(#[doc = $section_doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $section {
            $( $(#[doc = $doc])+ pub $key: $type, )*
        }

        impl Default for $section {
            fn default() -> Self {
                <Self as $crate::config::value::Setting>::zero()
            }
        }

        impl $crate::config::yaml::Value for $section {
            fn go_type() -> String {
                $go_type.to_owned()
            }

            fn mapping(
                &mut self,
                decoder: &mut $crate::config::yaml::Decoder<'_>,
                node: $crate::config::yaml::NodeId,
            ) -> Result<bool, $crate::config::yaml::Fatal> {
                let keys = [ $( (stringify!($key), sections!(@settable $($mark)?)), )* ];
                let known: Vec<&'static str> = keys.iter().filter(|key| key.1).map(|key| key.0).collect();
                decoder.fields(node, self, &known, |section, key, decoder, item| match key {
                    $( stringify!($key) if sections!(@settable $($mark)?) => {
                        Some(sections!(@decode decoder item section.$key $($mark)?))
                    } )*
                    _ => None,
                })
            }
        }

        impl $crate::config::value::Setting for $section {
            fn zero() -> Self {
                $section { $( $key: <$type as $crate::config::value::Setting>::zero(), )* }
            }

            fn arm(&mut self) {
                $( sections!(@arm self.$key $($mark)?); )*
            }

            fn is_empty_value(&self) -> bool {
                true $( && sections!(@empty self.$key $($mark)?) )*
            }

            fn dump(&self) -> serde_json::Value {
                let mut out = serde_json::Map::new();
                $( sections!(@dump out $key self.$key $($mark)?); )*
                serde_json::Value::Object(out)
            }

            fn canonical(&self, out: &mut $crate::config::value::Canonical) {
                let mut first = true;
                out.text.push('{');
                $( $crate::config::value::canonical_field(out, &mut first, $name, &self.$key); )*
                out.text.push('}');
            }

            fn keys(path: &str, doc: &'static str, out: &mut Vec<$crate::config::value::KeyInfo>) {
                let mut prefix = String::new();
                if !path.is_empty() {
                    let (path, kind) = (path.to_owned(), "section".to_owned());
                    prefix = format!("{path}.");
                    out.push($crate::config::value::KeyInfo { path, kind, doc });
                }
                $( if sections!(@settable $($mark)?) {
                    let path = format!("{prefix}{}", stringify!($key));
                    <$type as $crate::config::value::Setting>::keys(&path, concat!($($doc,)+).trim(), out);
                } )*
            }
        }
    )* };
    (@decode $decoder:ident $item:ident $section:ident.$key:ident wide) => {
        $decoder.decode($item, &mut $crate::config::value::Wide(&mut $section.$key))
    };
    (@decode $decoder:ident $item:ident $section:ident.$key:ident omit_wide) => {
        sections!(@decode $decoder $item $section.$key wide)
    };
    (@decode $decoder:ident $item:ident $section:ident.$key:ident $($mark:ident)?) => {
        $decoder.decode($item, &mut $section.$key)
    };
    (@empty $self:ident.$key:ident secure) => { $self.$key };
    (@empty $self:ident.$key:ident $($mark:ident)?) => {
        $crate::config::value::Setting::is_empty_value(&$self.$key)
    };
    (@settable internal) => { false };
    (@settable $($mark:ident)?) => { true };
    (@arm $self:ident.$key:ident secure) => { $self.$key = true };
    (@arm $self:ident.$key:ident $($mark:ident)?) => { $crate::config::value::Setting::arm(&mut $self.$key) };
    (@dump $out:ident $key:ident $self:ident.$field:ident internal) => {};
    (@dump $out:ident $key:ident $self:ident.$field:ident omit) => {
        $crate::config::value::dump_field(&mut $out, stringify!($key), &$self.$field, true)
    };
    (@dump $out:ident $key:ident $self:ident.$field:ident omit_wide) => {
        sections!(@dump $out $key $self.$field omit)
    };
    (@dump $out:ident $key:ident $self:ident.$field:ident $($mark:ident)?) => {
        $crate::config::value::dump_field(&mut $out, stringify!($key), &$self.$field, false)
    };
}

pub(crate) use sections;
