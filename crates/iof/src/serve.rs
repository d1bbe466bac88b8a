//! `iof serve`.

use crate::config::Config;
#[cfg(feature = "infer")]
use crate::models;
use crate::{OURSELVES, fail, log, native};
use iof_commands::Registry;
use iof_engine::{Engine, EngineConfig};
use iof_server::{App, Cores, Https, Listener, Parts, Records, Values};
use iof_store::{SecretKeys, Store};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) fn run(config: Config) -> ExitCode {
    if let Err(message) = log::start(&config.log) {
        return fail(2, message);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format!("no runtime: {error}")),
    };
    let ready = |address: SocketAddr| {
        crate::print(&format!("listening on http://{address}\n"));
    };
    match runtime.block_on(serve(config, ready)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(1, message),
    }
}

/// Serves until a signal says stop; `ready` is told where, once it does.
///
/// # Errors
/// What keeps it from serving, with what to do.
pub(crate) async fn serve(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), String> {
    let descriptors = raise_descriptors();
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
            // The certificate first: a mistake in it is likelier than one in the address.
            let https = Https::new(&config.tls).await?;
            let tcp = TcpListener::bind(wanted)
                .await
                .map_err(|error| format!("cannot listen on tls.listen = {wanted}: {error}"))?;
            let address = tcp.local_addr().map_err(|error| error.to_string())?;
            Some((tcp, https, address))
        }
    };
    let store = Store::open(&config.data)
        .await
        .map_err(|error| error.to_string())?;
    let egress =
        iof_egress::Egress::new(config.egress.clone()).map_err(|error| error.to_string())?;
    let https_address = https.as_ref().map(|(_, _, address)| *address);
    egress.set_own_listeners(
        [Some(address), https_address]
            .into_iter()
            .flatten()
            .collect(),
    );
    let secret_keys = config.secret_keys()?;
    if let Some(keys) = &secret_keys {
        rotate(&store, keys).await?;
    }
    let records = Records::start(store.clone(), config.records.clone());
    egress.set_sink(records.queue());
    let mut registry = Registry::new();
    registry.set_sink(records.queue());
    registry.register(iof_commands::http_proxy::HttpProxy::new(egress.clone()));
    #[cfg(feature = "infer")]
    let inference = models::register(&config, &mut registry)?;
    native::register(&config, &mut registry, &egress).await?;
    let engine = Engine::new(
        EngineConfig {
            limits: config.limits.clone(),
            compile: config.compile.clone(),
            concurrency: config.server.concurrency,
            worker: [OURSELVES, "compile-worker"].map(PathBuf::from).to_vec(),
            open_files: config.server.open_files.min(descriptors / 4),
            scratch: config.data.join("scratch"),
        },
        Arc::new(registry),
        Arc::new(Values(store.clone())),
    )?;
    let public_url = config.public_url()?;
    let mut settings = config.server;
    // Each is one, and half of all is for what calls open, commands, models and the store.
    settings.connections = settings.connections.min(descriptors / 2);
    let app = App::new(Parts {
        engine,
        store: store.clone(),
        egress,
        settings,
        second_state: config.second_state,
        auth: config.auth,
        defaults: config.defaults,
        ceiling: config.ceiling,
        secret_keys,
        records,
        public_url,
        limits: config.limits,
        module_size: config.compile.module_size,
    });

    // They outlive the server: what calls began on them is waited for behind it.
    let cores = Cores::start().map_err(|error| format!("no threads to serve with: {error}"))?;
    let (mut interrupt, mut terminate) = match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => return Err(format!("no signals: {error}")),
    };
    tracing::info!(%address, data = %config.data.display(), descriptors, "listening");
    ready(address);
    let mut listeners = vec![Listener {
        tcp: listener,
        https: None,
    }];
    if let Some((tcp, https, address)) = https {
        tracing::info!(%address, "listening for HTTPS");
        crate::print(&format!("listening on https://{address}\n"));
        listeners.push(Listener {
            tcp,
            https: Some(https),
        });
    }
    let mut signalled = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let stop = async {
        // Told, or nobody is there any more to tell: stop.
        let _ = told.await;
    };
    let signals = async {
        signalled().await;
        let _ = tell.send(());
        signalled().await;
    };
    tokio::select! {
        served = iof_server::serve(app, &cores, listeners, stop) => served.map_err(|error| error.to_string())?,
        () = signals => tracing::warn!("told twice: stopping at once, calls under way are broken off"),
    }
    #[cfg(feature = "infer")]
    inference.closed().await;
    let closed = store.close().await;
    drop(cores);
    closed.map_err(|error| error.to_string())
}

/// Raises the soft limit of descriptors to the hard one, and returns it: the soft one is low for the sake of programs that
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

/// Encrypts what is under an earlier key anew. Where one cannot be read, its function says so when it is called; the
/// others are not kept from being served.
async fn rotate(store: &Store, keys: &SecretKeys) -> Result<(), String> {
    match store.rotate_secrets(keys).await {
        Ok(0) => {}
        Ok(rotated) => {
            tracing::info!(
                rotated,
                key = keys.current_id(),
                "secrets are encrypted under the first key now"
            );
        }
        Err(error @ (iof_store::Error::MissingKey { .. } | iof_store::Error::Damaged { .. })) => {
            tracing::error!(%error, "a secret cannot be read; is its key missing in secrets.key_file?");
        }
        Err(error) => return Err(error.to_string()),
    }
    Ok(())
}
