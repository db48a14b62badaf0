//! `/v1/dialled-enrolments`: a page is enrolled by the phone that dials its code.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DeviceView;
use crate::core::base::device_name::DeviceName;
use crate::core::base::name::{DialledEnrolmentId, LegId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::enrolment::dial_code::DialCode;
use crate::core::numbering::number::Number;

/// `POST /v1/dialled-enrolments`: a page wants to be enrolled by dialling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDialledEnrolment {
    /// What the person calls the device: 1 to 64 characters, no control characters, none that reorder text.
    pub name: DeviceName,
}

/// What the page shows, and how it asks for the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DialledEnrolmentCreated {
    /// Its id.
    pub id: DialledEnrolmentId,
    /// The bearer token with which the page asks for the answer.
    pub secret: String,
    /// What the person dials on the phone: the feature code and six digits.
    #[schema(example = "*7433123456")]
    pub dial: String,
    /// When the code expires.
    pub expires: UnixMillis,
}

/// The answer to `GET /v1/dialled-enrolments/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum DialledEnrolment {
    /// Nobody has dialled the code yet. Ask again.
    Pending,
    /// A phone has dialled the code. Only this answer has the token.
    Enrolled {
        /// The device.
        device: DeviceView,
        /// The device's token. It is stored hashed and never shown again.
        token: String,
    },
}

/// `POST /v1/dialled-enrolments/confirm`: a phone has dialled a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentConfirmation {
    /// The PBX.
    pub pbx: PbxName,
    /// The phone's leg.
    pub leg: LegId,
    /// The number of the phone, as the PBX knows it by itself. What a caller says of themselves is none.
    pub calling: Number,
    /// The six digits behind the feature code.
    #[schema(value_type = String, pattern = "^[0-9]{6}$")]
    pub digits: DialCode,
}

/// The answer to `POST /v1/dialled-enrolments/confirm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentConfirmed {
    /// Whether a page was enrolled: the caller hears it.
    pub enrolled: bool,
}
