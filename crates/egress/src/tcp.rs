//! TCP to the first of several addresses that answers, in the order of RFC 8305: families
//! interleaved, the next address a quarter of a second after the one before.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The time that an address gets before the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that may still arrive.
pub(crate) type Rest<'a> = Option<BoxFuture<'a, Vec<SocketAddr>>>;

/// The failure to reach any of some addresses.
#[derive(Debug)]
pub(crate) struct ConnectError {
    pub(crate) last: io::Error,
    pub(crate) tried: Vec<SocketAddr>,
}

/// Connects to the first of `addresses` that answers, and of `rest` once it arrived.
pub(crate) async fn connect_first(
    addresses: &[SocketAddr],
    rest: &mut Rest<'_>,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let mut waiting = VecDeque::from(interleave(addresses.to_vec()));
    let mut tried = Vec::with_capacity(waiting.len());
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut next_at = Instant::now();
    loop {
        if (attempts.is_empty() || Instant::now() >= next_at)
            && let Some(next) = waiting.pop_front()
        {
            tried.push(next);
            attempts.push(async move { Ok((TcpStream::connect(next).await?, next)) });
            next_at = Instant::now() + STAGGER;
        }
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(connected) => return Ok(connected),
                Err(e) => (last, next_at) = (e, Instant::now()),
            },
            more = come(rest), if rest.is_some() => waiting.extend(interleave(more)),
            () = tokio::time::sleep_until(next_at), if !waiting.is_empty() => {}
            else => return Err(ConnectError { last, tried }),
        }
    }
}

/// Takes the rest of the addresses.
async fn come(rest: &mut Rest<'_>) -> Vec<SocketAddr> {
    let Some(coming) = rest else {
        return Vec::new();
    };
    let result = coming.await;
    *rest = None;
    result
}

/// IPv6 first, then one of each family in turn (RFC 8305 section 4).
pub(crate) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut turns = Vec::with_capacity(v6.len() + v4.len());
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| {
            list.iter()
                .map(|a| a.parse().unwrap())
                .collect::<Vec<SocketAddr>>()
        };
        let mixed = parse(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[2600::1]:1"]);
        assert_eq!(
            interleave(mixed),
            parse(&["[2600::1]:1", "1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"])
        );
    }

    /// A dead first address costs a quarter of a second, not the whole connect_timeout.
    #[tokio::test]
    async fn the_next_address_is_tried_beside_a_silent_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // A listener whose queue is full answers no further SYN.
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let refused = full.local_addr().unwrap();
        let (stream, to) = connect_first(&[refused, good], &mut None).await.unwrap();
        assert_eq!((stream.peer_addr().unwrap(), to), (good, good));
        let unreached = connect_first(&[refused], &mut None).await.unwrap_err();
        assert_eq!(unreached.tried, [refused]);
    }

    /// Late addresses are tried once nothing else is left, and not waited for before.
    #[tokio::test]
    async fn late_addresses_are_tried_if_no_other_is_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let refused = tokio::net::TcpSocket::new_v4().unwrap();
        refused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let refused = refused.local_addr().unwrap();
        let late = |address| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            vec![address]
        };
        let mut rest: Rest<'_> = Some(Box::pin(late(good)));
        let (_, to) = connect_first(&[refused], &mut rest).await.unwrap();
        assert_eq!(to, good);
        let mut never: Rest<'_> = Some(Box::pin(std::future::pending()));
        let (_, to) = connect_first(&[good], &mut never).await.unwrap();
        assert_eq!(to, good);
        let mut rest: Rest<'_> = Some(Box::pin(async { vec![] }));
        let unreached = connect_first(&[refused], &mut rest).await.unwrap_err();
        assert_eq!(unreached.tried, [refused]);
    }
}
