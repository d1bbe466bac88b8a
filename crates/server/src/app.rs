//! The parts of a server that requests use.

use crate::auth::Keys;
use crate::body::BodyMemory;
use crate::call_log::{CallLog, KeptRows};
use crate::concurrency::ConcurrencyLimiter;
use crate::deploy_state::{DeployLocks, DraftTasks};
use crate::functions::{Functions, Policy};
use crate::grants::Ceiling;
use crate::host::OwnNames;
use crate::inventory::Inventory;
use crate::jobs::JobEnds;
use crate::metrics::Metrics;
use crate::otlp::Otlp;
use crate::outbound_log::OutboundLog;
use crate::recent_faults::RecentFaults;
use crate::schedules::Scheduling;
use crate::settings::{Auth, ConsoleSettings, JobSettings, SecondState, Settings};
use bytesize::ByteSize;
use iof_command::Grants;
use iof_egress::Egress;
use iof_engine::{Engine, Limits};
use iof_store::{SecretKeys, Store};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use url::Url;

/// The parts of a server. A process has one, which all requests share.
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) functions: Functions,
    pub(crate) deploys: DeployLocks,
    pub(crate) drafts: DraftTasks,
    /// The limiter of concurrent calls.
    pub(crate) limiter: ConcurrencyLimiter,
    /// A token that each connection clones, so that its reference count shows the number of connections.
    pub(crate) connections: Arc<()>,
    pub(crate) bodies: BodyMemory,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    pub(crate) second_state: SecondState,
    pub(crate) call_log: Arc<CallLog>,
    pub(crate) outbound_log: OutboundLog,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) otlp: Arc<Otlp>,
    pub(crate) recent_faults: RecentFaults,
    pub(crate) console: ConsoleSettings,
    /// The settings and commands of the server, for display.
    pub(crate) inventory: Inventory,
    pub(crate) scheduling: Scheduling,
    /// `[jobs]`
    pub(crate) jobs: JobSettings,
    pub(crate) job_ends: JobEnds,
    /// Notified when a job was accepted, or may be taken now.
    pub(crate) job_accepted: Notify,
    /// The outbound client of fetches and callbacks.
    pub(crate) egress: Egress,
    /// The URL under which clients know this server.
    pub(crate) public_url: Option<Url>,
    /// The host names under which requests may address this server.
    pub(crate) names: OwnNames,
    pub(crate) wall_time: Duration,
    pub(crate) module_size: ByteSize,
    /// True for the server of `iof dev`.
    pub(crate) dev: bool,
    /// The shared runtime, besides the per-core runtimes of connections.
    pub(crate) shared: Handle,
    /// Set when the process begins to stop: `/readyz` then sends callers elsewhere.
    pub(crate) stopping: AtomicBool,
}

/// The parts that a server is built from.
pub struct Parts {
    /// Runs functions.
    pub engine: Engine,
    /// Keeps functions and their records.
    pub store: Store,
    /// The outbound client of fetches and callbacks.
    pub egress: Egress,
    /// `[server]`
    pub settings: Settings,
    /// `[jobs]`
    pub jobs: JobSettings,
    /// `[second_state]`
    pub second_state: SecondState,
    /// `[auth]`
    pub auth: Auth,
    /// `[defaults]`: what a module uploaded without grants may use.
    pub defaults: Grants,
    /// `[ceiling]`: the most that a version may declare.
    pub ceiling: Grants,
    /// The keys that secrets are encrypted under.
    pub secret_keys: SecretKeys,
    /// The log of outbound requests and commands, and of recorded calls.
    pub outbound_log: OutboundLog,
    /// The metrics of the server; they observe outbound requests and commands.
    pub metrics: Arc<Metrics>,
    /// The exporter of traces, metrics and log records; it observes outbound requests and commands.
    pub otlp: Arc<Otlp>,
    /// The URL under which clients know this server.
    pub public_url: Option<Url>,
    /// `[limits]`
    pub limits: Limits,
    /// `compile.module_size`
    pub module_size: ByteSize,
    /// `[console]`
    pub console: ConsoleSettings,
    /// The settings and commands of the server, for display.
    pub inventory: Inventory,
    /// True for the server of `iof dev`, on which each build replaces the deployed version.
    pub dev: bool,
}

impl App {
    /// Builds a server. Must be called in a runtime: a task writes calls to the store.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            engine,
            store,
            egress,
            settings,
            jobs,
            second_state,
            auth,
            defaults,
            ceiling,
            secret_keys,
            outbound_log,
            metrics,
            otlp,
            public_url,
            limits,
            module_size,
            console,
            inventory,
            dev,
        } = parts;
        let limits = Arc::new(limits);
        let call_log = CallLog::start(
            store.clone(),
            KeptRows {
                calls: settings.log_rows,
                refused: settings.refused_rows,
            },
            settings.call_log_memory,
        );
        let call_log = Arc::new(call_log);
        let app = Arc::new(Self {
            job_accepted: Notify::new(),
            job_ends: JobEnds::new(metrics.most()),
            scheduling: Scheduling::default(),
            deploys: DeployLocks::new(),
            drafts: DraftTasks::default(),
            functions: Functions::new(
                engine.clone(),
                store.clone(),
                Arc::clone(&call_log),
                Arc::clone(&metrics),
                Policy {
                    ceiling: Ceiling {
                        grants: ceiling,
                        limits: Arc::clone(&limits),
                        concurrency: settings.concurrency,
                        schedules: settings.schedule_limits(),
                        jobs: settings.job_ceiling(&jobs),
                    },
                    defaults: Arc::new(defaults),
                    limits: Arc::clone(&limits),
                    settings: settings.clone(),
                    secret_keys,
                },
            ),
            limiter: ConcurrencyLimiter::of_server(&settings),
            connections: Arc::new(()),
            bodies: BodyMemory::new(settings.body_memory, settings.body_wait),
            keys: Keys::new(&auth),
            names: OwnNames::new(public_url.as_ref(), &settings.domain, !auth.keys.is_empty()),
            shared: Handle::current(),
            stopping: AtomicBool::new(false),
            engine,
            store,
            settings,
            jobs,
            second_state,
            call_log,
            egress,
            public_url,
            wall_time: limits.wall_time,
            module_size,
            dev,
            outbound_log,
            metrics,
            otlp,
            recent_faults: RecentFaults::default(),
            console,
            inventory,
        });
        let changed = Arc::downgrade(&app);
        app.store.on_change(move |functions| {
            let Some(app) = changed.upgrade() else { return };
            match functions {
                Some(functions) => functions.iter().for_each(|id| app.functions.changed(*id)),
                None => app.functions.all_changed(),
            }
            app.scheduling.changed.notify_one();
        });
        app
    }

    /// Returns whether a URL leads to this server by its public name. The scheme may differ: callbacks of 2020 support
    /// only https, and a proxy in front of a server accepts requests on the ports of both schemes.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        self.public_url.as_ref().is_some_and(|own| {
            // `port` is the explicit port of a URL; the default port of a scheme is `None`.
            let same_port = own.port() == url.port()
                || own.port_or_known_default() == url.port_or_known_default();
            own.host() == url.host() && same_port
        })
    }
}
