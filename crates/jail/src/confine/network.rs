//! The network of a jail: a loopback interface with one listener on it.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The address of a jail's proxy: the port that proxies have used since Squid.
pub(crate) const PROXY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 3128);

/// Brings up the loopback interface of a new network namespace, and listens.
pub(crate) fn listen() -> io::Result<TcpListener> {
    loopback_up()?;
    let listener = TcpListener::bind(PROXY)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Sets `IFF_UP` on interface 1, which a new network namespace has, by one RTM_NEWLINK (rtnetlink(7)).
fn loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // NETLINK_ROUTE is 0.
        None,
    )?;
    let mut message = Vec::with_capacity(32);
    // nlmsghdr: length, type RTM_NEWLINK, flags NLM_F_REQUEST | NLM_F_ACK, sequence, port.
    message.extend(32_u32.to_ne_bytes());
    message.extend(16_u16.to_ne_bytes());
    message.extend(5_u16.to_ne_bytes());
    message.extend([0; 8]);
    // ifinfomsg: family, type, index, flags, which flags to change.
    message.extend([0; 4]);
    message.extend(1_i32.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    rustix::net::send(&socket, &message, rustix::net::SendFlags::empty())?;
    // nlmsgerr after the header: an error number, negated, or 0.
    let mut answer = [0; 256];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    match answer[..length].get(16..20) {
        Some(&[0, 0, 0, 0]) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(
            error.try_into().unwrap_or_default(),
        ))),
        None => Err(io::Error::other("no answer about the loopback interface")),
    }
}
