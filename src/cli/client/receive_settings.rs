//! Where received files go, and which address of this machine other devices connect to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use crate::cli::api_client::Api;
use crate::cli::output::now;
use crate::contract::{IceServers, IceTransportPolicy};
use crate::media::identity::MediaIdentity;
use crate::media::receive_folder::ReceiveFolder;
use crate::media::remove_leftovers;
use crate::media::session_events::SessionSettings;
use crate::monitor::free_bytes;

/// An address on no network (RFC 5737 §3), which only the default route leads to.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// The settings of sessions. Without an address, it is the one by which this machine reaches the node, or
/// other machines.
pub(super) async fn settings(folder: &Path, address: Option<IpAddr>, api: &Api) -> anyhow::Result<SessionSettings> {
    refuse_relays(api).await?;
    let path = folder.canonicalize().with_context(|| format!("files can't go to {}", folder.display()))?;
    ensure!(path.is_dir(), "files can't go to {}, which is no folder", folder.display());
    // What a client that was killed has not removed.
    remove_leftovers(&path).with_context(|| format!("{} can't be read", folder.display()))?;
    let unknown = "no address of this machine is known for direct connections: name one with --media-address";
    let address = address.map_or_else(|| own_address(api), Ok).context(unknown)?;
    let folder = Arc::new(ReceiveFolder::new(path, free_bytes));
    Ok(SessionSettings { identity: Arc::new(MediaIdentity::new()?), address, folder, now })
}

/// Fails if the node relays all media: this client would tell the other side an address of this machine.
async fn refuse_relays(api: &Api) -> anyhow::Result<()> {
    let ice: IceServers = api.get(&["v1", "ice"], &[]).await.context("the node doesn't say how clients connect")?;
    match ice.ice_transport_policy {
        None => Ok(()),
        Some(IceTransportPolicy::Relay) => {
            bail!(
                "the node relays all files (relay_only), and this client can't use a relay: start it without --receive"
            )
        }
    }
}

/// The address by which this machine reaches the node. If that is its own loopback address, the one by which it reaches other
/// machines: browsers leave the loopback interface out if there is another.
fn own_address(api: &Api) -> io::Result<IpAddr> {
    let nodes = api.base().socket_addrs(|| None)?;
    let address = route_to(*nodes.first().ok_or(io::ErrorKind::NotFound)?)?;
    if address.is_loopback() { Ok(route_to(ELSEWHERE).unwrap_or(address)) } else { Ok(address) }
}

/// The address of this machine from which it would send there. Nothing is sent.
fn route_to(there: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if there.is_ipv4() { [0_u8; 4].into() } else { [0_u8; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(there)?;
    Ok(socket.local_addr()?.ip())
}
