//! Databases of earlier releases are brought up to date and keep all their data.

use std::path::Path;

use iof_store::{
    EphemeralPut, FunctionFilter, NewFunction, NewKey, NewVersion, OutboundKind, OutboundQuery,
    OutboundRecord, Percent, Rollout, Saved, Scope, Store, Usage,
};

use super::opening::fill;
use super::outbound::records;
use super::recordings::{recording, totals};
use super::{Home, function, outside, version};

/// Every prefix of the migrations is the database of a release that may be in use.
pub(crate) const MIGRATIONS: [&str; 15] = [
    "0001_functions.sql",
    "0002_second_state.sql",
    "0003_egress.sql",
    "0004_sent.sql",
    "0005_names_rollouts_keys_and_jobs.sql",
    "0006_jobs_size.sql",
    "0007_shares_and_names_of_values.sql",
    "0008_function_id.sql",
    "0009_call_log.sql",
    "0010_expiry_of_values.sql",
    "0011_server.sql",
    "0012_refused_calls.sql",
    "0013_changes.sql",
    "0014_schedules.sql",
    "0015_leases.sql",
];

#[tokio::test]
async fn a_database_of_an_earlier_release_is_brought_up_to_date() {
    for earlier in 1..MIGRATIONS.len() {
        let home = Home::new();
        left_by(&home, &MIGRATIONS[..earlier.min(3)]).await;
        fill(&home, 3).await;
        if earlier >= 2 {
            fill_second_state(&home).await;
        }
        if earlier >= 3 {
            fill_outbound(&home).await;
        }
        // The fourth release took this over from the third.
        migrate(&home, &MIGRATIONS[..earlier]).await;

        let store = home.open().await;
        assert_eq!(store.list().await.unwrap(), [1, 2, 3]);
        let two = store.function(2).await.unwrap().unwrap();
        assert_eq!((two.state.as_str(), two.version.number), ("{}", 1));
        assert_eq!(two.version.declaration, None);
        assert_eq!((two.name, two.canary), (None, None));
        assert_eq!(store.versions(2).await.unwrap(), [two.version]);
        if earlier >= 2 {
            let value = store.load_value(1, &[7; 32]).await.unwrap();
            assert_eq!(value.unwrap(), "kept");
            assert_eq!(store.calls(1, true, 9).await.unwrap()[0].record, "{}");
            assert_eq!(store.usage(1).await.unwrap().invocations, 5);
        }
        if earlier >= 3 {
            kept_outbound(&store).await;
        }
        of_the_second_release(&store).await;
        of_the_third_release(&home, &store).await;
        of_the_fifth_release(&store).await;

        assert!(store.delete_function(2).await.unwrap());
        let next = store.create_function(function("x")).await.unwrap();
        assert_eq!(next.function_id, 5);
        store.close().await.unwrap();
        home.open().await;
    }
}

async fn of_the_second_release(store: &Store) {
    let value = bytes::Bytes::from_static(b"value");
    let saved = store.save_value(2, [1; 32], value.clone(), 37).await;
    assert_eq!(saved.unwrap(), Saved::Stored);
    assert_eq!(store.load_value(2, &[1; 32]).await.unwrap(), Some(value));
    let life = std::time::Duration::from_secs(60);
    let saved = store
        .put_ephemeral("k".into(), "v".into(), life, 2, None)
        .await;
    assert_eq!(saved.unwrap(), EphemeralPut::Done);
    assert_eq!(store.usage(2).await.unwrap(), Usage::default());
}

