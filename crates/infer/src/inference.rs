//! Models, ready to run: what commands, and later `wasi:nn`, stand on.
//!
//! Nothing here knows arguments or stdin. A caller asks for a [`Session`] of a model and a
//! [`Signature`], and computes outputs from typed tensors. Where that happens (on a thread of this
//! process or in a worker) is decided here, as [`isolate`](crate::isolate) says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::cache::{Cache, Found, Key, Most, Weight};
use crate::isolate::{Silence, Worker, Workers};
use crate::models::{Directory, Listed, Parts, Stamp, check_name};
use crate::place::Places;
use crate::{
    Config, Declaration, Description, Dim, Error, Format, Kind, Model, Plan, Signature, Spec,
    Tensor,
};

/// How long a model is taken for unchanged without another look at the disk.
const FRESH: Duration = Duration::from_millis(100);

/// A server's models. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Inference {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    directory: Directory,
    places: Places,
    workers: Workers,
    /// What is known of each model, and when that was last compared with the disk.
    known: Mutex<HashMap<String, (Arc<Entry>, Instant)>>,
    entries: Cache<EntryKey, Arc<Entry>>,
    loaded: Cache<LoadedKey, Loaded>,
    tasks: TaskTracker,
}

/// What is known of a model before it is loaded for a signature.
#[derive(Debug)]
pub(crate) struct Entry {
    name: Arc<str>,
    stamp: Stamp,
    size: u64,
    pub(crate) declaration: Declaration,
    pub(crate) labels: Vec<String>,
    pub(crate) description: Description,
    /// The inputs that the declaration completes.
    specs: Vec<Spec>,
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
    /// What `model.toml` says.
    pub declaration: Declaration,
    /// How many labels there are.
    pub labels: usize,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct EntryKey {
    name: String,
    stamp: Stamp,
}

impl Key for EntryKey {
    fn same_kind(&self, other: &EntryKey) -> bool {
        self.name == other.name
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum LoadedKey {
    Model {
        name: Arc<str>,
        stamp: Stamp,
        signature: Signature,
    },
    /// A graph that a function brought. Functions do not share a worker, so that what one function
    /// does to it can only come back to itself.
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
enum Loaded {
    Here(Arc<Plan>),
    /// `None` once the worker is of no use any more.
    There(Arc<tokio::sync::Mutex<Option<Worker>>>),
}

#[derive(Clone)]
enum Source {
    Model(Arc<Entry>),
    Graph(Bytes),
}

/// A model, or a graph that a function brought, for one signature.
pub struct Session {
    shared: Arc<Shared>,
    key: LoadedKey,
    source: Source,
    signature: Signature,
}

impl Inference {
    /// The models of `config`. `worker` is the program that leads to
    /// [`run_worker`](crate::run_worker), with its arguments, to which one is appended. Without a
    /// program, models are loaded in this process without a trial, and what cannot be run in it is
    /// refused: for tools whose user trusts their models.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn new(config: Config, worker: Vec<PathBuf>) -> Result<Inference, Error> {
        let tasks = TaskTracker::new();
        let most = Most {
            bytes: config.loaded.as_u64(),
            workers: config.workers,
            of_a_kind: config.plans_per_model,
        };
        let entries = Most {
            // Labels and names: a few hundred models of a few kilobytes.
            bytes: 16 << 20,
            workers: 0,
            of_a_kind: 1,
        };
        let shared = Shared {
            directory: Directory::new(&config),
            places: Places::new(&config)?,
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
    /// If the directory cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.shared.on_disk(Directory::list).await
    }

    /// What goes into a model and what comes out.
    ///
    /// # Errors
    /// If there is no such model, or it cannot be read.
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
    /// disk; when this is killed at any moment, it is there whole or not at all.
    ///
    /// # Errors
    /// If it cannot be loaded, or is there already and `replace` is false.
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

    /// Removes a model. Calls that run it end as if it were there.
    ///
    /// # Errors
    /// If there is no such model, or the directory cannot be written.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let owned = name.to_owned();
        self.shared
            .on_disk(move |directory| directory.remove(&owned))
            .await
    }

    /// A session of a model for a signature; without one, for what its file and its declaration
    /// say, with a batch of one.
    ///
    /// # Errors
    /// If there is no such model, it does not load, or the signature leaves something open.
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

    /// A session of a TensorFlow graph that a function brought along. It never comes into this
    /// process.
    ///
    /// # Errors
    /// If it does not load, or there are no worker processes.
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

    /// Waits until every load in progress has ended. The server calls it when no more calls come.
    pub async fn closed(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Bytes of weights in this process, and worker processes.
    pub fn in_use(&self) -> (u64, usize) {
        let weight = self.shared.loaded.weight();
        (weight.bytes, weight.workers)
    }

    /// What is known of a model, as it is on the disk now.
    pub(crate) async fn entry(&self, name: &str, deadline: Instant) -> Result<Arc<Entry>, Error> {
        check_name(name)?;
        let known = lock(&self.shared.known).get(name).cloned();
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
                    // A model that is gone, or that cannot be read, takes its place no longer.
                    lock(&self.shared.known).remove(name);
                    self.shared.loaded.forget_all(|key| key.is_of(name));
                }
                let entry = entry?.value;
                self.shared
                    .loaded
                    .forget_all(|key| key.is_of(name) && !key.has(&entry.stamp));
                entry
            }
        };
        lock(&self.shared.known).insert(name.to_owned(), (Arc::clone(&entry), Instant::now()));
        Ok(entry)
    }
}

impl LoadedKey {
    fn is_of(&self, model: &str) -> bool {
        matches!(self, LoadedKey::Model { name, .. } if &**name == model)
    }

