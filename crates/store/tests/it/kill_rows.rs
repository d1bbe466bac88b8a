//! `kill -9` while all data of a function is being written: acknowledged rows survive, and the rows are consistent.

use std::collections::HashMap;
use std::time::Duration;

use iof_store::{
    Call, Calls, EphemeralPut, NewKey, Recording, RecordingLimits, Saved, Scope, Store,
};

use super::kill::{kill_at, open};
use super::outbound::{all, records};
use super::recordings::{recording, totals};
use super::{Home, count, function, text};

const KEEP: u32 = 20;
const KINDS: [&str; 8] = [
    "state",
    "callback",
    "value",
    "ephemeral",
    "call",
    "audit",
    "recording",
    "key",
];
const HOUR: Duration = Duration::from_secs(60 * 60);

const RECORDINGS: RecordingLimits = RecordingLimits {
    per_function: KEEP,
    total_bytes: u64::MAX,
    from: 0,
};

/// The process that is killed: it writes rows of each kind, each in a task of its own, and prints each acknowledgement.
/// Each kind continues from the last number of the process before, so it leaves no number out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below, as a process of its own"]
async fn child() {
    let store = open().await;
    let found = found(&store).await;
    let mut tasks = tokio::task::JoinSet::new();
    for kind in KINDS {
        let store = store.clone();
        let start = found.get(kind).map_or(1, |number| number + 1);
        tasks.spawn(async move {
            for number in start.. {
                let written = format!("{number}");
                match kind {
                    "state" => store.set_state(1, written).await.unwrap(),
                    "callback" => store.set_callback(1, written).await.unwrap(),
                    "value" => {
                        let saved = store.save_value(1, slot(number), written.into(), 1 << 20);
                        assert_eq!(saved.await.unwrap(), Saved::Stored);
                    }
                    "ephemeral" => {
                        let key = format!("{}", number % 8);
                        let saved = store.put_ephemeral(key, written, HOUR, 1 << 20, None);
                        assert_eq!(saved.await.unwrap(), EphemeralPut::Done);
                    }
                    "call" => {
                        let calls = one_call(number, written);
                        store.record_calls(vec![calls], KEEP).await.unwrap();
                    }
                    // Several rows at once, all of which are stored or none.
                    "audit" => {
                        let rows = vec![records(1, number..number + 1); 3].concat();
                        let keep = 3 * u64::from(KEEP);
                        let _ = store.record_outbound(rows, keep, 0).await.unwrap();
                    }
                    "recording" => {
                        let recorded = vec![one_recording(number)];
                        let _ = store.put_recordings(recorded, RECORDINGS).await.unwrap();
                    }
                    _ => {
                        let id = store
                            .create_function(function(kind))
                            .await
                            .unwrap()
                            .function_id;
                        let key = store.set_usage_key(id, true).await.unwrap().unwrap();
                        println!("acknowledged {} {id}", key.as_str());
                        let new = NewKey {
                            label: String::new(),
                            scopes: [Scope::Call].into_iter().collect(),
                            function_id: Some(id),
                            expires_at: None,
                        };
                        let (_, key) = store.create_key(new).await.unwrap();
                        println!("acknowledged {} {id}", key.as_str());
                        continue;
                    }
                }
                println!("acknowledged {kind} {number}");
            }
        });
    }
    tasks.join_all().await;
}

fn slot(number: u64) -> [u8; 32] {
    [(number % 8) as u8; 32]
}

fn one_recording(number: u64) -> Recording {
    recording(1, number as i64, (number % 50) as usize)
}

fn one_call(number: u64, record: String) -> Calls {
    Calls {
        function_id: 1,
        invocations: 1,
        guest_ns: 7,
        latest_ns: number,
        newest: vec![Call {
            called_at: 0,
            state: "{}".into(),
            record,
            guest_ns: 7,
        }],
    }
}

