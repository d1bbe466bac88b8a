//! Two nodes on one database: what one changes, the other learns; and a database that is gone.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iof_store::{
    Call, Calls, ChangeQuery, NewKey, Rollout, Scope, Store, StoreSettings, Updated, ValueKey,
};
use sqlx::Connection as _;

use super::cluster::{Cluster, Database};
use super::{Folder, function, version};

/// The time within which a node knows of a change of another.
const LEARNT: Duration = Duration::from_secs(2);

fn folder(url: String) -> Folder {
    Folder::new(StoreSettings {
        url,
        timeout: Duration::from_secs(2),
        stale_limit: Duration::from_secs(2),
        ..StoreSettings::default()
    })
}

/// The functions that a node was told of; `None` for all.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Option<Vec<i64>>>>>);

impl Told {
    fn by(store: &Store) -> Self {
        let told = Self::default();
        let list = told.clone();
        store.on_change(move |functions| {
            list.0.lock().unwrap().push(functions.map(<[i64]>::to_vec));
        });
        told
    }

    async fn of(&self, function_id: i64) -> Duration {
        let began = Instant::now();
        let named =
            |told: &Option<Vec<i64>>| told.as_ref().is_none_or(|all| all.contains(&function_id));
        while !self.0.lock().unwrap().iter().any(named) {
            assert!(began.elapsed() < 10 * LEARNT, "never told of {function_id}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    fn forget(&self) {
        self.0.lock().unwrap().clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_learns_of_the_changes_of_another() {
    let database = Database::new();
    let (one, other) = (folder(database.url()), folder(database.url()));
    let (one, other) = (one.open().await, other.open().await);
    assert_eq!(one.identity(), other.identity());
    one.create_function(function("first")).await.unwrap();
    one.create_function(function("second")).await.unwrap();
    let told = Told::by(&other);
    assert!(other.function(1).await.unwrap().is_some());

    one.add_version(2, version("newer"), Rollout::Active)
        .await
        .unwrap();
    assert!(told.of(2).await < LEARNT);
    assert!(
        !told
            .0
            .lock()
            .unwrap()
            .iter()
            .flatten()
            .flatten()
            .any(|id| *id == 1),
        "only what changed"
    );
    for change in 0..6 {
        told.forget();
        let by = Instant::now();
        match change {
            0 => one.activate(2, 1).await.unwrap(),
            1 => one.set_state(2, "{\"a\":1}".into()).await.unwrap(),
            2 => drop(one.set_usage_key(2, false).await),
            3 => one
                .set_secret(&keys(), 2, "NAME".into(), secret("value"))
                .await
                .unwrap(),
            4 => assert!(one.delete_secret(2, "NAME".into()).await.unwrap()),
            _ => assert!(one.delete_function(2).await.unwrap()),
        }
        told.of(2).await;
        assert!(
            by.elapsed() < LEARNT + Duration::from_secs(1),
            "{change}: {:?}",
            by.elapsed()
        );
    }
    // Who changed it is recorded once, and both show it.
    let query = ChangeQuery {
        limit: 99,
        ..ChangeQuery::default()
    };
    assert_eq!(
        one.changes(&query).await.unwrap(),
        other.changes(&query).await.unwrap()
    );
    one.close().await.unwrap();
    other.close().await.unwrap();
}

/// A key that a node knows without the database is gone there soon after another deleted it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_is_forgotten() {
    let database = Database::new();
    let (one, other) = (folder(database.url()), folder(database.url()));
    let (one, other) = (one.open().await, other.open().await);
    let _told = Told::by(&other);
    let new = NewKey {
        label: "ci\0".into(),
        scopes: [Scope::Call].into_iter().collect(),
        function_id: None,
        expires_at: None,
    };
    let (stored, key) = one.create_key(new).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            other.key(key.as_str()).await.unwrap().unwrap().label,
            "ci\0"
        );
    }
    assert!(one.delete_key(stored.id).await.unwrap());
    let began = Instant::now();
    while other.key(key.as_str()).await.unwrap().is_some() {
        assert!(began.elapsed() < LEARNT, "the key is still known");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// While the database is gone, keys that were seen are known, and changes are refused in time; then all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_is_waited_for() {
    let cluster = Cluster::new();
    let database = cluster.database();
    let home = folder(database.url());
    let store = home.open().await;
    let _told = Told::by(&store);
    store.create_function(function("first")).await.unwrap();
    let new = NewKey {
        label: String::new(),
        scopes: [Scope::Call].into_iter().collect(),
        function_id: None,
        expires_at: None,
    };
    let (_, key) = store.create_key(new).await.unwrap();
    // The change of the key is learnt before it is looked up, or it would be forgotten again.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(store.key(key.as_str()).await.unwrap().is_some());

    cluster.stop();
    let began = Instant::now();
    let error = store.set_state(1, "x".into()).await.unwrap_err();
    assert_eq!(error.code(), "unreachable", "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    while store.stale().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "never stale");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let began = Instant::now();
    assert_eq!(
        store.set_state(1, "x".into()).await.unwrap_err().code(),
        "unreachable"
    );
    assert!(
        began.elapsed() < Duration::from_millis(200),
        "at once: {:?}",
        began.elapsed()
    );
    assert!(
        store.key(key.as_str()).await.unwrap().is_some(),
        "known without the database"
    );
    store.ready().await.unwrap();

    cluster.start();
    while store.stale().is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.set_state(1, "y".into()).await.unwrap();
    assert_eq!(store.function(1).await.unwrap().unwrap().state, "y");
    store.close().await.unwrap();
}

/// Nodes that start together: one makes the tables, and the others wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_make_the_tables_once() {
    let database = Database::new();
    let homes = [(); 3].map(|()| folder(database.url()));
    let nodes = tokio::join!(homes[0].open(), homes[1].open(), homes[2].open());
    for node in [&nodes.0, &nodes.1, &nodes.2] {
        node.create_function(function("x")).await.unwrap();
    }
    assert_eq!(nodes.0.list().await.unwrap(), [1, 2, 3]);
    let mut program = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, '', 0)",
    )
    .execute(&mut program)
    .await
    .unwrap();
    let newer = folder(database.url()).attempt().await.err().unwrap();
    assert_eq!(newer.code(), "newer");
}

