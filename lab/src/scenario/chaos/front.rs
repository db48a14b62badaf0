//! The name by which clients know the active node: a proxy that asks each node whether it is ready, as the documentation's
//! HAProxy does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use reqwest::blocking::Client;

use crate::{ChaosProxy, LabError, Result};

/// How often it asks, and how long it waits for an answer.
const CHECK: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Front {
    pub(super) proxy: ChaosProxy,
    nodes: [SocketAddr; 2],
    /// The node to which it leads.
    active: AtomicUsize,
    http: Client,
}

impl Front {
    /// Leads to the first node until [`Front::follow`] finds another one.
    pub(super) fn start(nodes: [SocketAddr; 2]) -> Result<Front> {
        let proxy = ChaosProxy::start(nodes[0]).map_err(LabError::io("a proxy in front of the nodes"))?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(CHECK).no_proxy().build();
        let http = http.map_err(|e| LabError::Missing(format!("an HTTP client: {e}")))?;
        Ok(Front { proxy, nodes, active: AtomicUsize::new(0), http })
    }

    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Until it is done: leads to the node that is ready, and cuts the streams of one that is not ready any more.
    pub(super) fn follow(&self, done: &AtomicBool) {
        let mut works = true;
        while !done.load(Ordering::Relaxed) {
            let ready = self.nodes.map(|node| self.is_ready(node));
            if !ready[self.active()] {
                match ready.iter().position(|ready| *ready) {
                    Some(next) => {
                        self.active.store(next, Ordering::Relaxed);
                        self.proxy.lead_to(self.nodes[next]);
                    }
                    None if works => self.proxy.cut(),
                    None => {}
                }
            }
            works = ready.contains(&true);
            thread::sleep(CHECK);
        }
    }

    fn is_ready(&self, node: SocketAddr) -> bool {
        let answer = self.http.get(format!("http://{node}/readyz")).send();
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}
