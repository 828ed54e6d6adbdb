# Recipes for daily work. Each calls a command or script that also works without just.

set shell := ["bash", "-euc"]

# Lists the recipes.
default:
    @just --list

# Checks formatting and lints, without running tests.
check:
    .ci/run fmt clippy

# Runs the unit tests.
test *arguments:
    cargo test --locked -p sqs-client -p sqs-extended --all-features --lib {{ arguments }}

# Runs all tests with real servers, which are installed if they are missing.
test-all *arguments:
    tests/run {{ arguments }}

# Runs the contract of stores, with those that run on request only. SQS_TEST_S3=http://… adds another S3 server.
stores:
    SQS_TEST_STORES=seaweedfs,garage cargo test --locked -p sqs-tests --test it -- stores::contract

# Runs everything that a change must pass.
ci *steps:
    .ci/run {{ steps }}

# Runs a benchmark, for example `just bench hotpath --pairs 5`.
bench name *arguments:
    cd bench && cargo run --locked --release --bin {{ name }} -- {{ arguments }}

# Builds the documentation, with warnings as errors.
docs:
    .ci/run docs

# Checks licenses, advisories and banned crates (needs cargo-deny).
deny *checks:
    cargo deny --locked --all-features check {{ checks }}

# Checks the spelling (needs typos).
typos:
    .ci/run typos

# Compares the public API with the last release (needs cargo-semver-checks).
semver:
    .ci/run semver

# Runs each fuzz target briefly (needs nightly Rust and cargo-fuzz).
fuzz seconds="60":
    FUZZ_SECONDS={{ seconds }} .ci/run fuzz
