//! The status page: one file, nothing fetched but `/v1/status`.

/// The page.
pub const PAGE: &str = include_str!("page.html");

/// What the page may do: run its own script and style, and ask its own node.
pub const PAGE_CSP: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
