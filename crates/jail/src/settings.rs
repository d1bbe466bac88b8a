//! The settings of a jail: what an operator decides once for all programs.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::feature::Feature;

/// The choice for when a part of the jail is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Run nothing: every [required](Feature::is_required) part must hold.
    #[default]
    Required,
    /// Use what there is. [`Feature::without`] says what is lost.
    Available,
}

/// The settings that an operator decides once for all programs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The choice for when a part is missing.
    pub demand: Demand,
    /// The user and group that programs run as where the server is root: a user and a group that own nothing.
    pub user: (u32, u32),
    /// Paths that the server keeps to itself (its data, its configuration): no profile may show them.
    pub denied: Vec<PathBuf>,
    /// The directory where scratch directories are made if there is no mount namespace, by that user.
    pub scratch: PathBuf,
    /// The time that an idle warden is kept.
    pub idle: Duration,
    /// After how many runs a warden is replaced.
    pub runs: u32,
    /// Parts to do without, as if the machine had none: for tests, and to find out which part a
    /// program fails by.
    pub without: Vec<Feature>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            demand: Demand::Required,
            // `nobody` and `nogroup`, as far as they have numbers.
            user: (65534, 65534),
            denied: Vec::new(),
            scratch: std::env::temp_dir(),
            idle: Duration::from_secs(60),
            runs: 10_000,
            without: Vec::new(),
        }
    }
}
