//! Each change that a person makes is on record, in the transaction of the change; what functions write is not.

use bytes::Bytes;
use iof_store::{
    Author, AuthorKey, CancelledJob, ChangeLimits, ChangeQuery, ChangeRecord, NewFunction, NewKey,
    NewVersion, Percent, RetriedJob, Rollout, Scope, Store, Surface, ValueKey,
};
use uuid::Uuid;

use super::jobs::{ROOM, finished, submit};
use super::{Home, function, outside, sql, version};

fn author() -> Author {
    Author {
        surface: Surface::V1,
        key: AuthorKey::Made(7, "ci".into()),
    }
}

async fn all(store: &Store) -> Vec<ChangeRecord> {
    let query = ChangeQuery {
        limit: 1000,
        ..ChangeQuery::default()
    };
    let mut found = store.changes(&query).await.unwrap();
    found.reverse();
    found
}

/// The change that was made since the last look: its action, its function and its details.
async fn newest(store: &Store, seen: &mut usize) -> (String, Option<i64>, String) {
    let all = all(store).await;
    assert_eq!(all.len(), *seen + 1, "{all:?}");
    *seen += 1;
    let change = all.last().unwrap();
    assert_eq!(change.by, author());
    (
        change.action.clone(),
        change.function_id,
        change.details.clone(),
    )
}

