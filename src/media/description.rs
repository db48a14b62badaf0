//! Session descriptions (RFC 8866) as text: whose certificate they name, and what is taken out of them before they are applied.

use super::digits::CertificateFingerprint;

/// The data channels' section of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataSection {
    /// Its name (`a=mid`).
    pub(super) mid: String,
    /// Its place among the sections, from 0.
    pub(super) index: usize,
}

/// Lines, wherever one could begin for any reader.
fn lines(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.split(['\r', '\n', '\u{2028}', '\u{2029}']).filter(|line| !line.is_empty())
}

/// What follows this word at the start of a line, whatever its case.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = line.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

/// `a=fingerprint:sha-256 AB:CD:…` → the certificate; nothing inside if the line is unreadable or of another digest.
fn fingerprints(sdp: &str) -> impl Iterator<Item = Option<CertificateFingerprint>> {
    let written = lines(sdp).filter_map(|line| after(line, "a=fingerprint:"));
    written.map(|value| CertificateFingerprint::parse(after(value, "sha-256 ")?))
}

/// The one certificate that a description names. Nothing if it names none, two, or one by another digest.
pub(super) fn certificate_of(sdp: &str) -> Option<CertificateFingerprint> {
    let mut all = fingerprints(sdp);
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

/// The section of the data channels, if the description has exactly one.
pub(super) fn data_section(sdp: &str) -> Option<DataSection> {
    let mut sections: Vec<(bool, Option<&str>)> = Vec::new();
    for line in lines(sdp) {
        if let Some(media) = line.strip_prefix("m=") {
            sections.push((media.starts_with("application "), None));
        } else if let (Some((_, mid)), Some(name)) = (sections.last_mut(), line.strip_prefix("a=mid:")) {
            *mid = Some(name);
        }
    }
    let mut data = sections.iter().enumerate().filter(|(_, (is_data, _))| *is_data);
    let (index, (_, mid)) = data.next()?;
    if data.next().is_some() {
        return None;
    }
    Some(DataSection { mid: (*mid)?.to_owned(), index })
}

/// The description without its candidates, and these.
pub(super) fn without_candidates(sdp: &str) -> (String, Vec<&str>) {
    let mut candidates = Vec::new();
    let mut rest = String::with_capacity(sdp.len());
    for line in lines(sdp) {
        match line.strip_prefix("a=").filter(|attribute| attribute.starts_with("candidate:")) {
            Some(candidate) => candidates.push(candidate),
            None => {
                rest.push_str(line);
                rest.push_str("\r\n");
            }
        }
    }
    (rest, candidates)
}

/// An answer with a format in each section. The library leaves refused sections without one, and browsers refuse such a line
/// (RFC 8866 §5.14: a section has at least one).
pub(super) fn with_formats(answer: &str) -> String {
    let is_bare = |line: &str| line.starts_with("m=") && line.ends_with(' ');
    lines(answer).map(|line| format!("{line}{}\r\n", if is_bare(line) { "0" } else { "" })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(byte: &str) -> String {
        format!("a=fingerprint:sha-256 {}\r\n", [byte; 32].join(":"))
    }

    fn certificate(byte: &str) -> Option<CertificateFingerprint> {
        CertificateFingerprint::parse(&[byte; 32].join(":"))
    }

    #[test]
    fn a_description_is_of_one_certificate_or_of_none() {
        let of = |rest: &str| certificate_of(&format!("v=0\r\n{rest}"));
        assert_eq!(of(&line("ab")), certificate("AB"));
        assert_eq!(of(&format!("{}m=\r\n{}", line("AB"), line("ab"))), certificate("AB"));
        assert_eq!(of(&line("AC")), certificate("AC"));
        for bad in [
            String::new(),
            format!("{}{}", line("AB"), line("AC")),
            format!("{}a=fingerprint:sha-1 00:11\r\n", line("AB")),
            format!("{}A=FINGERPRINT:SHA-256 00\r\n", line("AB")),
            format!("{}x\r{}", line("AB"), line("AC")),
            line("AB").replace("sha-256", "sha-512"),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }

    #[test]
    fn the_data_channels_have_one_section() {
        let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n";
        let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n";
        let section = |index| Some(DataSection { mid: "1".to_owned(), index });
        assert_eq!(data_section(&format!("v=0\r\n{data}")), section(0));
        assert_eq!(data_section(&format!("v=0\r\n{video}{data}")), section(1));
        for none in [format!("v=0\r\n{video}"), format!("{data}{data}"), data.replace("a=mid:1\r\n", "")] {
            assert_eq!(data_section(&none), None, "{none}");
        }
    }

    #[test]
    fn candidates_are_taken_out() {
        let (rest, candidates) = without_candidates("v=0\r\na=candidate:1 1 udp\r\na=mid:0\na=candidate:2\n");
        assert_eq!((rest.as_str(), candidates), ("v=0\r\na=mid:0\r\n", vec!["candidate:1 1 udp", "candidate:2"]));
    }

    #[test]
    fn a_refused_section_has_a_format() {
        let answer = "v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF \r\na=mid:0\r\nm=audio 0 UDP/TLS/RTP/SAVPF 96\r\n";
        assert_eq!(with_formats(answer), answer.replace("SAVPF \r", "SAVPF 0\r"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_left_is_a_candidate(sdp in "(a=candidate:|a=mid:|m=application |[a-z=: ]|\r|\n|\u{2028}){0,60}") {
            let (rest, _) = without_candidates(&sdp);
            prop_assert!(!rest.lines().any(|line| line.starts_with("a=candidate:")), "{:?}", rest);
            let _ = (data_section(&sdp), certificate_of(&sdp));
        }
    }
}
