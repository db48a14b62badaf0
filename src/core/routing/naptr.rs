//! ENUM: NAPTR records of a telephone number, read into what they say (RFC 6116, RFC 3402, RFC 4769).
//!
//! Whoever holds a zone writes these, so they are hostile: a substitution expression runs on an engine
//! that is linear in its input, its size is bounded, and what it makes is parsed into strict types.

use regex::bytes::{Regex, RegexBuilder};

use super::portability::PortabilityAnswer;
use crate::core::base::name::OperatorName;
use crate::core::numbering::number::Number;
use crate::core::numbering::tel_uri::TelUri;

/// Records that are looked at; a number has a few.
const RECORDS_MAX: usize = 32;
/// Octets of a compiled expression: bounds what `((a{255}){255}){255}` would grow to.
const COMPILED_MAX: usize = 64 * 1024;
/// Octets of a result. A `regexp` has at most 255, and can repeat the number a few times.
const RESULT_MAX: usize = 512;

/// A NAPTR record (RFC 3403 §4.1), as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones are looked at first.
    pub order: u16,
    /// Among those of one order, lower ones first.
    pub preference: u16,
    /// `u`: the expression makes a URI.
    pub flags: Vec<u8>,
    /// `E2U+pstn:tel`.
    pub services: Vec<u8>,
    /// `!^.*$!tel:+12125550100;npdi;rn=+12125559999!`
    pub regexp: Vec<u8>,
}

/// Why a record's expression makes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// Not `!ere!replacement!flags`.
    #[error("is not a substitution expression")]
    Form,
    /// Not of the subset of POSIX extended regular expressions that is taken, or too large.
    #[error("has a regular expression that is not taken")]
    Expression,
    /// It doesn't match the number.
    #[error("does not match")]
    NoMatch,
    /// A back reference to a group that isn't there.
    #[error("refers to a group that it doesn't have")]
    Group,
    /// Longer than a URI can be.
    #[error("makes something too long")]
    TooLong,
}

/// The domain name of a number, without the suffix: `0.0.1.0.5.5.5.2.1.2.1` (RFC 6116 §3.2). None for
/// an extension, which means nothing elsewhere.
pub fn labels(number: &Number) -> Option<String> {
    let Number::E164(digits) = number else { return None };
    let labels: Vec<String> = digits.chars().rev().map(String::from).collect();
    Some(labels.join("."))
}

/// What the records say about a number.
///
/// Records are taken by order, then preference. The first that can be used fixes the order: others of
/// a higher one aren't looked at (RFC 3403 §4.1). Among those of the same order each kind of fact is taken
/// from the first that has it. Non-terminal records (without the flag `u`) aren't followed: each
/// would be one more question while somebody waits for a ringback tone.
pub fn read(records: &[Naptr], number: &Number) -> PortabilityAnswer {
    let mut records: Vec<&Naptr> = records.iter().take(RECORDS_MAX).collect();
    records.sort_by_key(|record| (record.order, record.preference));
    let (mut answer, mut order) = (PortabilityAnswer::default(), None);
    for record in records {
        if order.is_some_and(|order| order != record.order) {
            break;
        }
        let Some(said) = one(record, number) else { continue };
        order = Some(record.order);
        // One fact in two fields: a record that says "not ported" takes no routing number from another one.
        if answer.ported.is_none() {
            (answer.ported, answer.routing_number) = (said.ported, said.routing_number);
        }
        answer.operator = answer.operator.or(said.operator);
        answer.node = answer.node.or(said.node);
        answer.has_client = answer.has_client.or(said.has_client);
    }
    answer
}

/// What one record says; none if it isn't ours to read.
fn one(record: &Naptr, number: &Number) -> Option<PortabilityAnswer> {
    if !record.flags.eq_ignore_ascii_case(b"u") {
        return None;
    }
    let services = str::from_utf8(&record.services).ok()?.to_ascii_lowercase();
    let (e2u, services) = services.split_once('+')?;
    if e2u != "e2u" {
        return None;
    }
    let uri = rewrite(&record.regexp, &number.to_string()).ok()?;
    // One URI, and all that it is good for (RFC 6116 §3.4.2).
    services.split('+').find_map(|service| match service {
        "pstn:tel" => pstn_tel(&uri, number),
        "pstn:sip" => pstn_sip(&uri, number),
        "sip" => Some(PortabilityAnswer { operator: Some(sip(&uri)?.1), ..PortabilityAnswer::default() }),
        "x-sidecall:https" => Some(PortabilityAnswer {
            node: Some(uri.parse().ok()?),
            has_client: Some(true),
            ..PortabilityAnswer::default()
        }),
        _ => None,
    })
}

