//! A connection that is made when it is first needed.

use tokio::sync::Mutex;

use super::PbxError;

/// A connection beside the link: what is slow or breaks on it is no concern of the link.
#[derive(Debug)]
pub(super) struct OnDemand<C>(Mutex<Option<C>>);

impl<C> Default for OnDemand<C> {
    fn default() -> Self {
        OnDemand(Mutex::new(None))
    }
}

impl<C: Clone> OnDemand<C> {
    /// The connection, made by `connect` unless there is one that `is_open`. If it can't be made, nothing was sent.
    pub(super) async fn get(
        &self,
        is_open: impl FnOnce(&C) -> bool,
        connect: impl Future<Output = Result<C, PbxError>>,
    ) -> Result<C, PbxError> {
        let mut connection = self.0.lock().await;
        if let Some(open) = connection.as_ref().filter(|connection| is_open(connection)) {
            return Ok(open.clone());
        }
        let made =
            connect.await.map_err(|error| PbxError::unsent(format_args!("no connection to the PBX: {error}")))?;
        Ok(connection.insert(made).clone())
    }

    /// Gives the connection up. It closes once nobody uses it.
    pub(super) fn close(&self) {
        // Somebody who is connecting has a use for it.
        if let Ok(mut connection) = self.0.try_lock() {
            *connection = None;
        }
    }
}
