//! ENUM: looks up a number's NAPTR records in the DNS (RFC 6116).

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::rr::{RData, RecordType};

use super::AskError;
use super::source::{FLIGHT, SourceAnswer};
use crate::core::numbering::number::{Context, Number};
use crate::core::routing::naptr::{Naptr, labels, read};
use crate::core::routing::portability::PortabilityAnswer;

/// One suffix and its name servers.
pub(super) struct Dns {
    resolver: TokioResolver,
    suffix: String,
}

impl Dns {
    /// Uses these servers, or the system's if there are none.
    pub(super) fn new(suffix: &Context, servers: &[SocketAddr]) -> Result<Dns, String> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| format!("the system's resolver is not known: {error}"))?
        } else {
            let servers = servers.iter().map(|address| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = address.port();
                    connection
                });
                NameServerConfig::new(address.ip(), true, connections.into())
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        tune(builder.options_mut());
        let resolver = builder.build().map_err(|error| error.to_string())?;
        Ok(Dns { resolver, suffix: String::from(suffix.clone()) })
    }

    /// Looks up a number. A name that doesn't exist is an answer too: nothing is known.
    pub(super) async fn ask(&self, number: &Number) -> Result<SourceAnswer, AskError> {
        let Some(labels) = labels(number) else { return Ok(SourceAnswer::nothing(Duration::ZERO)) };
        // The trailing dot prevents the use of a search list.
        match self.resolver.lookup(format!("{labels}.{}.", self.suffix), RecordType::NAPTR).await {
            Ok(lookup) => {
                let answers = lookup.answers();
                // An alias may have a shorter TTL than its target.
                let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or(0);
                let records: Vec<Naptr> = answers.iter().filter_map(|record| naptr(&record.data)).collect();
                let answer = read(&records, number);
                let nothing = answer == PortabilityAnswer::default();
                Ok(SourceAnswer { answer, ttl: Duration::from_secs(ttl.into()), nothing })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords { negative_ttl, .. }))) => {
                // A negative answer without an SOA record isn't cached (RFC 2308 §5).
                Ok(SourceAnswer::nothing(Duration::from_secs(negative_ttl.unwrap_or(0).into())))
            }
            Err(NetError::Timeout) => Err(AskError::Late),
            Err(error) => Err(AskError::Failed(error.to_string())),
        }
    }
}

/// Options of the resolver. It has no cache, since ours serves both kinds of sources.
fn tune(options: &mut ResolverOpts) {
    options.timeout = FLIGHT;
    options.attempts = 0;
    options.cache_size = 0;
    options.edns0 = true;
    options.preserve_intermediates = true;
    // By default the resolver uses any port from 1024 on, including one that the PBX is about to open for a call's RTP:
    // FreeSWITCH ends that call with cause 88. The PBX doesn't use the system's ephemeral ports.
    options.os_port_selection = true;
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(record) = data else { return None };
    Some(Naptr {
        order: record.order,
        preference: record.preference,
        flags: record.flags.to_vec(),
        services: record.services.to_vec(),
        regexp: record.regexp.to_vec(),
    })
}
