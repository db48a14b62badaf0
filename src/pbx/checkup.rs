//! Questions to a PBX for a person who looks for a fault. Nothing is set, and no call is touched.

use super::{Error, Link, asterisk, freeswitch};
use crate::core::name::TrunkName;

/// One connection for questions.
#[derive(Debug)]
pub enum Checkup {
    /// FreeSWITCH.
    Freeswitch(freeswitch::Checkup),
    /// Asterisk.
    Asterisk(Box<asterisk::Checkup>),
}

/// What of our snippets the PBX has loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dialplan {
    /// The part that announces calls is there, and is the one that this version knows.
    pub announces: bool,
    /// Where calls from phones enter it.
    pub originating: Vec<String>,
    /// Where calls from trunks enter it.
    pub terminating: Vec<String>,
    /// Where calls to main numbers enter it.
    pub attendants: Vec<String>,
    /// Where calls that go out may take the packet trunk.
    pub outgoing: Vec<String>,
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

macro_rules! ask {
    ($self:ident, $pbx:ident => $ask:expr) => {
        match $self {
            Checkup::Freeswitch($pbx) => $ask,
            Checkup::Asterisk($pbx) => $ask,
        }
    };
}

impl Checkup {
    /// Connects and logs in.
    ///
    /// # Errors
    /// If the PBX can't be reached or refuses.
    pub async fn connect(link: &Link) -> Result<Checkup, Error> {
        Ok(match link {
            Link::Freeswitch(endpoint) => Checkup::Freeswitch(freeswitch::Checkup::connect(endpoint).await?),
            Link::Asterisk(endpoint) => Checkup::Asterisk(Box::new(asterisk::Checkup::connect(endpoint).await?)),
        })
    }

    /// The PBX's own words for its version.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn version(&self) -> Result<String, Error> {
        ask!(self, pbx => pbx.commands.version().await)
    }

    /// The id of the agent that the dialplan speaks to.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn owner(&self) -> Result<Option<String>, Error> {
        ask!(self, pbx => pbx.commands.owner().await)
    }

    /// The time on the PBX's clock, in microseconds since its epoch; none if it doesn't say.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn clock(&self) -> Result<Option<i64>, Error> {
        ask!(self, pbx => pbx.commands.clock().await)
    }

    /// The address that the event socket is set to listen on; none if the PBX doesn't say.
    ///
    /// # Errors
    /// If the PBX doesn't reply.
    pub async fn listens(&self) -> Result<Option<String>, Error> {
        ask!(self, pbx => pbx.listens().await)
    }

    /// What of our snippets is loaded.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn dialplan(&self) -> Result<Dialplan, Error> {
        ask!(self, pbx => pbx.dialplan().await)
    }

    /// What is set at the top of the snippet.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn settings(&self) -> Result<Settings, Error> {
        ask!(self, pbx => pbx.settings().await)
    }

    /// Whether the snippet takes these digits for a main number. The PBX itself is asked: the pattern is
    /// in its own dialect.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn is_main(&self, pattern: &str, digits: &str) -> Result<bool, Error> {
        ask!(self, pbx => pbx.is_main(pattern, digits).await)
    }

    /// How a trunk is.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn trunk(&self, name: &TrunkName) -> Result<Trunk, Error> {
        ask!(self, pbx => pbx.trunk(name).await)
    }

    /// Whether SIP MESSAGEs can be sent.
    ///
    /// # Errors
    /// If the PBX doesn't reply.
    pub async fn messaging(&self) -> Result<Messaging, Error> {
        ask!(self, pbx => pbx.messaging().await)
    }

    /// What we would need and may not do: actions with the write class that allows them.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn forbidden(&self) -> Result<Vec<(&'static str, &'static str)>, Error> {
        match self {
            // Who is logged in may do everything, unless a directory user's `esl-allowed-api` says less.
            Checkup::Freeswitch(_) => Ok(Vec::new()),
            Checkup::Asterisk(pbx) => pbx.forbidden().await,
        }
    }

    /// Whether channel events are seen to carry variables, which the agent doesn't need: a Gosub then shows
    /// in call detail records. Only while a call is up.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn channelvars(&self) -> Result<bool, Error> {
        match self {
            // Its events carry all variables, and its records none.
            Checkup::Freeswitch(_) => Ok(false),
            Checkup::Asterisk(pbx) => pbx.channelvars().await,
        }
    }
}
