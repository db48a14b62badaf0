//! The little of SDP that a phone needs.

use std::net::SocketAddr;

use super::media::Media;

/// Which way the sound of a call goes, as this phone offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    sends: bool,
    listens: bool,
}

impl Direction {
    /// Both talk.
    pub(super) const BOTH: Direction = Direction { sends: true, listens: true };
    /// On hold, with music.
    pub(super) const SEND_ONLY: Direction = Direction { sends: true, listens: false };
    /// On hold, silent.
    pub(super) const INACTIVE: Direction = Direction { sends: false, listens: false };

    fn word(self) -> &'static str {
        ["inactive", "recvonly", "sendonly", "sendrecv"][usize::from(self.sends) * 2 + usize::from(self.listens)]
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    #[default]
    Pcmu,
    Pcma,
    /// A fax over UDPTL (T.38) in place of the sound.
    T38,
}

impl Codec {
    /// Its RTP payload type; a fax has none.
    pub(super) fn payload_type(self) -> Option<u8> {
        match self {
            Codec::Pcmu => Some(0),
            Codec::Pcma => Some(8),
            Codec::T38 => None,
        }
    }

    fn in_offer(body: &str) -> Codec {
        let wanted = |line: &&str| line.starts_with("m=") && line.split(' ').nth(1) != Some("0");
        let media = body.lines().find(wanted).unwrap_or_default();
        let known = media.split_whitespace().skip(3).find(|format| ["0", "8"].contains(format));
        match (media.starts_with("m=image"), known) {
            (true, _) => Codec::T38,
            // PCMU, if it is there at all.
            (false, Some("8")) if !media.split_whitespace().skip(3).any(|format| format == "0") => Codec::Pcma,
            _ => Codec::Pcmu,
        }
    }
}

pub(super) fn write(media: &Media, version: u32, direction: Direction, codec: Codec) -> String {
    let (ip, port, way) = (media.addr.ip(), media.addr.port(), direction.word());
    let audio = |codec: &str| {
        let (number, _) = codec.split_once(' ').unwrap_or_default();
        if media.is_plain() {
            return format!("m=audio {port} RTP/AVP {number}\r\na=rtpmap:{codec}\r\n");
        }
        format!(
            "m=audio {port} RTP/AVP {number} 101\r\na=rtpmap:{codec}\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\na=ptime:20\r\na={way}\r\n"
        )
    };
    let media = match codec {
        Codec::Pcmu => audio("0 PCMU/8000"),
        Codec::Pcma => audio("8 PCMA/8000"),
        Codec::T38 => format!(
            "m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
             a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:262\r\na=T38FaxMaxDatagram:400\r\n\
             a=T38FaxUdpEC:t38UDPRedundancy\r\n"
        ),
    };
    format!("v=0\r\no=phone 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n{media}")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    pub addr: SocketAddr,
    /// It wants to hear something.
    pub listens: bool,
    pub speaks: bool,
    /// What it wants, or has chosen.
    pub codec: Codec,
}

impl Remote {
    /// The answer to its offer (RFC 3264 §6.1), while this phone is in `own` state.
    pub(super) fn answer(self, own: Direction) -> Direction {
        let other = Direction { sends: self.listens, listens: self.speaks };
        if other == Direction::BOTH { own } else { other }
    }
}

/// Reads it; `None` if there is neither audio nor a fax.
pub(super) fn read(body: &str) -> Option<Remote> {
    let mut ip = None;
    let (mut port, mut listens, mut speaks) = (None, true, true);
    for line in body.lines() {
        if let Some(address) = line.strip_prefix("c=IN IP4 ") {
            ip = address.trim().parse().ok();
        } else if let Some(media) = line.strip_prefix("m=audio ").or(line.strip_prefix("m=image ")) {
            // A medium that isn't wanted any more stays there with port 0.
            let there = media.split(' ').next().and_then(|p| p.parse::<u16>().ok()).filter(|p| *p > 0);
            port = port.or(there);
        }
        match line.trim() {
            "a=sendonly" => listens = false,
            "a=recvonly" => speaks = false,
            "a=inactive" => (listens, speaks) = (false, false),
            _ => {}
        }
    }
    Some(Remote { addr: SocketAddr::new(ip?, port?), listens, speaks, codec: Codec::in_offer(body) })
}

#[cfg(test)]
mod tests {
    use super::super::media::Sound;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let media = Media::open(crate::HANDSETS, Sound::Tone(700)).unwrap();
        let both = Remote { addr: media.addr, listens: true, speaks: true, codec: Codec::Pcmu };
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::T38] {
            let expected = Remote { codec, ..both };
            assert_eq!(read(&write(&media, 1, Direction::BOTH, codec)), Some(expected));
        }
        let held = Remote { listens: false, ..both };
        assert_eq!(read(&write(&media, 1, Direction::SEND_ONLY, Codec::Pcmu)), Some(held));
        assert_eq!(held.answer(Direction::BOTH).word(), "recvonly");
        assert_eq!(read("v=0"), None);
    }

    #[test]
    fn pcmu_is_chosen_where_it_is_offered() {
        let offer = |formats: &str| format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP {formats}\r\n");
        for (formats, codec) in [("8 0 101", Codec::Pcmu), ("9 8 101", Codec::Pcma), ("9 0", Codec::Pcmu)] {
            assert_eq!(read(&offer(formats)).unwrap().codec, codec, "{formats}");
        }
        let fax = offer("0").replace("4000", "0") + "m=image 4002 udptl t38\r\n";
        let read = read(&fax).unwrap();
        assert_eq!((read.codec, read.addr.port()), (Codec::T38, 4002));
    }
}
