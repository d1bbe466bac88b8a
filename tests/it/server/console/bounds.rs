//! The bounds of sessions: how many, for how long, and how often one tries.

use super::{Browser, KEY, KEYS, try_sign_in};
use iof_tests::server::Server;
use std::time::{Duration, Instant};

#[tokio::test]
async fn sessions_attempts_and_streams_are_bounded() {
    let server = Server::start(format!(
        "{KEYS}[console]\nsessions = 3\nattempts = 2\nstreams = 2\n"
    ))
    .await;
    let browser = Browser::sign_in(&server, KEY).await;
    let streams = [(); 2].map(|()| browser.request("GET", "/console/events").send());
    let [first, second] = futures::future::join_all(streams).await.try_into().unwrap();
    let third = browser.head("/console/events").await;
    assert_eq!(third, (503, "console-streams".to_owned()));
    drop(first.unwrap());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let again = browser
        .request("GET", "/console/events")
        .send()
        .await
        .unwrap();
    assert_eq!(
        again.status(),
        200,
        "a stream whose page is gone makes room"
    );
    drop((second, again));

    for _ in 0..2 {
        Browser::sign_in(&server, KEY).await;
    }
    let full = try_sign_in(&server, KEY, "").await;
    assert_eq!(
        (full.http.as_u16(), full.fault()),
        (503, "console-sessions")
    );

    // A right key does not count, and after as many wrong ones as there may be a right one is not looked at.
    let server = Server::start(format!("{KEYS}[console]\nattempts = 2\n")).await;
    for _ in 0..4 {
        assert_eq!(try_sign_in(&server, KEY, "").await.http, 303);
    }
    for _ in 0..2 {
        assert_eq!(try_sign_in(&server, "wrong", "").await.fault(), "key");
    }
    let answer = try_sign_in(&server, KEY, "").await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (429, "console-attempts")
    );
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it() {
    let server = Server::start(format!(
        "{KEYS}[console]\nsession_idle = \"2s\"\nsession_time = \"4s\"\n"
    ))
    .await;
    let [idle, used] = [
        Browser::sign_in(&server, KEY).await,
        Browser::sign_in(&server, KEY).await,
    ];
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        // A page that was left open keeps itself up to date, and not its session.
        let live = idle.request("GET", "/console").header("iof-live", "1");
        server.answer(live).await;
        assert_eq!(used.get("/console").await.http, 200);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(idle.get("/console").await.http, 303);
    while began.elapsed() < Duration::from_millis(4500) {
        used.get("/console").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(used.get("/console").await.http, 303, "used or not, it ends");
}
