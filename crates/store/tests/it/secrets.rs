//! Secrets: readable with the keys, unreadable from the files, and protected against changes of the files.

use iof_store::{MAX_SECRET_VALUE, MAX_SECRETS, Rollout, SecretKeys, SecretValue, Store};

use super::{Home, count, function, outside, sql, version};

/// The keys `numbers`, of which the first is the current one.
pub(crate) fn keys(numbers: &[u8]) -> SecretKeys {
    let lines: Vec<_> = numbers
        .iter()
        .map(|n| format!("{n:02x}").repeat(32))
        .collect();
    SecretKeys::parse(&lines.join("\n")).unwrap()
}

fn value(text: &str) -> SecretValue {
    text.to_owned().into()
}

pub(crate) async fn set(
    store: &Store,
    keys: &SecretKeys,
    function_id: i64,
    name: &str,
    text: &str,
) {
    let set = store.set_secret(keys, function_id, name.into(), value(text));
    set.await.unwrap();
}

/// A function's secrets as `NAME=value`, or the code of the error.
pub(crate) async fn read(
    store: &Store,
    keys: &SecretKeys,
    function_id: i64,
) -> Result<Vec<String>, &'static str> {
    let secrets = store
        .secrets(keys, function_id)
        .await
        .map_err(|error| error.code())?;
    Ok(secrets
        .iter()
        .map(|(name, value)| format!("{name}={}", std::str::from_utf8(value.expose()).unwrap()))
        .collect())
}

pub(crate) async fn change(home: &Home, statement: &'static str) {
    let changed = sqlx::query(statement)
        .execute(&mut outside(home).await)
        .await
        .unwrap();
    assert_ne!(changed.rows_affected(), 0, "{statement}");
}

/// A store with functions 1 and 2 that have no secrets.
pub(crate) async fn two_functions(home: &Home) -> Store {
    let store = home.open().await;
    for source in ["one", "two"] {
        store.create_function(function(source)).await.unwrap();
    }
    store
}

#[tokio::test]
async fn secrets_are_read_back_and_survive_a_new_version_and_a_reopen() {
    let home = Home::new();
    let (store, keys) = (two_functions(&home).await, keys(&[1]));
    assert_eq!(read(&store, &keys, 1).await.unwrap(), [""; 0]);
    set(&store, &keys, 1, "TOKEN", "old").await;
    set(&store, &keys, 1, "A", "é\0\n").await;
    set(&store, &keys, 2, "TOKEN", "two's").await;
    set(&store, &keys, 1, "TOKEN", "new").await;
    store
        .add_version(1, version("next"), Rollout::Active)
        .await
        .unwrap();
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        assert_eq!(
            read(&store, &keys, 1).await.unwrap(),
            ["A=é\0\n", "TOKEN=new"]
        );
        assert_eq!(read(&store, &keys, 2).await.unwrap(), ["TOKEN=two's"]);
        assert_eq!(read(&store, &keys, 3).await.unwrap(), [""; 0]);
        if reopened {
            store.close().await.unwrap(); // a dropped store may hold the directory for a moment longer
        }
    }
    let store = home.open().await;
    assert!(store.delete_secret(1, "TOKEN".into()).await.unwrap());
    assert!(!store.delete_secret(1, "TOKEN".into()).await.unwrap());
    assert!(!store.delete_secret(9, "TOKEN".into()).await.unwrap());
    assert_eq!(read(&store, &keys, 1).await.unwrap(), ["A=é\0\n"]);
    assert_eq!(
        read(&store, &keys, 2).await.unwrap(),
        ["TOKEN=two's"],
        "the other's"
    );
}

