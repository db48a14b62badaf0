//! What must hold for any answer of a portability service. Compiled with the crate so that it can't fall
//! behind it; run by the fuzzer (`fuzz/`).

use super::http::understood;
use crate::core::numbering::number::Number;

/// Parses any body, or refuses it.
pub fn answer(data: &[u8]) {
    let Ok(number) = "+12125550100".parse::<Number>() else { return };
    let _ = understood(data, &number);
}