async fn of_the_third_release(home: &Home, store: &Store) {
    let declaring = NewVersion {
        declaration: Some("{}".into()),
        ..version("declaring")
    };
    let replaced = store
        .add_version(2, declaring, Rollout::Active)
        .await
        .unwrap();
    assert_eq!(replaced.number, 2);
    let versions = store.versions(2).await.unwrap();
    let declared: Vec<_> = versions.iter().map(|v| v.declaration.as_deref()).collect();
    assert_eq!(declared, [Some("{}"), None]);

    let keys = super::secrets::keys(&[1]);
    let set = store.set_secret(&keys, 2, "A".into(), "x".to_owned().into());
    set.await.unwrap();
    let rows = records(2, 0..2);
    store.record_outbound(rows.clone(), 999, 0).await.unwrap();
    let query = OutboundQuery {
        limit: 2,
        ..OutboundQuery::default()
    };
    let found = store.outbound(&query).await.unwrap();
    let found: Vec<OutboundRecord> = found.into_iter().rev().map(|row| row.record).collect();
    assert_eq!(found, rows);
    let keep = iof_store::RecordingLimits {
        per_function: 9,
        total_bytes: 9,
        from: 0,
    };
    let recorded = store.put_recordings(vec![recording(2, 1, 9)], keep);
    recorded.await.unwrap();
    assert_eq!(totals(home).await, (9, 9));
}

/// Function 1 has a version, and function 2 has two.
async fn of_the_fifth_release(store: &Store) {
    let listed = store
        .functions(&FunctionFilter::default(), 0, 9)
        .await
        .unwrap();
    let found: Vec<_> = listed
        .iter()
        .map(|one| (one.function_id, one.version, one.versions, one.canary))
        .collect();
    assert_eq!(found, [(1, 1, 1, None), (2, 2, 2, None), (3, 1, 1, None)]);
    let half = Percent::new(50).unwrap();
    store.set_canary(2, Some((1, half))).await.unwrap();
    let two = store.function(2).await.unwrap().unwrap();
    assert_eq!(two.canary.unwrap().version.number, 1);
    store.activate(2, 1).await.unwrap();

    let named = NewFunction {
        name: Some("hello".into()),
        ..function("named")
    };
    let named = store.create_function(named).await.unwrap().function_id;
    assert_eq!(store.named("hello").await.unwrap(), Some(named));
    assert!(store.delete_function(named).await.unwrap());

    let key = NewKey {
        label: "laptop".into(),
        scopes: [Scope::Admin].into_iter().collect(),
        function_id: Some(2),
        expires_at: None,
    };
    let (stored, key) = store.create_key(key).await.unwrap();
    assert_eq!(store.key(key.as_str()).await.unwrap(), Some(stored));
    // Changes are on record from this release on.
    let changes = iof_store::ChangeQuery {
        limit: 1000,
        ..Default::default()
    };
    let changes = store.changes(&changes).await.unwrap();
    assert_eq!(changes[0].action, "key.create");
    super::jobs::submit(store, 1).await;
    let taken = super::jobs::take(store, 9).await.remove(0);
    let done = store.finish_job(
        taken.lease(),
        super::jobs::finished("ok"),
        super::jobs::ROOM,
    );
    assert!(done.await.unwrap());
}

/// A directory whose database has the tables of some migrations, and nothing later.
pub(crate) async fn left_by(home: &Home, applied: &[&str]) {
    home.open().await.close().await.unwrap(); // creates the files beside the database
    let database = home.data().join("iof.db");
    tokio::fs::remove_file(&database).await.unwrap();
    tokio::fs::write(&database, "").await.unwrap();
    migrate(home, applied).await;
}

async fn migrate(home: &Home, applied: &[&str]) {
    let migrations = home.folder.path().join("migrations");
    tokio::fs::create_dir_all(&migrations).await.unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    for name in applied {
        tokio::fs::copy(ours.join(name), migrations.join(name))
            .await
            .unwrap();
    }
    let migrator = sqlx::migrate::Migrator::new(migrations).await.unwrap();
    migrator.run(&mut outside(home).await).await.unwrap();
}

/// Stores the data of function 1 as the second release did.
async fn fill_second_state(home: &Home) {
    sqlx::raw_sql(
        "INSERT INTO stored_values VALUES (1, CAST(replace(printf('%32s', ''), ' ', char(7)) AS BLOB), CAST('kept' AS BLOB));
         INSERT INTO stored_totals VALUES (1, 36);
         INSERT INTO calls VALUES (1, 1, 0, 0, '{}', '{}');
         INSERT INTO usage VALUES (1, 5, 0, 0)",
    )
    .execute(&mut outside(home).await)
    .await
    .unwrap();
}

