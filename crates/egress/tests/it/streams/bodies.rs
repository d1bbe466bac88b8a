//! Bodies that pass: piece by piece, framed as they are, and masked.

use super::*;

#[tokio::test]
async fn large_bodies_pass_in_constant_memory() {
    let server = echo().await;
    let egress = client(&server);
    let (count, made) = (256, Arc::new(AtomicU64::new(0)));
    let mut sent = start(&egress, post(&server, megabytes(count, made.clone())));
    let mut body = sent.head().await.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len() as u64;
        let ahead = made.load(Ordering::Relaxed) - (read >> 20);
        assert!(ahead < 32, "{ahead} MiB were made and not read");
    }
    assert_eq!(read, count << 20);
    sent.end.await.unwrap().unwrap();
}

#[tokio::test]
async fn backpressure_reaches_both_sides() {
    let server = echo().await;
    let egress = client(&server);
    let made = Arc::new(AtomicU64::new(0));
    let mut sent = start(&egress, post(&server, megabytes(256, made.clone())));
    let body = sent.head().await.into_body();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = made.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(made.load(Ordering::Relaxed), first);
    assert!(first < 64, "{first} MiB");
    drop(body);
    timeout(Duration::from_secs(5), sent.end)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn each_piece_arrives_when_it_is_made() {
    let server = echo().await;
    let egress = client(&server);
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    source.send(Ok(b"one")).await.unwrap();
    let mut body = sent.head().await.into_body();
    for piece in [&b"two"[..], b"three"] {
        let read = body.frame().await.unwrap().unwrap();
        assert!(read.into_data().is_ok());
        let none = timeout(Duration::from_millis(50), body.frame()).await;
        assert!(none.is_err(), "nothing else was sent");
        source.send(Ok(piece)).await.unwrap();
    }
    let read = body.frame().await.unwrap().unwrap();
    assert_eq!(read.into_data().unwrap(), "three");
    drop(source);
    assert!(body.frame().await.is_none());
    sent.end.await.unwrap().unwrap();
}

/// Chunks are for bodies of unknown length; a body that is not there has none.
#[tokio::test]
async fn framing_follows_the_body() {
    let server = Upstream::http(|request, body| {
        let says = |name| {
            request
                .headers
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        let (length, coding) = (says("content-length"), says("transfer-encoding"));
        text(200, format!("{length:?} {coding:?} {}", body.len()))
    })
    .await;
    let egress = client(&server);
    let read = async |request| {
        let body = start(&egress, request).head().await.into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    assert_eq!(read(get(&server, "/")).await, "None None 0");
    let (source, body) = channel();
    let chunked = read(post(&server, body));
    let (chunked, ()) = tokio::join!(chunked, async {
        source.send(Ok(b"five.")).await.unwrap();
        drop(source);
    });
    assert_eq!(chunked, "None Some(\"chunked\") 5");
    let whole = Full::new(Bytes::from_static(b"five."));
    let whole = whole.map_err(|never| match never {}).boxed_unsync();
    let mut request = post(&server, whole);
    request.headers_mut().insert("content-length", 5.into());
    assert_eq!(read(request).await, "Some(\"5\") None 5");
}

#[tokio::test]
async fn a_secret_is_masked_across_pieces() {
    let server = Upstream::raw(|mut stream| async move {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        for byte in format!("<{TOKEN}>{TOKEN}{TOKEN},{}", &TOKEN[..4]).bytes() {
            let _ = stream
                .write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])
                .await;
            let _ = stream.flush().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let _ = stream.write_all(b"0\r\n\r\n").await;
    })
    .await;
    let egress = client(&server);
    let secrets = one("* http://up.test:*", header("authorization"), "Bearer {T}");
    let mut sent = start_with(&egress, any_rule(), secrets, get(&server, "/"));
    let body = sent.head().await.into_body().collect().await.unwrap();
    let expected = format!("<***>***,{}", &TOKEN[..4]);
    assert_eq!(body.to_bytes(), expected);
}

#[tokio::test]
async fn a_response_without_a_body_has_ended() {
    let server = Upstream::http(|_, _| text(204, "")).await;
    let egress = client(&server);
    let mut sent = start(&egress, get(&server, "/"));
    let head = sent.head().await;
    assert!(head.body().is_end_stream());
    drop(head);
    sent.end.await.unwrap().unwrap();
    let server = Upstream::http(|_, _| text(200, "12345")).await;
    let egress = client(&server);
    let mut request = get(&server, "/");
    *request.method_mut() = http::Method::HEAD;
    let head = start(&egress, request).head().await;
    assert_eq!(head.headers()["content-length"], "5");
    assert!(head.body().is_end_stream());
}
