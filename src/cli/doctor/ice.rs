//! Checks that the STUN and TURN servers of `[node.ice]` have an address, and answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;
use url::Host;

use super::report::DoctorReport;
use crate::config::Config;
use crate::core::ice::ice_uri::IceUri;
use crate::core::ice::stun_request::StunRequest;

const ABOUT: &str = "ice";
/// How long to wait for a name.
const RESOLVING: Duration = Duration::from_secs(5);
/// Datagrams get lost: requests to each address, ...
const REQUESTS: u32 = 3;
/// ... and how long to wait for the answer to one.
const ANSWERING: Duration = Duration::from_millis(500);
/// Bytes of the largest answer.
const ANSWER_MAX: usize = 1500;

/// What became of one server.
enum ServerProbe {
    NoAddress(io::Error),
    /// It is not asked over UDP.
    NotAsked,
    Answers(SocketAddr),
    Silent(Vec<SocketAddr>),
}

pub(super) async fn check(config: &Config, report: &mut DoctorReport) -> anyhow::Result<()> {
    let uris = &config.node.ice.urls;
    for (uri, probe) in uris.iter().zip(join_all(uris.iter().map(probe)).await) {
        match probe {
            ServerProbe::NoAddress(error) => report.problem(
                ABOUT,
                format!("the host of {uri} has no address: {error}"),
                "correct the name in node.ice.urls, or its entry in the DNS",
            )?,
            ServerProbe::NotAsked => {
                report.unknown(
                    ABOUT,
                    format!("the host of {uri} resolves; not probed, because doctor probes only UDP servers"),
                )?;
            }
            ServerProbe::Answers(address) => report.ok(ABOUT, format!("{uri} answers at {address}"))?,
            ServerProbe::Silent(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                report.problem(
                    ABOUT,
                    format!("{uri} does not answer at {}", addresses.join(", ")),
                    format!("is the server running there, and UDP port {} open in its firewall?", uri.port()),
                )?;
            }
        }
    }
    Ok(())
}

async fn probe(uri: &IceUri) -> ServerProbe {
    let addresses = match resolve(uri).await {
        Ok(_) if !uri.is_plain_udp() => return ServerProbe::NotAsked,
        Ok(addresses) => addresses,
        Err(error) => return ServerProbe::NoAddress(error),
    };
    let asked = join_all(addresses.iter().map(|address| answers(*address))).await;
    let answered = addresses.iter().zip(asked).find(|(_, answered)| matches!(answered, Ok(true)));
    match answered {
        Some((address, _)) => ServerProbe::Answers(*address),
        None => ServerProbe::Silent(addresses),
    }
}

async fn resolve(uri: &IceUri) -> io::Result<Vec<SocketAddr>> {
    match uri.host() {
        Host::Domain(name) => Ok(timeout(RESOLVING, lookup_host((name.as_str(), uri.port()))).await??.collect()),
        Host::Ipv4(ip) => Ok(vec![SocketAddr::from((*ip, uri.port()))]),
        Host::Ipv6(ip) => Ok(vec![SocketAddr::from((*ip, uri.port()))]),
    }
}

/// Whether a STUN server answers at this address.
async fn answers(server: SocketAddr) -> io::Result<bool> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let request = StunRequest::new(rand::random());
    let answer = async {
        let mut datagram = [0; ANSWER_MAX];
        loop {
            // The system reports a closed port as an error.
            let Ok(length) = socket.recv(&mut datagram).await else { return false };
            if request.is_answered_by(&datagram[..length]) {
                return true;
            }
        }
    };
    let mut answer = std::pin::pin!(answer);
    for _ in 0..REQUESTS {
        socket.send(request.as_bytes()).await?;
        if let Ok(is_answer) = timeout(ANSWERING, answer.as_mut()).await {
            return Ok(is_answer);
        }
    }
    Ok(false)
}
