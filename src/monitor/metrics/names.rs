//! The names of all metrics. No other file names a metric.

pub(in crate::monitor) const DECISIONS: &str = "sidecall_decisions_total";
pub(in crate::monitor) const DECISION_SECONDS: &str = "sidecall_decision_seconds";
pub(in crate::monitor) const CALLS_LIVE: &str = "sidecall_calls_live";
pub(in crate::monitor) const DELIVERIES: &str = "sidecall_deliveries_total";
pub(in crate::monitor) const DELIVERY_SECONDS: &str = "sidecall_delivery_seconds";
pub(in crate::monitor) const SIP_DROPPED: &str = "sidecall_sip_messages_dropped_total";
pub(in crate::monitor) const CLIENTS_CONNECTED: &str = "sidecall_clients_connected";
pub(in crate::monitor) const PBX_UP: &str = "sidecall_pbx_up";
pub(in crate::monitor) const INBOX_POSTS: &str = "sidecall_inbox_posts_total";
pub(in crate::monitor) const PEER_OFFERS_SENT: &str = "sidecall_peer_offers_sent_total";
pub(in crate::monitor) const PEER_OFFERS_RECEIVED: &str = "sidecall_peer_offers_received_total";
pub(in crate::monitor) const PEER_OFFERS_MATCHED: &str = "sidecall_peer_offers_matched_total";
pub(in crate::monitor) const PEER_ANSWERS: &str = "sidecall_peer_answers_total";
pub(in crate::monitor) const HTTP_REQUESTS: &str = "sidecall_http_requests_total";
pub(in crate::monitor) const STAND_BY: &str = "sidecall_stand_by";
pub(in crate::monitor) const NODES: &str = "sidecall_nodes";
pub(in crate::monitor) const STORE_FAILED_WRITES: &str = "sidecall_store_failed_writes_total";
pub(in crate::monitor) const STORE_READS: &str = "sidecall_store_reads_total";
pub(in crate::monitor) const STORE_WRITES: &str = "sidecall_store_writes_total";
pub(in crate::monitor) const STORE_COMMITS: &str = "sidecall_store_commits_total";
pub(in crate::monitor) const TASK_PANICS: &str = "sidecall_task_panics_total";
pub(in crate::monitor) const CLOCK_STEP: &str = "sidecall_clock_step";
pub(in crate::monitor) const STORE_FREE_BYTES: &str = "sidecall_store_free_bytes";
pub(in crate::monitor) const STORE_LOW_SPACE: &str = "sidecall_store_low_space";
pub(in crate::monitor) const CONNECTIONS_OPEN: &str = "sidecall_connections_open";
pub(in crate::monitor) const CONNECTIONS_REFUSED: &str = "sidecall_connections_refused_total";
pub(in crate::monitor) const FAILED_LOGINS: &str = "sidecall_failed_logins_total";
pub(in crate::monitor) const LNP_QUERIES: &str = "sidecall_lnp_queries_total";
pub(in crate::monitor) const LNP_QUERY_SECONDS: &str = "sidecall_lnp_query_seconds";
pub(in crate::monitor) const AGENT_ANNOUNCEMENTS: &str = "sidecall_agent_announcements_total";
pub(in crate::monitor) const AGENT_ANNOUNCEMENT_AGE: &str = "sidecall_agent_announcement_age_seconds";
pub(in crate::monitor) const AGENT_ANSWERS: &str = "sidecall_agent_answers_total";
pub(in crate::monitor) const AGENT_ANSWER_SECONDS: &str = "sidecall_agent_answer_seconds";
pub(in crate::monitor) const AGENT_LINK_UP: &str = "sidecall_agent_link_up";
pub(in crate::monitor) const AGENT_NODE_USED: &str = "sidecall_agent_node_used";
pub(in crate::monitor) const AGENT_GAPS: &str = "sidecall_agent_gaps_total";
pub(in crate::monitor) const AGENT_ADDRESSES_REFUSED: &str = "sidecall_agent_addresses_refused_total";
pub(in crate::monitor) const AGENT_REPORT_RETRIES: &str = "sidecall_agent_report_retries_total";
pub(in crate::monitor) const AGENT_SIP_MESSAGES: &str = "sidecall_agent_sip_messages_total";
pub(in crate::monitor) const AGENT_SIP_DROPPED: &str = "sidecall_agent_sip_messages_dropped_total";