#[tokio::test]
async fn a_list_names_secrets_and_shows_none() {
    let home = Home::new();
    let (store, keys) = (two_functions(&home).await, keys(&[1]));
    set(&store, &keys, 1, "TOKEN", "hunter2").await;
    set(&store, &keys, 1, "API_KEY", "hunter3").await;
    let listed = store.secret_names(1).await.unwrap();
    let names: Vec<_> = listed.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["API_KEY", "TOKEN"]);
    for secret in &listed {
        assert_eq!(secret.key_id, keys.current_id());
        assert!(secret.created_at > 1_600_000_000_000);
    }
    assert!(!format!("{listed:?}").contains("hunter"));
    let debug = format!("{:?}", store.secrets(&keys, 1).await.unwrap());
    assert!(
        debug.contains("TOKEN") && !debug.contains("hunter"),
        "{debug}"
    );
    assert_eq!(store.secret_names(2).await.unwrap(), []);
    assert_eq!(store.secret_names(9).await.unwrap(), []);
}

#[tokio::test]
async fn limits_hold_at_their_boundary() {
    let home = Home::new();
    let (store, keys) = (two_functions(&home).await, keys(&[1]));
    let longest = format!("A{}", "_9".repeat(31)) + "Z";
    assert_eq!(longest.len(), 64);
    let too_long = format!("{longest}Z");
    for name in ["A", "A_", "Z9", longest.as_str()] {
        set(&store, &keys, 1, name, "x").await;
    }
    for name in [
        "",
        "a",
        "_A",
        "9A",
        "Ab",
        "A-B",
        "A B",
        "A\n",
        "É",
        "AÉ",
        too_long.as_str(),
    ] {
        let refused = store.set_secret(&keys, 1, name.into(), value("x")).await;
        assert_eq!(refused.unwrap_err().code(), "invalid", "{name:?}");
    }
    for (length, fits) in [
        (0, false),
        (1, true),
        (MAX_SECRET_VALUE, true),
        (MAX_SECRET_VALUE + 1, false),
    ] {
        let answer = store
            .set_secret(&keys, 1, "A".into(), vec![7; length].into())
            .await;
        match answer {
            Ok(()) => assert!(fits, "{length}"),
            Err(error) => {
                assert!(!fits, "{length}");
                assert_eq!(error.code(), "invalid");
                assert!(error.to_string().contains("secret A"), "{error}");
            }
        }
    }
    let read = store.secrets(&keys, 1).await.unwrap();
    assert_eq!(read.len(), 4);
    assert_eq!(read[0].1.expose(), [7; MAX_SECRET_VALUE]);

    for number in 4..MAX_SECRETS {
        set(&store, &keys, 1, &format!("N{number}"), "x").await;
    }
    let refused = store
        .set_secret(&keys, 1, "ONE_MORE".into(), value("x"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "invalid");
    assert!(refused.to_string().contains("100 secrets"), "{refused}");
    set(&store, &keys, 1, "N50", "replaced").await;
    set(&store, &keys, 2, "ONE_MORE", "another function's").await;
    assert!(store.delete_secret(1, "N50".into()).await.unwrap());
    set(&store, &keys, 1, "ONE_MORE", "x").await;
    assert_eq!(store.secrets(&keys, 1).await.unwrap().len(), MAX_SECRETS);

    let missing = store
        .set_secret(&keys, 9, "A".into(), value("x"))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), "not_found");
}

