//! The move of a data directory into a fleet's database, and back.

use std::time::Duration;

use bytes::Bytes;
use iof_store::{
    ChangeQuery, EphemeralShare, FunctionFilter, JobQuery, NewFunction, NewKey, OutboundQuery,
    Percent, Rollout, Scope, Store, StoreSettings, export, import,
};
use sqlx::{Connection as _, Row as _};

use super::cluster::Database;
use super::{Folder, Home, calls, function, jobs, outbound, recordings, secrets, version};

/// Stores some of everything.
async fn fill(store: &Store) {
    for name in ["first", "second", "third"] {
        let new = NewFunction {
            name: Some(name.into()),
            description: "a text with \0 in it".into(),
            private: name == "second",
            ..function(name)
        };
        store.create_function(new).await.unwrap();
    }
    let canary = Rollout::Canary(Percent::new(10).unwrap());
    store.add_version(1, version("more"), canary).await.unwrap();
    store.set_state(1, "{\"a\":\"\0\"}".into()).await.unwrap();
    let value = Bytes::from_static(b"\x00\xff");
    let _ = store.save_value(1, [7; 32], value, 1 << 20).await.unwrap();
    let share = EphemeralShare {
        owner: "192.0.2.1".into(),
        limit: 1 << 20,
    };
    let hour = Duration::from_secs(3600);
    let put = store.put_ephemeral("key\0".into(), "text\0".into(), hour, 1 << 20, Some(share));
    let _ = put.await.unwrap();
    store
        .record_calls(vec![calls::calls(1, 0..300)], 200)
        .await
        .unwrap();
    let refused = iof_store::RefusedCall {
        function_id: 2,
        called_at: 5,
        record: "{}".into(),
    };
    store.record_refused(vec![refused], 9).await.unwrap();
    secrets::set(store, &secrets::keys(&[1]), 1, "TOKEN", "hush").await;
    let sent = outbound::records(1, 0..300);
    store.record_outbound(sent, 1_000, 0).await.unwrap();
    let keep = iof_store::RecordingLimits {
        per_function: 9,
        total_bytes: 1 << 20,
        from: 0,
    };
    let recorded = vec![
        recordings::recording(1, 1, 9),
        recordings::recording(2, 2, 0),
    ];
    store.put_recordings(recorded, keep).await.unwrap();
    let key = NewKey {
        label: "ci\0".into(),
        scopes: [Scope::Call].into_iter().collect(),
        function_id: Some(2),
        expires_at: None,
    };
    store.create_key(key).await.unwrap();
    for number in 1..=5 {
        jobs::submit(store, number).await;
    }
    let taken = jobs::take(store, 2).await;
    let done = store.finish_job(taken[0].lease(), jobs::finished("ok"), jobs::ROOM);
    assert!(done.await.unwrap());
    // A number that is gone does not come back.
    let last = store.create_function(function("gone")).await.unwrap();
    assert!(store.delete_function(last.function_id).await.unwrap());
}

/// All that is read back, as text.
async fn all(store: &Store) -> String {
    let functions = store
        .functions(&FunctionFilter::default(), 0, 99)
        .await
        .unwrap();
    let mut text = format!("{} {functions:?}\n", store.identity());
    for id in 1..=3 {
        let function = store.function(id).await.unwrap().unwrap();
        let source = store.source(function.version.sha256).await.unwrap();
        text += &format!(
            "{function:?} {} {} {source:?}\n{:?}\n{:?}\n{:?}\n",
            function.state,
            function.callback,
            store.versions(id).await.unwrap(),
            store.usage(id).await.unwrap(),
            store.recordings(id, 9).await.unwrap(),
        );
        for call in store.calls(id, false, 999).await.unwrap() {
            text += &format!("{} {} {}\n", call.log_id, call.record, call.state);
        }
        text += &format!("{:?}\n", store.refused_calls(id, None, 9).await.unwrap());
        text += &format!("{:?}\n", store.secret_names(id).await.unwrap());
    }
    let secrets = store.secrets(&secrets::keys(&[1]), 1).await.unwrap();
    text += &format!("{:?}\n", secrets[0].1.expose());
    text += &format!("{:?}\n", store.load_value(1, &[7; 32]).await.unwrap());
    text += &format!("{:?}\n", store.ephemeral("key\0").await.unwrap());
    text += &format!("{:?}\n", store.keys(None).await.unwrap());
    let changes = ChangeQuery {
        limit: 999,
        ..ChangeQuery::default()
    };
    text += &format!("{:?}\n", store.changes(&changes).await.unwrap());
    let sent = OutboundQuery {
        limit: 999,
        ..OutboundQuery::default()
    };
    text += &format!("{:?}\n", store.outbound(&sent).await.unwrap());
    let listed = JobQuery {
        function_id: Some(1),
        limit: 99,
        ..JobQuery::default()
    };
    text += &format!("{:?}\n", store.jobs(&listed).await.unwrap());
    text += &format!("{:?}\n", store.job_figures().await.unwrap());
    text
}

