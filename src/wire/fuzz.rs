//! Helpers for fuzzing both protocols.

use bytes::BytesMut;
use tokio_util::codec::Decoder;

/// Chunk sizes derived from the data, for fuzzers that only provide bytes.
pub(crate) fn chunks(data: &[u8]) -> [usize; 3] {
    let last = data.last().copied().unwrap_or_default();
    [data.len() % 61 + 1, usize::from(last) + 1, 7]
}

/// Decodes `data` cut into chunks of the given sizes (the last is repeated), until its end or the
/// first error.
pub(crate) fn decode<D: Decoder>(mut codec: D, data: &[u8], chunks: &[usize]) -> (Vec<D::Item>, Option<D::Error>) {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    let mut sizes = chunks.iter().copied();
    let mut size = usize::MAX;
    let mut rest = data;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).max(1);
        let (chunk, tail) = rest.split_at(size.min(rest.len()));
        rest = tail;
        buffer.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
