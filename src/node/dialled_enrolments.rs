//! Devices that are enrolled by dialling: pages wait here until an agent says that a phone has dialled their code.
//!
//! All of it is kept in memory, so a restart of the node ends the codes: the pages ask for new ones.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::contract::{DeviceCreated, DeviceView, DialledEnrolmentCreated, EnrolmentConfirmation};
use crate::core::base::device_name::DeviceName;
use crate::core::base::name::DialledEnrolmentId;
use crate::core::enrolment::dial_code::FeatureCode;
use crate::core::enrolment::dial_guesses::DialGuesses;
use crate::core::enrolment::waiting_pages::{CODE_LASTS, PageAnswer, TooManyPages, WaitingPages};
use crate::monitor::now;
use crate::node::new_id::{new_id, new_token};
use crate::store::{DeviceRow, Store, StoreError, credential_hash};

/// Why a page gets no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::node) enum NoDialCode {
    /// `feature_code` in the configuration is empty.
    #[error("this node enrols nobody by dialling")]
    Off,
    /// Too many pages wait.
    #[error(transparent)]
    TooMany(#[from] TooManyPages),
}

/// The pages, and what agents say of the codes that are dialled.
#[derive(Debug)]
pub(in crate::node) struct DialledEnrolments {
    feature_code: FeatureCode,
    store: Store,
    waiting: Mutex<Waiting>,
    /// Some page has an answer, or another request of its own.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    pages: WaitingPages<DeviceCreated>,
    guesses: DialGuesses,
}

impl DialledEnrolments {
    pub(in crate::node) fn new(feature_code: FeatureCode, store: Store) -> DialledEnrolments {
        DialledEnrolments { feature_code, store, waiting: Mutex::default(), changed: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a page that shows a code.
    ///
    /// # Errors
    /// If nobody is enrolled by dialling, or as many pages wait as can be.
    pub(in crate::node) fn begin(&self, name: DeviceName) -> Result<DialledEnrolmentCreated, NoDialCode> {
        if self.feature_code.is_off() {
            return Err(NoDialCode::Off);
        }
        let (id, secret, begun) = (new_id::<DialledEnrolmentId>(), new_token(), now());
        let hash = credential_hash(&secret);
        let code = self.waiting().pages.add(id.clone(), hash, name, rand::random(), begun)?;
        Ok(DialledEnrolmentCreated { id, secret, dial: self.feature_code.dial(code), expires: begun + CODE_LASTS })
    }

    /// Waits at most this long for the answer to a page that has the secret with this hash.
    pub(in crate::node) async fn wait(
        &self,
        id: &DialledEnrolmentId,
        secret: &[u8; 32],
        limit: Duration,
    ) -> PageAnswer<DeviceCreated> {
        let until = Instant::now() + limit;
        let Some(request) = self.waiting().pages.begin_request(id, secret, now()) else { return PageAnswer::Gone };
        // The page's earlier request ends.
        self.changed.notify_waiters();
        loop {
            // Made before it is looked whether something has changed: it misses nothing after that.
            let changed = self.changed.notified();
            let answer = self.waiting().pages.answer(id, request, now());
            if answer != PageAnswer::Waiting || Instant::now() >= until {
                return answer;
            }
            let _ = tokio::time::timeout_at(until.into(), changed).await;
        }
    }

    /// Enrols the page that shows these digits as a device of the calling number; false if it can't be. A number that
    /// isn't in the directory, or is at home on another PBX, uses up no code.
    pub(in crate::node) async fn confirm(&self, asked: &EnrolmentConfirmation) -> Result<bool, StoreError> {
        let EnrolmentConfirmation { pbx, leg, calling, digits } = asked;
        let refused = |why: &'static str| {
            tracing::info!(%pbx, %leg, %calling, why, "no device enrolled by dialling");
            Ok(false)
        };
        let Some(number) = self.store.number(calling).await? else { return refused("not in the directory") };
        if number.entry.pbx.as_ref().is_some_and(|home| home != pbx) {
            return refused("at home on another PBX");
        }
        let dialled = {
            let (mut waiting, now) = (self.waiting(), now());
            if !waiting.guesses.is_allowed(calling, now) {
                return refused("too many wrong codes");
            }
            let dialled = waiting.pages.dial(*digits, now);
            if dialled.is_none() {
                waiting.guesses.add(calling.clone(), now);
            }
            dialled
        };
        let Some((page, name)) = dialled else { return refused("no page shows this code") };
        let enrolled = self.add_device(asked, name).await;
        let device = enrolled.as_ref().ok().cloned().flatten();
        self.waiting().pages.resolve(&page, device.clone());
        self.changed.notify_waiters();
        enrolled?;
        let Some(DeviceCreated { device, .. }) = device else { return refused("the number has too many devices") };
        tracing::info!(device = %device.id, number = %device.number, %pbx, %leg, "device enrolled by dialling");
        Ok(true)
    }

    /// None if the number has as many devices as it can have.
    async fn add_device(
        &self,
        asked: &EnrolmentConfirmation,
        name: DeviceName,
    ) -> Result<Option<DeviceCreated>, StoreError> {
        let (number, token, enrolled) = (asked.calling.clone(), new_token(), now());
        let row = DeviceRow { id: new_id(), name: name.clone(), token: credential_hash(&token) };
        let device = DeviceView { id: row.id.clone(), number: number.clone(), name, enrolled, connected: false };
        let is_added = self.store.add_device(number, row, enrolled).await?;
        Ok(is_added.then_some(DeviceCreated { device, token }))
    }
}
