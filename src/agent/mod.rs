//! The event-socket client: attaches to PBXs, holds calls for a decision, follows them and tells the node.
