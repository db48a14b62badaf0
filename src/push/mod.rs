//! How a message reaches a multimedia client: hosted stream, SIP MESSAGE, webhook.
