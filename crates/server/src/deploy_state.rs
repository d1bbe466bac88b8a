//! The state that deploys share: locks of functions, and tasks that finish drafts.

use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;

/// Locks of functions, for changes that depend on the current versions. Several functions share a lock.
pub(crate) struct DeployLocks([Mutex<()>; 64]);

impl DeployLocks {
    pub(crate) fn new() -> Self {
        Self([const { Mutex::const_new(()) }; 64])
    }

    /// Waits until no change of a function is in progress.
    pub(crate) async fn lock(&self, id: i64) -> MutexGuard<'_, ()> {
        let at = usize::try_from(id).unwrap_or_default() % self.0.len();
        self.0[at].lock().await
    }
}

/// Tasks that compile modules in full after their deploy: those of `iof dev`, which are served as drafts first.
#[derive(Default)]
pub(crate) struct DraftTasks(Mutex<JoinSet<()>>);

impl DraftTasks {
    /// Adds a task, which runs on `runtime` and ends with this.
    pub(crate) async fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
        runtime: &Handle,
    ) {
        let mut tasks = self.0.lock().await;
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(task, runtime);
    }
}
