//! Versions and their declarations: each version keeps its own until its function is deleted.

use iof_store::{NewFunction, NewVersion, Rollout, Store, Version};

use super::{Home, count, digest, function, outside, sql, version};

fn declaring(source: &str, declaration: Option<&str>) -> NewVersion {
    NewVersion {
        declaration: declaration.map(str::to_owned),
        ..version(source)
    }
}

fn numbers(versions: &[Version]) -> Vec<i64> {
    versions.iter().map(|version| version.number).collect()
}

/// Function 1 with three versions, the second without a declaration, and function 2 with one.
async fn three_and_one(home: &Home) -> Store {
    let store = home.open().await;
    for source in ["one", "another"] {
        let declared = Some(r#"{"rules":["é"]}"#).filter(|_| source == "one");
        let new = NewFunction {
            version: declaring(source, declared),
            ..function("")
        };
        store.create_function(new).await.unwrap();
    }
    for (source, declared) in [("two", None), ("three", Some(""))] {
        let replaced = store.add_version(1, declaring(source, declared), Rollout::Active);
        replaced.await.unwrap();
    }
    store
}

#[tokio::test]
async fn each_version_keeps_its_own_declaration() {
    let home = Home::new();
    let store = three_and_one(&home).await;
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        let all = store.versions(1).await.unwrap();
        let declared: Vec<_> = all.iter().map(|v| v.declaration.as_deref()).collect();
        assert_eq!(declared, [Some(""), None, Some(r#"{"rules":["é"]}"#)]);
        assert_eq!(numbers(&all), [3, 2, 1], "newest first");
        let active = store.function(1).await.unwrap().unwrap().version;
        assert_eq!(active, all[0]);
        for version in all {
            let alone = store.version(1, version.number).await.unwrap();
            assert_eq!(alone.unwrap(), version);
        }
        let first = store.version(1, 1).await.unwrap().unwrap();
        assert_eq!(first.sha256, digest(b"one"));
        assert_eq!(store.source(first.sha256).await.unwrap().unwrap(), "one");
        let other = store.function(2).await.unwrap().unwrap().version;
        assert_eq!(other.declaration, None);
        assert_eq!(store.versions(2).await.unwrap(), [other]);
    }
}

#[tokio::test]
async fn missing_versions_are_not_found() {
    let home = Home::new();
    let store = three_and_one(&home).await;
    for number in [i64::MIN, -1, 0, 4, i64::MAX] {
        assert_eq!(store.version(1, number).await.unwrap(), None);
    }
    for function_id in [i64::MIN, 0, 3, i64::MAX] {
        assert_eq!(store.version(function_id, 1).await.unwrap(), None);
        assert_eq!(store.versions(function_id).await.unwrap(), []);
    }
    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(store.version(1, 3).await.unwrap(), None);
    assert_eq!(store.versions(1).await.unwrap(), []);
    let others = store.versions(2).await.unwrap();
    assert_eq!(numbers(&others), [1], "the other's");
}

#[tokio::test]
async fn a_list_ends_at_the_thousandth_version() {
    let home = Home::new();
    let store = three_and_one(&home).await;
    sqlx::query(sql(
        "WITH RECURSIVE more (n) AS (SELECT 4 UNION ALL SELECT n + 1 FROM more WHERE n < 1005)
         INSERT INTO versions (id, function_id, number, sha256, legacy_sha256, size, kind, manifest, created_at)
         SELECT printf('01900000-0000-7000-8000-%012d', n), 1, n, sha256, '', 1, 'bindgen', '{}', 0
           FROM more JOIN versions WHERE function_id = 2",
        "INSERT INTO versions (id, function_id, number, sha256, legacy_sha256, size, kind, manifest, created_at)
         SELECT '01900000-0000-7000-8000-' || lpad(n::text, 12, '0'), 1, n, sha256, '', 1, 'bindgen', '{}', 0
           FROM generate_series(4, 1005) AS n, versions WHERE function_id = 2",
    ))
    .execute(&mut outside(&home).await)
    .await
    .unwrap();
    let expected: Vec<_> = (6..=1005).rev().collect();
    assert_eq!(numbers(&store.versions(1).await.unwrap()), expected);
    assert_eq!(store.version(1, 5).await.unwrap().unwrap().number, 5);
    let next = store
        .add_version(1, version("next"), Rollout::Active)
        .await
        .unwrap();
    assert_eq!(next.number, 1006);
}

#[tokio::test]
async fn a_declaration_cannot_be_changed_even_by_sql() {
    let home = Home::new();
    three_and_one(&home).await;
    let refused = sqlx::query("UPDATE versions SET declaration = 'more' WHERE number = 2")
        .execute(&mut outside(&home).await)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("a version never changes"));
    let declared = "SELECT COUNT(declaration) FROM versions WHERE function_id = $1";
    assert_eq!(count(&home, declared, 1).await, 2);
}
