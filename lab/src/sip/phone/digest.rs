//! Digest authentication (RFC 7616 with MD5, as both PBXs ask for it).

use md5::{Digest, Md5};

/// The value of `Authorization` for a challenge, the value of `WWW-` or `Proxy-Authenticate`.
pub(super) fn answer(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let field = |name: &str| {
        let parts = challenge.trim_start_matches("Digest ").split(',');
        let mut pairs = parts.filter_map(|part| part.trim().split_once('='));
        pairs.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim_matches('"').to_owned())
    };
    let (realm, nonce) = (field("realm").unwrap_or_default(), field("nonce").unwrap_or_default());
    let a1 = md5(&format!("{user}:{realm}:{password}"));
    let a2 = md5(&format!("{method}:{uri}"));
    let (response, qop) = match field("qop") {
        Some(_) => {
            (md5(&format!("{a1}:{nonce}:00000001:lab:auth:{a2}")), ", qop=auth, nc=00000001, cnonce=\"lab\"".to_owned())
        }
        None => (md5(&format!("{a1}:{nonce}:{a2}")), String::new()),
    };
    let opaque = field("opaque").map(|o| format!(", opaque=\"{o}\"")).unwrap_or_default();
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=MD5{qop}{opaque}"
    )
}

fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_of_rfc_2617_comes_out() {
        let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let answer = super::answer(challenge, "Mufasa", "Circle Of Life", "GET", "/dir/index.html");
        assert!(answer.contains("response=\"670fd8c2df070c60b045671b8b24ff02\""), "{answer}");
    }
}