#[tokio::test]
async fn acknowledged_rows_survive_sigkill() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("x")).await.unwrap();
    store.close().await.unwrap();
    // The last number of each kind, and the number of the function of each usage key.
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for round in 0..5_u64 {
        kill_at("kill_rows::child", &home, 150 + round * 31, |words| {
            let ["acknowledged", what, number] = words else {
                return false;
            };
            acknowledged.insert((*what).to_owned(), number.parse().unwrap());
            true
        })
        .await;

        let store = home.open().await;
        check(&store, &acknowledged).await;
        let actual =
            "SELECT SUM(length(key) + length(value)) FROM stored_values WHERE function_id = $1";
        let recorded = "SELECT bytes FROM stored_totals WHERE function_id = $1";
        assert_eq!(
            count(&home, actual, 1).await,
            count(&home, recorded, 1).await
        );
        let actual = "SELECT SUM(length(key) + length(value)) FROM ephemeral WHERE $1 = 1";
        let recorded = "SELECT bytes FROM ephemeral_total WHERE $1 = 1";
        assert_eq!(
            count(&home, actual, 1).await,
            count(&home, recorded, 1).await
        );
        let (actual, recorded) = totals(&home).await;
        assert_eq!(actual, recorded);
        store.close().await.unwrap();
    }
    println!("{acknowledged:?}");
}

/// The last number of each kind.
async fn found(store: &Store) -> HashMap<&'static str, u64> {
    let one = store.function(1).await.unwrap().unwrap();
    let recorded = store.recordings(1, 1).await.unwrap();
    HashMap::from([
        ("state", one.state.parse().unwrap_or(0)),
        ("callback", one.callback.parse().unwrap_or(0)),
        ("call", store.usage(1).await.unwrap().invocations),
        ("value", newest(slots(store, "value").await)),
        ("ephemeral", newest(slots(store, "ephemeral").await)),
        (
            "audit",
            all(store)
                .await
                .last()
                .map_or(0, |row| row.record.at as u64),
        ),
        (
            "recording",
            recorded.first().map_or(0, |head| head.at as u64),
        ),
    ])
}

/// The number stored under each of the eight keys; 0 for none.
async fn slots(store: &Store, kind: &str) -> [u64; 8] {
    let mut found = [0; 8];
    for (slot, number) in (0..).zip(&mut found) {
        let stored = if kind == "value" {
            store
                .load_value(1, &self::slot(slot))
                .await
                .unwrap()
                .map(text)
        } else {
            store.ephemeral(&slot.to_string()).await.unwrap()
        };
        *number = stored.map_or(0, |stored| stored.parse().unwrap());
    }
    found
}

fn newest(slots: [u64; 8]) -> u64 {
    slots.into_iter().max().unwrap()
}

async fn check(store: &Store, acknowledged: &HashMap<String, u64>) {
    // Each kind is at the last acknowledged number, or at the next, whose acknowledgement was not printed.
    for (kind, number) in found(store).await {
        let last = acknowledged[kind];
        assert!(
            number == last || number == last + 1,
            "{kind}: {last} was acknowledged, {number} is there"
        );
    }
    // The seven numbers before it are stored as well.
    for kind in ["value", "ephemeral"] {
        let slots = slots(store, kind).await;
        let newest = newest(slots);
        for number in newest.saturating_sub(7).max(1)..=newest {
            assert_eq!(slots[(number % 8) as usize], number, "{kind}: {slots:?}");
        }
    }
    let usage = store.usage(1).await.unwrap();
    let log = store.calls(1, true, KEEP + 1).await.unwrap();
    // Counters and log changed together, call by call.
    assert_eq!(usage.invocations, usage.latest_ns);
    assert_eq!(usage.guest_ns, 7 * usage.invocations);
    assert_eq!(log.len() as u64, usage.invocations.min(u64::from(KEEP)));
    for (age, call) in (0..).zip(&log) {
        assert_eq!(call.record, (usage.invocations - age).to_string());
    }
    let rows = all(store).await;
    let newest = rows.last().unwrap().record.at;
    let oldest = (newest - i64::from(KEEP) + 1).max(1);
    let times: Vec<_> = rows.iter().map(|row| row.record.at).collect();
    let expected: Vec<_> = (oldest..=newest).flat_map(|at| [at; 3]).collect();
    assert_eq!(times, expected);
    let heads = store.recordings(1, KEEP + 1).await.unwrap();
    assert_eq!(heads.len() as i64, heads[0].at.min(KEEP.into()));
    for (age, head) in (0..).zip(&heads) {
        let expected = one_recording(heads[0].at as u64 - age);
        let kept = store.recording(head.call).await.unwrap().unwrap();
        assert!(kept == expected, "{kept:?}");
    }
    for (key, id) in acknowledged.iter().filter(|(kind, _)| kind.len() == 36) {
        if key.starts_with("iof_") {
            let kept = store.key(key).await.unwrap().unwrap();
            assert_eq!(kept.function_id, Some(*id as i64));
            continue;
        }
        let function = store.function(*id as i64).await.unwrap().unwrap();
        assert!(function.usage_key_hash.unwrap().matches(key));
    }
}
