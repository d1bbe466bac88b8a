//! The scriptable upstream: it behaves as its table says.

use std::time::{Duration, Instant};

use iof_tests::upstream::{GZIP_TEXT, Rude, Upstream};

fn client() -> reqwest::Client {
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(none)
        .build()
        .unwrap()
}

#[tokio::test]
async fn manners() {
    let upstream = Upstream::start().await;
    let get = |path: &str| client().get(upstream.url(path)).send();

    let echo = client()
        .patch(upstream.url("/echo?q=1"))
        .header("x-a", "b")
        .body("hi")
        .send()
        .await
        .unwrap();
    let echo: serde_json::Value = echo.json().await.unwrap();
    assert_eq!(
        (&echo["method"], &echo["path"], &echo["body"]),
        (&"PATCH".into(), &"/echo?q=1".into(), &"hi".into())
    );
    assert_eq!(echo["headers"]["x-a"], "b");

    assert_eq!(get("/status/503").await.unwrap().status(), 503);
    assert_eq!(get("/nothing").await.unwrap().status(), 204);
    let start = Instant::now();
    get("/slow/120").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(120));
    assert_eq!(get("/drip/3/1").await.unwrap().text().await.unwrap(), "...");
    assert_eq!(get("/size/5").await.unwrap().text().await.unwrap(), "xxxxx");
    assert!(
        get("/cut/10").await.unwrap().bytes().await.is_err(),
        "the body must break off"
    );
    let redirect = get("/redirect/307?http%3A%2F%2F10.0.0.1%2Fx")
        .await
        .unwrap();
    assert_eq!(
        (redirect.status().as_u16(), &redirect.headers()["location"]),
        (307, &"http://10.0.0.1/x".parse().unwrap())
    );
    let squeezed = get("/gzip").await.unwrap();
    assert_eq!(squeezed.headers()["content-encoding"], "gzip");
    assert_ne!(squeezed.text().await.unwrap(), GZIP_TEXT);
    assert!(get("/headers/50").await.unwrap().headers().len() >= 50);
    let mut endless = get("/endless").await.unwrap();
    let mut bytes = 0;
    while bytes < 1 << 20 {
        bytes += endless
            .chunk()
            .await
            .unwrap()
            .expect("there is always more")
            .len();
    }
    assert_eq!(
        upstream.seen().first().map(|seen| seen.method.clone()),
        Some("PATCH".into())
    );
}

#[tokio::test]
async fn rude() {
    let rude = Rude::start("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").await;
    let answer = client()
        .get(format!("http://{}/", rude.address()))
        .send()
        .await
        .unwrap();
    assert!(answer.bytes().await.is_err());
}
