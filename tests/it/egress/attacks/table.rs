//! The table: what a URL may say to get where it must not, with the number of its section in the list of ways out that
//! must stay shut.

/// A host that leads to an address which is not public.
pub(crate) struct Host {
    pub(crate) section: u8,
    /// As a URL writes it.
    pub(crate) spelling: &'static str,
    /// The address that it means.
    pub(crate) address: &'static str,
    /// The class by which it is refused; the operator's log names it.
    pub(crate) class: &'static str,
}

const fn host(
    section: u8,
    spelling: &'static str,
    address: &'static str,
    class: &'static str,
) -> Host {
    Host {
        section,
        spelling,
        address,
        class,
    }
}

/// Spellings of addresses, which a URL's reader turns into the address.
#[rustfmt::skip]
pub(crate) const HOSTS: &[Host] = &[
    // 1. Loopback
    host(1, "127.0.0.1", "127.0.0.1", "loopback"),
    host(1, "127.1", "127.0.0.1", "loopback"),
    host(1, "127.0.1", "127.0.0.1", "loopback"),
    host(1, "127.127.127.127", "127.127.127.127", "loopback"),
    host(1, "0", "0.0.0.0", "unspecified"),
    host(1, "0.0.0.0", "0.0.0.0", "unspecified"),
    host(1, "0.1.2.3", "0.1.2.3", "this-network"),
    host(1, "[::1]", "::1", "loopback"),
    host(1, "[0000::1]", "::1", "loopback"),
    host(1, "[::]", "::", "unspecified"),
    host(1, "[::ffff:127.0.0.1]", "::ffff:127.0.0.1", "ipv4-in-ipv6"),
    host(1, "[::FFFF:7F00:1]", "::ffff:127.0.0.1", "ipv4-in-ipv6"),
    host(1, "[0:0:0:0:0:ffff:127.0.0.1]", "::ffff:127.0.0.1", "ipv4-in-ipv6"),
    // 2. Encodings
    host(2, "2130706433", "127.0.0.1", "loopback"),
    host(2, "0x7f000001", "127.0.0.1", "loopback"),
    host(2, "0X7F000001", "127.0.0.1", "loopback"),
    host(2, "017700000001", "127.0.0.1", "loopback"),
    host(2, "0177.0.0.1", "127.0.0.1", "loopback"),
    host(2, "0x7f.1", "127.0.0.1", "loopback"),
    host(2, "0177.0x0.1", "127.0.0.1", "loopback"),
    host(2, "127.0.0.1.", "127.0.0.1", "loopback"),
    host(2, "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}", "127.0.0.1", "loopback"),
    host(2, "\u{ff11}\u{ff12}\u{ff17}.\u{ff10}.\u{ff10}.\u{ff11}", "127.0.0.1", "loopback"),
    host(2, "127\u{3002}0\u{3002}0\u{3002}1", "127.0.0.1", "loopback"),
    host(2, "127.0.\u{ad}0.1", "127.0.0.1", "loopback"),
    // 3. Special ranges
    host(3, "10.0.0.1", "10.0.0.1", "private"),
    host(3, "172.16.0.1", "172.16.0.1", "private"),
    host(3, "172.31.255.255", "172.31.255.255", "private"),
    host(3, "192.168.0.1", "192.168.0.1", "private"),
    host(3, "100.64.0.1", "100.64.0.1", "shared"),
    host(3, "100.127.255.255", "100.127.255.255", "shared"),
    host(3, "100.100.100.200", "100.100.100.200", "shared"),
    host(3, "169.254.169.254", "169.254.169.254", "link-local"),
    host(3, "2852039166", "169.254.169.254", "link-local"),
    host(3, "168.63.129.16", "168.63.129.16", "cloud-platform"),
    host(3, "192.0.0.192", "192.0.0.192", "protocol-assignment"),
    host(3, "192.88.99.1", "192.88.99.1", "protocol-assignment"),
    host(3, "192.0.2.1", "192.0.2.1", "documentation"),
    host(3, "198.51.100.1", "198.51.100.1", "documentation"),
    host(3, "203.0.113.1", "203.0.113.1", "documentation"),
    host(3, "198.18.0.1", "198.18.0.1", "benchmarking"),
    host(3, "198.19.255.255", "198.19.255.255", "benchmarking"),
    host(3, "224.0.0.1", "224.0.0.1", "multicast"),
    host(3, "239.255.255.255", "239.255.255.255", "multicast"),
    host(3, "240.0.0.1", "240.0.0.1", "reserved"),
    host(3, "255.255.255.255", "255.255.255.255", "broadcast"),
    host(3, "[fc00::1]", "fc00::1", "private"),
    host(3, "[fd00:ec2::254]", "fd00:ec2::254", "private"),
    host(3, "[fec0::1]", "fec0::1", "private"),
    host(3, "[fe80::1]", "fe80::1", "link-local"),
    host(3, "[febf::1]", "febf::1", "link-local"),
    host(3, "[ff02::1]", "ff02::1", "multicast"),
    host(3, "[2001:db8::1]", "2001:db8::1", "documentation"),
    host(3, "[3fff::1]", "3fff::1", "documentation"),
    host(3, "[2001:2::1]", "2001:2::1", "benchmarking"),
    host(3, "[2001:20::1]", "2001:20::1", "protocol-assignment"),
    host(3, "[100::1]", "100::1", "reserved"),
    host(3, "[4000::1]", "4000::1", "reserved"),
    // 4. IPv4 inside IPv6, around private and around public addresses
    host(4, "[::10.0.0.1]", "::10.0.0.1", "ipv4-in-ipv6"),
    host(4, "[::8.8.8.8]", "::8.8.8.8", "ipv4-in-ipv6"),
    host(4, "[::ffff:8.8.8.8]", "::ffff:8.8.8.8", "ipv4-in-ipv6"),
    host(4, "[::ffff:0:127.0.0.1]", "::ffff:0:127.0.0.1", "ipv4-in-ipv6"),
    host(4, "[64:ff9b::10.0.0.1]", "64:ff9b::10.0.0.1", "ipv4-in-ipv6"),
    host(4, "[64:ff9b::8.8.8.8]", "64:ff9b::8.8.8.8", "ipv4-in-ipv6"),
    host(4, "[64:ff9b:1::8.8.8.8]", "64:ff9b:1::8.8.8.8", "ipv4-in-ipv6"),
    host(4, "[2002:7f00:1::1]", "2002:7f00:1::1", "ipv4-in-ipv6"),
    host(4, "[2002:808:808::1]", "2002:808:808::1", "ipv4-in-ipv6"),
    host(4, "[2001:0:808:808::1]", "2001:0:808:808::1", "ipv4-in-ipv6"),
    host(4, "[2600:1f00::5efe:8.8.8.8]", "2600:1f00::5efe:8.8.8.8", "ipv4-in-ipv6"),
    host(4, "[2600:1f00::200:5efe:127.0.0.1]", "2600:1f00::200:5efe:127.0.0.1", "ipv4-in-ipv6"),
    // 6. What the operator denies though it is public: `egress.deny` of these tests
    host(6, "[3ffe:dead::1]", "3ffe:dead::1", "in the denied range 3ffe:dead::/32"),
];

