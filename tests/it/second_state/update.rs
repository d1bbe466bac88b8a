//! `PUT /api/update_wasm_binary`: a new module under the same number, while calls run.

use crate::second_state::modules;
use iof_tests::{
    call::{Answer, Uploaded},
    joey::Joey,
    server::Server,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const OCTETS: &str = "application/octet-stream";

async fn update(joey: &Joey, function: &Uploaded, module: impl AsRef<[u8]>) -> Answer {
    joey.call("PUT", format!("/api/update_wasm_binary/{}", function.id))
        .header("Content-Type", OCTETS)
        .header("SSVM_Admin_Key", &*function.admin_key)
        .body(module)
        .send()
        .await
}

async fn version(joey: &Joey, id: u64, function: &str) -> u32 {
    let answer = joey.run(id, function, "text/plain", "x").await;
    assert_eq!(
        (answer.http.as_u16(), answer.status(), answer.fault()),
        (200, 200, ""),
        "{answer:?} {}",
        answer.text()
    );
    answer.text().parse().unwrap()
}

#[tokio::test]
async fn the_next_call_runs_the_new_module() {
    let mut server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::version(1, 0)).await;
    assert_eq!(version(&joey, function.id, "version").await, 1);
    for number in 2..=6 {
        let module = modules::version(number, 0);
        let done = update(&joey, &function, &module).await.json();
        assert_eq!(done["wasm_id"], function.id.to_string(), "a text here");
        assert_eq!(done["wasm_sha256"], modules::legacy_sha256(&module));
        assert_eq!(version(&joey, function.id, "version").await, number);
    }
    // Back to an earlier module.
    assert_eq!(
        update(&joey, &function, modules::version(1, 0))
            .await
            .status(),
        200
    );
    assert_eq!(version(&joey, function.id, "version").await, 1);
    // An acknowledged update survives a kill.
    assert_eq!(
        update(&joey, &function, modules::version(9, 0))
            .await
            .status(),
        200
    );
    server.kill().await;
    let server = server.restart().await;
    assert_eq!(
        version(&Joey::http(&server), function.id, "version").await,
        9
    );
}

#[tokio::test]
async fn calls_in_progress_finish_on_the_old_module() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::version(1, 1500)).await;
    version(&joey, function.id, "version").await;
    let slow = futures::future::join_all((0..5).map(|_| version(&joey, function.id, "slow")));
    let swap = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(
            update(&joey, &function, modules::version(2, 0))
                .await
                .status(),
            200
        );
        version(&joey, function.id, "version").await
    };
    let (old, new) = tokio::join!(slow, swap);
    assert_eq!((old, new), (vec![1; 5], 2));
}

#[tokio::test]
async fn a_refused_update_changes_nothing() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::version(1, 0)).await;
    let other = server.upload(modules::version(2, 0)).await;
    let stranger = Uploaded {
        admin_key: other.admin_key.clone(),
        ..function.clone()
    };
    let answer = update(&joey, &stranger, modules::version(3, 0)).await;
    assert_eq!((answer.status(), answer.fault()), (403, "admin-key"));
    for (module, fault) in [
        (b"no module".to_vec(), "not-wasm"),
        (vec![], "not-wasm"),
        (b"\0asm\x01\0\0\0\xff".to_vec(), "invalid-module"),
    ] {
        let answer = update(&joey, &function, module).await;
        assert_eq!(
            (answer.status(), answer.fault()),
            (400, fault),
            "{answer:?}"
        );
    }
    let unknown = iof_tests::guests::wat("(module (import \"env\" \"launch\" (func)))");
    assert_eq!(
        update(&joey, &function, unknown).await.fault(),
        "unknown-import"
    );
    let call = joey
        .call("PUT", format!("/api/update_wasm_binary/{}", function.id))
        .header("Content-Type", "text/plain");
    let answer = call
        .header("SSVM_Admin_Key", &*function.admin_key)
        .body(modules::version(3, 0))
        .send()
        .await;
    assert_eq!((answer.status(), answer.fault()), (415, "content-type"));
    assert_eq!(version(&joey, function.id, "version").await, 1);
    assert_eq!(version(&joey, other.id, "version").await, 2);
}

