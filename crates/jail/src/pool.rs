//! One program and its wardens: started when needed, kept for a while, replaced when in doubt.

use parking_lot::{Mutex, MutexGuard};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iof_admission::{Admission, AdmissionError, Permit};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::feature::Report;
use crate::link::{Link, StartError};
use crate::profile::Limits;
use crate::settings::Settings;

/// A program of the jail: [`run`](Program::run) it, or [`open`](Program::open) a worker. Cheap to
/// clone. When the last clone is dropped, idle wardens end.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) pool: Arc<Pool>,
}

#[derive(Debug)]
pub(crate) struct Pool {
    exe: Arc<Path>,
    /// The plan that a warden gets first, encoded once.
    plan: Vec<u8>,
    pub(crate) limits: Limits,
    /// The report of the first warden; a warden whose report lacks a part is not used.
    report: Report,
    idle: Duration,
    runs: u32,
    /// One permit per run or worker.
    admission: Admission,
    /// The last used is used next, so that a pool shrinks to the number that is needed.
    waiting: Mutex<Vec<Waiting>>,
    /// The task that ends wardens that were idle for too long. It ends with the pool.
    sweeper: Mutex<Option<JoinSet<()>>>,
}

#[derive(Debug)]
struct Waiting {
    link: Link,
    since: Instant,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("pid", &self.pid()).finish()
    }
}

impl Program {
    pub(crate) fn new(pool: Pool) -> Program {
        Program {
            pool: Arc::new(pool),
        }
    }

    /// Starts wardens until `count` are idle, at most as many as its concurrency: a run then finds one.
    ///
    /// # Errors
    /// An error if no warden could be started.
    pub async fn warm(&self, count: usize) -> Result<(), StartError> {
        let admission = &self.pool.admission;
        let count = count.min(admission.limit() - admission.running());
        while self.pool.lock().len() < count {
            let link = self.pool.start().await?;
            self.pool.keep(link);
        }
        Ok(())
    }
}

impl Pool {
    pub(crate) fn new(
        exe: Arc<Path>,
        plan: Vec<u8>,
        (limits, concurrency): (Limits, u32),
        settings: &Settings,
        report: Report,
    ) -> Pool {
        Pool {
            exe,
            plan,
            limits,
            report,
            idle: settings.idle,
            runs: settings.runs,
            // A run waits until its own timeout.
            admission: Admission::new(concurrency as usize, usize::MAX),
            waiting: Mutex::default(),
            sweeper: Mutex::default(),
        }
    }

    /// Waits for a permit, in the order of arrival.
    pub(crate) async fn admit(&self) -> Result<Permit, AdmissionError> {
        self.admission.acquire().await
    }

    /// Takes an idle warden, which may have died meanwhile.
    pub(crate) fn take(&self) -> Option<Link> {
        self.lock().pop().map(|waiting| waiting.link)
    }

    /// A new warden, confined as tightly as the first.
    pub(crate) async fn start(&self) -> Result<Link, StartError> {
        let link = Link::start(&self.exe, &self.plan).await?;
        let missing = self
            .report
            .findings()
            .iter()
            .find(|finding| finding.outcome.is_ok() && !link.report.has(finding.feature));
        if let Some(finding) = missing {
            let remedy = finding.feature.remedy();
            let feature = format!("{:?}", finding.feature);
            link.end().await;
            return Err(StartError::Lacks {
                feature,
                why: "it was available when the server started".to_owned(),
                remedy,
            });
        }
        Ok(link)
    }

    /// Takes back a warden in which nothing runs.
    pub(crate) fn give_back(self: &Arc<Self>, link: Link) {
        if link.runs < self.runs {
            self.keep(link);
        }
    }

    fn keep(self: &Arc<Self>, link: Link) {
        let since = Instant::now();
        self.lock().push(Waiting { link, since });
        let mut sweeper = self.sweeper.lock();
        sweeper.get_or_insert_with(|| {
            let mut set = JoinSet::new();
            set.spawn(sweep(Arc::downgrade(self), self.idle));
            set
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock()
    }
}

async fn sweep(pool: Weak<Pool>, idle: Duration) {
    loop {
        tokio::time::sleep(idle / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let old: Vec<Waiting> = {
            let mut waiting = pool.lock();
            waiting
                .extract_if(.., |waiting| now - waiting.since >= idle)
                .collect()
        };
        drop(pool);
        for waiting in old {
            waiting.link.end().await;
        }
    }
}
