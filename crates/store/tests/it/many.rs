//! A page of a list is as quick of 100,000 functions as of a few.

use std::time::{Duration, Instant};

use iof_store::FunctionFilter;

use super::{Home, function, outside};

const MANY: i64 = 100_000;

/// The longest that a page may take. It takes a few milliseconds, a search that finds little some tens, on a machine that has
/// nothing else to do.
const QUICK: Duration = Duration::from_millis(750);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_many_functions_is_quick() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    // As the store would write them, in two statements. Their states are large, and no list has to read them.
    let copies = "
        PRAGMA defer_foreign_keys = ON;
        INSERT INTO functions (function_id, name, description, state, storage_key, admin_key_hash, active_version, created_at)
        WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        SELECT i, 'f' || printf('%06d', i), description, iif(i % 500 = 0, hex(zeroblob(10000)), '{}'), storage_key,
               admin_key_hash, printf('%08x-0000-7000-8000-000000000000', i), created_at
          FROM n, functions WHERE function_id = 1;
        INSERT INTO versions (id, function_id, number, sha256, legacy_sha256, size, kind, manifest, created_at)
        SELECT f.active_version, f.function_id, 1, v.sha256, v.legacy_sha256, v.size, v.kind, v.manifest, v.created_at
          FROM functions f, versions v WHERE f.function_id > 1 AND v.function_id = 1;";
    let mut outside = outside(&home).await;
    let copies = format!("BEGIN;{copies}COMMIT;");
    let copies = sqlx::AssertSqlSafe(copies);
    sqlx::raw_sql(copies).execute(&mut outside).await.unwrap();

    for (name_has, after, expected) in [
        (None, 0, 51),
        (None, MANY / 2, 51),
        (None, MANY - 10, 10),
        (Some("f0"), 0, 51),
        (Some("099999"), 0, 1),
        (Some("no such name"), 0, 0),
    ] {
        let which = FunctionFilter {
            name_has: name_has.map(str::to_owned),
            private: None,
        };
        let mut took = vec![];
        for _ in 0..3 {
            let began = Instant::now();
            let page = store.functions(&which, after, 51).await.unwrap();
            took.push(began.elapsed());
            assert_eq!(page.len(), expected, "{which:?} after {after}");
        }
        let quickest = took.iter().min().unwrap();
        println!("{which:?} after {after}: {quickest:?}");
        assert!(*quickest < QUICK, "{which:?} after {after}: {took:?}");
    }
    let began = Instant::now();
    assert_eq!(store.deploys(50).await.unwrap().len(), 50);
    println!("deploys: {:?}", began.elapsed());
    assert!(began.elapsed() < QUICK);
}
