//! Numbers that have moved from one operator to another, as the DNS says it, and a node that asks the DNS.

use crate::Knot;
use crate::net::knot::{Records, ZONE};

/// Numbers, and the routing number of the operator that has each now. They are known for `ttl` seconds.
pub fn moved<'a>(numbers: impl IntoIterator<Item = (&'a str, &'a str)>, ttl: u32) -> Records {
    numbers.into_iter().fold(Records::default(), |records, (number, rn)| {
        records.naptr(number, (100, 10), ttl, "E2U+pstn:tel", &format!("!^(.*)$!tel:\\1;npdi;rn={rn}!"))
    })
}

/// The configuration of a node that asks this server, with more lines of `[node.lnp]`.
pub fn asking(knot: &Knot, lines: &str) -> String {
    format!(
        "[node.lnp]\n{lines}[[node.lnp.source]]\nname = \"enum\"\nkind = \"enum\"\nsuffix = \"{ZONE}\"\nservers = [\"{}\"]\n",
        knot.address()
    )
}

/// The route to the operator whose routing numbers begin with `rn_prefix`: the packet trunk.
pub fn route(rn_prefix: &str) -> String {
    format!("[[node.lnp.route]]\nrn_prefix = \"{rn_prefix}\"\ntrunk = \"sidecall\"\n")
}
