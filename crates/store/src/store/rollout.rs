//! The version of a function that runs: the active one, and for a share of the calls the canary.
//!
//! Versions never change, so every method here moves a pointer: a rollback is the same operation as a promotion, takes
//! effect for the next call, and cannot fail because a module is missing. Each operation that moves the pointer to the
//! active version ends the canary, because its share was a share of the calls of the version before. The server decides
//! which of the two runs a call; the store keeps only the pointers and the share.

use super::Store;
use crate::error::Error;
use crate::model::{NewVersion, Percent, Rollout, Uploaded, VersionId};
use crate::rows::Rollouts as _;

impl Store {
    /// Adds the next version of a function and rolls it out in the way of `rollout`. When this returns `Ok`, it is on
    /// the disk.
    ///
    /// # Errors
    /// [`Error::NotFound`], and the errors of [`Store::create_function`]; the function then runs the same version as
    /// before.
    pub async fn add_version(
        &self,
        function_id: i64,
        new: NewVersion,
        rollout: Rollout,
    ) -> Result<Uploaded, Error> {
        let by = self.author();
        let id = VersionId::now();
        let number = self
            .upload(id, new, move |inner, version| async move {
                inner
                    .rows
                    .add_version(by, function_id, version, rollout)
                    .await
            })
            .await?;
        Ok(Uploaded { id, number })
    }

    /// Makes a version the active one, whether it is older (a rollback) or newer, and ends the canary. Ends the canary
    /// also if the version is active already.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoVersion`], and the errors of [`Store::delete_function`]; nothing was changed.
    pub async fn activate(&self, function_id: i64, number: i64) -> Result<(), Error> {
        let by = self.author();
        self.finish(move |inner| async move { inner.rows.activate(by, function_id, number).await })
            .await
    }

    /// Makes a version the canary, with its share of the calls, in place of any other; or lets the active version run
    /// all calls again (`None`).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NoVersion`]; [`Error::Invalid`] if that version is the active one; and the errors
    /// of [`Store::delete_function`]. Nothing was changed.
    pub async fn set_canary(
        &self,
        function_id: i64,
        canary: Option<(i64, Percent)>,
    ) -> Result<(), Error> {
        let by = self.author();
        self.finish(
            move |inner| async move { inner.rows.set_canary(by, function_id, canary).await },
        )
        .await
    }
}
