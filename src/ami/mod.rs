//! Asterisk's manager interface: bytes ↔ messages, a codec that only delimits, a client that owns a connection.