/// `tel:+12125550100;npdi;rn=+12125559999` (RFC 4769 §4)
fn pstn_tel(uri: &str, number: &Number) -> Option<PortabilityAnswer> {
    ported(&uri.parse().ok()?, number)
}

/// `sip:+12125550100;npdi;rn=+12125559999@gateway.example;user=phone` (RFC 4769 §5)
fn pstn_sip(uri: &str, number: &Number) -> Option<PortabilityAnswer> {
    let (user, host) = sip(uri)?;
    let said = ported(&TelUri::subscriber(user).ok()?, number)?;
    Some(PortabilityAnswer { operator: Some(host), ..said })
}

fn ported(uri: &TelUri, number: &Number) -> Option<PortabilityAnswer> {
    // What is said about another number is a call forwarding, and no matter of ours.
    if uri.number != *number {
        return None;
    }
    let ported = (uri.asked || uri.routing_number.is_some()).then_some(uri.routing_number.is_some());
    Some(PortabilityAnswer { ported, routing_number: uri.routing_number.clone(), ..PortabilityAnswer::default() })
}

/// User and host of `sip:user@host:port;parameters`. The host is the operator's name.
fn sip(uri: &str) -> Option<(&str, OperatorName)> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return None;
    }
    let (user, rest) = rest.split_once('@')?;
    let host = rest.split([':', ';', '?']).next().unwrap_or_default();
    Some((user, host.to_ascii_lowercase().parse().ok()?))
}

/// Applies a substitution expression (RFC 3402 §3.2) to a text. Its result is the replacement alone,
/// whatever part of the text the expression matched.
///
/// # Errors
/// If the expression is not one, is not taken, or doesn't match.
pub fn rewrite(expression: &[u8], text: &str) -> Result<String, RewriteError> {
    let expression = str::from_utf8(expression).ok().filter(|text| text.is_ascii()).ok_or(RewriteError::Form)?;
    let (ere, replacement, ignore_case) = split(expression)?;
    let regex = compile(&ere, ignore_case)?;
    let groups = regex.captures(text.as_bytes()).ok_or(RewriteError::NoMatch)?;
    let mut made = String::new();
    let mut characters = replacement.chars();
    while let Some(c) = characters.next() {
        match (c, characters.clone().next()) {
            ('\\', Some(digit @ '1'..='9')) => {
                characters.next();
                let n = digit as usize - '0' as usize;
                if n >= regex.captures_len() {
                    return Err(RewriteError::Group);
                }
                // A group that took no part is empty.
                let group = groups.get(n).map_or(&b""[..], |group| group.as_bytes());
                made.push_str(str::from_utf8(group).map_err(|_| RewriteError::Group)?);
            }
            ('\\', Some(escaped)) => {
                characters.next();
                made.push(escaped);
            }
            (c, _) => made.push(c),
        }
        if made.len() > RESULT_MAX {
            return Err(RewriteError::TooLong);
        }
    }
    Ok(made)
}

/// `!ere!replacement!i` into its parts; the first character is the delimiter.
fn split(expression: &str) -> Result<(String, String, bool), RewriteError> {
    let mut characters = expression.chars();
    let delimiter = characters.next().filter(|c| !matches!(c, '0'..='9' | 'i' | '\\')).ok_or(RewriteError::Form)?;
    let mut parts = vec![String::new()];
    while let Some(c) = characters.next() {
        let part = parts.last_mut().ok_or(RewriteError::Form)?;
        match c {
            '\\' => match characters.next().ok_or(RewriteError::Form)? {
                // The delimiter as itself, unless that means something to the expression.
                escaped if escaped == delimiter && !SPECIAL.contains(escaped) => part.push(escaped),
                escaped => part.extend(['\\', escaped]),
            },
            c if c == delimiter => parts.push(String::new()),
            c => part.push(c),
        }
    }
    let [ere, replacement, flags] = <[String; 3]>::try_from(parts).map_err(|_| RewriteError::Form)?;
    match flags.as_str() {
        "" | "i" => Ok((ere, replacement, !flags.is_empty())),
        _ => Err(RewriteError::Form),
    }
}

