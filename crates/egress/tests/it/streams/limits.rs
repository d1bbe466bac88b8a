//! Sizes, times, rules and redirects.

use super::*;

#[tokio::test]
async fn limits_hold_while_bodies_stream() {
    let server = echo().await;
    let mut config = Config {
        pin: vec![server.pin("up.test")],
        max_request: bytesize::ByteSize::mib(2),
        max_response: bytesize::ByteSize::mib(1),
        ..quick()
    };
    let egress = Egress::new(config.clone()).unwrap();
    let made = Arc::new(AtomicU64::new(0));
    let mut sent = start(&egress, post(&server, megabytes(2, made.clone())));
    let body = sent.head().await.into_body();
    let error = body.collect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResponseTooLarge);
    config.max_response = bytesize::ByteSize::gib(1);
    let egress = Egress::new(config).unwrap();
    let mut sent = start(&egress, post(&server, megabytes(9, made)));
    let error = match (&mut sent.head).await {
        // The answer began before the request was too large.
        Ok(head) => head.into_body().collect().await.unwrap_err(),
        Err(_) => sent.end.await.unwrap().unwrap_err(),
    };
    assert!(
        [Kind::RequestTooLarge, Kind::Protocol].contains(&error.kind()),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_source_is_not_a_slow_upstream() {
    let server = echo().await;
    let config = Config {
        first_byte_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(200),
        ..quick()
    };
    let egress = with(&server, config);
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    source.send(Ok(b"a")).await.unwrap();
    let _head = sent.head().await;
    drop(source);
    // One that swallows everything and says nothing.
    let server = Upstream::http(|_, body| text(200, body)).await;
    let egress = with(
        &server,
        Config {
            first_byte_timeout: Duration::from_millis(300),
            idle_timeout: Duration::from_millis(300),
            ..quick()
        },
    );
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    for _ in 0..4 {
        source.send(Ok(b"a")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    drop(source);
    let read = sent.head().await.into_body().collect().await.unwrap();
    assert_eq!(read.to_bytes(), "aaaa");
}

#[tokio::test]
async fn a_silent_upstream_is_ended_by_its_limits() {
    let server = Upstream::raw(|mut stream| async move {
        let mut read = [0; 4096];
        while stream.read(&mut read).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let egress = with(
        &server,
        Config {
            first_byte_timeout: Duration::from_millis(200),
            ..quick()
        },
    );
    let (source, body) = channel();
    let sent = start(&egress, post(&server, body));
    source.send(Ok(b"a")).await.unwrap();
    drop(source);
    assert_eq!(sent.error().await.kind(), Kind::TimeoutFirstByte);
    // One that does not even read.
    let server = Upstream::raw(|stream| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(stream);
    })
    .await;
    let egress = with(
        &server,
        Config {
            idle_timeout: Duration::from_millis(200),
            ..quick()
        },
    );
    let began = Instant::now();
    let sent = start(&egress, post(&server, megabytes(256, Arc::default())));
    assert_eq!(sent.error().await.kind(), Kind::TimeoutIdle);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn rules_and_redirects() {
    let server = Upstream::http(|_, _| redirect(307, "http://127.0.0.1:1/")).await;
    let egress = client(&server);
    let mut sent = start(&egress, post(&server, megabytes(1, Arc::default())));
    let head = sent.head().await;
    assert_eq!(head.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(head.headers()["location"], "http://127.0.0.1:1/");
    let only = rules(&["GET http://other.test"]);
    let denied = start_with(
        &egress,
        only,
        SecretInjections::default(),
        get(&server, "/"),
    );
    assert_eq!(denied.error().await.kind(), Kind::Denied);
    let mut request = get(&server, "/");
    *request.uri_mut() = "http://127.0.0.1:1/".parse().unwrap();
    assert_eq!(start(&egress, request).error().await.kind(), Kind::Address);
}

/// A time to connect of the request's own, which the setting would not end.
#[tokio::test]
async fn a_request_may_give_less_time_to_connect() {
    // It accepts, but never starts the TLS handshake.
    let server = Upstream::raw(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let egress = with(&server, quick());
    let (sender, _head) = oneshot::channel();
    let rules = any_rule();
    let context = outbound(&rules);
    let request = Request::get(format!("https://up.test:{}/", server.port()))
        .body(nothing())
        .unwrap();
    let timeouts = StreamTimeouts {
        connect: Some(Duration::from_millis(100)),
        ..StreamTimeouts::default()
    };
    let began = Instant::now();
    let error = egress
        .exchange(&context, request, timeouts, sender)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::TimeoutConnect);
    assert!(error.to_string().contains("its request gives"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
}
