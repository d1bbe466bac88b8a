//! `kill -9` in the middle of a rotation: every secret is there, under one key or the other, and the next rotation
//! finishes.

use iof_store::Store;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::kill::{open, spawn};
use super::secrets::{keys, read};
use super::{Home, function};

const FUNCTIONS: i64 = 4;
const SECRETS: usize = 80;

/// The process that is killed: it rotates between two keys.
#[tokio::test]
#[ignore = "run by the test below, as a process of its own"]
async fn child() {
    let store = open().await;
    for number in 0_u64.. {
        let current = if number.is_multiple_of(2) {
            [2, 1]
        } else {
            [1, 2]
        };
        let rotated = store.rotate_secrets(&keys(&current)).await.unwrap();
        println!("rotated {rotated}");
    }
}

#[tokio::test]
async fn a_rotation_survives_sigkill() {
    let home = Home::new();
    let store = home.open().await;
    let first = keys(&[1]);
    for function_id in 1..=FUNCTIONS {
        store
            .create_function(function(function_id.to_string()))
            .await
            .unwrap();
        for number in 0..SECRETS {
            let value = format!("{function_id} {number}").into();
            let set = store.set_secret(&first, function_id, format!("N{number:02}"), value);
            set.await.unwrap();
        }
    }
    store.close().await.unwrap();

    let mut torn = 0;
    for round in 0..6 {
        let mut child = spawn("kill_secrets::child", &home);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while let Some(line) = lines.next_line().await.unwrap() {
            seen += u64::from(line.starts_with("rotated"));
            if seen == 3 + round {
                // Kills it within a rotation, not at the end of one.
                tokio::time::sleep(std::time::Duration::from_micros(300 * round)).await;
                child.start_kill().unwrap();
            }
        }
        child.wait().await.unwrap();
        assert!(seen >= 3 + round, "the child died by itself after {seen}");

        let store = home.open().await;
        let mut under_first = 0;
        for function_id in 1..=FUNCTIONS {
            let names = store.secret_names(function_id).await.unwrap();
            under_first += names
                .iter()
                .filter(|secret| secret.key_id == first.current_id())
                .count();
            check(&store, function_id, &[1, 2]).await;
        }
        torn += u32::from(under_first > 0 && under_first < SECRETS * FUNCTIONS as usize);
        assert_eq!(
            store.rotate_secrets(&keys(&[2, 1])).await.unwrap(),
            under_first as u64
        );
        for function_id in 1..=FUNCTIONS {
            check(&store, function_id, &[2]).await;
        }
        store.close().await.unwrap();
    }
    println!("{torn} of 6 rotations were interrupted");
}

async fn check(store: &Store, function_id: i64, given: &[u8]) {
    let expected: Vec<_> = (0..SECRETS)
        .map(|number| format!("N{number:02}={function_id} {number}"))
        .collect();
    assert_eq!(
        read(store, &keys(given), function_id).await.unwrap(),
        expected
    );
}