#[tokio::test]
async fn deleting_a_function_deletes_its_secrets() {
    let home = Home::new();
    let (store, keys) = (two_functions(&home).await, keys(&[1]));
    set(&store, &keys, 1, "A", "x").await;
    set(&store, &keys, 2, "A", "x").await;
    assert!(store.delete_function(1).await.unwrap());
    let rows = "SELECT COUNT(*) FROM secrets WHERE function_id = $1";
    assert_eq!(
        (count(&home, rows, 1).await, count(&home, rows, 2).await),
        (0, 1)
    );
    assert_eq!(read(&store, &keys, 1).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_row_that_was_changed_or_moved_is_damaged() {
    for tamper in [
        // A bit of the value, of the tag, of the nonce.
        sql(
            "UPDATE secrets SET sealed = CAST((CASE substr(sealed, 1, 1) WHEN x'68' THEN x'69' ELSE x'68' END) || substr(sealed, 2) AS BLOB)
              WHERE name = 'B'",
            "UPDATE secrets SET sealed = set_bit(sealed, 3, 1 - get_bit(sealed, 3)) WHERE name = 'B'",
        ),
        "UPDATE secrets SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE name = 'B'",
        sql(
            "UPDATE secrets SET sealed = x'' WHERE name = 'B'",
            "UPDATE secrets SET sealed = '' WHERE name = 'B'",
        ),
        sql(
            "UPDATE secrets SET nonce = randomblob(24) WHERE name = 'B'",
            "UPDATE secrets SET nonce = set_byte(nonce, 5, (get_byte(nonce, 5) + 1) % 256) WHERE name = 'B'",
        ),
        // One row's ciphertext in another: of the same function, of the same name.
        "UPDATE secrets SET (nonce, sealed) = (SELECT nonce, sealed FROM secrets WHERE function_id = 1 AND name = 'A')
          WHERE function_id = 1 AND name = 'B'",
        "UPDATE secrets SET (nonce, sealed) = (SELECT nonce, sealed FROM secrets WHERE function_id = 2 AND name = 'B')
          WHERE function_id = 1 AND name = 'B'",
        // The row itself, to another function, to another name.
        "UPDATE secrets SET function_id = 1, name = 'C' WHERE function_id = 2 AND name = 'B'",
        sql(
            "UPDATE OR REPLACE secrets SET function_id = 1 WHERE function_id = 2 AND name = 'B'",
            "WITH other AS (DELETE FROM secrets WHERE function_id = 2 AND name = 'B' RETURNING *)
             UPDATE secrets SET (key_id, nonce, sealed) = (SELECT key_id, nonce, sealed FROM other)
              WHERE function_id = 1 AND name = 'B'",
        ),
        "UPDATE secrets SET name = 'C' WHERE function_id = 1 AND name = 'B'",
        // A key that exists, but is not the right one.
        "UPDATE secrets SET key_id = (SELECT key_id FROM secrets WHERE name = 'OTHER') WHERE name = 'B'",
    ] {
        let home = Home::new();
        let store = two_functions(&home).await;
        set(&store, &keys(&[2]), 2, "OTHER", "x").await;
        let keys = keys(&[1, 2]);
        for (function_id, name) in [(1, "A"), (1, "B"), (2, "B")] {
            set(&store, &keys, function_id, name, "the same value").await;
        }
        assert_eq!(read(&store, &keys, 1).await.unwrap().len(), 2);
        change(&home, tamper).await;
        let error = store.secrets(&keys, 1).await.unwrap_err();
        assert_eq!(error.code(), "damaged", "{tamper}");
        assert!(error.to_string().contains("of function 1"), "{error}");
        store.secret_names(1).await.unwrap();
        // The next step of the message works.
        for damaged in ["B", "C"] {
            store.delete_secret(1, damaged.into()).await.unwrap();
        }
        set(&store, &keys, 1, "B", "again").await;
        assert_eq!(read(&store, &keys, 1).await.unwrap(), ["A=the same value", "B=again"]);
    }
}

#[tokio::test]
async fn a_missing_key_is_named() {
    let home = Home::new();
    let (store, first) = (two_functions(&home).await, keys(&[1]));
    set(&store, &first, 1, "A", "x").await;
    for wrong in [keys(&[2]), keys(&[3, 2])] {
        let read = store.secrets(&wrong, 1).await.unwrap_err();
        let rotated = store.rotate_secrets(&wrong).await.unwrap_err();
        for error in [read, rotated] {
            assert_eq!(error.code(), "missing_key");
            assert!(error.to_string().contains(first.current_id()), "{error}");
        }
        // Without its key, a secret can still be listed and replaced.
        assert_eq!(
            store.secret_names(1).await.unwrap()[0].key_id,
            first.current_id()
        );
    }
    assert_eq!(read(&store, &keys(&[2, 1]), 1).await.unwrap(), ["A=x"]);
    set(&store, &keys(&[2]), 1, "A", "y").await;
    assert_eq!(read(&store, &keys(&[2]), 1).await.unwrap(), ["A=y"]);
}
