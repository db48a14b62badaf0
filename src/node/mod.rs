//! The service node: the HTTP API, the decision, the exchange of addresses.
