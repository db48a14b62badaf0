//! Marks tests that need a FreeSWITCH. A test can't be skipped while it runs, so one that can't run here is ignored
//! when it is compiled: every runner counts it as skipped, and none as passed.

use proc_macro::TokenStream;

/// On a test: without a FreeSWITCH it is ignored.
#[proc_macro_attribute]
pub fn needs_freeswitch(_: TokenStream, test: TokenStream) -> TokenStream {
    let mark = if cfg!(freeswitch) { "" } else { "#[ignore = \"no FreeSWITCH here\"]" };
    mark.parse::<TokenStream>().into_iter().chain([test]).collect()
}

/// Whether there was a FreeSWITCH when the tests were compiled.
#[proc_macro]
pub fn had_freeswitch(_: TokenStream) -> TokenStream {
    if cfg!(freeswitch) { "true" } else { "false" }.parse().unwrap_or_default()
}
