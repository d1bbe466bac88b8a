//! The addresses of this machine itself.
//!
//! Each check binds a socket: three system calls for a new connection and none for a request
//! on a pooled one. Unlike a list of interfaces this covers `127.0.0.0/8`, routed-to-local ranges and addresses that
//! were added since the start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Returns `true` if `ip` is an address of this machine now, also if that cannot be determined.
pub(super) fn has(ip: IpAddr) -> bool {
    match bind(ip) {
        Ok(_) => !binds_foreign(ip) || is_routed_here(ip),
        Err(e) => e.kind() != io::ErrorKind::AddrNotAvailable,
    }
}

fn bind(ip: IpAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::new(ip, 0))
}

/// Returns whether sockets can be bound to addresses of other machines (`net.ipv4.ip_nonlocal_bind`, which fail-over
/// pairs set), tried with an address for documentation (RFC 5737, RFC 3849).
fn binds_foreign(like: IpAddr) -> bool {
    let foreign: IpAddr = match like {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    bind(foreign).is_ok()
}

/// Returns `true` if packets to `ip` stay on this machine: their source would be `ip` itself, or loopback. No packet is
/// sent for this test.
fn is_routed_here(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = bind(any).and_then(|socket| {
        socket.connect(SocketAddr::new(ip, 9))?;
        socket.local_addr()
    });
    match from {
        Ok(from) => from.ip() == ip || from.ip().is_loopback(),
        Err(e) => !matches!(
            e.kind(),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_routed_here_are_distinguished_from_others() {
        for (ip, here) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("192.0.2.7", false),
        ] {
            assert_eq!(is_routed_here(ip.parse().unwrap()), here, "{ip}");
        }
    }
}
