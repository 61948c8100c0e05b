//! Responses: actions, streams, media, shield.