/// Names that mean this machine, whatever a name server says (sections 1 and 2).
pub(crate) const LOCAL_NAMES: &[&str] = &[
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "ip6-localhost",
    "ip6-loopback",
    "localhost.localdomain",
    "\u{24db}ocalhost",
    "local\u{ad}host",
];

/// Texts that a lenient reader takes for a URL of the victim, whose port is `PORT` (sections 2 and 8).
pub(crate) const MISSPELT: &[&str] = &[
    "http://allowed.test@127.0.0.1:PORT/",
    "http://user:secret@127.0.0.1:PORT/",
    "http://a:80\\@127.0.0.1:PORT/",
    "http://allowed.test\\@127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT/",
    "http://127.0.0.\t1:PORT/",
    "http://127.0.0.1\n:PORT/",
    "http://127.0.0.1:PORT/\r\nX-Smuggled: 1",
    "http://127.0.0.1\0:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127%2e0.0.1:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:/",
    "http://127.0.0.1:PORT:PORT/",
    "http://256.256.256.256/",
    "http://1.127.0.0.1:PORT/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_GET%20/",
    "ws://127.0.0.1:PORT/",
    "unix:///var/run/docker.sock",
    "data:text/plain,reached",
    "javascript:alert(1)",
    "jar:http://127.0.0.1:PORT/!/",
    "//127.0.0.1:PORT/",
];

/// The statuses that redirect.
pub(crate) const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Public by its class, and nobody's: of the 6bone, which ended in 2006 (RFC 3701).
pub(crate) const NOWHERE: &str = "3ffe::1";
