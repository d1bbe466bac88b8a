//! Bodies that are not whole are not taken for whole.

use super::*;

#[tokio::test]
async fn a_length_that_is_not_the_bodys_is_an_error() {
    let server = Upstream::http(|_, body| text(200, body)).await;
    let egress = client(&server);
    for (declared, kind) in [
        ("4", Kind::Header),
        ("6", Kind::Header),
        ("5, 5", Kind::Header),
        ("+5", Kind::Header),
    ] {
        let (source, body) = channel();
        let mut request = post(&server, body);
        request
            .headers_mut()
            .insert("content-length", declared.parse().unwrap());
        let sent = start(&egress, request);
        let _ = source.send(Ok(b"five.")).await;
        drop(source);
        assert_eq!(sent.error().await.kind(), kind, "{declared}");
    }
    for name in [
        "host",
        "transfer-encoding",
        "connection",
        "expect",
        "upgrade",
    ] {
        let mut request = get(&server, "/");
        request.headers_mut().insert(name, "x".parse().unwrap());
        assert_eq!(
            start(&egress, request).error().await.kind(),
            Kind::Header,
            "{name}"
        );
    }
}

/// The other side must not take a part for the whole.
#[tokio::test]
async fn an_unfinished_request_is_aborted() {
    for failing in [true, false] {
        let (heard, mut hears) = mpsc::channel(1);
        let server = Upstream::raw(move |mut stream| {
            let heard = heard.clone();
            async move {
                let mut all = Vec::new();
                let _ = stream.read_to_end(&mut all).await;
                let _ = heard.send(String::from_utf8_lossy(&all).into_owned()).await;
            }
        })
        .await;
        let egress = client(&server);
        let (source, body) = channel();
        let sent = start(&egress, post(&server, body));
        source.send(Ok(b"part")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        match failing {
            true => {
                source.send(Err("the guest trapped".into())).await.unwrap();
                let error = sent.error().await;
                assert_eq!(
                    error.to_string(),
                    "the body of the request was not finished"
                );
            }
            false => {
                sent.end.abort();
            }
        }
        let heard = timeout(Duration::from_secs(5), hears.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(heard.contains("4\r\npart\r\n"), "{heard}");
        assert!(!heard.contains("\r\n0\r\n"), "{heard}");
    }
}

#[tokio::test]
async fn a_response_that_ends_early_is_an_error() {
    let server = Upstream::raw(|mut stream| async move {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfive.")
            .await;
    })
    .await;
    let egress = client(&server);
    let mut sent = start(&egress, get(&server, "/"));
    let mut body = sent.head().await.into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "five."
    );
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(sent.end.await.unwrap().is_err());
    // Cancelled from this side.
    let server = echo().await;
    let egress = client(&server);
    let (source, body) = channel();
    let mut sent = start(&egress, post(&server, body));
    source.send(Ok(b"one")).await.unwrap();
    let mut body = sent.head().await.into_body();
    body.frame().await.unwrap().unwrap();
    sent.end.abort();
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("cancelled"), "{error}");
}
