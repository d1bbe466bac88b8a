//! A model for one signature: its load and its runs.
//!
//! A run happens on a thread of this process or in a worker, which is decided when the model is
//! loaded, by the rules in [`isolate`](crate::isolate).

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::cache::{CacheEntry, Key, Weight};
use crate::entry::Entry;
use crate::inference::Shared;
use crate::isolate::{Silence, Worker};
use crate::models::{Directory, Stamp};
use crate::{Error, Format, Kind, Model, Plan, Signature, Tensor};

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum LoadedKey {
    Model {
        name: Arc<str>,
        stamp: Stamp,
        signature: Signature,
    },
    /// A graph that a function sent. Functions do not share a worker, so that a function that
    /// compromises it affects only itself.
    Graph {
        function: i64,
        hash: blake3::Hash,
        signature: Signature,
    },
}

impl Key for LoadedKey {
    fn same_kind(&self, other: &LoadedKey) -> bool {
        match (self, other) {
            (LoadedKey::Model { name: a, .. }, LoadedKey::Model { name: b, .. }) => a == b,
            (LoadedKey::Graph { function: a, .. }, LoadedKey::Graph { function: b, .. }) => a == b,
            _ => false,
        }
    }
}

#[derive(Clone)]
pub(crate) enum Loaded {
    Here(Arc<Plan>),
    /// `None` once the worker is unusable.
    There(Arc<tokio::sync::Mutex<Option<Worker>>>),
}

#[derive(Clone)]
pub(crate) enum Source {
    Model(Arc<Entry>),
    Graph(Bytes),
}

/// A model, or a graph that a function sent, for one signature.
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: LoadedKey,
    pub(crate) source: Source,
    pub(crate) signature: Signature,
}

impl LoadedKey {
    pub(crate) fn is_of(&self, model: &str) -> bool {
        matches!(self, LoadedKey::Model { name, .. } if &**name == model)
    }

    pub(crate) fn has(&self, of: &Stamp) -> bool {
        matches!(self, LoadedKey::Model { stamp, .. } if stamp == of)
    }
}

impl Session {
    /// The signature of the session.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Computes the outputs from inputs in the order of the signature, within `deadline` and the
    /// setting `run_time`. Dropping the future abandons the run: in this process it ends before its
    /// next operator, and keeps its permit until then; a worker is killed at once.
    ///
    /// # Errors
    /// See [`Plan::run`]; [`Kind::Busy`] if too many wait for a permit.
    pub async fn compute(
        &self,
        inputs: Vec<Tensor>,
        deadline: Instant,
    ) -> Result<Vec<Tensor>, Error> {
        self.compute_between(deadline, || Ok(inputs), Ok).await
    }

    /// The same as [`Session::compute`], with the steps before and after on the same thread: decoding a
    /// picture takes a core, too.
    pub(crate) async fn compute_between<T: Send + 'static>(
        &self,
        deadline: Instant,
        before: impl FnOnce() -> Result<Vec<Tensor>, Error> + Send + 'static,
        after: impl FnOnce(Vec<Tensor>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = &self.shared;
        let deadline = deadline.min(Instant::now() + shared.config.run_time);
        let limits = shared.config.limits();
        let found = self.get(deadline).await?;
        if let Loaded::Here(plan) = &found.value {
            let plan = Arc::clone(plan);
            let place = shared.places.place(deadline).await?;
            let run = move |watch: &_| after(plan.run(&before()?, watch, &limits)?);
            return shared.places.run(place, deadline, run).await;
        }
        let place = shared.places.place(deadline).await?;
        let inputs = shared.places.run(place, deadline, |_| before()).await?;
        let outputs = self.compute_there(found, &inputs, deadline).await?;
        let place = shared.places.place(deadline).await?;
        shared.places.run(place, deadline, |_| after(outputs)).await
    }

