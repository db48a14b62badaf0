//! New ids of calls and clients, and new tokens.

use std::fmt::Debug;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// A new id: a UUID of version 7, so that ids are in the order of their making.
pub(in crate::node) fn new_id<T: FromStr>() -> T
where
    T::Err: Debug,
{
    // Hex digits and hyphens are what every name of ours allows.
    Uuid::now_v7().to_string().parse().unwrap_or_else(|_| unreachable!("a UUID is a name"))
}

/// A new token: 256 random bits.
pub(in crate::node) fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
