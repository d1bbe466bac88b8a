//! The settings of a jail, which an operator decides once for all programs.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::feature::Feature;

/// The choice of what to do if a part of the jail is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Run nothing unless every [required](Feature::is_required) part is effective.
    #[default]
    Required,
    /// Use the parts that are available. [`Feature::without`] states what is lost.
    Available,
}

/// The settings that an operator decides once for all programs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The choice for when a part is missing.
    pub demand: Demand,
    /// The user and group of programs if the server is root: a user and a group that own nothing.
    pub user: (u32, u32),
    /// The private paths of the server (its data, its configuration): no profile may show them.
    pub denied: Vec<PathBuf>,
    /// The directory where scratch directories are made if there is no mount namespace, by that user.
    pub scratch: PathBuf,
    /// The time that an idle warden is kept.
    pub idle: Duration,
    /// The number of runs after which a warden is replaced.
    pub runs: u32,
    /// Parts to leave out, as if the machine lacked them: for tests, and to find out which part makes a
    /// program fail.
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
