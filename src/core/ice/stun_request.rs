//! A STUN binding request and what answers it (RFC 8489 §5): every STUN and TURN server answers one.
//!
//! ```text
//! 00 01  00 00  21 12 A4 42  (12 bytes)       type, length of the attributes, magic cookie, transaction
//! ```

const REQUEST: [u8; 2] = [0x00, 0x01];
const SUCCESS: [u8; 2] = [0x01, 0x01];
/// A TURN server may want credentials even for this.
const ERROR: [u8; 2] = [0x01, 0x11];
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// Bytes of a message without attributes.
const HEADER: usize = 20;

/// A binding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StunRequest([u8; HEADER]);

impl StunRequest {
    /// A request with this transaction id, which has to be random.
    pub fn new(transaction: [u8; 12]) -> StunRequest {
        let mut message = [0; HEADER];
        message[..2].copy_from_slice(&REQUEST);
        message[4..8].copy_from_slice(&COOKIE);
        message[8..].copy_from_slice(&transaction);
        StunRequest(message)
    }

    /// What is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a datagram answers this request, with success or an error.
    pub fn is_answered_by(&self, datagram: &[u8]) -> bool {
        let Some((header, attributes)) = datagram.split_at_checked(HEADER) else { return false };
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let is_answer = header[..2] == SUCCESS || header[..2] == ERROR;
        is_answer && header[4..] == self.0[4..] && length == attributes.len() && length.is_multiple_of(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: [u8; 12] = *b"transaction!";

    /// An answer with one attribute of eight bytes.
    fn answer(kind: [u8; 2]) -> Vec<u8> {
        [&kind[..], &[0, 8], &COOKIE, &TRANSACTION, &[0; 8]].concat()
    }

    #[test]
    fn the_request_is_twenty_bytes() {
        let wanted = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], b"transaction!"].concat();
        assert_eq!(StunRequest::new(TRANSACTION).as_bytes(), wanted);
    }

    #[test]
    fn an_answer_has_the_requests_transaction() {
        let request = StunRequest::new(TRANSACTION);
        assert!(request.is_answered_by(&answer(SUCCESS)) && request.is_answered_by(&answer(ERROR)));
        assert!(!StunRequest::new(*b"another one.").is_answered_by(&answer(SUCCESS)));
        assert!(!request.is_answered_by(&answer(REQUEST)), "an echo of the request");
        assert!(!request.is_answered_by(&answer(SUCCESS)[..24]), "cut off");
        let old = [&SUCCESS[..], &[0, 0, 0, 0, 0, 0], &TRANSACTION].concat();
        assert!(!request.is_answered_by(&old), "without the magic cookie");
    }

    #[test]
    fn an_answer_with_one_bit_of_its_header_changed_answers_nothing() {
        let request = StunRequest::new(TRANSACTION);
        for kind in [SUCCESS, ERROR] {
            for bit in 0..HEADER * 8 {
                let mut changed = answer(kind);
                changed[bit / 8] ^= 1 << (bit % 8);
                // One bit tells success from an error.
                let is_other_answer = changed == answer(SUCCESS) || changed == answer(ERROR);
                assert_eq!(request.is_answered_by(&changed), is_other_answer, "{kind:?}, bit {bit}");
            }
        }
    }
}
