//! Tunnels, whose bytes are not inspected: their targets, sizes, times and records.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use iof_egress::{Config, Egress, Kind, Outbound};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use crate::records::EntryList;
use crate::support::{Upstream, any_rule, outbound, quick, rules};

/// A server that echoes.
async fn parrot() -> Upstream {
    Upstream::raw(|mut stream| async move {
        let (mut input, mut output) = stream.split();
        let _ = tokio::io::copy(&mut input, &mut output).await;
    })
    .await
}

fn through(server: &Upstream, most: u64) -> (Egress, Arc<EntryList>) {
    EntryList::client(Config {
        pin: vec![server.pin("a.test")],
        max_request: ByteSize::b(most),
        max_response: ByteSize::b(most),
        ..quick()
    })
}

/// The bytes that come back for `sent`, up to the end.
async fn exchange(mut near: DuplexStream, sent: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    // A tunnel that was cut off takes no more.
    let _ = near.write_all(sent).await;
    let _ = near.shutdown().await;
    let _ = near.read_to_end(&mut back).await;
    back
}

#[tokio::test]
async fn a_tunnel_carries_exactly_its_limit() {
    let server = parrot().await;
    let authority = format!("a.test:{}", server.port());
    for (sent, outcome) in [(1000, "ok"), (1001, Kind::RequestTooLarge.code())] {
        let (egress, kept) = through(&server, 1000);
        let (rules, (near, far)) = (any_rule(), duplex(64));
        let context = outbound(&rules);
        let tunnel = egress.tunnel(&context, &authority).await.unwrap();
        let bytes = vec![b'x'; sent];
        let ((), back) = tokio::join!(tunnel.carry(far), exchange(near, &bytes));
        assert!(back.len() <= sent, "{}", back.len());
        let [entry] = &kept.take()[..] else {
            panic!("one entry")
        };
        assert_eq!((entry.outcome, entry.method), (outcome, "CONNECT"));
        assert_eq!(entry.bytes_out, sent as u64);
        if outcome == "ok" {
            assert_eq!((back.len(), entry.bytes_in), (sent, sent as u64));
        }
    }
}

#[tokio::test]
async fn an_endless_upstream_is_cut_off() {
    let server =
        Upstream::raw(
            |mut stream| async move { while stream.write_all(&[0; 4096]).await.is_ok() {} },
        )
        .await;
    let (egress, kept) = through(&server, 100_000);
    let (rules, (mut near, far)) = (any_rule(), duplex(4096));
    let context = outbound(&rules);
    let authority = format!("a.test:{}", server.port());
    let tunnel = egress.tunnel(&context, &authority).await.unwrap();
    let mut back = Vec::new();
    let (_, read) = tokio::join!(tunnel.carry(far), near.read_to_end(&mut back));
    read.unwrap();
    assert_eq!(back.len(), 100_001, "and the byte that exceeds the limit");
    let [entry] = &kept.take()[..] else {
        panic!("one entry")
    };
    assert_eq!(entry.outcome, Kind::ResponseTooLarge.code());
}

#[tokio::test]
async fn a_tunnel_ends_with_its_call() {
    let server = parrot().await;
    let (egress, kept) = through(&server, 1000);
    let (rules, (near, far)) = (any_rule(), duplex(64));
    let context = Outbound {
        deadline: Instant::now() + Duration::from_millis(300),
        ..outbound(&rules)
    };
    let authority = format!("a.test:{}", server.port());
    let tunnel = egress.tunnel(&context, &authority).await.unwrap();
    let began = Instant::now();
    tunnel.carry(far).await;
    drop(near);
    assert!(began.elapsed() < Duration::from_secs(5));
    let [entry] = &kept.take()[..] else {
        panic!("one entry")
    };
    assert_eq!(entry.outcome, Kind::TimeoutTotal.code());
}

#[tokio::test]
async fn only_a_rule_for_the_whole_origin_opens_one() {
    let server = parrot().await;
    let (egress, _) = through(&server, 1000);
    let authority = format!("a.test:{}", server.port());
    for (rule, open) in [
        ("* https://a.test:*", true),
        ("* https://*.test:*", true),
        ("GET https://a.test:*", false),
        ("* https://a.test:*/path", false),
        ("* https://a.test", false),
        ("* http://a.test:*", false),
    ] {
        let rules = rules(&[rule]);
        let context = outbound(&rules);
        let opened = egress.tunnel(&context, &authority).await;
        assert_eq!(opened.is_ok(), open, "{rule}");
    }
    let rules = any_rule();
    let context = outbound(&rules);
    for elsewhere in ["a.test:443/path", "a.test:443?query", "user@a.test:443", ""] {
        let refused = egress.tunnel(&context, elsewhere).await.err();
        assert_eq!(refused.unwrap().kind(), Kind::Url, "{elsewhere}");
    }
}
