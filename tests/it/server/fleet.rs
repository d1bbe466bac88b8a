//! Servers that share a PostgreSQL: what is acknowledged by one is served by the other within 2 seconds; and a database
//! that is gone.

use std::time::{Duration, Instant};

use iof_tests::{
    call::{Answer, Uploaded},
    guests::{guest, wat},
    postgres::{Cluster, Database},
    server::Server,
};
use serde_json::json;
use tempfile::TempDir;

const ADMIN: &str = "a-key-of-the-operator";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The time within which a node serves what another acknowledged.
const LEARNT: Duration = Duration::from_secs(2);

/// The settings of a node.
fn config(url: &str, sources: &TempDir) -> String {
    format!(
        "[store]\nurl = \"{url}\"\nsources = {:?}\ntimeout = \"2s\"\nstale_limit = \"2s\"\n\
         [auth]\nkeys = [\"{ADMIN}\"]\n[secrets]\nkeys = [\"{KEY}\"]\n",
        sources.path()
    )
}

struct Fleet {
    one: Server,
    other: Server,
    _sources: TempDir,
}

impl Fleet {
    async fn start(url: &str) -> Self {
        let sources = tempfile::tempdir().unwrap();
        Self {
            one: Server::start(config(url, &sources)).await,
            other: Server::start(config(url, &sources)).await,
            _sources: sources,
        }
    }
}

fn module(n: u32) -> Vec<u8> {
    wat(&format!(
        "(module (func (export \"n\") (result i32) (i32.const {n})))"
    ))
}

async fn deploy(server: &Server, name: &str, module: Vec<u8>, declaration: &str) -> Uploaded {
    let answer = server
        .try_deploy_named(name, ADMIN, module, declaration)
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    let json = answer.json();
    Uploaded {
        id: json["function"].as_u64().unwrap(),
        admin_key: json["admin_key"].as_str().unwrap().to_owned(),
        json,
    }
}

async fn call(server: &Server, function: &str, export: &str, key: &str) -> Answer {
    let path = format!("/v1/functions/{function}/call/{export}");
    let request = server.request("POST", &path).bearer_auth(key);
    let body = json!([]).to_string();
    let request = request
        .header("Content-Type", "application/json")
        .body(body);
    server.answer(request).await
}

