//! A server as a service: the notifications to its manager, the reload by SIGHUP, and the report of a stop.

use crate::second_state::modules;
use iof_tests::{Identity, guests::wat, joey::client_config, server::Server};
use rustix::process::Signal;
use rustls::pki_types::ServerName;
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpStream, UnixDatagram},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

/// The socket of a service manager, and the messages that arrived.
struct Manager {
    folder: tempfile::TempDir,
    messages: Arc<Mutex<Vec<String>>>,
    _reader: JoinSet<()>,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let messages: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut reader = JoinSet::new();
        let into = Arc::clone(&messages);
        reader.spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(size) = socket.recv(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
                into.lock().unwrap().push(text);
            }
        });
        Self {
            folder,
            messages,
            _reader: reader,
        }
    }

    fn socket(&self) -> String {
        self.folder
            .path()
            .join("notify")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn count(&self, expected: &str) -> usize {
        let messages = self.messages.lock().unwrap();
        messages
            .iter()
            .filter(|text| text.contains(expected))
            .count()
    }

    async fn receives(&self, expected: &str, times: usize) {
        until(
            || self.count(expected) >= times,
            || {
                format!(
                    "{expected:?} {times} times in {:?}",
                    self.messages.lock().unwrap()
                )
            },
        )
        .await;
    }
}

async fn until(mut holds: impl FnMut() -> bool, expected: impl Fn() -> String) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not seen: {}",
            expected()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn logs(server: &Server, expected: &str) {
    until(
        || server.log().contains(expected),
        || format!("{expected:?} in\n{}", server.log()),
    )
    .await;
}

/// A module whose function computes until it is ended.
fn spinning() -> Vec<u8> {
    wat("(module (func (export \"spin\") (result i32) (loop $on (br $on)) (i32.const 0)))")
}

fn settings_of(server: &Server) -> PathBuf {
    server.data().parent().unwrap().join("iof.toml")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_notified_of_start_watchdog_reload_and_stop() {
    let manager = Manager::new();
    let mut server = Server::builder()
        .env("NOTIFY_SOCKET", manager.socket())
        .env("WATCHDOG_USEC", "400000")
        .start()
        .await;
    manager.receives("READY=1", 1).await;
    let first = manager.messages.lock().unwrap()[0].clone();
    assert!(
        first.starts_with("READY=1\nSTATUS=serving on http://127.0.0.1:"),
        "{first:?}"
    );
    let began = Instant::now();
    let before = manager.count("WATCHDOG=1");
    manager.receives("WATCHDOG=1", before + 5).await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(700), "five times in {took:?}");

    server.signal(Signal::HUP);
    manager.receives("RELOADING=1\nMONOTONIC_USEC=", 1).await;
    manager.receives("READY=1", 2).await;

    assert!(server.stop().await.success());
    manager.receives("STOPPING=1", 1).await;
}

#[tokio::test]
async fn a_server_without_its_manager_still_serves() {
    let mut server = Server::builder()
        .env("NOTIFY_SOCKET", "/nowhere/notify")
        .env("WATCHDOG_USEC", "nonsense")
        .start()
        .await;
    assert_eq!(server.get("/readyz").await.text(), "ready\n");
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_the_log_names_settings_for_a_restart_and_loses_no_call() {
    let server = Server::start("log = \"warn\"\n[limits]\ncommands = 3\n").await;
    let id = server.upload(modules::hello()).await.id;
    let calls = async {
        for n in 0..300 {
            let answer = server.run(id, "say", "world").await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (200, ""),
                "call {n}"
            );
        }
    };
    let reloads = async {
        let file = settings_of(&server);
        fs::write(&file, "log = \"info\"\n[limits]\ncommands = 4\n").unwrap();
        server.signal(Signal::HUP);
        logs(
            &server,
            "reloaded: log. A restart is needed for: limits.commands",
        )
        .await;

        // A refused reload changes nothing, and names the reason.
        fs::write(&file, "log = \"warn\"\n[limits]\ncomands = 4\n").unwrap();
        server.signal(Signal::HUP);
        logs(&server, "comands").await;
        logs(&server, "The previous settings stay in use.").await;
        fs::remove_file(&file).unwrap();
        server.signal(Signal::HUP);
        logs(&server, "No such file").await;

        fs::write(&file, "log = \"info\"\n[limits]\ncommands = 3\n").unwrap();
        server.signal(Signal::HUP);
        logs(&server, "reloaded: nothing\"").await;
        // Many signals at once cause one reload, or a few.
        for _ in 0..50 {
            server.signal(Signal::HUP);
        }
    };
    tokio::join!(calls, reloads);
    assert_eq!(server.get("/readyz").await.http, 200);
}

#[tokio::test]
async fn sighup_never_prints_a_value_of_a_setting() {
    let server = Server::start("[auth]\nkeys = [\"the first key of them\"]\n").await;
    fs::write(
        settings_of(&server),
        "[auth]\nkeys = [\"the other key of them\"]\n",
    )
    .unwrap();
    server.signal(Signal::HUP);
    logs(&server, "A restart is needed for: auth.keys").await;
    assert!(!server.log().contains("key of them"), "{}", server.log());
}

#[tokio::test]
async fn sighup_loads_a_new_certificate_and_keeps_the_old_one_if_that_is_broken() {
    let server = Server::builder().tls().start().await;
    let folder = server.data().parent().unwrap().to_owned();
    let next = Identity::new(&["localhost", "127.0.0.1"]);
    fs::write(folder.join("chain.pem"), "half of a renewal").unwrap();
    server.signal(Signal::HUP);
    logs(&server, "The previous certificate stays in use.").await;
    assert!(connects(&server, server.ca_pem().unwrap()).await);

    fs::write(folder.join("chain.pem"), &next.certificate_pem).unwrap();
    fs::write(folder.join("key.pem"), &next.key_pem).unwrap();
    server.signal(Signal::HUP);
    logs(&server, "reloaded: the certificate").await;
    assert!(connects(&server, &next.ca_pem).await);
    assert!(!connects(&server, server.ca_pem().unwrap()).await);
}

async fn connects(server: &Server, ca_pem: &str) -> bool {
    let address = server.tls_url.as_deref().unwrap().replace("https://", "");
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(client_config(ca_pem, &[b"http/1.1"])))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stop_logs_each_second_what_it_waits_for() {
    let manager = Manager::new();
    let mut server = Server::builder()
        .config("[limits]\nguest_cpu = \"4s\"\n")
        .env("NOTIFY_SOCKET", manager.socket())
        .start()
        .await;
    let id = server.upload(spinning()).await.id;
    let url = format!("{}/api/run/{id}/spin", server.url);
    let mut call = JoinSet::new();
    call.spawn(async move {
        reqwest::Client::new()
            .post(url)
            .header("content-type", "text/plain")
            .body("")
            .send()
            .await
            .unwrap()
            .status()
    });
    // Waits until the call runs.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(server.stop().await.success());
    let log = server.log();
    let waited = "stopping: waiting for 1 connections, with 1 calls that run and 0 that wait";
    assert!(log.matches(waited).count() >= 2, "{log}");
    assert!(manager.count(&format!("STATUS={waited}")) >= 2);
    assert!(
        call.join_next().await.unwrap().is_ok(),
        "the call was answered"
    );
}

#[tokio::test]
async fn a_quick_stop_logs_no_waiting() {
    let mut server = Server::start("").await;
    assert!(server.stop().await.success());
    assert!(!server.log().contains("waiting for"), "{}", server.log());
}
