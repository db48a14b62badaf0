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
pub(super) struct LoadBalancer {
    pub(super) proxy: ChaosProxy,
    nodes: [SocketAddr; 2],
    /// The node to which it leads.
    active: AtomicUsize,
    http: Client,
}

impl LoadBalancer {
    /// Leads to the first node until [`LoadBalancer::follow`] finds another one.
    pub(super) fn start(nodes: [SocketAddr; 2]) -> Result<LoadBalancer> {
        let proxy = ChaosProxy::start(nodes[0]).map_err(LabError::io("a load balancer"))?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(CHECK).no_proxy().build();
        let http = http.map_err(|e| LabError::Missing(format!("an HTTP client: {e}")))?;
        Ok(LoadBalancer { proxy, nodes, active: AtomicUsize::new(0), http })
    }

    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Leads to the node that is ready, and cuts the streams of one that is no longer ready, until the round is done.
    pub(super) fn follow(&self, done: &AtomicBool) {
        let mut any_was_ready = true;
        while !done.load(Ordering::Relaxed) {
            let ready = [0, 1].map(|node| self.is_ready(node));
            if !ready[self.active()] {
                match ready.iter().position(|ready| *ready) {
                    Some(next) => {
                        self.active.store(next, Ordering::Relaxed);
                        self.proxy.lead_to(self.nodes[next]);
                    }
                    None if any_was_ready => self.proxy.cut(),
                    None => {}
                }
            }
            any_was_ready = ready.contains(&true);
            thread::sleep(CHECK);
        }
    }

    /// Whether a node says that it is ready.
    pub(super) fn is_ready(&self, node: usize) -> bool {
        self.readiness(node).is_some_and(|(status, _)| status == 200)
    }

    /// Whether a node says that it is ready, or that it stands by.
    pub(super) fn is_in_service(&self, node: usize) -> bool {
        let serves = |(status, text): (u16, String)| status == 200 || (status == 503 && text.contains("stands by"));
        self.readiness(node).is_some_and(serves)
    }

    fn readiness(&self, node: usize) -> Option<(u16, String)> {
        let answer = self.http.get(format!("http://{}/readyz", self.nodes[node])).send().ok()?;
        Some((answer.status().as_u16(), answer.text().ok()?))
    }
}