    async fn compute_there(
        &self,
        mut found: CacheEntry<Loaded>,
        inputs: &[Tensor],
        deadline: Instant,
    ) -> Result<Vec<Tensor>, Error> {
        let over = || {
            Error::new(
                Kind::Time,
                "the time was over while others ran the same model",
            )
        };
        // Idle workers end; the second one has only just been started.
        for _ in 0..2 {
            let Loaded::There(shared_worker) = &found.value else {
                return Err(Error::host("a model came back from its worker"));
            };
            let mut slot = timeout_at(deadline, shared_worker.lock())
                .await
                .map_err(|_| over())?;
            let place = self.shared.places.place(deadline).await?;
            // Dropping this future from here on drops, and so kills, the worker.
            if let Some(mut worker) = slot.take() {
                let result = worker.run(inputs, deadline).await;
                let usable = worker.usable();
                *slot = usable.then_some(worker);
                drop(slot);
                drop(place);
                if !usable {
                    self.shared.loaded.forget(&self.key, &found);
                }
                match result {
                    Ok(outputs) => return Ok(outputs),
                    Err(Silence::Error(error)) => return Err(error),
                    Err(Silence::Gone) => {}
                }
            } else {
                drop(slot);
                drop(place);
                self.shared.loaded.forget(&self.key, &found);
            }
            found = self.get(deadline).await?;
        }
        Err(Error::host("workers end as soon as they are started"))
    }

    pub(crate) async fn get(&self, deadline: Instant) -> Result<CacheEntry<Loaded>, Error> {
        let (shared, source) = (Arc::clone(&self.shared), self.source.clone());
        let signature = self.signature.clone();
        let load = || async move { shared.load_source(source, signature).await };
        self.shared.loaded.get(&self.key, deadline, load).await
    }
}

impl Shared {
    /// Loads a model: in a worker first, and then in this process, if it may run here.
    pub(crate) async fn load(
        &self,
        file: Bytes,
        format: Format,
        signature: Signature,
        isolated: bool,
        deadline: Instant,
    ) -> Result<(Loaded, Weight), Error> {
        let place = self.places.place(deadline).await?;
        if self.workers.exist() {
            let mut worker = self.workers.start()?;
            let loaded = worker.load(Some(format), &signature, &file, deadline).await;
            let bounded = loaded.map_err(not_gone)?;
            if isolated || !bounded {
                let weight = Weight {
                    bytes: 0,
                    workers: 1,
                };
                let worker = tokio::sync::Mutex::new(Some(worker));
                return Ok((Loaded::There(Arc::new(worker)), weight));
            }
        } else if isolated {
            return Err(Error::host(
                "this server has no worker processes, and such models run only there",
            ));
        }
        let (limits, most) = (self.config.limits(), self.config.loaded);
        let load =
            move |_: &_| Model::load(&file, Some(format), &limits)?.plan(&signature, &limits);
        let plan = self.places.run(place, deadline, load).await?;
        if plan.memory().is_none() {
            return Err(Error::limit(
                "the memory of the model's runs has no bound, and this server has no worker processes",
            ));
        }
        let bytes = plan.weights();
        if bytes > most.as_u64() {
            return Err(Error::limit(format!(
                "the model takes {bytes} bytes, more than infer.loaded = {most}"
            )));
        }
        Ok((Loaded::Here(Arc::new(plan)), Weight { bytes, workers: 0 }))
    }

    async fn load_source(
        &self,
        source: Source,
        signature: Signature,
    ) -> Result<(Loaded, Weight), Error> {
        let deadline = Instant::now() + self.config.load_time;
        match source {
            Source::Graph(graph) => {
                self.load(graph, Format::TensorFlow, signature, true, deadline)
                    .await
            }
            Source::Model(entry) => {
                let of = Arc::clone(&entry);
                let read = move |directory: &Directory| {
                    let stored = directory.read(&of.name)?;
                    // The file that was described must be the one that is loaded.
                    match directory.stamp(&of.name) == of.stamp {
                        true => Ok(stored),
                        false => Err(Error::new(
                            Kind::Busy,
                            "the model is being replaced. Try again",
                        )),
                    }
                };
                let stored = self.on_disk(read).await?;
                let isolated = entry.declaration.isolated;
                let (file, format) = (stored.file.into(), stored.format);
                self.load(file, format, signature, isolated, deadline).await
            }
        }
    }
}

/// The error of a worker that ended while it loaded a model.
pub(crate) fn not_gone(silence: Silence) -> Error {
    match silence {
        Silence::Gone => Error::host("a worker ended before its time"),
        Silence::Error(error) => error,
    }
}
