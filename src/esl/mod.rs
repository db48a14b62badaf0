//! FreeSWITCH's event socket: bytes ↔ frames, a codec that only delimits, a client that owns a connection.
