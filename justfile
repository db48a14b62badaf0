# What people do daily. `just` lists it.

default:
    @just --list

# Build the program
build:
    cargo build --release --locked

# Run the tests; arguments choose some
test *ARGS:
    tests/run {{ARGS}}

# Tests that need no PBX
unit:
    cargo test -p sidecall -p sidecall-lab --lib

# Format and lint
lint:
    cargo fmt --all --check
    cargo clippy --locked -p sidecall -p sidecall-lab -p sidecall-load --all-targets -- -D warnings
    cargo clippy --locked -p sidecall-tidy --all-targets -- -D warnings
    shellcheck -x install.sh install/*.sh tests/run lab/*.sh fuzz/run fuzz/instrument .ci/run

# The rules of the house (tests/tidy), in seconds
tidy:
    cargo test --locked -p sidecall-tidy

# Format
fmt:
    cargo fmt --all

# The API's documentation
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --open

# Fuzz every target for some seconds, or those that are named
fuzz *ARGS:
    fuzz/run {{ARGS}}

# Benchmarks; docs/BENCHMARKS.md says what they mean
bench:
    cargo bench
    cargo bench -p sidecall-bench-decoding

# Many scripted PBXs, at a rate that grows until something breaks; `just load --help` explains it
load *ARGS:
    cargo build --release --locked -p sidecall -p sidecall-load
    target/release/sidecall-load {{ARGS}}

# Make faults at random while real calls are made, for some seconds; SIDECALL_CHAOS_SEED=N repeats a run
chaos SECONDS="1800":
    SIDECALL_CHAOS_SEED="${SIDECALL_CHAOS_SEED:-$(date +%s%N)}" SIDECALL_CHAOS_SECONDS={{SECONDS}} \
      cargo test --locked --test e2e_chaos -- --nocapture

# See it work on real PBXs
demo *ARGS:
    ./install.sh --demo {{ARGS}}

# Everything that must hold
ci:
    .ci/run