/// Name and help text of each metric.
pub const NAMES: &[(&str, &str)] = &[
    (DECISIONS, "Route decisions, by route and reason"),
    (DECISION_SECONDS, "Time from reading a decision's request to its answer"),
    (CALLS_LIVE, "Calls that have not ended"),
    (DELIVERIES, "Messages to clients, by form and the state that they came to"),
    (DELIVERY_SECONDS, "Time from making a message to the client having it, by form"),
    (SIP_DROPPED, "SIP MESSAGEs that the node dropped before an agent was given them, by why"),
    (CLIENTS_CONNECTED, "Hosted clients' open streams"),
    (PBX_UP, "1 if the agent's link to the PBX is up, as its reports say"),
    (INBOX_POSTS, "Messages to call-scoped addresses, by result"),
    (PEER_OFFERS_SENT, "Offers to other nodes, by peer and what became of them"),
    (PEER_OFFERS_RECEIVED, "Offers of other nodes, by peer and result"),
    (PEER_OFFERS_MATCHED, "Offers of other nodes that found their call, or didn't, by how"),
    (PEER_ANSWERS, "Answers to the other side's address that the node made, by what became of them"),
    (HTTP_REQUESTS, "HTTP requests, by method, route and status"),
    (STAND_BY, "1 while the node waits for a database that another one has"),
    (NODES, "Nodes on the database that are there, by role, as the active one sees them"),
    (STORE_FAILED_WRITES, "Writes that the database did not take"),
    (STORE_READS, "Queries to the database"),
    (STORE_WRITES, "Writes that the database committed"),
    (STORE_COMMITS, "Transactions in which writes were committed"),
    (TASK_PANICS, "Tasks of one call or request that broke, by kind"),
    (CLOCK_STEP, "By how many seconds the wall clock was stepped since the start"),
    (STORE_FREE_BYTES, "Free space on the database's disk"),
    (STORE_LOW_SPACE, "1 if only decisions and pairs are kept for lack of space"),
    (CONNECTIONS_OPEN, "Open HTTP connections, streams included"),
    (CONNECTIONS_REFUSED, "Connections that were closed at once, by which limit was reached"),
    (FAILED_LOGINS, "Requests with a wrong token, by how they were answered"),
    (LNP_QUERIES, "Questions to portability sources, by source and result"),
    (LNP_QUERY_SECONDS, "Time that a call waited for a portability source, by source"),
    (AGENT_ANNOUNCEMENTS, "Calls that the PBX announced"),
    (AGENT_ANNOUNCEMENT_AGE, "How old an announcement is when it is read"),
    (AGENT_ANSWERS, "Held calls that were answered, or not, by reason"),
    (AGENT_ANSWER_SECONDS, "Time from the announcement to the answer"),
    (AGENT_LINK_UP, "1 if the link to the PBX is up"),
    (AGENT_NODE_USED, "1 if the agent uses this node"),
    (AGENT_GAPS, "Times that events were found to be missing"),
    (AGENT_ADDRESSES_REFUSED, "Addresses in headers that were not taken, by why"),
    (AGENT_REPORT_RETRIES, "Reports to the node that had to be repeated"),
    (AGENT_SIP_MESSAGES, "SIP MESSAGEs through the PBX, by result"),
    (AGENT_SIP_DROPPED, "SIP MESSAGEs that the agent did not give to the PBX, by why"),
];
