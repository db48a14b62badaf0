//! The JSON of the HTTP API: what agent and node say to each other and to administrators.
