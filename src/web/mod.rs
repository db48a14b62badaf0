//! The browser client's files, embedded in the program: `cargo build` needs no Node.js. `web/` has their sources, and
//! `npm run build` there makes them.

/// A file of the browser client.
#[derive(Debug)]
pub struct WebFile {
    /// Its name, below `/client/`.
    pub name: &'static str,
    /// Its media type (RFC 9110, section 8.3).
    pub media_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal: $media_type:literal,)*) => {
        &[$(WebFile { name: $name, media_type: $media_type, bytes: include_bytes!(concat!("../../web/dist/", $name)) }),*]
    };
}

/// The page itself.
pub const PAGE: &str = "index.html";

/// The page where guests join. It is served one level above the other files.
pub const GUEST_PAGE: &str = "guest.html";

/// All files.
pub const FILES: &[WebFile] = files! {
    "index.html": "text/html; charset=utf-8",
    "guest.html": "text/html; charset=utf-8",
    "client.js": "text/javascript; charset=utf-8",
    "client.css": "text/css; charset=utf-8",
    "worker.js": "text/javascript; charset=utf-8",
    "manifest.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
    "icon-192.png": "image/png",
    "icon-512.png": "image/png",
    // Of the libraries in the bundle.
    "licences.txt": "text/plain; charset=utf-8",
};

/// What the page may do (Content Security Policy): its own files alone, and requests to this and other nodes. On a machine
/// that nobody else reaches, other nodes may speak plain HTTP.
pub fn policy(is_at_home: bool) -> String {
    let nodes = if is_at_home { "https: wss: http: ws:" } else { "https: wss:" };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; manifest-src 'self'; \
         worker-src 'self'; media-src 'self' blob:; connect-src 'self' {nodes}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bundler made, and nothing else.
    #[test]
    fn every_file_of_the_bundle_is_embedded() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist")).unwrap();
        let mut made: Vec<_> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let mut embedded: Vec<_> = FILES.iter().map(|file| file.name.to_owned()).collect();
        made.sort();
        embedded.sort();
        assert_eq!(made, embedded);
    }

    #[test]
    fn the_pages_name_no_other_host() {
        for (name, script) in [(PAGE, "\"client.js\""), (GUEST_PAGE, "\"client/client.js\"")] {
            let page = FILES.iter().find(|file| file.name == name).unwrap();
            let page = std::str::from_utf8(page.bytes).unwrap();
            assert!(page.contains(script) && !page.contains("//"), "{page}");
        }
    }
}
