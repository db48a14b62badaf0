//! The little of SDP that a phone needs.

use std::net::SocketAddr;

/// Which way the sound of a call goes, as this phone offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Both talk.
    SendRecv,
    /// On hold, with music.
    SendOnly,
    /// The other side holds.
    RecvOnly,
    /// On hold, silent.
    Inactive,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }
}

/// The media that the phone offers or answers with.
pub(super) fn write(rtp: SocketAddr, version: u32, direction: Direction) -> String {
    format!(
        "v=0\r\no=phone 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na=ptime:20\r\na={way}\r\n",
        ip = rtp.ip(),
        port = rtp.port(),
        way = direction.word(),
    )
}

/// What the other side said about its sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    /// Where it listens.
    pub addr: SocketAddr,
    /// It wants to hear something.
    pub listens: bool,
    /// It sends something.
    pub speaks: bool,
}

impl Remote {
    /// The answer to its offer (RFC 3264 §6.1), while this phone is in `own` state.
    pub(super) fn answer(self, own: Direction) -> Direction {
        match (self.listens, self.speaks) {
            (true, true) => own,
            (false, true) => Direction::RecvOnly,
            (true, false) => Direction::SendOnly,
            (false, false) => Direction::Inactive,
        }
    }
}

/// Reads it; `None` if there is no audio.
pub(super) fn read(body: &str) -> Option<Remote> {
    let mut ip = None;
    let (mut port, mut listens, mut speaks) = (None, true, true);
    for line in body.lines() {
        if let Some(address) = line.strip_prefix("c=IN IP4 ") {
            ip = address.trim().parse().ok();
        } else if let Some(audio) = line.strip_prefix("m=audio ") {
            port = audio.split(' ').next().and_then(|p| p.parse::<u16>().ok());
        }
        match line.trim() {
            "a=sendonly" => listens = false,
            "a=recvonly" => speaks = false,
            "a=inactive" => (listens, speaks) = (false, false),
            _ => {}
        }
    }
    Some(Remote { addr: SocketAddr::new(ip?, port.filter(|p| *p > 0)?), listens, speaks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let rtp: SocketAddr = "127.0.0.14:4000".parse().unwrap();
        let both = Remote { addr: rtp, listens: true, speaks: true };
        assert_eq!(read(&write(rtp, 1, Direction::SendRecv)), Some(both));
        let held = Remote { listens: false, ..both };
        assert_eq!(read(&write(rtp, 1, Direction::SendOnly)), Some(held));
        assert_eq!(held.answer(Direction::SendRecv), Direction::RecvOnly);
        assert_eq!(read("v=0"), None);
    }
}