    fn has(&self, of: &Stamp) -> bool {
        matches!(self, LoadedKey::Model { stamp, .. } if stamp == of)
    }
}

impl Entry {
    /// What its file and its declaration say, with a batch of one.
    pub(crate) fn signature(&self) -> Result<Signature, Error> {
        Ok(Signature {
            inputs: complete(&self.description, &self.specs)?,
            outputs: self.declaration.outputs.clone(),
        })
    }

    /// Refuses what is inside of the model: a tensor there may be its weights, which are the
    /// operator's, and one that is replaced makes another model of it.
    fn allow(&self, signature: &Signature) -> Result<(), Error> {
        let names = |ports: &[crate::Port]| {
            let names: Vec<_> = ports.iter().map(|port| port.name.as_str()).collect();
            names.join(", ")
        };
        let (inputs, outputs) = (&self.description.inputs, &self.description.outputs);
        for (at, spec) in signature.inputs.iter().enumerate() {
            let again = signature.inputs[..at]
                .iter()
                .any(|other| other.name == spec.name);
            if again || !inputs.iter().any(|port| port.name == spec.name) {
                return Err(Error::usage(match again {
                    true => format!("the input {:?} is named twice", spec.name),
                    false => format!(
                        "the model has no input {:?}; it has {}",
                        spec.name,
                        names(inputs)
                    ),
                }));
            }
        }
        if let Some(missing) = inputs
            .iter()
            .find(|port| !signature.inputs.iter().any(|spec| spec.name == port.name))
        {
            return Err(Error::usage(format!("the input {missing} is missing")));
        }
        for (at, name) in signature.outputs.iter().enumerate() {
            let known = outputs.iter().any(|port| port.name == *name);
            if !known && !self.declaration.outputs.contains(name) {
                let has = names(outputs);
                return Err(Error::usage(format!(
                    "the model has no output {name:?}; it has {has}"
                )));
            }
            if signature.outputs[..at].contains(name) {
                return Err(Error::usage(format!("the output {name:?} is named twice")));
            }
        }
        Ok(())
    }

