//! Rotation: all secrets are re-encrypted under the new first key, whatever happens on the way.

use iof_store::MAX_SECRETS;

use super::secrets::{change, keys, read, set, two_functions};
use super::{Home, count, outside, sql};

#[tokio::test]
async fn rotation_leaves_nothing_under_an_earlier_key() {
    let home = Home::new();
    let store = two_functions(&home).await;
    assert_eq!(store.rotate_secrets(&keys(&[1])).await.unwrap(), 0);
    for number in 0..70 {
        set(
            &store,
            &keys(&[1 + number % 2]),
            1,
            &format!("N{number:02}"),
            &number.to_string(),
        )
        .await;
        set(&store, &keys(&[3]), 2, &format!("N{number:02}"), "two's").await;
    }
    let before = store.secret_names(1).await.unwrap();
    assert_eq!(store.rotate_secrets(&keys(&[3, 2, 1])).await.unwrap(), 70);
    assert_eq!(store.rotate_secrets(&keys(&[3])).await.unwrap(), 0);
    let values: Vec<_> = (0..70)
        .map(|number| format!("N{number:02}={number}"))
        .collect();
    assert_eq!(read(&store, &keys(&[3]), 1).await.unwrap(), values);
    assert_eq!(read(&store, &keys(&[3]), 2).await.unwrap().len(), 70);
    for (before, after) in before.iter().zip(store.secret_names(1).await.unwrap()) {
        assert_eq!(
            (&before.name, before.created_at),
            (&after.name, after.created_at)
        );
        assert_eq!(after.key_id, keys(&[3]).current_id());
    }
}

/// A damaged secret must not keep the old key in use for all others, and must be reported.
#[tokio::test]
async fn rotation_skips_a_damaged_secret_and_reports_it() {
    let home = Home::new();
    let store = two_functions(&home).await;
    for number in 0..MAX_SECRETS {
        set(&store, &keys(&[1]), 1, &format!("N{number:02}"), "x").await;
    }
    change(
        &home,
        sql(
            "UPDATE secrets SET sealed = x'00' WHERE name IN ('N10', 'N63', 'N64')",
            r"UPDATE secrets SET sealed = '\x00' WHERE name IN ('N10', 'N63', 'N64')",
        ),
    )
    .await;
    let error = store.rotate_secrets(&keys(&[2, 1])).await.unwrap_err();
    assert_eq!(error.code(), "damaged");
    assert!(error.to_string().contains("N10"), "the first: {error}");
    let stale = "SELECT COUNT(*) FROM secrets WHERE function_id = $1 AND key_id = (SELECT key_id FROM secrets WHERE name = 'N10')";
    assert_eq!(count(&home, stale, 1).await, 3);
    for name in ["N10", "N63", "N64"] {
        store.delete_secret(1, name.into()).await.unwrap();
    }
    assert_eq!(store.rotate_secrets(&keys(&[2])).await.unwrap(), 0);
    assert_eq!(read(&store, &keys(&[2]), 1).await.unwrap().len(), 97);
}

#[tokio::test]
async fn a_rotation_that_failed_halfway_is_continued() {
    let home = Home::new();
    let store = two_functions(&home).await;
    for number in 0..MAX_SECRETS {
        set(
            &store,
            &keys(&[1]),
            1,
            &format!("N{number:02}"),
            &number.to_string(),
        )
        .await;
    }
    sqlx::query(sql(
        "CREATE TRIGGER poison BEFORE UPDATE ON secrets WHEN NEW.name = 'N80'
         BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
        "CREATE TRIGGER poison BEFORE UPDATE ON secrets FOR EACH ROW WHEN (NEW.name = 'N80')
         EXECUTE FUNCTION refuse_change('poisoned')",
    ))
    .execute(&mut outside(&home).await)
    .await
    .unwrap();
    let both = keys(&[2, 1]);
    assert_eq!(
        store.rotate_secrets(&both).await.unwrap_err().code(),
        "unavailable"
    );
    let under = async |id: String| {
        let listed = store.secret_names(1).await.unwrap();
        listed.iter().filter(|secret| secret.key_id == id).count()
    };
    assert_eq!(
        under(keys(&[2]).current_id().into()).await,
        64,
        "the first batch"
    );
    assert_eq!(read(&store, &both, 1).await.unwrap().len(), MAX_SECRETS);
    sqlx::query(sql("DROP TRIGGER poison", "DROP TRIGGER poison ON secrets"))
        .execute(&mut outside(&home).await)
        .await
        .unwrap();
    assert_eq!(store.rotate_secrets(&both).await.unwrap(), 36);
    let values: Vec<_> = (0..MAX_SECRETS)
        .map(|number| format!("N{number:02}={number}"))
        .collect();
    assert_eq!(read(&store, &keys(&[2]), 1).await.unwrap(), values);
}

/// A secret that is set during a rotation keeps its new value.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotation_does_not_undo_concurrent_changes() {
    let home = Home::new();
    let store = two_functions(&home).await;
    let mut tasks = tokio::task::JoinSet::new();
    for setter in 0..4 {
        let store = store.clone();
        tasks.spawn(async move {
            let (keys, name) = (keys(&[1, 2]), format!("S{setter}"));
            for number in 0..100 {
                set(&store, &keys, 1, &name, &number.to_string()).await;
                let found = read(&store, &keys, 1).await.unwrap();
                assert!(found.contains(&format!("{name}={number}")), "{found:?}");
            }
        });
    }
    for current in [[1, 2], [2, 1]] {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..100 {
                store.rotate_secrets(&keys(&current)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}
