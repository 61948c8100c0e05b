//! Text DLP.
