//! The addresses on which a port of this machine is open, as the kernel reports them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses on which a port is open; empty if the kernel doesn't say.
pub(super) fn on(port: u16) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = std::fs::read_to_string(file).unwrap_or_default();
        all.extend(table.lines().filter_map(entry).filter(|(_, found)| *found == port).map(|(ip, _)| ip));
    }
    all.dedup();
    all
}

/// `   0: 0100007F:1F55 00000000:0000 0A …`: local address, remote address, state; `0A` listens.
fn entry(line: &str) -> Option<(IpAddr, u16)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, _, state) = (words.next()?, words.next()?, words.next()?);
    let (ip, port) = local.split_once(':')?;
    if state != "0A" {
        return None;
    }
    // Groups of 32 bits, each in the machine's byte order.
    let groups = ip.as_bytes().chunks(8).map(|group| {
        let group = std::str::from_utf8(group).ok()?;
        Some(u32::from_str_radix(group, 16).ok()?.to_ne_bytes())
    });
    let bytes: Vec<u8> = groups.collect::<Option<Vec<_>>>()?.concat();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some((ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn what_listens_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if std::path::Path::new("/proc/net/tcp").exists() {
            assert_eq!(on(port), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table() {
        let line = "   1: 00000000:1F55 00000000:0000 0A 00000000:00000000 00:00000000 00000000";
        assert_eq!(entry(line), Some((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8021)));
        let line = "   1: 0000000000000000FFFF00000100007F:1F55 00000000000000000000000000000000:0000 0A 00000000";
        assert_eq!(entry(line), Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 8021)));
        assert_eq!(entry("   1: 0100007F:1F55 0100007F:A000 01 00000000"), None);
        assert_eq!(entry("  sl  local_address rem_address   st tx_queue"), None);
    }
}
