//! Classes of addresses. Only [`AddressClass::Public`] is dialled.
//!
//! The list is positive for IPv6 (nothing outside `2000::/3` is global unicast, RFC 4291 section
//! 2.4) and negative for IPv4 (the special-purpose registry of RFC 6890, as IANA keeps it, and the
//! one public address that a cloud answers from inside the machine). An IPv6 address that carries
//! an IPv4 address is refused, whichever it carries: a translator on the way decides where it leads,
//! and this host cannot know. `Ipv6Addr::is_global` of the standard library is unstable, and accepts
//! 6to4, Teredo, NAT64 and ISATAP.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an address, by the registries of special-purpose addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Global unicast: the only class that is dialled without a pin.
    Public,
    /// `0.0.0.0` and `::`, which reach the machine itself.
    Unspecified,
    /// The rest of `0.0.0.0/8` (RFC 791).
    ThisNetwork,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// `10/8`, `172.16/12`, `192.168/16` (RFC 1918), `fc00::/7` (RFC 4193) and `fec0::/10` (RFC
    /// 3879).
    Private,
    /// `100.64.0.0/10`, carrier-grade NAT (RFC 6598); some clouds serve metadata here.
    Shared,
    /// `169.254.0.0/16` (RFC 3927) and `fe80::/10`: cloud metadata above all.
    LinkLocal,
    /// A public address that a cloud answers inside the machine: `168.63.129.16` (Azure WireServer).
    CloudPlatform,
    /// Protocol assignments: `192.0.0.0/24`, `192.88.99.0/24`, `2001::/23`.
    ProtocolAssignment,
    /// Documentation: `192.0.2/24`, `198.51.100/24`, `203.0.113/24`, `2001:db8::/32`, `3fff::/20`.
    Documentation,
    /// `198.18.0.0/15` (RFC 2544) and `2001:2::/48`.
    Benchmarking,
    /// `224.0.0.0/4` and `ff00::/8`.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// `240.0.0.0/4`, and IPv6 outside the allocated `2000::/3`.
    Reserved,
    /// An IPv4 address inside an IPv6 one: mapped, compatible, translated, NAT64, 6to4, Teredo,
    /// ISATAP.
    Ipv4InIpv6,
}

