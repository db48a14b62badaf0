//! `sidecall.toml`: every key, its default and its check.
