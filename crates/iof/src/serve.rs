//! `iof serve`.
//!
//! More than 400 lines: the parts of a server, in the order in which they are built.

use crate::args::Serve;
use crate::config::{Config, warn_of_readers};
use crate::inventory;
#[cfg(feature = "infer")]
use crate::models;
use crate::reload::Reload;
use crate::service::{self, Service};
use crate::{OURSELVES, fail, host, log, native, secret_keys};
use iof_command::Registry;
use iof_egress::{Addresses, Egress};
use iof_engine::{Engine, EngineConfig};
use iof_server::{
    App, CommandKind, Https, Inventory, Listener, Metrics, Otlp, OutboundLog, Protocol, StopReport,
    Values, WorkerThreads,
};
use iof_store::{ChangeLimits, SecretKeys, Store};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves as a service; a reload reads `config` again from the arguments `args`.
pub(crate) fn run(config: Config, args: Serve) -> ExitCode {
    let started = log::start(&config.log, config.log_format);
    let started = started.and_then(|filter| config.check_files().map(|()| filter));
    let reload = match started.and_then(|filter| Reload::new(args, filter, &config)) {
        Ok(reload) => reload,
        Err(message) => return fail(2, message),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format!("no runtime: {error}")),
    };
    let data = config.data.clone();
    let ready = |address: SocketAddr| {
        crate::print(&format!(
            "listening on http://{address}\ndata in {}\n",
            data.display()
        ));
    };
    let served = runtime.block_on(async {
        let service = Service::new(reload)?;
        serve_as(config, ready, Some(service)).await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(1, message),
    }
}

/// Serves until a signal to stop; `ready` gets the address once the server listens.
///
/// # Errors
/// The reason why it cannot serve, with the next step.
pub(crate) async fn serve(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), String> {
    serve_as(config, ready, None).await
}

