//! stub
use {asterisk_rs as _, criterion as _, freeswitch_esl_tokio as _};
fn main() {}
