//! The fuzz targets and where their seeds come from. `tests/fuzz_regressions.rs` uses this file too.

use std::fs;
use std::path::Path;

use sidecall::{agent, ami, cli, config, core, esl, lnp, media, node, pbx};

/// A body of the crate, and what it is fed with first.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]),
    seeds: &'static [Seeds],
}

/// Seeds that are made from what the repository has anyway.
#[derive(Clone, Copy)]
enum Seeds {
    /// A recording: as a whole, and in pieces of some messages each.
    Recording(&'static str),
    /// A whole file.
    File(&'static str),
    /// The string literals of a source file: what its tests read.
    Literals(&'static str),
    /// The same, each as the payload of a WebSocket frame; from a client it has a mask.
    Frames { source: &'static str, masked: bool },
}

use Seeds::{File, Frames, Literals, Recording};

pub(crate) const ALL: &[Target] = &[
    Target {
        name: "esl-stream",
        run: esl::fuzz::bytes,
        seeds: &[
            Recording("fixtures/esl/hold-call-plain.recv"),
            Recording("fixtures/esl/outbound-socket.recv"),
            Literals("tests/wire_esl.rs"),
        ],
    },
    Target {
        name: "ami-stream",
        run: ami::fuzz::bytes,
        seeds: &[
            Recording("fixtures/ami/hold-call.recv"),
            Recording("fixtures/ami/status.recv"),
            Literals("tests/wire_ami.rs"),
        ],
    },
    Target {
        name: "freeswitch-events",
        run: pbx::freeswitch::fuzz::translator,
        seeds: &[
            Recording("fixtures/esl/announced-call.recv"),
            Recording("fixtures/esl/hold-call-plain.recv"),
            Recording("fixtures/esl/outbound-socket.recv"),
            Literals("src/pbx/freeswitch/translator_tests.rs"),
        ],
    },
    Target {
        name: "asterisk-events",
        run: pbx::asterisk::fuzz::translator,
        seeds: &[
            Recording("fixtures/ami/announced-call.recv"),
            Recording("fixtures/ami/status.recv"),
            Literals("src/pbx/asterisk/translator_tests.rs"),
        ],
    },
    Target { name: "calls", run: agent::fuzz::calls, seeds: &[] },
    Target {
        name: "http-body",
        run: node::fuzz::body,
        seeds: &[
            Literals("src/node/http/extract.rs"),
            Literals("src/node/http/openapi.rs"),
            Literals("src/cli/client/contacts.rs"),
        ],
    },
    Target {
        name: "client-frames",
        run: node::fuzz::frames,
        seeds: &[Frames { source: "fuzz/seeds/client-frames/acknowledged", masked: true }],
    },
    Target {
        name: "node-frames",
        run: cli::fuzz::frames,
        seeds: &[Frames { source: "src/cli/client/contacts.rs", masked: false }],
    },
    Target {
        name: "naptr",
        run: core::fuzz::naptr,
        seeds: &[
            Literals("src/core/routing/naptr_tests.rs"),
            Literals("src/core/numbering/tel_uri.rs"),
            Literals("src/core/numbering/number.rs"),
        ],
    },
    Target { name: "portability-answer", run: lnp::fuzz::answer, seeds: &[Literals("src/lnp/http.rs")] },
    Target {
        name: "received-header",
        run: core::fuzz::header,
        seeds: &[
            Literals("src/core/address/uui.rs"),
            Literals("src/core/address/mod.rs"),
            Literals("src/agent/follow/mod.rs"),
        ],
    },
    Target {
        name: "config",
        run: config::fuzz::text,
        seeds: &[File("etc/sidecall.toml"), Literals("src/config/mod.rs"), Literals("tests/sample_config.rs")],
    },
    Target { name: "signals", run: media::fuzz::signals, seeds: &[Literals("src/media/signal_tests.rs")] },
    Target {
        name: "file-channel",
        run: media::fuzz::file_channel,
        seeds: &[Literals("src/media/transfer/frames.rs"), Literals("src/media/file_name.rs")],
    },
    Target { name: "csv", run: node::fuzz::csv, seeds: &[Literals("src/node/http/api/csv_lines.rs")] },
];

/// Octets of a piece of a recording.
const PIECE: usize = 4096;

/// What a target is fed with first. The repository is the working directory.
pub(crate) fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let made = target.seeds.iter().flat_map(|seeds| match *seeds {
        Recording(file) => pieces(&read(file)),
        File(file) => uncommented(&read(file)),
        Literals(file) => literals(&read(file)),
        Frames { source, masked } => literals(&read(source)).iter().map(|text| frame(text, masked)).collect(),
    });
    let kept = ["fuzz/seeds", "fuzz/regressions"].into_iter().flat_map(|dir| files(&Path::new(dir).join(target.name)));
    let mut seeds: Vec<_> = made.chain(kept).collect();
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}

fn read(file: &str) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The files of a directory, if it is there.
pub(crate) fn files(dir: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// A recording, and what is between blank lines in it, each by itself and some together.
fn pieces(recording: &[u8]) -> Vec<Vec<u8>> {
    let end = if recording.windows(4).any(|end| end == b"\r\n\r\n") { &b"\r\n\r\n"[..] } else { b"\n\n" };
    let ends = recording.windows(end.len()).enumerate().filter(|(_, bytes)| *bytes == end);
    let ends: Vec<usize> = ends.map(|(at, _)| at + end.len()).collect();
    let (mut pieces, mut from) = (vec![recording.to_vec()], 0);
    for (n, at) in ends.iter().enumerate() {
        let begin = n.checked_sub(1).map_or(0, |before| ends[before]);
        pieces.push(recording[begin..*at].to_vec());
        if at - from >= PIECE {
            pieces.push(recording[from..*at].to_vec());
            from = *at;
        }
    }
    pieces
}

/// A commented sample, and what is behind its comment signs.
fn uncommented(sample: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(sample);
    let lines = text.lines().map(|line| line.strip_prefix('#').map_or(line, str::trim_start));
    let keys: Vec<&str> = lines.filter(|line| line.starts_with('[') || line.contains(" = ")).collect();
    let tables = keys.join("\n").replace("\n[", "\n\n[").split("\n\n").map(|table| table.as_bytes().to_vec()).collect();
    [vec![sample.to_vec()], tables].concat()
}

/// The string literals of Rust source; the whole text, if it has none.
fn literals(source: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(source);
    let mut found = Vec::new();
    let mut rest = &*text;
    while let Some(at) = rest.find('"') {
        let raw = rest[..at].trim_end_matches('#');
        let hashes = at - raw.len();
        if raw.ends_with('r') {
            let end = format!("\"{}", "#".repeat(hashes));
            let Some((literal, after)) = rest[at + 1..].split_once(&end) else { break };
            found.push(literal.as_bytes().to_vec());
            rest = after;
            continue;
        }
        let mut literal = String::new();
        let mut characters = rest[at + 1..].char_indices();
        let end = loop {
            match characters.next() {
                None => break rest.len(),
                Some((n, '"')) => break at + 2 + n,
                Some((_, '\\')) => match characters.next() {
                    Some((_, 'n')) => literal.push('\n'),
                    Some((_, 'r')) => literal.push('\r'),
                    Some((_, 't')) => literal.push('\t'),
                    Some((_, '0')) => literal.push('\0'),
                    // The line goes on behind the blanks of the next.
                    Some((n, '\n')) => {
                        let blanks = rest[at + 2 + n..].len() - rest[at + 2 + n..].trim_start().len();
                        characters.by_ref().take(blanks).for_each(|_| {});
                    }
                    Some((_, c)) => literal.push(c),
                    None => break rest.len(),
                },
                Some((_, c)) => literal.push(c),
            }
        };
        // Braces are doubled where a text is formatted.
        found.extend(literal.contains("{{").then(|| literal.replace("{{", "{").replace("}}", "}").into_bytes()));
        found.push(literal.into_bytes());
        rest = &rest[end..];
    }
    if found.is_empty() {
        found.push(source.to_vec());
    }
    found
}

/// A text frame (RFC 6455 §5.2); a mask of zeros leaves the payload as it is.
fn frame(payload: &[u8], masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![0x81];
    match u8::try_from(payload.len()).ok().filter(|length| *length < 126) {
        Some(length) => frame.push(mask | length),
        None => {
            frame.push(mask | 126);
            frame.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend(masked.then_some([0; 4]).into_iter().flatten());
    frame.extend(payload);
    frame
}