/// Calls until the answer is as expected, within 2 seconds.
async fn soon(what: &str, mut is: impl AsyncFnMut() -> Result<(), String>) {
    let began = Instant::now();
    while let Err(got) = is().await {
        assert!(began.elapsed() < LEARNT, "{what}: still {got}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn answers(answer: &Answer, text: &str) -> Result<(), String> {
    match answer.http == 200 && answer.text().trim() == text {
        true => Ok(()),
        false => Err(format!("{} {}", answer.http, answer.text())),
    }
}

fn status(answer: &Answer, status: u16) -> Result<(), String> {
    match answer.http == status {
        true => Ok(()),
        false => Err(format!("{} {}", answer.http, answer.text())),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_acknowledges_the_other_serves() {
    let database = Database::new();
    let fleet = Fleet::start(&database.url()).await;
    let (one, other) = (&fleet.one, &fleet.other);
    let function = deploy(one, "counted", module(1), "").await;
    soon("a deploy", async || {
        answers(&call(other, "counted", "n", ADMIN).await, "1")
    })
    .await;
    assert_eq!(
        one.get("/v1/server").await.json()["identity"],
        other.get("/v1/server").await.json()["identity"]
    );

    let second = one.try_deploy_version(&function, module(2), "").await;
    assert_eq!(second.http, 201, "{}", second.text());
    soon("a version", async || {
        answers(&call(other, "counted", "n", ADMIN).await, "2")
    })
    .await;
    // Back on the other one, which the first learns.
    let path = format!("/v1/functions/{}/active", function.id);
    let back = other.request("PUT", &path).bearer_auth(ADMIN);
    let back = back
        .header("Content-Type", "application/json")
        .body("{\"version\":1}");
    assert_eq!(other.answer(back).await.http, 200);
    soon("a rollback", async || {
        answers(&call(one, "counted", "n", ADMIN).await, "1")
    })
    .await;

    let new = one.request("POST", "/v1/keys").bearer_auth(ADMIN);
    let new = new.header("Content-Type", "application/json");
    let new = new.body(json!({ "label": "ci", "scopes": ["read"] }).to_string());
    let made = one.answer(new).await;
    assert_eq!(made.http, 201, "{}", made.text());
    let (id, key) = (made.json()["id"].clone(), made.json()["key"].clone());
    let key = key.as_str().unwrap();
    let list = async |server: &Server| {
        let request = server.request("GET", "/v1/functions").bearer_auth(key);
        server.answer(request).await
    };
    soon("a key", async || status(&list(other).await, 200)).await;
    let gone = one
        .request("DELETE", &format!("/v1/keys/{id}"))
        .bearer_auth(ADMIN);
    assert_eq!(one.answer(gone).await.http, 204);
    soon("a key that is gone", async || {
        status(&list(other).await, 401)
    })
    .await;

    let declaration = "commands = [\"http_proxy\"]\noutbound = [\"GET http://api.example.com/echo\"]\n\
                       [[secrets]]\nvalue = \"{API_TOKEN}\"\nheader = \"x-api-key\"\nto = \"GET http://api.example.com/echo\"\n";
    let function = deploy(one, "sender", guest("command"), declaration).await;
    let send = async || {
        let request =
            json!({ "program": "http_proxy", "args": ["get", "http://api.example.com/echo"] });
        let path = format!("/api/run/{}/run_ssvm", function.id);
        let request = other
            .request("POST", &path)
            .bearer_auth(ADMIN)
            .body(request.to_string());
        other.answer(request).await
    };
    let without = send().await;
    assert_eq!(without.fault(), "secret-not-set", "{}", without.text());
    assert_eq!(
        one.set_secret(&function, "API_TOKEN", "hush-hush")
            .await
            .http,
        204
    );
    soon("a secret", async || {
        let answer = send().await;
        match answer.fault() {
            "secret-not-set" => Err(answer.text()),
            _ => Ok(()),
        }
    })
    .await;
    for server in [one, other] {
        assert!(!server.log().contains("hush-hush"));
    }
}

/// A call that was logged by either is in the log and the count that both show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_all_servers_are_counted_together() {
    let database = Database::new();
    let fleet = Fleet::start(&database.url()).await;
    let function = deploy(&fleet.one, "counted", module(1), "").await;
    for _ in 0..20 {
        for server in [&fleet.one, &fleet.other] {
            let answer = call(server, "counted", "n", ADMIN).await;
            assert_eq!(answer.text().trim(), "1");
        }
    }
    let path = format!("/v1/functions/{}/usage", function.id);
    let deadline = Instant::now() + Duration::from_secs(20);
    for server in [&fleet.one, &fleet.other] {
        loop {
            let usage = server.read_as(&function, &path).await;
            if usage["invocations"] == 40 {
                break;
            }
            assert!(Instant::now() < deadline, "{usage}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// While the database is gone, functions that are loaded answer, a deploy is refused by name, and the probe says how it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loaded_functions_answer_while_the_database_is_gone() {
    let cluster = Cluster::new();
    let database = cluster.database();
    let sources = tempfile::tempdir().unwrap();
    let server = Server::start(config(&database.url(), &sources)).await;
    deploy(&server, "hot", module(7), "").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(call(&server, "hot", "n", ADMIN).await.text().trim(), "7");
    assert_eq!(
        server.get("/readyz?verbose").await.text(),
        "database: ok\ndisk: ok\nready\n"
    );

    cluster.stop();
    for _ in 0..50 {
        let answer = call(&server, "hot", "n", ADMIN).await;
        assert_eq!(answer.text().trim(), "7", "{}", server.log());
    }
    let refused = server.try_deploy_named("late", ADMIN, module(8), "").await;
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (503, "store-unreachable"),
        "{}",
        refused.text()
    );
    let began = Instant::now();
    loop {
        let ready = server.get("/readyz?verbose").await;
        assert_eq!(ready.http, 200, "{}", ready.text());
        if ready.text().contains("not reached for") {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}",
            ready.text()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The log says so as well, a moment later.
    let said = || server.log().contains("the database cannot be reached");
    while !said() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{}",
            server.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..50 {
        assert_eq!(call(&server, "hot", "n", ADMIN).await.text().trim(), "7");
    }

    cluster.start();
    let began = Instant::now();
    loop {
        let deployed = server.try_deploy_named("late", ADMIN, module(8), "").await;
        if deployed.http == 201 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}",
            deployed.text()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(call(&server, "late", "n", ADMIN).await.text().trim(), "8");
}

#[tokio::test]
async fn a_node_without_a_key_of_the_fleet_does_not_start_and_shows_no_password() {
    let url = "postgres://iof:hush-hush@127.0.0.1:1/iof";
    let without = format!("[store]\nurl = \"{url}\"\n");
    let refused = Server::builder().config(&without).refused().await;
    assert!(refused.log.contains("secrets.key_file"), "{}", refused.log);
    assert!(!refused.log.contains("hush"), "{}", refused.log);
    let gone = format!("{without}[secrets]\nkeys = [\"{KEY}\"]\n");
    let refused = Server::builder().config(&gone).refused().await;
    assert!(refused.log.contains("cannot be reached"), "{}", refused.log);
    assert!(!refused.log.contains("hush"), "{}", refused.log);
    let wrong = format!("[store]\nurl = \"{url}?sslmod=require\"\n[secrets]\nkeys = [\"{KEY}\"]\n");
    let refused = Server::builder().config(&wrong).refused().await;
    assert!(refused.log.contains("sslmod"), "{}", refused.log);
    assert!(!refused.log.contains("hush"), "{}", refused.log);
}

/// A server with its own data becomes a node: its functions, keys and secrets are there, and its clients notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_moves_into_a_fleet_by_one_command() {
    let database = Database::new();
    let sources = tempfile::tempdir().unwrap();
    let alone = format!("[auth]\nkeys = [\"{ADMIN}\"]\n[secrets]\nkeys = [\"{KEY}\"]\n");
    let mut server = Server::start(alone).await;
    let function = deploy(&server, "counted", module(3), "").await;
    assert_eq!(
        server.set_secret(&function, "NAME", "hush-hush").await.http,
        204
    );
    let identity = server.get("/v1/server").await.json()["identity"].clone();
    let file = sources.path().join("iof.toml");
    std::fs::write(&file, config(&database.url(), &sources)).unwrap();
    let data = server.data();
    let iof = |command: &str| {
        let output = std::process::Command::new(iof_tests::server::program())
            .args(["store", command, "--data"])
            .arg(&data)
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("hush"), "{text}");
        (output.status.success(), text)
    };
    let (works, text) = iof("import");
    assert!(
        !works && text.contains("in use by another iof process"),
        "{text}"
    );
    server.stop().await;
    let (works, text) = iof("check");
    assert!(
        works && text.contains("the next start makes 0001 tables"),
        "{text}"
    );
    let (works, text) = iof("import");
    assert!(works && text.contains("modules 1, each table"), "{text}");
    let (works, text) = iof("check");
    assert!(works && text.contains("tables: up to date"), "{text}");

    let node = server.restart_with(config(&database.url(), &sources)).await;
    let other = Server::start(config(&database.url(), &sources)).await;
    for node in [&node, &other] {
        assert_eq!(call(node, "counted", "n", ADMIN).await.text().trim(), "3");
        assert_eq!(node.get("/v1/server").await.json()["identity"], identity);
        let path = format!("/v1/functions/{}/secrets", function.id);
        let secrets = node.read_as(&function, &path).await;
        assert_eq!(secrets["secrets"][0]["name"], "NAME", "{secrets}");
    }
    assert!(
        node.log().contains("this database is not used"),
        "{}",
        node.log()
    );
}
