//! New ids of calls and clients.

use std::fmt::Debug;
use std::str::FromStr;

use uuid::Uuid;

/// A new id: a UUID of version 7, so that ids are in the order of their making.
pub(in crate::node) fn new_id<T: FromStr>() -> T
where
    T::Err: Debug,
{
    // Hex digits and hyphens are what every name of ours allows.
    Uuid::now_v7().to_string().parse().unwrap_or_else(|_| unreachable!("a UUID is a name"))
}