fn settings(database: &Database<'_>, home: &Home) -> StoreSettings {
    StoreSettings {
        url: database.url(),
        sources: home.data().join("../shared"),
        ..StoreSettings::default()
    }
}

#[tokio::test]
async fn a_directory_moves_to_a_database_and_back() {
    let (home, database) = (Home::new(), Database::new());
    let store = home.open().await;
    fill(&store).await;
    let before = all(&store).await;
    let settings = settings(&database, &home);
    let locked = import(&home.data(), &settings).await.unwrap_err();
    assert_eq!(locked.code(), "locked", "a server uses the directory");
    store.close().await.unwrap();

    let moved = import(&home.data(), &settings).await.unwrap();
    assert_eq!(moved.modules, 4);
    assert!(
        moved
            .tables
            .iter()
            .all(|(name, rows, _)| *rows > 0 || *name == "schedules"),
        "{moved:?}"
    );

    // A node serves it, and goes on with its numbers.
    let node = Folder::new(settings.clone());
    let store = node.open().await;
    assert_eq!(all(&store).await, before);
    let next = store.create_function(function("next")).await.unwrap();
    assert_eq!(next.function_id, 5);
    assert!(store.delete_function(5).await.unwrap());
    let busy = import(&home.data(), &settings).await.unwrap_err();
    assert!(busy.to_string().contains("other sessions"), "{busy}");
    let changed = all(&store).await;
    store.close().await.unwrap();

    let back = Home::new();
    let moved = export(&back.data(), &settings).await.unwrap();
    assert_eq!(moved.modules, 4);
    let store = back.open().await;
    assert_eq!(all(&store).await, changed);
    let next = store.create_function(function("next")).await.unwrap();
    assert_eq!(next.function_id, 6);
    store.close().await.unwrap();
}

/// An interrupted move is made again; one that met other rows is refused.
#[tokio::test]
async fn an_interrupted_move_goes_on_and_a_wrong_target_is_refused() {
    let (home, database) = (Home::new(), Database::new());
    let store = home.open().await;
    fill(&store).await;
    store.close().await.unwrap();
    let settings = settings(&database, &home);
    let moved = import(&home.data(), &settings).await.unwrap();
    let mut program = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    for lost in [
        "DELETE FROM jobs",
        "DELETE FROM call_log",
        "DELETE FROM secrets",
    ] {
        sqlx::query(lost).execute(&mut program).await.unwrap();
    }
    program.close().await.unwrap();
    assert_eq!(import(&home.data(), &settings).await.unwrap(), moved);

    // A row that differs is found.
    let mut program = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    sqlx::query("UPDATE secrets SET created_at = created_at + 1")
        .execute(&mut program)
        .await
        .unwrap();
    program.close().await.unwrap();
    let differs = import(&home.data(), &settings).await.unwrap_err();
    assert!(differs.to_string().contains("table secrets"), "{differs}");

    let other = Home::new();
    let store = other.open().await;
    fill(&store).await;
    store.close().await.unwrap();
    let wrong = import(&other.data(), &settings).await.unwrap_err();
    assert!(wrong.to_string().contains("another server"), "{wrong}");
    let wrong = export(&other.data(), &settings).await.unwrap_err();
    assert!(wrong.to_string().contains("another server"), "{wrong}");
}

/// Each column of each table is moved, or is counted by triggers.
#[tokio::test]
async fn no_column_is_left_behind() {
    const COUNTED: [&str; 9] = [
        "_sqlx_migrations",
        "catalogue",
        "catalogue_changes",
        "changes_kept",
        "ephemeral_shares",
        "jobs_kept",
        "recordings_total",
        "server",
        "sqlite_sequence",
    ];
    let (home, database) = (Home::new(), Database::new());
    let store = home.open().await;
    fill(&store).await;
    store.close().await.unwrap();
    let settings = settings(&database, &home);
    let moved = import(&home.data(), &settings).await.unwrap();
    let names: Vec<&str> = moved.tables.iter().map(|(name, ..)| *name).collect();
    let mut here = super::outside(&home).await;
    let mut there = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let of_here = sqlx::query(
        "SELECT t.name, count(*) FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' GROUP BY 1 ORDER BY 1",
    );
    let of_there = sqlx::query(
        "SELECT CAST(table_name AS text), count(*) FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1",
    );
    let here = of_here.fetch_all(&mut here).await.unwrap();
    let there = of_there.fetch_all(&mut there).await.unwrap();
    let here: Vec<(String, i64)> = here.iter().map(|row| (row.get(0), row.get(1))).collect();
    let there: Vec<(String, i64)> = there.iter().map(|row| (row.get(0), row.get(1))).collect();
    for tables in [&here, &there] {
        for (name, _) in tables {
            assert!(
                names.contains(&&**name) || COUNTED.contains(&&**name),
                "{name}"
            );
        }
    }
    let columns = iof_store::moved_columns();
    for (name, of_table) in columns {
        for tables in [&here, &there] {
            let found = tables.iter().find(|(table, _)| table == name);
            assert_eq!(
                found.map(|(_, columns)| *columns),
                Some(of_table as i64),
                "{name}"
            );
        }
    }
}
