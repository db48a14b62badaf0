//! The peers that the user can talk to, and the commands that the user types.

use crate::cli::output::clean;
use crate::contract::{Capability, PeerClient, Role};
use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::numbering::number::Number;

/// How a peer is displayed: `[1] Bob`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    /// The number for `/to`.
    pub(super) n: usize,
    /// The displayed name.
    pub(super) name: String,
    /// The peer's number, unless withheld.
    pub(super) number: Option<Number>,
}

/// A parsed line of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TypedLine {
    /// An empty line.
    Nothing,
    /// Text for a peer.
    Text { label: Label, address: Address, text: String },
    /// Accepts offered files: this offer, or the latest.
    Accept(Option<usize>),
    /// Declines them.
    Decline(Option<usize>),
    /// Something to tell the user.
    Note(String),
    /// The end.
    Quit,
}

/// Maximum number of peers that are remembered.
const KNOWN_MAX: usize = 100;

#[derive(Debug)]
struct Known {
    call: CallId,
    role: Role,
    label: Label,
    address: Address,
    capabilities: Vec<Capability>,
    live: bool,
    /// Left while somebody else stayed: a conference. The address by which this client is reached there is still good.
    left_others: bool,
}

impl Known {
    fn text(&self, text: &str) -> TypedLine {
        TypedLine::Text { label: self.label.clone(), address: self.address.clone(), text: text.to_owned() }
    }
}

/// The latest peers.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: Vec<Known>,
    /// How many there have been since the start. The latest has this number.
    met: usize,
    /// The number of the peer to whom text goes.
    current: Option<usize>,
}

const HELP: &str = "text goes to the current peer; /to N text speaks to another and makes it current; \
    /peers lists them; /accept N and /decline N answer an offer of files; /quit ends";

impl Contacts {
    /// Adds a peer and makes it current. A known peer of the same call keeps its label; its address may change.
    pub(super) fn met(&mut self, call: &CallId, role: Role, peer: &PeerClient) -> Label {
        let at = self.known.iter().position(|known| known.call == *call && known.label.number == peer.number);
        let n = at.map_or(self.met + 1, |at| self.known[at].label.n);
        let name = peer.name.as_deref().map(clean).filter(|name| !name.trim().is_empty());
        let label = Label { n, name: name.unwrap_or_else(|| shown(peer.number.as_ref())), number: peer.number.clone() };
        let known = Known {
            call: call.clone(),
            role,
            label: label.clone(),
            address: peer.address.clone(),
            capabilities: peer.capabilities.clone(),
            live: true,
            left_others: false,
        };
        match at {
            Some(at) => self.known[at] = known,
            None => self.add(known),
        }
        self.current = Some(n);
        label
    }

    /// Adds a new peer. If there are too many, the oldest one that has ended is forgotten, or else the oldest one.
    fn add(&mut self, known: Known) {
        if self.known.len() == KNOWN_MAX {
            let oldest = self.known.iter().position(|known| !known.live).unwrap_or(0);
            self.known.remove(oldest);
        }
        self.met = known.label.n;
        self.known.push(known);
    }

    /// Marks a peer as ended. If it was current, the latest live peer becomes current.
    pub(super) fn ended(&mut self, call: &CallId, number: Option<&Number>) -> Option<Label> {
        let at = self.known.iter().position(|known| known.call == *call && known.label.number.as_ref() == number)?;
        self.known[at].live = false;
        let left_others = self.in_call(call).any(|known| known.live);
        self.known[at].left_others = left_others;
        if self.current == Some(self.known[at].label.n) {
            self.current = self.known.iter().rfind(|known| known.live).map(|known| known.label.n);
        }
        Some(self.known[at].label.clone())
    }

    /// Who has sent a message in a call: the peer with the address that the node names. If it names none, the sender is
    /// known only if nobody else may have sent it: who is in the call, or has left it while others stayed.
    pub(super) fn sender(&self, call: &CallId, address: Option<&Address>) -> Option<Label> {
        let may_send = |known: &&Known| known.live || known.left_others;
        match address {
            Some(address) => self.at(call, address).map(|known| known.label.clone()),
            None => {
                let mut senders = self.in_call(call).filter(may_send);
                match (senders.next(), senders.next()) {
                    (Some(only), None) => Some(only.label.clone()),
                    (Some(_), Some(_)) => None,
                    (None, _) => self.of(call),
                }
            }
        }
    }

    /// Whether the peer whom the node names as a sender has left the call.
    pub(super) fn has_left(&self, call: &CallId, sender: Option<&Address>) -> bool {
        sender.and_then(|sender| self.at(call, sender)).is_some_and(|known| !known.live)
    }

    /// The addresses of those who are in a call.
    pub(super) fn addresses(&self, call: &CallId) -> Vec<Address> {
        self.in_call(call).filter(|known| known.live).map(|known| known.address.clone()).collect()
    }

    fn in_call(&self, call: &CallId) -> impl DoubleEndedIterator<Item = &Known> {
        self.known.iter().filter(move |known| known.call == *call)
    }

    fn at(&self, call: &CallId, address: &Address) -> Option<&Known> {
        self.in_call(call).find(|known| known.address == *address)
    }

