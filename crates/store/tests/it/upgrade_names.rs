//! The upgrade of a database from before migration 0008, which called a function's number `wasm_id`: rows, references
//! and triggers still work.

use iof_store::{JobState, OutboundQuery};
use uuid::Uuid;

use super::jobs::{ROOM, finished, waiting};
use super::opening::fill;
use super::outbound::records;
use super::recordings::totals;
use super::upgrades::{MIGRATIONS, left_by};
use super::{Home, function, outside};

/// Inserts a row of function 1 into every table that has its number.
const ROWS: &str = "
    UPDATE functions SET state = 'kept' WHERE wasm_id = 1;
    INSERT INTO stored_values (wasm_id, key, value, name) VALUES (1, zeroblob(32), x'6b657074', x'6e616d65');
    INSERT INTO stored_totals (wasm_id, bytes) VALUES (1, 40);
    INSERT INTO calls (log_id, wasm_id, called_at, guest_ns, state, record) VALUES (7, 1, 0, 5, '{}', '{}');
    INSERT INTO usage (wasm_id, invocations, guest_ns, latest_ns) VALUES (1, 3, 5, 5);
    INSERT INTO secrets (wasm_id, name, key_id, nonce, sealed, created_at)
    VALUES (1, 'TOKEN', '00000000', zeroblob(24), x'00', 9);
    INSERT INTO recordings (call, wasm_id, version, at, outcome, size, data)
    VALUES (zeroblob(16), 1, 1, 5, 'ok', 1, x'01');
    INSERT INTO api_keys (hash, label, scopes, wasm_id, created_at) VALUES (zeroblob(32), 'laptop', 'call', 1, 0);
    INSERT INTO jobs (id, wasm_id, version, export, state, attempts, accepted_at, request)
    VALUES (zeroblob(16), 1, 1, 'say', 'queued', 0, 0, x'01');
    INSERT INTO sent (last, first, newest, call_from, call_to, rows)
    VALUES (40, 40, 5, zeroblob(16), zeroblob(16),
            '[[5,\"00000000-0000-0000-0000-000000000000\",1,1,\"request\",null,null,null,null,null,null,1,2,3,\"ok\"]]');
    INSERT INTO sent_functions (wasm_id, last) VALUES (1, 40)";

#[tokio::test]
async fn every_row_of_a_function_keeps_its_function() {
    let home = Home::new();
    left_by(&home, &MIGRATIONS[..7]).await;
    fill(&home, 2).await;
    sqlx::raw_sql(ROWS)
        .execute(&mut outside(&home).await)
        .await
        .unwrap();

    let store = home.open().await;
    let one = store.function(1).await.unwrap().unwrap();
    assert_eq!((one.function_id, one.state.as_str()), (1, "kept"));
    let value = store.load_value(1, &[0; 32]).await.unwrap();
    assert_eq!(value.unwrap(), "kept");
    let names = store.value_names(1, b"", b"", 9).await.unwrap();
    assert_eq!(names, ["name"]);
    let calls = store.calls(1, true, 9).await.unwrap();
    assert_eq!((calls[0].log_id, calls[0].function_id), (7, 1));
    assert_eq!(store.usage(1).await.unwrap().invocations, 3);
    assert_eq!(store.secret_names(1).await.unwrap()[0].name, "TOKEN");
    assert_eq!(store.recordings(1, 9).await.unwrap()[0].function_id, 1);
    let keys = store.keys(Some(1)).await.unwrap();
    assert_eq!(keys[0].function_id, Some(1));
    let job = store.job(Uuid::nil()).await.unwrap().unwrap();
    assert_eq!((job.function_id, job.state), (1, JobState::Queued));

    // The numbers of the outbound log continue.
    store
        .record_outbound(records(1, 0..1), 999, 0)
        .await
        .unwrap();
    let query = OutboundQuery {
        function_id: Some(1),
        ..OutboundQuery::default()
    };
    let found = store.outbound(&query).await.unwrap();
    let found: Vec<_> = found.iter().map(|row| (row.id, row.record.at)).collect();
    assert_eq!(found, [(41, 0), (40, 5)]);

    // Triggers still count.
    let taken = super::jobs::take(&store, 9).await;
    let done = store
        .finish_job(taken[0].lease(), finished("ok"), ROOM)
        .await;
    assert!(done.unwrap());
    assert_eq!(waiting(&home).await, (0, 0));

    // References are still valid.
    let broken = sqlx::query("PRAGMA foreign_key_check");
    let broken = broken.fetch_all(&mut outside(&home).await).await.unwrap();
    assert!(broken.is_empty());
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(totals(&home).await, (0, 0));
    assert!(store.job(Uuid::nil()).await.unwrap().is_none());
    assert!(store.keys(None).await.unwrap().is_empty());
    assert_eq!(store.outbound(&query).await.unwrap().len(), 2);
    let next = store.create_function(function("x")).await.unwrap();
    assert_eq!(next.function_id, 3);
}
