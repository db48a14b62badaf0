//! `/v1/numbers`: the directory.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::base::name::PbxName;
use crate::core::numbering::number::Number;

/// `PUT /v1/numbers/{number}`: a number that this node serves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberEntry {
    /// The name that peers are shown, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The PBX that its telephony device is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pbx: Option<PbxName>,
    /// What stands behind it.
    #[serde(default)]
    pub kind: NumberKind,
    /// The extensions behind a main number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Number>,
    /// Whether the number's clients take part; off is as if it had none. Absent leaves it as it is, and on
    /// if that was never said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The credential of the number's clients, 16 to 256 of `A-Z a-z 0-9 - . _ ~ +`; absent leaves it as it is.
    /// It is stored hashed and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What stands behind a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumberKind {
    /// A person's phone.
    #[default]
    Extension,
    /// A main number: an attendant finds the extension.
    Main,
}

/// `/v1/numbers/{number}/sidecall`: whether the number's clients take part. Its own client may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberSwitch {
    /// Off is as if the number had no client: its address is given to nobody, and nothing is sent to it.
    pub enabled: bool,
}

/// A number as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NumberView {
    /// The number.
    pub number: Number,
    /// Its entry, without the credential.
    #[serde(flatten)]
    pub entry: NumberEntry,
    /// Whether its clients have a credential.
    pub has_credential: bool,
}

/// `GET /v1/numbers`: a page of the directory, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NumberPage {
    /// At most `limit`.
    pub numbers: Vec<NumberView>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Number>,
}

/// What to do about bad lines of an import: `?mode=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportMode {
    /// One bad line, and nothing is imported.
    #[default]
    AllOrNothing,
    /// The bad lines are named, the rest is imported.
    SkipBad,
}

/// `POST /v1/numbers:import`: what became of the CSV.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Lines that were taken.
    pub imported: u64,
    /// Lines that were not; at most 100 are named.
    pub errors: Vec<LineError>,
    /// Bad lines in all.
    pub bad: u64,
}

/// A bad line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineError {
    /// Counted from 1; the header is line 1.
    pub line: u64,
    /// What is wrong with it.
    pub error: String,
}
