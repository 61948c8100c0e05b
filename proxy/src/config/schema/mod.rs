//! The schema: one struct a mapping of the file, field names as the keys, declared with `sections!`.
//!
//! Values are effective: after loading, defaults are filled in and lists normalised. `Option` marks keys whose "unset"
//! means something of its own at run time (spec: config §3.3); use the accessors in `effective` for what they mean.

mod agents;
mod content;
mod effective;
mod muselet;
mod operations;
mod proxies;
mod root;
mod scanning;
mod sessions;
mod tools;

pub use agents::*;
pub use content::*;
pub use muselet::*;
pub use operations::*;
pub use proxies::*;
pub use root::*;
pub use scanning::*;
pub use sessions::*;
pub use tools::*;
