//! The pages that show a code and wait until a phone dials it.
//!
//! Shown → Dialled (a phone has dialled the code, which is used up) → Enrolled → gone (the page has its answer). A page
//! whose enrolment fails, or whose time is over, is gone at once.

use std::collections::HashMap;
use std::time::Duration;

use crate::core::base::device_name::DeviceName;
use crate::core::base::name::DialledEnrolmentId;
use crate::core::base::time::UnixMillis;
use crate::core::enrolment::dial_code::DialCode;

/// How long a page shows its code.
pub const CODE_LASTS: Duration = Duration::from_secs(120);
/// Maximum number of pages.
pub const PAGES_MAX: usize = 1_000;
/// Once its code is dialled, a page has at least so long to ask for the answer.
const ANSWER_LASTS: Duration = Duration::from_secs(30);

/// Pages, each with a code of its own. `T` is what an enrolled page is told.
#[derive(Debug)]
pub struct WaitingPages<T> {
    pages: HashMap<DialledEnrolmentId, WaitingPage<T>>,
}

#[derive(Debug)]
struct WaitingPage<T> {
    /// The hash of the secret that the page shows.
    secret: [u8; 32],
    name: DeviceName,
    code: DialCode,
    expires: UnixMillis,
    state: PageState<T>,
    /// The number of the page's last request. An earlier one gets no answer: nobody may be there any more to read it.
    request: u64,
}

#[derive(Debug)]
enum PageState<T> {
    Shown,
    Dialled,
    Enrolled(T),
}

/// As many pages wait as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{PAGES_MAX} pages wait to be enrolled already")]
pub struct TooManyPages;

/// What a request of a page is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum PageAnswer<T> {
    /// Nothing new yet.
    Waiting,
    /// The page has made a later request, which gets the answer.
    Superseded,
    /// The page is enrolled. No other request is told so.
    Enrolled(T),
    /// There is no such page, or no longer.
    Gone,
}

impl<T> Default for WaitingPages<T> {
    fn default() -> WaitingPages<T> {
        WaitingPages { pages: HashMap::new() }
    }
}

impl<T> WaitingPages<T> {
    /// Adds a page. Its code is the one that `random` chooses, or the next that no other page has.
    ///
    /// # Errors
    /// If as many pages wait as can be.
    pub fn add(
        &mut self,
        id: DialledEnrolmentId,
        secret: [u8; 32],
        name: DeviceName,
        random: u32,
        now: UnixMillis,
    ) -> Result<DialCode, TooManyPages> {
        self.forget_expired(now);
        if self.pages.len() >= PAGES_MAX {
            return Err(TooManyPages);
        }
        let mut code = DialCode::new(random);
        while self.pages.values().any(|page| page.code == code) {
            code = code.next();
        }
        let (expires, state) = (now + CODE_LASTS, PageState::Shown);
        self.pages.insert(id, WaitingPage { secret, name, code, expires, state, request: 0 });
        Ok(code)
    }

    /// A phone dials a code. Returns the page that shows it, and what the person calls that device. The code is used up.
    pub fn dial(&mut self, code: DialCode, now: UnixMillis) -> Option<(DialledEnrolmentId, DeviceName)> {
        self.forget_expired(now);
        let mut shown = self.pages.iter_mut().filter(|(_, page)| matches!(page.state, PageState::Shown));
        let (id, page) = shown.find(|(_, page)| page.code == code)?;
        page.state = PageState::Dialled;
        page.expires = page.expires.max(now + ANSWER_LASTS);
        Some((id.clone(), page.name.clone()))
    }

    /// The page whose code was dialled is enrolled, or can't be.
    pub fn resolve(&mut self, id: &DialledEnrolmentId, enrolled: Option<T>) {
        let Some(enrolled) = enrolled else { return drop(self.pages.remove(id)) };
        if let Some(page) = self.pages.get_mut(id) {
            page.state = PageState::Enrolled(enrolled);
        }
    }

    /// A page begins a request; its number, or none if there is no such page with this secret.
    pub fn begin_request(&mut self, id: &DialledEnrolmentId, secret: &[u8; 32], now: UnixMillis) -> Option<u64> {
        let page = self.pages.get_mut(id).filter(|page| page.secret == *secret && page.expires > now)?;
        page.request += 1;
        Some(page.request)
    }

    /// What the page's request with this number is answered now.
    pub fn answer(&mut self, id: &DialledEnrolmentId, request: u64, now: UnixMillis) -> PageAnswer<T> {
        match self.pages.get(id).filter(|page| page.expires > now) {
            None => PageAnswer::Gone,
            Some(page) if page.request != request => PageAnswer::Superseded,
            Some(WaitingPage { state: PageState::Shown | PageState::Dialled, .. }) => PageAnswer::Waiting,
            Some(WaitingPage { state: PageState::Enrolled(_), .. }) => match self.pages.remove(id) {
                Some(WaitingPage { state: PageState::Enrolled(enrolled), .. }) => PageAnswer::Enrolled(enrolled),
                _ => PageAnswer::Gone,
            },
        }
    }

    fn forget_expired(&mut self, now: UnixMillis) {
        self.pages.retain(|_, page| page.expires > now);
    }
}

#[cfg(test)]
#[path = "waiting_pages_tests.rs"]
mod tests;
