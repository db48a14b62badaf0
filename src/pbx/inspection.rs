//! Questions to a PBX for a person who looks for a fault. Nothing is set, and no call is touched.

use async_trait::async_trait;

use super::PbxError;
use crate::core::base::name::TrunkName;

/// What of our snippets the PBX has loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dialplan {
    /// The part that announces calls is there, and is the one that this version knows.
    pub announces: bool,
    /// Where calls from phones enter it, and are announced.
    pub originating: Vec<String>,
    /// Where calls from trunks enter it, and are announced.
    pub terminating: Vec<String>,
    /// Where calls enter it, and none is announced: a part of it is missing.
    pub silent: Vec<String>,
    /// Where calls to main numbers enter it.
    pub attendants: Vec<String>,
    /// Where calls that go out may take the packet trunk.
    pub outgoing: Vec<String>,
    /// Where phones can enrol a browser by dialling.
    pub enrolling: Vec<String>,
    /// What this version ships and the PBX hasn't loaded: an older copy is in place.
    pub missing: Vec<&'static str>,
}

/// What the administrator has set at the top of the snippet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The hold in milliseconds.
    pub hold: Option<String>,
    /// The trunk that is taken if the node names none.
    pub trunk: Option<String>,
    /// Whose addresses are believed.
    pub trusted: Option<String>,
    /// The pattern of main numbers.
    pub main: Option<String>,
    /// The pattern of emergency numbers.
    pub emergency: Option<String>,
    /// The pattern of what is dialled for an outside line.
    pub outside: Option<String>,
    /// The feature code that enrols a browser, without the escapes of a pattern.
    pub enrol: Option<String>,
    /// FreeSWITCH: where the `socket` application connects to, if `direct` is the mode.
    pub direct: Option<String>,
}

/// What the PBX says of a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trunk {
    /// Calls can go there.
    Up,
    /// It is there, and the far end doesn't answer.
    Down(String),
    /// There is none of that name.
    Missing,
}

/// Whether SIP MESSAGEs can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Messaging {
    /// They can.
    Possible,
    /// They can't, and why.
    Impossible(String),
    /// The PBX doesn't say with our rights.
    Unknown,
}

/// One connection for questions. Each fails if the PBX doesn't reply, and unless said otherwise if it refuses.
#[async_trait]
pub trait Inspection: Send + Sync {
    /// The PBX's own words for its version.
    async fn version(&self) -> Result<String, PbxError>;

    /// The id of the agent that the dialplan speaks to.
    async fn owner(&self) -> Result<Option<String>, PbxError>;

    /// The time on the PBX's clock, in microseconds since its epoch; none if it doesn't say.
    async fn clock(&self) -> Result<Option<i64>, PbxError>;

    /// The address that the event socket is set to listen on; none if the PBX doesn't say, or refuses to.
    async fn listens(&self) -> Result<Option<String>, PbxError>;

    /// What of our snippets is loaded.
    async fn dialplan(&self) -> Result<Dialplan, PbxError>;

    /// What is set at the top of the snippet.
    async fn settings(&self) -> Result<Settings, PbxError>;

    /// Whether the snippet takes these digits for a main number. The PBX itself is asked: the pattern is
    /// in its own dialect.
    async fn is_main(&self, pattern: &str, digits: &str) -> Result<bool, PbxError>;

    /// How a trunk is.
    async fn trunk(&self, name: &TrunkName) -> Result<Trunk, PbxError>;

    /// Whether SIP MESSAGEs can be sent; a refusal is an answer.
    async fn messaging(&self) -> Result<Messaging, PbxError>;

    /// What we would need and may not do: actions with the write class that allows them.
    async fn forbidden(&self) -> Result<Vec<(&'static str, &'static str)>, PbxError>;

    /// Whether channel events are seen to carry variables, which the agent doesn't need: a Gosub then shows
    /// in call detail records. Only while a call is up.
    async fn channelvars(&self) -> Result<bool, PbxError>;
}
