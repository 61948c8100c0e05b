//! Listener, routing, forward, CONNECT, interception, admin. Thin: parse, ask policy, act.

pub mod admin;
pub mod inspect;
pub mod dns;
pub mod intercept;
pub mod offload;
pub mod scrub;
