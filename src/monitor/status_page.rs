//! The status page: one file, which fetches only `/v1/status`.

/// The page.
pub const PAGE: &str = include_str!("status_page.html");

/// The content security policy: the page may use its own script and style, and its own node.
pub const PAGE_CSP: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
