//! `/v1/devices`: installations of clients, and the codes that enrol them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::base::device_name::DeviceName;
use crate::core::base::name::DeviceId;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// Maximum number of devices of one number.
pub const DEVICES_MAX: u32 = 64;
/// Maximum number of codes of one number that are neither used nor expired.
pub const ENROLMENTS_MAX: u32 = 16;
/// How many devices are listed at most.
pub const DEVICES_LISTED: u32 = 1_000;

/// `POST /v1/numbers/{number}/enrolments`: asks for a code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnrolment {
    /// Seconds until the code expires, 60 to 604,800; one day if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// A code that enrols one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentCreated {
    /// The code. It is stored hashed and never shown again.
    #[schema(example = "3q7zk-0m2vx-8c1rt-hn5wy-d4g6b-e")]
    pub code: String,
    /// A link that enrols the browser that opens it. The code is in the fragment, which browsers send to nobody.
    #[schema(example = "https://node.example/client/#enrol=3q7zk-0m2vx-8c1rt-hn5wy-d4g6b-e")]
    pub link: String,
    /// The number that the device will belong to.
    pub number: Number,
    /// When the code expires.
    pub expires: UnixMillis,
}

/// `POST /v1/devices`: enrols a device. The code takes the place of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDevice {
    /// The code. Case, hyphens and spaces don't matter.
    #[schema(example = "3q7zk-0m2vx-8c1rt-hn5wy-d4g6b-e")]
    pub code: String,
    /// What the person calls the device: 1 to 64 characters, no control characters, none that reorder text.
    pub name: DeviceName,
}

/// The answer to `POST /v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCreated {
    /// The device.
    pub device: DeviceView,
    /// The device's token. It is stored hashed and never shown again.
    pub token: String,
}

/// `PATCH /v1/devices/{id}`: what is to be different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceChange {
    /// What the person calls the device from now on.
    pub name: DeviceName,
}

/// `GET /v1/devices`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceList {
    /// At most 1,000.
    pub devices: Vec<DeviceView>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceView {
    /// Its id.
    pub id: DeviceId,
    /// The number that it belongs to.
    pub number: Number,
    /// What the person calls it.
    pub name: DeviceName,
    /// When it was enrolled.
    pub enrolled: UnixMillis,
    /// Whether its hosted client is connected now.
    pub connected: bool,
}
