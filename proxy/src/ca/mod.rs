//! CA files, leaf minting, leaf cache.