fn keys() -> iof_store::SecretKeys {
    iof_store::SecretKeys::parse(&"01".repeat(32)).unwrap()
}

fn secret(value: &str) -> iof_store::SecretValue {
    value.to_owned().into()
}

/// Changes of one value by two nodes come one after the other, and so do their logs of one function's calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_change_the_same_lose_nothing() {
    const CHANGES: u64 = 150;
    let database = Database::new();
    let (one, other) = (folder(database.url()), folder(database.url()));
    let (one, other) = (one.open().await, other.open().await);
    one.create_function(function("first")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for node in [&one, &other, &one, &other] {
        let node = node.clone();
        tasks.spawn(async move {
            for number in 0..CHANGES {
                let add = |before: Option<Bytes>| {
                    let text = before.map_or_else(
                        || "0".into(),
                        |text| String::from_utf8(text.into()).unwrap(),
                    );
                    Some(Bytes::from((text.parse::<u64>().unwrap() + 1).to_string()))
                };
                let key = ValueKey {
                    digest: [1; 32],
                    name: None,
                };
                let updated = node.update_value(1, key, Box::new(add), 1 << 20);
                assert!(matches!(updated.await.unwrap(), Updated::Stored(_)));
                let call = Call {
                    called_at: 0,
                    state: "{}".into(),
                    record: number.to_string(),
                    guest_ns: 1,
                };
                let calls = Calls {
                    function_id: 1,
                    invocations: 1,
                    guest_ns: 1,
                    latest_ns: 1,
                    newest: vec![call],
                };
                node.record_calls(vec![calls], 10_000).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let value = one.load_value(1, &[1; 32]).await.unwrap().unwrap();
    assert_eq!(value, (4 * CHANGES).to_string());
    assert_eq!(other.usage(1).await.unwrap().invocations, 4 * CHANGES);
    let logged = other.calls(1, false, 10_000).await.unwrap();
    let mut numbers: Vec<_> = logged.iter().map(|call| call.log_id).collect();
    assert!(
        numbers.is_sorted(),
        "in the order in which they became visible"
    );
    numbers.dedup();
    assert_eq!(numbers.len() as u64, 4 * CHANGES);
}
