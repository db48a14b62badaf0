#!/usr/bin/env bash
# What sidecall adds to the call set-up on the real PBXs of this machine: with and without it,
# interleaved. Options are those of the program: --rounds N --calls N --rate N --saturate N --json.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet --bin sidecall --example post_dial_delay
exec target/release/examples/post_dial_delay "$@"