impl AddressClass {
    /// The class of `address`.
    pub fn of(address: IpAddr) -> AddressClass {
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// The name used in messages and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            AddressClass::Public => "public",
            AddressClass::Unspecified => "unspecified",
            AddressClass::ThisNetwork => "this-network",
            AddressClass::Loopback => "loopback",
            AddressClass::Private => "private",
            AddressClass::Shared => "shared",
            AddressClass::LinkLocal => "link-local",
            AddressClass::CloudPlatform => "cloud-platform",
            AddressClass::ProtocolAssignment => "protocol-assignment",
            AddressClass::Documentation => "documentation",
            AddressClass::Benchmarking => "benchmarking",
            AddressClass::Multicast => "multicast",
            AddressClass::Broadcast => "broadcast",
            AddressClass::Reserved => "reserved",
            AddressClass::Ipv4InIpv6 => "ipv4-in-ipv6",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, 0, 0, 0] => AddressClass::Unspecified,
        [0, ..] => AddressClass::ThisNetwork,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::Shared,
        [127, ..] => AddressClass::Loopback,
        [168, 63, 129, 16] => AddressClass::CloudPlatform,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 0, _] | [192, 88, 99, _] => AddressClass::ProtocolAssignment,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18..=19, ..] => AddressClass::Benchmarking,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // Compatible (RFC 4291 2.5.5.1), mapped (2.5.5.2) and translated (RFC 2765): all of ::/80 carries IPv4 or
        // nothing.
        [0, 0, 0, 0, ..] => AddressClass::Ipv4InIpv6,
        // NAT64: 64:ff9b::/96 (RFC 6052) and the local-use 64:ff9b:1::/48 (RFC 8215).
        [0x64, 0xff9b, ..] => AddressClass::Ipv4InIpv6,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfec0..=0xfeff, ..] | [0xfc00..=0xfdff, ..] => AddressClass::Private,
        // ISATAP puts 0:5efe or 200:5efe before the IPv4 address, under any prefix (RFC 5214 6.1).
        [.., 0 | 0x200, 0x5efe, _, _] => AddressClass::Ipv4InIpv6,
        [0x2001, 0, ..] => AddressClass::Ipv4InIpv6, // Teredo (RFC 4380)
        [0x2001, 2, 0, ..] => AddressClass::Benchmarking,
        [0x2001, 1..=0x1ff, ..] => AddressClass::ProtocolAssignment,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        [0x2002, ..] => AddressClass::Ipv4InIpv6, // 6to4 (RFC 3056)
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: AddressClass, addresses: &[&str]) {
        for text in addresses {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(AddressClass::of(address), expected, "{text}");
        }
    }

    /// The first and last address of each range of `egress-attacks.md` items 1 and 3.
    #[test]
    fn special_ranges_are_named() {
        check(AddressClass::Unspecified, &["0.0.0.0", "::"]);
        check(AddressClass::ThisNetwork, &["0.0.0.1", "0.255.255.255"]);
        check(
            AddressClass::Loopback,
            &[
                "127.0.0.0",
                "127.0.0.1",
                "127.127.127.127",
                "127.255.255.255",
                "::1",
            ],
        );
        check(
            AddressClass::Private,
            &[
                "10.0.0.0",
                "10.255.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "fc00::",
                "fd00:ec2::254",
                "fd20:ce::254",
                "fdff:ffff::1",
                "fec0::1",
            ],
        );
        check(
            AddressClass::Shared,
            &["100.64.0.0", "100.100.100.200", "100.127.255.255"],
        );
        check(
            AddressClass::LinkLocal,
            &[
                "169.254.0.0",
                "169.254.169.254",
                "169.254.255.255",
                "fe80::1",
                "febf::1",
            ],
        );
        check(AddressClass::CloudPlatform, &["168.63.129.16"]);
        check(
            AddressClass::ProtocolAssignment,
            &[
                "192.0.0.0",
                "192.0.0.192",
                "192.0.0.255",
                "192.88.99.1",
                "2001:1::1",
                "2001:20::1",
                "2001:1ff::1",
            ],
        );
        check(
            AddressClass::Documentation,
            &[
                "192.0.2.0",
                "192.0.2.255",
                "198.51.100.1",
                "203.0.113.255",
                "2001:db8::",
                "2001:db8:ffff::1",
                "3fff::1",
                "3fff:fff::1",
            ],
        );
        check(
            AddressClass::Benchmarking,
            &["198.18.0.0", "198.19.255.255", "2001:2::1"],
        );
        check(
            AddressClass::Multicast,
            &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"],
        );
        check(
            AddressClass::Reserved,
            &[
                "240.0.0.0",
                "255.255.255.254",
                "100::1",
                "4000::1",
                "5f00::1",
                "fe00::1",
            ],
        );
        check(AddressClass::Broadcast, &["255.255.255.255"]);
    }

    /// Item 4: refused around private and around public addresses alike.
    #[test]
    fn every_embedding_of_ipv4_is_refused() {
        check(
            AddressClass::Ipv4InIpv6,
            &[
                "::ffff:127.0.0.1",
                "::ffff:8.8.8.8",
                "0:0:0:0:0:ffff:127.0.0.1",
                "::10.0.0.1",
                "::8.8.8.8",
                "::ffff:0:8.8.8.8",
                "64:ff9b::10.0.0.1",
                "64:ff9b::8.8.8.8",
                "64:ff9b:1::10.0.0.1",
                "64:ff9b:1:ffff::8.8.8.8",
                "2002:0a00:1::1",
                "2002:0808:0808::1",
                "2001::1",
                "2001:0:808:808::1",
                "2600:1f00::5efe:10.0.0.1",
                "2600:1f00::200:5efe:8.8.8.8",
            ],
        );
    }

    #[test]
    fn neighbours_of_special_ranges_are_public() {
        check(
            AddressClass::Public,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "168.63.129.15",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "191.255.255.255",
                "192.0.1.0",
                "192.0.3.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "2001:200::1",
                "2001:4860:4860::8888",
                "2606:4700::1111",
                "2003::1",
                "3ffe::1",
                "2600:1f00::5eff:0:1",
            ],
        );
    }
}