#[tokio::test]
async fn each_change_is_on_record_with_its_author() {
    let home = Home::new();
    let opened = home.open().await;
    let store = opened.by(author());
    let mut seen = 0;
    let mut expect = async |action: &str, function_id: Option<i64>, details: &[&str]| {
        let (was, of, what) = newest(&opened, &mut seen).await;
        assert_eq!((&*was, of), (action, function_id), "{what}");
        for part in details {
            assert!(what.contains(part), "{action}: {what} has {part}");
        }
        what
    };
    let named = NewFunction {
        name: Some("hello".into()),
        private: true,
        ..function("one")
    };
    let created = store.create_function(named).await.unwrap();
    expect("function.create", Some(1), &["\"private\":true"]).await;
    let declaring = |source: &str, text: &str| NewVersion {
        declaration: Some(text.into()),
        ..version(source)
    };
    let two = declaring("one", r#"{"variables":{"A":"a value"},"storage":true}"#);
    store.add_version(1, two, Rollout::Active).await.unwrap();
    let what = expect(
        "version.deploy",
        Some(1),
        &[
            "\"version\":2",
            "\"active_before\":1",
            "\"same_module\":true",
            "[\"storage\",\"variables\"]",
        ],
    )
    .await;
    assert!(!what.contains("a value"), "{what}");
    let three = declaring(
        "three",
        r#"{"variables":{"A":"b"},"storage":true,"secrets":[],"limits":{"memory":null},"jobs":false}"#,
    );
    let ten = Percent::new(10).unwrap();
    let canary = Rollout::Canary(ten);
    store.add_version(1, three, canary).await.unwrap();
    let parts = ["\"percent\":10", "[\"variables\"]", "\"same_module\":false"];
    expect("version.deploy-canary", Some(1), &parts).await;
    store.activate(1, 3).await.unwrap();
    expect(
        "version.promote",
        Some(1),
        &["\"version\":3", "\"active_before\":2"],
    )
    .await;
    store.activate(1, 1).await.unwrap();
    expect("version.roll-back", Some(1), &["\"version\":1"]).await;
    store.activate(1, 2).await.unwrap();
    expect("version.activate", Some(1), &["\"version\":2"]).await;
    let idle = store.add_version(1, version("four"), Rollout::Idle);
    idle.await.unwrap();
    expect("version.deploy-idle", Some(1), &["\"version\":4"]).await;
    store.set_canary(1, Some((1, ten))).await.unwrap();
    expect("canary.set", Some(1), &["\"version\":1", "\"percent\":10"]).await;
    store.set_canary(1, None).await.unwrap();
    expect("canary.end", Some(1), &["\"version\":1"]).await;
    store.set_usage_key(1, false).await.unwrap();
    expect("usage-key.remove", Some(1), &[]).await;
    let usage = store.set_usage_key(1, true).await.unwrap().unwrap();
    expect("usage-key.set", Some(1), &[]).await;
    let admin = store.rotate_admin_key(1).await.unwrap();
    expect("admin-key.set", Some(1), &[]).await;
    store.set_state(1, "the state".into()).await.unwrap();
    expect("state.set", Some(1), &["\"bytes\":9"]).await;
    let callback = r#"{"hostname":"example.com"}"#;
    store.set_callback(1, callback.into()).await.unwrap();
    expect("callback.set", Some(1), &["\"bytes\":26"]).await;
    let keys = super::secrets::keys(&[1]);
    let value = || "the value".to_owned().into();
    store
        .set_secret(&keys, 1, "TOKEN".into(), value())
        .await
        .unwrap();
    expect("secret.set", Some(1), &["\"TOKEN\""]).await;
    store.delete_secret(1, "TOKEN".into()).await.unwrap();
    expect("secret.delete", Some(1), &["\"TOKEN\""]).await;
    let wish = |function_id| NewKey {
        label: "laptop".into(),
        scopes: [Scope::Read].into_iter().collect(),
        function_id,
        expires_at: None,
    };
    let (of_all, key) = store.create_key(wish(None)).await.unwrap();
    expect("key.create", None, &["\"laptop\"", "[\"read\"]"]).await;
    let (of_one, _) = store.create_key(wish(Some(1))).await.unwrap();
    expect("key.create", Some(1), &["\"laptop\""]).await;
    store.delete_key(of_all.id).await.unwrap();
    expect("key.delete", None, &["\"laptop\"", "\"key\":1"]).await;
    store.delete_key(of_one.id).await.unwrap();
    expect("key.delete", Some(1), &["\"key\":2"]).await;
    let name = ValueKey {
        digest: [7; 32],
        name: Some(Bytes::from("n".repeat(300))),
    };
    let saved = store.save_value(1, name.clone(), "v".into(), u64::MAX);
    let _ = saved.await.unwrap();
    assert!(store.delete_value(1, name).await.unwrap());
    let what = expect("value.delete", Some(1), &["nnn"]).await;
    assert!(what.len() < 250, "{what}");
    submit(&store, 1).await;
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let cancelled = store.cancel_job(1, one, "cancelled".into()).await;
    assert_eq!(cancelled.unwrap(), CancelledJob::Cancelled);
    let ids = [one.to_string(), two.to_string()];
    expect("job.cancel", Some(1), &[&ids[0]]).await;
    let retried = store.retry_job((1, one), two, 9, ROOM).await.unwrap();
    assert!(matches!(retried, RetriedJob::Submitted(_)), "{retried:?}");
    expect("job.retry", Some(1), &[&ids[0], &ids[1]]).await;
    store.delete_function(1).await.unwrap();
    expect("function.delete", Some(1), &["\"versions\":4"]).await;

    // Of a function that is gone, its changes stay, under the name that it had; and nobody's secret is among them.
    let text = format!("{:?}", all(&opened).await);
    assert!(all(&opened).await.iter().all(|change| {
        change.function_id.is_none() || change.function_name.as_deref() == Some("hello")
    }));
    for secret in [
        created.admin_key.as_str(),
        usage.as_str(),
        admin.as_str(),
        key.as_str(),
        "the value",
        "the state",
        "example.com",
    ] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    opened.close().await.unwrap();
    let again = home.open().await;
    assert_eq!(format!("{:?}", all(&again).await), text, "kept on the disk");
}

#[tokio::test]
async fn what_changes_nothing_and_what_functions_write_is_not_on_record() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    let before = all(&store).await;
    assert_eq!(before[0].by, Author::PROGRAM);
    store.activate(1, 9).await.unwrap_err();
    store.activate(9, 1).await.unwrap_err();
    let half = Percent::new(50).unwrap();
    store.set_canary(1, Some((1, half))).await.unwrap_err();
    store.set_canary(1, None).await.unwrap(); // there is none
    store.set_state(9, "x".into()).await.unwrap_err();
    store.rotate_admin_key(9).await.unwrap_err();
    assert!(!store.delete_secret(1, "NONE".into()).await.unwrap());
    assert!(!store.delete_key(9).await.unwrap());
    assert!(!store.delete_function(9).await.unwrap());
    let keys = super::secrets::keys(&[1]);
    let missing = store.set_secret(&keys, 9, "A".into(), "x".to_owned().into());
    missing.await.unwrap_err();
    let key = ValueKey::from([1; 32]);
    assert!(!store.delete_value(1, key).await.unwrap());
    let _ = store.save_value(1, [1; 32], "v".into(), u64::MAX).await;
    assert!(store.remove_value(1, [1; 32]).await.unwrap());
    submit(&store, 1).await;
    let job = super::jobs::take(&store, 1).await.remove(0);
    let running = store.cancel_job(1, job.id, "x".into()).await.unwrap();
    assert_eq!(running, CancelledJob::Is(iof_store::JobState::Running));
    let of_another = store.cancel_job(2, job.id, "x".into()).await.unwrap();
    assert_eq!(of_another, CancelledJob::Unknown);
    assert!(
        store
            .finish_job(job.lease(), finished("ok"), ROOM)
            .await
            .unwrap()
    );
    let again = store.retry_job((1, job.id), Uuid::from_u128(9), 9, ROOM);
    assert_eq!(again.await.unwrap(), RetriedJob::NoRequest);
    assert_eq!(all(&store).await, before);
}

