//! The devices, as requests and logins find them.

use std::collections::HashMap;

use super::newest_first::NewestFirst;
use crate::core::base::device_name::DeviceName;
use crate::core::base::name::DeviceId;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// What is known of a device.
#[derive(Debug)]
pub(in crate::store) struct DeviceState {
    pub(in crate::store) id: DeviceId,
    pub(in crate::store) number: Number,
    pub(in crate::store) name: DeviceName,
    pub(in crate::store) enrolled: UnixMillis,
    /// The hash of its token.
    pub(in crate::store) token: [u8; 32],
}

/// All devices.
#[derive(Default)]
pub(super) struct Devices {
    devices: HashMap<DeviceId, DeviceState>,
    of_numbers: NewestFirst<DeviceId>,
    by_token: HashMap<[u8; 32], DeviceId>,
}

impl Devices {
    pub(super) fn get(&self, id: &DeviceId) -> Option<&DeviceState> {
        self.devices.get(id)
    }

    /// The device with the token of this hash.
    pub(super) fn with_token(&self, hash: &[u8; 32]) -> Option<&DeviceState> {
        self.get(self.by_token.get(hash)?)
    }

    /// The ids of a number's devices, newest first.
    pub(super) fn ids_of(&self, number: &Number) -> &[DeviceId] {
        self.of_numbers.of(number)
    }

    pub(super) fn len(&self) -> usize {
        self.devices.len()
    }

    /// Adds a device that isn't here yet.
    pub(super) fn add(&mut self, device: DeviceState) {
        self.of_numbers.add(&device.number, &device.id);
        self.by_token.insert(device.token, device.id.clone());
        self.devices.insert(device.id.clone(), device);
    }

    /// Replaces a device, or removes it.
    pub(super) fn set(&mut self, id: &DeviceId, device: Option<DeviceState>) {
        if let Some(before) = self.devices.remove(id) {
            self.of_numbers.remove(&before.number, id);
            // A device that was added before may have it now.
            if self.by_token.get(&before.token) == Some(id) {
                self.by_token.remove(&before.token);
            }
        }
        if let Some(device) = device {
            self.add(device);
        }
    }
}
