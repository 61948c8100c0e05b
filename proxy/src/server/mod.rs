//! Listener, routing, forward, CONNECT, interception, admin. Thin: parse, ask policy, act.
//!
//! ```text
//! listener → wire (bytes → Request) → routing → forward | connect | fetch | ws | admin → Answer → wire (bytes)
//! ```
//! A handler gets one request with the policy snapshot it keeps, its identity, and the process-wide [`Shared`] state (together an
//! [`Exchange`]). Handlers answer through [`answer`] and tell [`crate::events`] what happened; deciding is [`crate::policy`]'s.

pub mod admin;
pub mod answer;
mod baseline;
pub mod connect;
mod cross_request;
mod deliver;
pub mod dns;
pub mod exchange;
mod fetch;
pub mod forward;
pub mod identity;
pub mod inspect;
pub mod intercept;
mod kill_switch;
pub mod listener;
pub mod offload;
pub mod peek;
mod report;
pub mod reverse;
pub mod room;
mod routing;
pub mod scan_api;
pub mod scrub;
mod session;
mod shared;
mod sniff;
mod stages;
pub mod wire;
mod ws;

pub use exchange::Exchange;
pub use kill_switch::KillSwitch;
pub use listener::{BindError, Server};
pub use shared::{Shared, Stop};
