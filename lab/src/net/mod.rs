//! What is between programs: ports, a packet capture, a proxy, a DNS server, a TURN server, a PostgreSQL server, a
//! small disk and a certificate authority.

pub mod ca;
pub mod capture;
pub mod coturn;
pub mod knot;
pub mod ports;
pub mod postgres;
pub mod proxy;
mod small_disk;
