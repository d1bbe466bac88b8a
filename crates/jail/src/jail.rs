//! The jail of a server, and the programs in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::confine::files::VISIBLE;
use crate::feature::{Feature, Report};
use crate::link::{Link, StartError};
use crate::pool::{Pool, Program};
use crate::profile::{Network, Profile, ProfileError};
use crate::settings::{Demand, Settings};
use crate::wire::Plan;

/// The environment in which programs are run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jail {
    settings: Arc<Settings>,
    /// The binary that calls [`warden_main`](crate::warden_main).
    exe: Arc<Path>,
    report: Arc<Report>,
}

impl Jail {
    /// A jail whose wardens are started as `exe`, usually the server's own binary. One is started here
    /// to find out which parts it can confine itself with.
    ///
    /// # Errors
    /// No warden could be started, or a required part is missing.
    pub async fn new(settings: Settings, exe: impl Into<PathBuf>) -> Result<Jail, StartError> {
        let mut jail = Jail {
            settings: Arc::new(settings),
            exe: exe.into().into(),
            report: Arc::default(),
        };
        let probe = jail.plan(Profile::new("/bin/sh"), Vec::new())?;
        let link = Link::start(&jail.exe, &probe).await?;
        jail.report = Arc::new(link.report.clone());
        link.end().await;
        match jail.report.lacking() {
            Some(finding) if jail.settings.demand == Demand::Required => Err(StartError::Lacks {
                feature: format!("{:?}", finding.feature),
                why: finding.outcome.clone().err().unwrap_or_default(),
                remedy: finding.feature.remedy(),
            }),
            _ => Ok(jail),
        }
    }

    /// The effective parts of the jail, for this user on this machine.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Admits a program. Its wardens are started when they are needed.
    ///
    /// # Errors
    /// The problem of its profile.
    pub fn program(&self, profile: Profile) -> Result<Program, ProfileError> {
        let denied = self.settings.denied.iter();
        // A path that does not exist yet is not behind a link either.
        let denied: Vec<_> = denied
            .map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()))
            .collect();
        let leads = profile.check(&VISIBLE, &denied)?;
        let net = |finding: &&crate::Finding| finding.feature == Feature::NetNamespace;
        let net = self.report.findings().iter().find(net);
        if profile.network == Network::Proxy
            && let Some(Err(why)) = net.map(|finding| &finding.outcome)
        {
            return Err(ProfileError::NoNetNamespace(why.clone()));
        }
        let limits = (profile.limits.clone(), profile.concurrency);
        let plan = self.plan(profile, leads).map_err(|_| {
            ProfileError::Limit("profile", "it is not UTF-8, or larger than 128 KiB")
        })?;
        Ok(Program::new(Pool::new(
            self.exe.clone(),
            plan,
            limits,
            &self.settings,
            (*self.report).clone(),
        )))
    }

    fn plan(&self, profile: Profile, leads: Vec<(PathBuf, PathBuf)>) -> std::io::Result<Vec<u8>> {
        let plan = Plan {
            profile,
            leads,
            without: self.settings.without.clone(),
            user: self.settings.user.0,
            group: self.settings.user.1,
            scratch: self.settings.scratch.clone(),
        };
        let plan = serde_json::to_vec(&plan)?;
        match plan.len() <= 128 << 10 {
            true => Ok(plan),
            false => Err(std::io::ErrorKind::InvalidInput.into()),
        }
    }
}
