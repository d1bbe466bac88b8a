//! Models, ready to run: the basis of the commands, and later of `wasi:nn`.
//!
//! This module knows neither arguments nor stdin. A caller gets a [`Session`] of a model for a [`Signature`], and
//! computes outputs from typed tensors. This module decides whether that runs on a thread of this process or in a
//! worker, by the rules in [`isolate`](crate::isolate).

use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::cache::{Cache, CacheLimits, Weight};
use crate::entry::{Entry, EntryKey, complete};
use crate::isolate::Workers;
use crate::models::{Directory, Listed, Parts, check_name};
use crate::place::CoreLimiter;
use crate::session::{Loaded, LoadedKey, Session, Source, not_gone};
use crate::{Config, Declaration, Description, Error, Model, Signature};

/// The time for which a model counts as unchanged without another look at the disk.
const FRESH: Duration = Duration::from_millis(100);

/// A server's models. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Inference {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) directory: Directory,
    pub(crate) places: CoreLimiter,
    pub(crate) workers: Workers,
    /// The facts about each model, and the time of the last comparison with the disk.
    pub(crate) known: Mutex<HashMap<String, (Arc<Entry>, Instant)>>,
    pub(crate) entries: Cache<EntryKey, Arc<Entry>>,
    pub(crate) loaded: Cache<LoadedKey, Loaded>,
    pub(crate) tasks: TaskTracker,
}

/// A model as [`Inference::show`] shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Bytes of its file.
    pub size: u64,
    /// Format, nodes, inputs and outputs, from its file.
    pub description: Description,
    /// The declaration of `model.toml`.
    pub declaration: Declaration,
    /// The number of labels.
    pub labels: usize,
}

impl Inference {
    /// The models of `config`. `worker` is the program that leads to
    /// [`run_worker`](crate::run_worker), with its arguments, to which one is appended. Without a
    /// program, models are loaded in this process without a trial, and models that must not run in it are
    /// refused: for tools whose user trusts their models.
    ///
    /// # Errors
    /// An error if threads cannot be started.
    pub fn new(config: Config, worker: Vec<PathBuf>) -> Result<Inference, Error> {
        let tasks = TaskTracker::new();
        let most = CacheLimits {
            bytes: config.loaded.as_u64(),
            workers: config.workers,
            of_a_kind: config.plans_per_model,
        };
        let entries = CacheLimits {
            // Labels and names: a few hundred models of a few kilobytes.
            bytes: 16 << 20,
            workers: 0,
            of_a_kind: 1,
        };
        let shared = Shared {
            directory: Directory::new(&config),
            places: CoreLimiter::new(&config)?,
            workers: Workers::new(worker, &config),
            known: Mutex::default(),
            entries: Cache::new(entries, tasks.clone()),
            loaded: Cache::new(most, tasks.clone()),
            tasks,
            config,
        };
        Ok(Inference {
            shared: Arc::new(shared),
        })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// All models, by name.
    ///
    /// # Errors
    /// An error if the directory cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.shared.on_disk(Directory::list).await
    }

    /// The inputs and outputs of a model.
    ///
    /// # Errors
    /// An error if there is no such model, or it cannot be read.
    pub async fn show(&self, name: &str) -> Result<Shown, Error> {
        let deadline = Instant::now() + self.shared.config.load_time;
        let entry = self.entry(name, deadline).await?;
        Ok(Shown {
            name: entry.name.to_string(),
            size: entry.size,
            description: entry.description.clone(),
            declaration: entry.declaration.clone(),
            labels: entry.labels.len(),
        })
    }

    /// Adds a model, after it was loaded and run once in a worker. When this returns, it is on the
    /// disk; if the process is killed at any moment, the model is there whole or not at all.
    ///
    /// # Errors
    /// An error if it cannot be loaded, or exists already and `replace` is false.
    pub async fn add(&self, name: &str, parts: Parts, replace: bool) -> Result<Description, Error> {
        check_name(name)?;
        self.shared.directory.within(parts.model.len() as u64)?;
        let declaration = Declaration::parse(parts.declaration.as_deref().unwrap_or_default())?;
        let deadline = Instant::now() + self.shared.config.load_time;
        let file = Bytes::from(parts.model);
        let description = self.shared.describe(file.clone(), deadline).await?;
        if let Ok(inputs) = complete(&description, &declaration.specs()?) {
            let signature = Signature {
                inputs,
                outputs: declaration.outputs.clone(),
            };
            let (isolated, format) = (declaration.isolated, description.format);
            self.shared
                .load(file.clone(), format, signature, isolated, deadline)
                .await?;
        }
        let parts = Parts {
            model: file.into(),
            ..parts
        };
        let owned = name.to_owned();
        self.shared
            .on_disk(move |directory| directory.put(&owned, &parts, replace))
            .await?;
        Ok(description)
    }

