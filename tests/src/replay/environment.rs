//! The environment variables under which the recordings were made. All values are random and belong to nothing.

/// Name and value, in this order, and no others.
pub const ENVIRONMENT: [(&str, &str); 8] = [
    ("HOME", "/tmp"),
    ("PATH", "/usr/bin"),
    ("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m"),
    ("SERVICE_CREDENTIAL", "pX3-vB8_kT5+nR1/wY6=qL0."),
    ("LONG_ENV_VALUE", "T9fK2mQ8xW4nB7vL1cR5jH3gD6sA0pZyEuIoXk"),
    ("LOW_ENTROPY_VALUE", "aaaaaaaaaaaaaaaaaaaaaaab"),
    ("SHORT_SECRET", "k9X2m"),
    ("FIFTEEN", "aB3dE6gH9jK2mN5"),
];