    /// The inputs as the file has them, where the declaration does not say more.
    pub(crate) fn inputs(&self) -> Vec<crate::Port> {
        let ports = self.description.inputs.iter().map(|port| {
            let declared = self.specs.iter().find(|spec| spec.name == port.name);
            declared.map_or_else(|| port.clone(), crate::Port::from)
        });
        ports.collect()
    }
}

/// The inputs of a model, completed by what was declared; a batch that is open is one.
fn complete(description: &Description, declared: &[Spec]) -> Result<Vec<Spec>, Error> {
    let known = |name: &str| description.inputs.iter().any(|port| port.name == name);
    if let Some(stranger) = declared.iter().find(|spec| !known(&spec.name)) {
        return Err(Error::model(format!(
            "model.toml: the model has no input {:?}",
            stranger.name
        )));
    }
    let complete = |port: &crate::Port| {
        if let Some(spec) = declared.iter().find(|spec| spec.name == port.name) {
            return Ok(spec.clone());
        }
        let open = || {
            let name = &port.name;
            Error::usage(format!(
                "the model leaves {port} open: say --input {name}:TYPE:SHAPE"
            ))
        };
        let dims = port.shape.as_ref().ok_or_else(open)?;
        let dim = |(at, dim): (usize, &Dim)| match dim {
            Dim::Fixed(n) => Ok(*n),
            Dim::Symbol(_) if at == 0 => Ok(1),
            Dim::Symbol(_) => Err(open()),
        };
        Ok(Spec {
            name: port.name.clone(),
            ty: port.ty.ok_or_else(open)?,
            shape: dims.iter().enumerate().map(dim).collect::<Result<_, _>>()?,
        })
    };
    description.inputs.iter().map(complete).collect()
}

impl Shared {
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let directory = self.directory.clone();
        let done = tokio::task::spawn_blocking(move || work(&directory)).await;
        done.unwrap_or_else(|error| Err(Error::host(format!("the disk was not asked: {error}"))))
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

    async fn describe(&self, file: Bytes, deadline: Instant) -> Result<Description, Error> {
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

    /// Loads a model: in a worker first, and then here, if it can be here.
    async fn load(
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
                "this server has no worker processes, in which such models run",
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
                    // What was described is what is loaded.
                    match directory.stamp(&of.name) == of.stamp {
                        true => Ok(stored),
                        false => Err(Error::new(
                            Kind::Busy,
                            "the model is being replaced; try again",
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

/// A worker that ends while it loads has no reason to.
fn not_gone(silence: Silence) -> Error {
    match silence {
        Silence::Gone => Error::host("a worker ended before its time"),
        Silence::Error(error) => error,
    }
}

impl Session {
    /// What it is for.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Computes the outputs from inputs in the order of the signature, within `deadline` and the
    /// setting `run_time`. Dropping the future abandons the run: in this process it ends before its
    /// next operator, and keeps its place until then; a worker is killed at once.
    ///
    /// # Errors
    /// See [`Plan::run`]; [`Kind::Busy`] if too many wait for a place.
    pub async fn compute(
        &self,
        inputs: Vec<Tensor>,
        deadline: Instant,
    ) -> Result<Vec<Tensor>, Error> {
        self.compute_between(deadline, || Ok(inputs), Ok).await
    }

    /// As [`Session::compute`], with what comes before and after on the same thread: decoding a
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
        mut found: Found<Loaded>,
        inputs: &[Tensor],
        deadline: Instant,
    ) -> Result<Vec<Tensor>, Error> {
        let over = || {
            Error::new(
                Kind::Time,
                "the time was over while others ran the same model",
            )
        };
        // Workers end when they are not used; the second one has only just been started.
        for _ in 0..2 {
            let Loaded::There(shared_worker) = &found.value else {
                return Err(Error::host("a model came back from its worker"));
            };
            let mut slot = timeout_at(deadline, shared_worker.lock())
                .await
                .map_err(|_| over())?;
            let place = self.shared.places.place(deadline).await?;
            // Whoever drops this future from here on drops, and so kills, the worker.
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

    async fn get(&self, deadline: Instant) -> Result<Found<Loaded>, Error> {
        let (shared, source) = (Arc::clone(&self.shared), self.source.clone());
        let signature = self.signature.clone();
        let load = || async move { shared.load_source(source, signature).await };
        self.shared.loaded.get(&self.key, deadline, load).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
