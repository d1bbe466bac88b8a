//! The version of a function that runs: the active one, and for a share of the calls another, the canary.
//!
//! Versions never change, so everything here moves a pointer: a rollback is the same act as a promotion, takes effect
//! for the next call, and cannot fail for want of a module. Each act that moves the pointer to the active version ends
//! the canary, because the share was a share of what ran before. Which of the two runs a call is for the server to
//! decide; the store keeps what was decided about all of them.

use super::Store;
use crate::error::Error;
use crate::model::{NewVersion, Percent, Rollout, Uploaded, VersionId};
use crate::rows::Rollouts as _;

impl Store {
    /// Adds the next version of a function and does with it what `rollout` says. When this returns `Ok`, it is on the
    /// disk.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of [`Store::create_function`]; the function then runs what it ran before.
    pub async fn add_version(
        &self,
        function_id: i64,
        new: NewVersion,
        rollout: Rollout,
    ) -> Result<Uploaded, Error> {
        let id = VersionId::now();
        let number = self
            .upload(id, new, move |inner, version| async move {
                inner.rows.add_version(function_id, version, rollout).await
            })
            .await?;
        Ok(Uploaded { id, number })
    }

    /// Makes a version the active one, whether it came before (a rollback) or after, and ends the canary. Does the
    /// latter too if it is the active one already.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoVersion`], and those of [`Store::delete_function`]; nothing was changed.
    pub async fn activate(&self, function_id: i64, number: i64) -> Result<(), Error> {
        self.finish(move |inner| async move { inner.rows.activate(function_id, number).await })
            .await
    }

    /// Makes a version the canary, with its share of the calls, in place of any other; or lets the active one run all
    /// calls again (`None`).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NoVersion`]; [`Error::Invalid`] if that version is the active one; and those of
    /// [`Store::delete_function`]. Nothing was changed.
    pub async fn set_canary(
        &self,
        function_id: i64,
        canary: Option<(i64, Percent)>,
    ) -> Result<(), Error> {
        self.finish(move |inner| async move { inner.rows.set_canary(function_id, canary).await })
            .await
    }
}