    /// The peer that a call is shown by: its latest one, live ones first.
    pub(super) fn of(&self, call: &CallId) -> Option<Label> {
        let latest = || self.in_call(call).rev();
        latest().find(|known| known.live).or_else(|| latest().next()).map(|known| known.label.clone())
    }

    /// Parses a typed line.
    pub(super) fn read(&mut self, line: &str) -> TypedLine {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => TypedLine::Nothing,
            "/quit" | "/q" => TypedLine::Quit,
            "/help" | "/h" | "/?" => TypedLine::Note(HELP.to_owned()),
            "/peers" => TypedLine::Note(self.list()),
            "/to" => self.to(rest.trim()),
            "/accept" | "/decline" => offer_answer(word, rest.trim()),
            word if word.starts_with('/') => TypedLine::Note(format!("there is no {}: {HELP}", clean(word))),
            _ => match self.current.and_then(|n| self.numbered(n)) {
                Some(known) => known.text(line),
                None => TypedLine::Note("you are not on the phone with anybody whose client is known".to_owned()),
            },
        }
    }

    fn to(&mut self, rest: &str) -> TypedLine {
        let (n, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some(known) = n.parse::<usize>().ok().and_then(|n| self.numbered(n)) else {
            return TypedLine::Note(format!("there is no peer {}: {}", clean(n), self.list()));
        };
        let said = match text.trim() {
            "" => TypedLine::Note(format!("you speak to {}", known.label.name)),
            text => known.text(text),
        };
        self.current = Some(known.label.n);
        said
    }

    /// The peer that the user knows by this number.
    fn numbered(&self, n: usize) -> Option<&Known> {
        self.known.iter().find(|known| known.label.n == n)
    }

    fn list(&self) -> String {
        if self.known.is_empty() {
            return "no peer yet: one is shown when a call is answered".to_owned();
        }
        let lines = self.known.iter().map(|known| {
            let mark = if self.current == Some(known.label.n) { "*" } else { " " };
            let state = if known.live { "" } else { ", ended" };
            let capabilities: Vec<_> = known.capabilities.iter().map(Capability::as_str).collect();
            let Label { n, name, number } = &known.label;
            let number = shown(number.as_ref());
            format!("{mark}[{n}] {name} {number}, {}, {}{state}", called(known.role), capabilities.join(" "))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// `/accept 2`: the answer to an offer of files.
fn offer_answer(word: &str, n: &str) -> TypedLine {
    let n = match n.parse() {
        Ok(n) => Some(n),
        Err(_) if n.is_empty() => None,
        Err(_) => return TypedLine::Note(format!("{word} takes the number of an offer of files")),
    };
    if word == "/accept" { TypedLine::Accept(n) } else { TypedLine::Decline(n) }
}

/// The text for a number, which may be withheld.
pub(super) fn shown(number: Option<&Number>) -> String {
    number.map_or_else(|| "withheld number".to_owned(), Number::to_string)
}

/// The user's side of the call, in words.
pub(super) fn called(role: Role) -> &'static str {
    match role {
        Role::First => "you called them",
        Role::Second => "they called you",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: &str, name: Option<&str>) -> PeerClient {
        let address = format!("https://node.example/a/{}", number.trim_start_matches('+'));
        PeerClient {
            number: Some(number.parse().unwrap()),
            name: name.map(str::to_owned),
            address: address.parse().unwrap(),
            capabilities: Vec::new(),
        }
    }

    fn call(id: &str) -> CallId {
        id.parse().unwrap()
    }

    fn to(said: TypedLine) -> (usize, String) {
        match said {
            TypedLine::Text { label, text, .. } => (label.n, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_goes_to_the_last_peer_who_is_there() {
        let mut peers = Contacts::default();
        assert!(matches!(peers.read("hello"), TypedLine::Note(_)));
        peers.met(&call("a"), Role::First, &peer("+12125550100", Some("Bob")));
        assert_eq!(to(peers.read("hello there")), (1, "hello there".to_owned()));
        peers.met(&call("b"), Role::Second, &peer("+12125550101", None));
        assert_eq!(to(peers.read("x")).0, 2);
        assert_eq!(to(peers.read("/to 1 hi you")), (1, "hi you".to_owned()));
        assert_eq!(to(peers.read("still")).0, 1);
        peers.ended(&call("a"), "+12125550100".parse().ok().as_ref());
        assert_eq!(to(peers.read("x")).0, 2);
        for none in ["/to 3 x", "/to 0 x", "/to", "/unknown"] {
            assert!(matches!(peers.read(none), TypedLine::Note(_)), "{none}");
        }
        assert_eq!(peers.read(" /quit "), TypedLine::Quit);
        assert_eq!(peers.read(""), TypedLine::Nothing);
    }

    #[test]
    fn of_too_many_peers_the_oldest_that_ended_is_forgotten_and_no_number_changes() {
        let mut peers = Contacts::default();
        let bob = peer("+12125550100", Some("Bob"));
        let meet = |peers: &mut Contacts, n: usize| peers.met(&call(&format!("c{n}")), Role::First, &bob).n;
        for n in 1..=KNOWN_MAX {
            assert_eq!(meet(&mut peers, n), n);
        }
        peers.ended(&call("c2"), bob.number.as_ref());
        assert_eq!(meet(&mut peers, KNOWN_MAX + 1), KNOWN_MAX + 1);
        assert_eq!(to(peers.read("/to 1 x")).0, 1);
        assert!(matches!(peers.read("/to 2 x"), TypedLine::Note(_)));
        assert_eq!(to(peers.read(&format!("/to {} x", KNOWN_MAX + 1))).0, KNOWN_MAX + 1);
        assert!(peers.of(&call("c2")).is_none());
        // All of them are still there.
        assert_eq!(meet(&mut peers, KNOWN_MAX + 2), KNOWN_MAX + 2);
        assert!(peers.of(&call("c1")).is_none() && peers.known.len() == KNOWN_MAX);
        assert_eq!(meet(&mut peers, 3), 3, "who is remembered keeps the number");
    }

    #[test]
    fn an_offer_of_files_is_answered_by_its_number_or_the_latest_is() {
        let mut peers = Contacts::default();
        assert_eq!(peers.read("/accept 2"), TypedLine::Accept(Some(2)));
        assert_eq!(peers.read("/decline  2 "), TypedLine::Decline(Some(2)));
        assert_eq!(
            (peers.read("/accept"), peers.read("/decline")),
            (TypedLine::Accept(None), TypedLine::Decline(None))
        );
        assert!(matches!(peers.read("/accept all"), TypedLine::Note(_)));
    }

    #[test]
    fn a_transferred_call_has_a_new_peer() {
        let mut peers = Contacts::default();
        peers.met(&call("a"), Role::First, &peer("+12125550100", None));
        peers.ended(&call("a"), "+12125550100".parse().ok().as_ref());
        peers.met(&call("a"), Role::First, &peer("+12125550101", Some("Eve\x1b[2J")));
        let from = peers.of(&call("a")).unwrap();
        assert_eq!((from.n, from.name.as_str()), (2, "Eve\u{fffd}[2J"));
        assert!(peers.of(&call("z")).is_none());
        let again = peers.met(&call("a"), Role::First, &peer("+12125550101", None));
        assert_eq!(again.n, 2);
    }

    #[test]
    fn in_a_conference_a_message_is_from_whom_the_node_names_or_from_nobody() {
        let mut peers = Contacts::default();
        let (bob, eve) = (peer("+12125550100", Some("Bob")), peer("+12125550101", Some("Eve")));
        peers.met(&call("a"), Role::First, &bob);
        let n = |peers: &Contacts, address: Option<&Address>| peers.sender(&call("a"), address).map(|label| label.n);
        assert_eq!(n(&peers, None), Some(1));
        peers.met(&call("a"), Role::First, &eve);
        assert_eq!(
            [Some(&bob.address), Some(&eve.address), None].map(|from| n(&peers, from)),
            [Some(1), Some(2), None]
        );
        let unknown = "https://node.example/a/x".parse().ok();
        assert_eq!((n(&peers, unknown.as_ref()), peers.sender(&call("b"), Some(&bob.address))), (None, None));
        peers.ended(&call("a"), eve.number.as_ref());
        assert_eq!([None, Some(&eve.address)].map(|from| n(&peers, from)), [None, Some(2)], "who has left can write");
        assert!(peers.has_left(&call("a"), Some(&eve.address)) && !peers.has_left(&call("a"), Some(&bob.address)));
        assert_eq!(peers.addresses(&call("a")), [bob.address]);
    }

    #[test]
    fn after_a_conference_a_message_is_from_who_left_while_others_stayed() {
        let mut peers = Contacts::default();
        let (bob, eve) = (peer("+12125550100", Some("Bob")), peer("+12125550101", Some("Eve")));
        for one in [&bob, &eve] {
            peers.met(&call("a"), Role::First, one);
        }
        for one in [&bob, &eve] {
            peers.ended(&call("a"), one.number.as_ref());
        }
        assert_eq!(peers.sender(&call("a"), None).map(|label| label.n), Some(1));
    }

    #[test]
    fn after_a_transfer_a_message_is_from_the_new_peer() {
        let mut peers = Contacts::default();
        let (bob, eve) = (peer("+12125550100", Some("Bob")), peer("+12125550101", Some("Eve")));
        peers.met(&call("a"), Role::First, &bob);
        peers.ended(&call("a"), bob.number.as_ref());
        peers.met(&call("a"), Role::First, &eve);
        assert_eq!(peers.sender(&call("a"), None).map(|label| label.n), Some(2));
    }

    #[test]
    fn a_withheld_number_is_a_peer_like_any_other() {
        let mut peers = Contacts::default();
        let withheld = PeerClient { number: None, ..peer("+12125550100", None) };
        assert_eq!(peers.met(&call("a"), Role::Second, &withheld).name, "withheld number");
        assert_eq!(to(peers.read("hello")).0, 1);
        assert!(peers.ended(&call("a"), None).is_some());
        assert!(matches!(peers.read("hello"), TypedLine::Note(_)));
    }
}
