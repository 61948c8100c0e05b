//! Listener, routing, forward, CONNECT, interception, admin. Thin: parse, ask policy, act.

pub mod admin;
pub mod dns;
pub mod inspect;
pub mod intercept;
pub mod offload;
pub mod scrub;