    /// Removes a model. Calls that run it are not affected.
    ///
    /// # Errors
    /// An error if there is no such model, or the directory cannot be written.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let owned = name.to_owned();
        self.shared
            .on_disk(move |directory| directory.remove(&owned))
            .await
    }

    /// A session of a model for a signature; without one, for the signature of its file and its
    /// declaration, with a batch of one.
    ///
    /// # Errors
    /// An error if there is no such model, it does not load, or the signature leaves something open.
    pub async fn session(
        &self,
        name: &str,
        signature: Option<Signature>,
        deadline: Instant,
    ) -> Result<Session, Error> {
        let entry = self.entry(name, deadline).await?;
        let signature = match signature {
            Some(signature) => signature,
            None => entry.signature()?,
        };
        self.session_of(entry, signature, deadline).await
    }

    pub(crate) async fn session_of(
        &self,
        entry: Arc<Entry>,
        signature: Signature,
        deadline: Instant,
    ) -> Result<Session, Error> {
        entry.allow(&signature)?;
        let key = LoadedKey::Model {
            name: Arc::clone(&entry.name),
            stamp: entry.stamp,
            signature: signature.clone(),
        };
        let session = Session {
            shared: Arc::clone(&self.shared),
            key,
            source: Source::Model(entry),
            signature,
        };
        session.get(deadline).await?;
        Ok(session)
    }

    /// A session of a TensorFlow graph that a function sent. The graph is never loaded in this
    /// process.
    ///
    /// # Errors
    /// An error if it does not load, or there are no worker processes.
    pub async fn session_of_graph(
        &self,
        function: i64,
        graph: Bytes,
        signature: Signature,
        deadline: Instant,
    ) -> Result<Session, Error> {
        let most = self.shared.config.graph_size;
        if graph.len() as u64 > most.as_u64() {
            let size = graph.len();
            return Err(Error::limit(format!(
                "the graph has {size} bytes, more than infer.graph_size = {most}"
            )));
        }
        let key = LoadedKey::Graph {
            function,
            hash: blake3::hash(&graph),
            signature: signature.clone(),
        };
        let session = Session {
            shared: Arc::clone(&self.shared),
            key,
            source: Source::Graph(graph),
            signature,
        };
        session.get(deadline).await?;
        Ok(session)
    }

    /// The version of the library in the setting `onnxruntime`, opened in a worker as for running models;
    /// `None` if the setting is empty.
    ///
    /// # Errors
    /// An error if the library cannot be opened, naming the setting and the next step.
    pub async fn onnxruntime(&self) -> Result<Option<String>, Error> {
        let deadline = Instant::now() + self.shared.config.load_time;
        let mut worker = self.shared.workers.start()?;
        worker.runtime(deadline).await.map_err(not_gone)
    }

    /// Waits until every load in progress has ended. The server calls it after the last call.
    pub async fn closed(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Bytes of weights in this process, and worker processes.
    pub fn in_use(&self) -> (u64, usize) {
        let weight = self.shared.loaded.weight();
        (weight.bytes, weight.workers)
    }

    /// The facts about a model, as it is on the disk now.
    pub(crate) async fn entry(&self, name: &str, deadline: Instant) -> Result<Arc<Entry>, Error> {
        check_name(name)?;
        let known = self.shared.known.lock().get(name).cloned();
        if let Some((entry, looked)) = &known
            && looked.elapsed() < FRESH
        {
            return Ok(Arc::clone(entry));
        }
        let owned = name.to_owned();
        let stamp = self
            .shared
            .on_disk(move |directory| Ok(directory.stamp(&owned)))
            .await?;
        let entry = match known {
            Some((entry, _)) if entry.stamp == stamp => entry,
            _ => {
                let key = EntryKey {
                    name: name.to_owned(),
                    stamp,
                };
                let shared = Arc::clone(&self.shared);
                let of = key.clone();
                let read = self.shared.entries.get(&key, deadline, || async move {
                    let entry = Arc::new(shared.read_entry(of).await?);
                    let labels: usize = entry.labels.iter().map(|label| label.len() + 24).sum();
                    let weight = Weight {
                        bytes: labels as u64 + 4096,
                        workers: 0,
                    };
                    Ok((entry, weight))
                });
                let entry = read.await;
                if entry.is_err() {
                    // A model that was removed, or that cannot be read, is dropped from the cache.
                    self.shared.known.lock().remove(name);
                    self.shared.loaded.forget_all(|key| key.is_of(name));
                }
                let entry = entry?.value;
                self.shared
                    .loaded
                    .forget_all(|key| key.is_of(name) && !key.has(&entry.stamp));
                entry
            }
        };
        self.shared
            .known
            .lock()
            .insert(name.to_owned(), (Arc::clone(&entry), Instant::now()));
        Ok(entry)
    }
}

impl Shared {
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let directory = self.directory.clone();
        let done = tokio::task::spawn_blocking(move || work(&directory)).await;
        done.unwrap_or_else(|error| Err(Error::host(format!("the disk was not read: {error}"))))
    }

    async fn read_entry(&self, key: EntryKey) -> Result<Entry, Error> {
        let name = key.name.clone();
        let stored = self.on_disk(move |directory| directory.read(&name)).await?;
        let deadline = Instant::now() + self.config.load_time;
        let size = stored.file.len() as u64;
        let description = self.describe(stored.file.into(), deadline).await;
        let name = key.name;
        let description = description.map_err(|e| e.while_doing(format!("the model {name}")))?;
        Ok(Entry {
            specs: stored.declaration.specs()?,
            name: name.into(),
            stamp: key.stamp,
            size,
            declaration: stored.declaration,
            labels: stored.labels,
            description,
        })
    }

    pub(crate) async fn describe(
        &self,
        file: Bytes,
        deadline: Instant,
    ) -> Result<Description, Error> {
        let place = self.places.place(deadline).await?;
        if self.workers.exist() {
            let mut worker = self.workers.start()?;
            let described = worker.describe(None, &file, deadline).await;
            return described.map_err(not_gone);
        }
        let limits = self.config.limits();
        let describe = move |_: &_| Ok(Model::load(&file, None, &limits)?.describe());
        self.places.run(place, deadline, describe).await
    }
}