/// Stores requests as the third release did: one row each, of which the oldest have been removed.
async fn fill_outbound(home: &Home) {
    sqlx::raw_sql(
        "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 299)
         INSERT INTO outbound (at, call, wasm_id, version, kind, subject, secrets, method, host, address, status,
                               bytes_out, bytes_in, ms, outcome)
         SELECT n, unhex(printf('%016x%016x', 1 + n % 2, n / 10)), 1 + n % 2, 1, 'request',
                'GET https://api.example.com/v1/', 'API_TOKEN', 'GET', 'https://api.example.com:443',
                '203.0.113.7:443', 200, n, 1000, 12, 'ok' FROM n;
         UPDATE outbound SET kind = 'command', subject = 'a \"b\" \\', secrets = NULL, method = NULL, host = NULL,
                address = NULL, status = NULL WHERE id = 300;
         DELETE FROM outbound WHERE id <= 20",
    )
    .execute(&mut outside(home).await)
    .await
    .unwrap();
}

async fn kept_outbound(store: &Store) {
    let found = super::outbound::all(store).await;
    let ids: Vec<_> = found.iter().map(|row| row.id).collect();
    assert_eq!(ids, (21..=300).collect::<Vec<_>>());
    let (last, others) = found.split_last().unwrap();
    for row in others {
        let number = row.id as u64 - 1;
        // Rows of that time record no waits.
        let expected = OutboundRecord {
            waited: None,
            ..records(1 + number as i64 % 2, number..number + 1).remove(0)
        };
        assert_eq!(row.record, expected);
    }
    let command = OutboundRecord {
        kind: OutboundKind::Command,
        subject: Some("a \"b\" \\".into()),
        secrets: None,
        method: None,
        host: None,
        address: None,
        status: None,
        ..records(2, 299..300).remove(0)
    };
    assert_eq!(last.record, command);
    let query = OutboundQuery {
        function_id: Some(2),
        limit: 1000,
        ..OutboundQuery::default()
    };
    assert_eq!(store.outbound(&query).await.unwrap().len(), 140);
}

#[tokio::test]
async fn an_inspection_reports_the_migrations_of_a_start() {
    let last = MIGRATIONS.len() - 1;
    let home = Home::new();
    left_by(&home, &MIGRATIONS[..last]).await;
    let inspect = || async {
        let found = iof_store::inspect(&home.data(), "engine").await;
        found.unwrap().unwrap()
    };
    let found = inspect().await;
    let name = MIGRATIONS[last]
        .trim_end_matches(".sql")
        .replacen('_', " ", 1);
    assert_eq!(found.migrations, [name]);
    assert_eq!((found.newer, found.foreign, found.held), (None, None, None));
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    let found = inspect().await;
    assert_eq!(found.held, Some(Some(std::process::id())));
    assert_eq!((found.modules, found.to_compile, found.missing), (1, 1, 0));
    assert!(found.migrations.is_empty());
    store.close().await.unwrap();

    let change = async |sql: &'static str| {
        sqlx::raw_sql(sql)
            .execute(&mut outside(&home).await)
            .await
            .unwrap();
        inspect().await
    };
    let found = change("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2").await;
    assert_eq!(found.foreign, Some(2));
    let found = change("UPDATE _sqlx_migrations SET success = TRUE, checksum = x'00'").await;
    assert_eq!(found.foreign, Some(1));
    let found = change(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9001, 'later', TRUE, x'00', 0)",
    )
    .await;
    assert_eq!(found.newer, Some(9001));
    let nowhere = home.data().join("nowhere");
    assert_eq!(iof_store::inspect(&nowhere, "engine").await.unwrap(), None);
    assert!(!nowhere.exists());
}

/// A new migration has to be added to the list above, and its tables to the test.
#[test]
fn no_migration_is_left_out() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    assert_eq!(ours.read_dir().unwrap().count(), MIGRATIONS.len());
}
