//! A server as a service: notifications to its manager (`sd_notify(3)`), and the effect of its signals.
//!
//! Without a manager, no notification is sent; nothing else differs.

use crate::reload::Reload;
use iof_server::Certificate;
use iof_store::Store;
use sd_notify::NotifyState;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The service, until it stops.
pub(crate) struct Service {
    reload: Reload,
    hangups: Signal,
}

impl Service {
    /// Makes SIGHUP reload instead of ending the process.
    pub(crate) fn new(reload: Reload) -> Result<Self, String> {
        let hangups =
            signal(SignalKind::hangup()).map_err(|error| format!("no signals: {error}"))?;
        Ok(Self { reload, hangups })
    }

    /// Notifies that the server is ready, then reloads at each SIGHUP and sends keep-alives to the manager, forever.
    pub(crate) async fn attend(
        &mut self,
        store: &Store,
        certificate: Option<Certificate>,
        address: SocketAddr,
    ) {
        let serving = format!("serving on http://{address}");
        tell(&[NotifyState::Ready, NotifyState::Status(&serving)]);
        tokio::join!(watch(store), self.reload_at_hangups(certificate, &serving));
    }

    async fn reload_at_hangups(&mut self, certificate: Option<Certificate>, serving: &str) {
        while self.hangups.recv().await.is_some() {
            match NotifyState::monotonic_usec_now() {
                Ok(now) => tell(&[NotifyState::Reloading, now]),
                Err(error) => tracing::debug!(%error, "no monotonic time for the service manager"),
            }
            let outcome = self.reload.apply(certificate.as_ref()).await;
            let status = format!("{serving}; {outcome}");
            tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
        }
        // The runtime receives no more signals; everything else continues.
        std::future::pending::<()>().await;
    }
}

/// Notifies the manager that the server is stopping.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Notifies the manager of the server's status.
pub(crate) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Sends keep-alives to the manager, at half of the time after which it would restart the server, while the store
/// answers.
async fn watch(store: &Store) {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| !period.is_zero()) else {
        return;
    };
    let half = (period / 2).max(Duration::from_millis(1));
    let mut ticks = interval(half);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(half, store.ready()).await {
            Ok(Ok(())) => tell(&[NotifyState::Watchdog]),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store does not answer; no keep-alive is sent to the service manager");
            }
            Err(_) => tracing::error!(
                waited = ?half,
                "the store does not answer; no keep-alive is sent to the service manager"
            ),
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager in NOTIFY_SOCKET was not reached");
    }
}