#[tokio::test]
async fn state_keys_and_description_stay() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = joey.deploy(modules::version(1, 0)).await;
    let admin = |method: &str, path: String| {
        joey.call(method, path)
            .header("SSVM_Admin_Key", &*function.admin_key)
    };
    let id = function.id;
    let put = admin("PUT", format!("/api/state/{id}")).header("Content-Type", "text/plain");
    assert_eq!(put.body("kept").send().await.status(), 200);
    let key = admin("PUT", format!("/api/keys/{id}/usage_key"))
        .send()
        .await
        .json();
    let key = key["SSVM_Usage_Key"].as_str().unwrap();
    assert_eq!(
        update(&joey, &function, modules::state()).await.status(),
        200
    );
    let run = || joey.call("POST", format!("/api/run/{id}/state"));
    assert_eq!(run().send().await.fault(), "usage-key");
    assert_eq!(
        run().header("SSVM_Usage_Key", key).send().await.text(),
        "kept"
    );
    let read = joey
        .get(format!(
            "/api/executables/{id}?filterBy=%5B%22wasm_description%22%5D"
        ))
        .await;
    assert_eq!(read.text(), "{\"wasm_description\":\"Hello\"}");
}

/// Fifty clients call while the module is replaced twelve times: each answer is that of a module that was active during
/// the call, and none is an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_never_notice_an_update() {
    const LAST: u32 = 12;
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::version(1, 0)).await;
    let (begun, done, over) = (AtomicU32::new(1), AtomicU32::new(1), AtomicBool::new(false));
    let (id, joey) = (function.id, &joey);
    let clients = (0..50).map(|_| async {
        let mut calls = 0;
        while !over.load(Ordering::SeqCst) {
            let least = done.load(Ordering::SeqCst);
            let seen = version(joey, id, "version").await;
            let most = begun.load(Ordering::SeqCst);
            assert!(
                (least..=most).contains(&seen),
                "version {seen} between {least} and {most}"
            );
            calls += 1;
        }
        calls
    });
    let swaps = async {
        for number in 2..=LAST {
            tokio::time::sleep(Duration::from_millis(50)).await;
            begun.store(number, Ordering::SeqCst);
            let answer = update(joey, &function, modules::version(number, 0)).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            done.store(number, Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        over.store(true, Ordering::SeqCst);
    };
    let (calls, ()): (Vec<u32>, ()) = tokio::join!(futures::future::join_all(clients), swaps);
    assert!(calls.iter().all(|calls| *calls > 0), "{calls:?}");
    assert_eq!(version(joey, id, "version").await, LAST);
}

/// After two concurrent updates, one of them is the module, as the digest shows.
#[tokio::test]
async fn one_of_two_concurrent_updates_is_the_last() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::version(1, 0)).await;
    let modules: Vec<_> = (2..10).map(|number| modules::version(number, 0)).collect();
    let answers = futures::future::join_all(
        modules
            .iter()
            .map(|module| update(&joey, &function, module)),
    )
    .await;
    assert!(
        answers.iter().all(|answer| answer.status() == 200),
        "{answers:?}"
    );
    let read = joey
        .get(format!(
            "/api/executables/{}?filterBy=%5B%22wasm_sha256%22%5D",
            function.id
        ))
        .await;
    let number = version(&joey, function.id, "version").await;
    assert_eq!(
        read.json()["wasm_sha256"],
        modules::legacy_sha256(&modules::version(number, 0))
    );
}

/// A call that begins after a change was acknowledged sees it, even if others load the function at that moment.
#[tokio::test]
async fn a_change_is_visible_at_once_to_every_call() {
    let server = Arc::new(Server::start("").await);
    let function = server.upload(modules::state()).await;
    let path = format!("/api/run/{}/state", function.id);
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (server, path, stop) = (server.clone(), path.clone(), stop.clone());
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                server.answer(server.request("POST", &path)).await;
            }
        });
    }
    for n in 0..200 {
        let written = n.to_string();
        let write = server
            .request("PUT", &format!("/api/state/{}", function.id))
            .header("SSVM_Admin_Key", &function.admin_key)
            .header("Content-Type", "text/plain")
            .body(written.clone());
        assert_eq!(server.answer(write).await.status(), 200);
        let seen = server.answer(server.request("POST", &path)).await;
        assert_eq!(seen.text(), written);
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
}
