//! Phones, media and trunks as they are found in the field, on each real PBX: the call is as ever, and who talks is
//! paired. `docs/BEHAVIOURS.md` says what an administrator sets for each.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

#[path = "e2e_media/house.rs"]
mod house;
#[path = "e2e_media/media.rs"]
mod media;
#[path = "e2e_media/phones.rs"]
mod phones;
#[path = "e2e_media/trunks.rs"]
mod trunks;

use media::{a_fax_over_t38, a_refreshed_session_and_another_codec};
use phones::{a_phone_with_tls_and_srtp, two_phones_of_one_number};
use trunks::{a_trunk_by_host_name, a_trunk_over_ipv6, a_trunk_that_registers, a_trunk_with_tls_and_srtp};

lab::on_both_pbxs! {
    two_phones_of_one_number,
    a_phone_with_tls_and_srtp,
    a_refreshed_session_and_another_codec,
    a_fax_over_t38,
    a_trunk_that_registers,
    a_trunk_by_host_name,
    a_trunk_with_tls_and_srtp,
    a_trunk_over_ipv6,
}