async fn serve_as(
    config: Config,
    ready: impl FnOnce(SocketAddr),
    mut service: Option<Service>,
) -> Result<(), String> {
    let descriptors = raise_descriptors();
    let sockets = Sockets::bind(&config).await?;
    if !config.store.password_file.as_os_str().is_empty() {
        warn_of_readers("store.password_file", &config.store.password_file);
    }
    let store = Store::open_with(&config.data, &config.store)
        .await
        .map_err(|error| error.to_string())?;
    store.keep_changes(ChangeLimits {
        function_rows: config.records.changes_function,
        rows: config.records.changes,
    });
    let outbound_log = OutboundLog::start(store.clone(), config.records.clone());
    let metrics = Metrics::new(&config.metrics);
    let otlp = Otlp::start(&config.otlp, &collector(&config)?)?;
    if !config.otlp.headers_file.as_os_str().is_empty() {
        warn_of_readers("otlp.headers_file", &config.otlp.headers_file);
    }
    let egress = egress(&config, &sockets, &outbound_log, (&metrics, &otlp))?;
    #[cfg(feature = "infer")]
    let inference = models::inference(&config)?;
    let mut commands = commands(&egress, &outbound_log, (&metrics, &otlp));
    let mut inventory = inventory::of_settings(&config);
    inventory::add(&mut inventory, &commands, CommandKind::BuiltIn);
    #[cfg(feature = "infer")]
    {
        models::register(&inference, &mut commands);
        inventory::add(&mut inventory, &commands, CommandKind::Model);
        inventory.models = models::names(&inference).await;
    }
    native::register(&config, &mut commands, &egress).await?;
    inventory::add_native(&mut inventory, &commands, &config);
    let engine = engine(&config, commands, &store, descriptors)?;
    // This comes after everything that may prevent the start, because a new key is shown only once.
    if !config.secrets.key_file.as_os_str().is_empty() {
        warn_of_readers("secrets.key_file", &config.secrets.key_file);
    }
    let secret_keys = secret_keys::secret_keys(&config, &store).await?;
    // The threads outlive the server, because calls that began on them are awaited after it.
    let workers =
        WorkerThreads::start().map_err(|error| format!("no threads to serve with: {error}"))?;
    let signals = Signals::install()?;
    let data = config.data.clone();
    let app = app(
        config,
        Parts {
            engine,
            store: store.clone(),
            egress,
            secret_keys,
            outbound_log,
            metrics,
            otlp,
            inventory,
            descriptors,
        },
    )?;
    tracing::info!(address = %sockets.http.1, data = %data.display(), descriptors, "listening");
    let address = sockets.http.1;
    let certificate = sockets
        .https
        .as_ref()
        .and_then(|(_, _, https)| https.certificate());
    let listeners = sockets.announce(ready);
    let mut report = StopReport::new(service::status);
    let attended = async {
        if let Some(service) = &mut service {
            service.attend(&store, certificate, address).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = serve_until_told(app, &workers, listeners, signals, &mut report) => served?,
        () = attended => {}
    }
    #[cfg(feature = "infer")]
    report
        .during(inference.closed(), || "the workers of models".to_owned())
        .await;
    let closed = report
        .during(store.close(), || "the database to be flushed".to_owned())
        .await;
    drop(workers);
    closed.map_err(|error| error.to_string())
}

/// The listening sockets, made before the server.
struct Sockets {
    http: (TcpListener, SocketAddr),
    https: Option<(TcpListener, SocketAddr, Https)>,
    metrics: Option<(TcpListener, SocketAddr)>,
}

impl Sockets {
    async fn bind(config: &Config) -> Result<Self, String> {
        let listener = TcpListener::bind(config.listen).await.map_err(|error| {
            format!(
                "cannot listen on {}: {error}. Is another server there? --listen chooses.",
                config.listen
            )
        })?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let https = match config.https_address()? {
            None => None,
            Some(wanted) => {
                // The certificate is read first: a mistake in it is likelier than one in the address.
                let tls = &config.tls;
                let https = match tls.acme.names.is_empty() {
                    true => Https::of_files(tls).await?,
                    false => {
                        let roots = iof_egress::roots(&config.egress.ca_files)
                            .map_err(|error| error.to_string())?;
                        Https::of_acme(tls, roots, &config.data.join("acme"))?
                    }
                };
                let tcp = TcpListener::bind(wanted)
                    .await
                    .map_err(|error| format!("cannot listen on tls.listen = {wanted}: {error}"))?;
                let address = tcp.local_addr().map_err(|error| error.to_string())?;
                Some((tcp, address, https))
            }
        };
        let metrics = match config.metrics_address()? {
            None => None,
            Some(wanted) => {
                let listen = async {
                    let tcp = TcpListener::bind(wanted).await?;
                    let address = tcp.local_addr()?;
                    std::io::Result::Ok((tcp, address))
                };
                Some(listen.await.map_err(|error| {
                    format!("cannot listen on metrics.listen = {wanted}: {error}")
                })?)
            }
        };
        Ok(Self {
            http: (listener, address),
            https,
            metrics,
        })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let https = self.https.as_ref().map(|(_, address, _)| *address);
        let metrics = self.metrics.as_ref().map(|(_, address)| *address);
        let all = [Some(self.http.1), https, metrics];
        all.into_iter().flatten().collect()
    }

    /// Prints the addresses of the server, and returns the sockets.
    fn announce(self, ready: impl FnOnce(SocketAddr)) -> Vec<Listener> {
        let (tcp, address) = self.http;
        ready(address);
        let mut listeners = vec![Listener {
            tcp,
            https: None,
            protocol: Protocol::Functions,
        }];
        if let Some((tcp, address, https)) = self.https {
            tracing::info!(%address, "listening for HTTPS");
            crate::print(&format!("listening on https://{address}\n"));
            listeners.push(Listener {
                tcp,
                https: Some(https),
                protocol: Protocol::Functions,
            });
        }
        if let Some((tcp, address)) = self.metrics {
            tracing::info!(%address, "listening for metrics");
            crate::print(&format!("metrics on http://{address}/metrics\n"));
            listeners.push(Listener {
                tcp,
                https: None,
                protocol: Protocol::Metrics,
            });
        }
        listeners
    }
}

/// The outbound client, which never connects to this server's own sockets.
fn egress(
    config: &Config,
    sockets: &Sockets,
    outbound_log: &OutboundLog,
    (metrics, otlp): (&Arc<Metrics>, &Arc<Otlp>),
) -> Result<Egress, String> {
    let observers = vec![
        outbound_log.sender() as Arc<dyn iof_egress::Observer>,
        Arc::clone(metrics) as Arc<dyn iof_egress::Observer>,
        Arc::clone(otlp) as Arc<dyn iof_egress::Observer>,
    ];
    let settings = iof_egress::Config {
        propagate: config.otlp.propagate.clone(),
        ..config.egress.clone()
    };
    Egress::for_server(settings, sockets.addresses(), observers).map_err(|error| error.to_string())
}

/// The client by which the server itself reaches a collector: wherever the operator says that it is, and not through
/// the proxy of functions.
fn collector(config: &Config) -> Result<Egress, String> {
    let settings = iof_egress::Config {
        ca_files: config.egress.ca_files.clone(),
        dns_servers: config.egress.dns_servers.clone(),
        addresses: Addresses::Any,
        answers_redirects: true,
        ..iof_egress::Config::default()
    };
    Egress::new(settings).map_err(|error| error.to_string())
}

/// The commands that every server has.
fn commands(
    egress: &Egress,
    outbound_log: &OutboundLog,
    (metrics, otlp): (&Arc<Metrics>, &Arc<Otlp>),
) -> Registry {
    let metrics = Arc::clone(metrics) as Arc<dyn iof_command::Observer>;
    let otlp = Arc::clone(otlp) as Arc<dyn iof_command::Observer>;
    let mut registry = Registry::with_observers(vec![outbound_log.sender(), metrics, otlp]);
    registry.register(iof_commands::http_proxy::HttpProxy::new(egress.clone()));
    registry.register(iof_commands::signing::Sign);
    registry.register(iof_commands::signing::Verify);
    registry.set_http(iof_commands::StreamingHttp::new(egress.clone()));
    registry
}

/// The engine that runs functions, with its compile worker.
fn engine(
    config: &Config,
    commands: Registry,
    store: &Store,
    descriptors: u32,
) -> Result<Engine, String> {
    let settings = EngineConfig {
        limits: config.limits.clone(),
        compile: config.compile.clone(),
        concurrency: config.server.concurrency,
        idle_instances: config.server.idle_instances,
        idle_memory: config.server.idle_memory.as_u64(),
        capacity: host::capacity(config, descriptors.into()),
        worker: [OURSELVES, "compile-worker"].map(PathBuf::from).to_vec(),
        open_files: config.server.open_files.min(descriptors / 4),
        scratch: config.data.join("scratch"),
    };
    let values = Arc::new(Values(store.clone()));
    Engine::new(settings, Arc::new(commands), values)
}

/// The parts of a server that are not settings.
struct Parts {
    engine: Engine,
    store: Store,
    egress: Egress,
    secret_keys: SecretKeys,
    outbound_log: OutboundLog,
    metrics: Arc<Metrics>,
    otlp: Arc<Otlp>,
    inventory: Inventory,
    descriptors: u32,
}

/// The server, built from its parts and its settings.
fn app(config: Config, parts: Parts) -> Result<Arc<App>, String> {
    let public_url = config.public_url()?;
    let mut settings = config.server;
    // Each connection takes a descriptor, and half of them are for files of calls, commands, models and the store.
    settings.connections = settings.connections.min(parts.descriptors / 2);
    Ok(App::new(iof_server::Parts {
        engine: parts.engine,
        store: parts.store,
        egress: parts.egress,
        settings,
        jobs: config.jobs,
        second_state: config.second_state,
        auth: config.auth,
        defaults: config.defaults,
        ceiling: config.ceiling,
        secret_keys: parts.secret_keys,
        outbound_log: parts.outbound_log,
        metrics: parts.metrics,
        otlp: parts.otlp,
        public_url,
        limits: config.limits,
        module_size: config.compile.module_size,
        console: config.console,
        inventory: parts.inventory,
        dev: config.dev,
    }))
}

/// The signals that end a server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> Result<Self, String> {
        let install = |kind| signal(kind).map_err(|error| format!("no signals: {error}"));
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Serves until a signal, and then until the calls in progress are done or a second signal aborts them.
async fn serve_until_told(
    app: Arc<App>,
    workers: &WorkerThreads,
    listeners: Vec<Listener>,
    mut signals: Signals,
    report: &mut StopReport,
) -> Result<(), String> {
    let (first, first_came) = tokio::sync::oneshot::channel::<()>();
    let stop = async {
        // An error means that no sender of signals is left, so the server stops.
        let _ = first_came.await;
    };
    let second = async {
        signals.next().await;
        service::stopping();
        let _ = first.send(());
        signals.next().await;
    };
    tokio::select! {
        served = iof_server::serve(app, workers, listeners, Box::pin(stop), report) => served.map_err(|error| error.to_string()),
        () = second => {
            tracing::warn!("second signal: aborting calls in progress");
            Ok(())
        }
    }
}

/// Raises the soft limit of descriptors to the hard limit, and returns it. The soft limit is low only for programs that
/// use `select`.
fn raise_descriptors() -> u32 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let current = match raised {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX))
}