/// One transaction for both: a change that cannot be recorded is not made.
#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_not_made() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    let refuse = sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER refuse BEFORE INSERT ON changes FOR EACH ROW EXECUTE FUNCTION refuse_change('no')",
    );
    let mut outside = outside(&home).await;
    sqlx::raw_sql(refuse).execute(&mut outside).await.unwrap();
    store.set_state(1, "changed".into()).await.unwrap_err();
    store.delete_function(1).await.unwrap_err();
    assert_eq!(store.function(1).await.unwrap().unwrap().state, "{}");
}

#[tokio::test]
async fn the_record_is_bounded_for_each_function_and_for_all() {
    let home = Home::new();
    let store = home.open().await;
    store.keep_changes(ChangeLimits {
        function_rows: 5,
        rows: 12,
    });
    for source in ["one", "two", "three"] {
        store.create_function(function(source)).await.unwrap();
    }
    // The holder of one function's key pushes out no change of another.
    for round in 0..40 {
        store.set_state(1, format!("{round}")).await.unwrap();
    }
    let of = |function_id| {
        let query = ChangeQuery {
            function_id: Some(function_id),
            limit: 1000,
            ..ChangeQuery::default()
        };
        let store = &store;
        async move { store.changes(&query).await.unwrap() }
    };
    assert_eq!([of(1).await.len(), of(2).await.len()], [5, 1]);
    for round in 0..9 {
        store.set_state(2, format!("{round}")).await.unwrap();
        store.set_state(3, format!("{round}")).await.unwrap();
    }
    assert_eq!(all(&store).await.len(), 12);
    assert_eq!([of(2).await.len(), of(3).await.len()], [5, 5]);
    assert_eq!(of(1).await.len(), 2, "the oldest go");
    // Pages, and a time since when.
    let page = |before, since| ChangeQuery {
        before,
        since,
        limit: 7,
        ..ChangeQuery::default()
    };
    let first = store.changes(&page(None, None)).await.unwrap();
    let last = first.last().unwrap().id;
    let second = store.changes(&page(Some(last), None)).await.unwrap();
    assert_eq!((first.len(), second.len()), (7, 5));
    assert!(second.iter().all(|change| change.id < last));
    let later = page(None, Some(first[0].made_at + 60_000));
    assert!(store.changes(&later).await.unwrap().is_empty());
    for limit in [0, 1002] {
        let query = ChangeQuery {
            limit,
            ..ChangeQuery::default()
        };
        assert_eq!(store.changes(&query).await.unwrap_err().code(), "invalid");
    }
    // A smaller limit holds from the next change on, and so does none at all.
    store.keep_changes(ChangeLimits {
        function_rows: 0,
        rows: 0,
    });
    store.set_state(1, "last".into()).await.unwrap();
    assert!(all(&store).await.is_empty());
}

/// A failed job keeps its request while half of the room is free, so that jobs which fail leave room for others.
#[tokio::test]
async fn a_failed_job_can_be_retried_while_its_request_has_room() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("one")).await.unwrap();
    let failed = || iof_store::Finished {
        fault: Some("trap".to_owned()),
        ..finished("it failed")
    };
    let room = |all| iof_store::JobRoom {
        all,
        function: 1 << 40,
    };
    for (number, all, kept) in [(1, 1 << 20, true), (2, 4096, false)] {
        submit(&store, number).await;
        let job = super::jobs::take(&store, 1).await.remove(0);
        let done = store.finish_job(job.lease(), failed(), room(all)).await;
        assert!(done.unwrap());
        let listed = store
            .jobs(&iof_store::JobQuery {
                function_id: Some(1),
                limit: 9,
                ..Default::default()
            })
            .await
            .unwrap();
        let head = listed.iter().find(|head| head.id == job.id).unwrap();
        assert_eq!(head.retriable, kept, "{number}");
        let again = Uuid::from_u128(u128::from(100 + number));
        let retried = store.retry_job((1, job.id), again, 9, ROOM).await.unwrap();
        assert_eq!(retried == RetriedJob::NoRequest, !kept, "{retried:?}");
        if kept {
            let taken = super::jobs::take(&store, 1).await.remove(0);
            assert_eq!((taken.id, &taken.request), (again, &job.request));
            assert!(
                store
                    .finish_job(taken.lease(), finished("ok"), ROOM)
                    .await
                    .unwrap()
            );
        }
        // Of a job that does not run for long, the limit of jobs holds as for any other.
        let full = store.retry_job((1, job.id), Uuid::from_u128(999), 0, ROOM);
        let full = full.await.unwrap();
        let expected = match kept {
            true => RetriedJob::Submitted(iof_store::Submitted::TooMany),
            false => RetriedJob::NoRequest,
        };
        assert_eq!(full, expected);
    }
    let missing = store.retry_job((1, Uuid::nil()), Uuid::from_u128(5), 9, ROOM);
    assert_eq!(missing.await.unwrap(), RetriedJob::Unknown);
}