/// What a backslash may stand before in an expression (POSIX 1003.1 §9.4.3).
const SPECIAL: &str = "^.[$()|*+?{\\]}/";

/// Compiles the subset of POSIX extended regular expressions that ENUM zones use: anchors, `.`, groups,
/// alternatives, bracket expressions, `* + ?` and `{m,n}`. Where several matches are possible the
/// leftmost first is taken, not the longest. What POSIX leaves undefined, and other engines gave a
/// meaning to (`\d`, `(?…)`, `*?`), is refused.
fn compile(ere: &str, ignore_case: bool) -> Result<Regex, RewriteError> {
    use RewriteError::Expression;
    let mut regex = String::with_capacity(ere.len() * 2);
    let mut characters = ere.chars().peekable();
    // Whether there is something that can be repeated.
    let mut atom = false;
    while let Some(c) = characters.next() {
        atom = match c {
            '\\' => {
                let escaped = characters.next().filter(|c| SPECIAL.contains(*c)).ok_or(Expression)?;
                literal(&mut regex, escaped);
                true
            }
            '[' => {
                bracket(&mut characters, &mut regex)?;
                true
            }
            '*' | '+' | '?' | '{' if !atom => return Err(Expression),
            '{' => {
                let bounds = until(&mut characters, '}').ok_or(Expression)?;
                let digits = |text: &str| text.parse::<u8>().is_ok() && !text.starts_with('+');
                let good = match bounds.split_once(',') {
                    None => digits(&bounds),
                    Some((from, "")) => digits(from),
                    Some((from, to)) => digits(from) && digits(to),
                };
                if !good {
                    return Err(Expression);
                }
                regex.push_str(&format!("{{{bounds}}}"));
                false
            }
            '*' | '+' | '?' | '^' | '$' | '(' | '|' => {
                regex.push(c);
                false
            }
            '.' | ')' => {
                regex.push(c);
                true
            }
            c => {
                literal(&mut regex, c);
                true
            }
        };
    }
    RegexBuilder::new(&regex)
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(COMPILED_MAX)
        .build()
        .map_err(|_| Expression)
}

/// What stands before `end`, which must come.
fn until(characters: &mut impl Iterator<Item = char>, end: char) -> Option<String> {
    let mut text = String::new();
    loop {
        match characters.next()? {
            c if c == end => return Some(text),
            c => text.push(c),
        }
    }
}

fn literal(regex: &mut String, c: char) {
    regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

/// A bracket expression, without its `[`: characters, ranges, and classes such as `[:digit:]`.
fn bracket(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Result<(), RewriteError> {
    use RewriteError::Expression;
    regex.push('[');
    if characters.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    let mut first = true;
    loop {
        match characters.next().ok_or(Expression)? {
            ']' if !first => break,
            '[' if characters.peek() == Some(&':') => {
                let name = until(characters, ']').ok_or(Expression)?;
                let name = name.strip_prefix(':').and_then(|name| name.strip_suffix(':')).ok_or(Expression)?;
                if !matches!(name, "digit" | "alpha" | "alnum" | "upper" | "lower" | "xdigit") {
                    return Err(Expression);
                }
                regex.push_str(&format!("[:{name}:]"));
            }
            // Collating symbols and equivalence classes.
            '[' if matches!(characters.peek(), Some('.' | '=')) => return Err(Expression),
            c => {
                bracketed(regex, c);
                let mut ahead = characters.clone();
                if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                    characters.next();
                    let last = characters.next().filter(|last| *last >= c && *last != '[').ok_or(Expression)?;
                    regex.push('-');
                    bracketed(regex, last);
                }
            }
        }
        first = false;
    }
    regex.push(']');
    Ok(())
}

/// A backslash is itself in there, and nothing else is special to us.
fn bracketed(regex: &mut String, c: char) {
    if !c.is_ascii_alphanumeric() {
        regex.push('\\');
    }
    regex.push(c);
}

#[cfg(test)]
#[path = "naptr_tests.rs"]
mod tests;
