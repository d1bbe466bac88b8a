//! A real name server on loopback, over UDP and TCP, with the answers that a test sets.
//!
//! Its messages are written by hand (RFC 1035 section 4): what an attacker's server would say is not what a library of
//! good manners lets one say.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// The kinds of records that are asked for.
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// A question, and what is known about who asks.
pub(crate) struct Question<'a> {
    /// In lower case, without the dot at the end.
    pub(crate) name: &'a str,
    /// The number of times that this was asked before, for the same family of addresses.
    pub(crate) before: usize,
    /// Over TCP, as after a truncated answer.
    pub(crate) tcp: bool,
}

/// The answer of the server. Every record lives for no time at all.
pub(crate) enum DnsAnswer {
    /// These addresses, those of the family asked for.
    Are(Vec<IpAddr>),
    /// Another name, which is to be asked for.
    Alias(String),
    /// A chain of other names, and the addresses of the last, all in one answer.
    Chain(Vec<String>, Vec<IpAddr>),
    /// There is no such name.
    Missing,
    /// More than fits: ask over TCP.
    Truncated,
}

impl DnsAnswer {
    /// These addresses.
    pub(crate) fn are(addresses: &[&str]) -> Self {
        Self::Are(parse(addresses))
    }
}

/// Addresses from text.
pub(crate) fn parse(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|text| text.parse().unwrap()).collect()
}

type Zone = dyn Fn(&Question<'_>) -> DnsAnswer + Send + Sync;

/// A running name server. It ends when it is dropped.
pub(crate) struct Dns {
    address: SocketAddr,
    zone: Arc<Asked>,
    /// The sockets' loops.
    _tasks: JoinSet<()>,
}

struct Asked {
    zone: Box<Zone>,
    /// The questions so far.
    log: Mutex<Vec<(u16, String)>>,
}

impl Dns {
    /// Starts on a free port.
    pub(crate) async fn start(
        zone: impl Fn(&Question<'_>) -> DnsAnswer + Send + Sync + 'static,
    ) -> Self {
        let zone = Arc::new(Asked {
            zone: Box::new(zone),
            log: Mutex::default(),
        });
        // Both protocols have the same port; the first that is free of one may be taken of the other.
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let asked = Arc::clone(&zone);
        tasks.spawn(async move {
            let mut message = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut message).await {
                if let Some(answer) = asked.answer(&message[..length], false) {
                    let _ = udp.send_to(&answer, from).await;
                }
            }
        });
        let asked = Arc::clone(&zone);
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = tcp.accept().await {
                let asked = Arc::clone(&asked);
                open.spawn(async move { asked.talk(stream).await });
            }
        });
        Self {
            address,
            zone,
            _tasks: tasks,
        }
    }

    /// The address at which it listens, over both protocols.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The line of `[egress]` that makes the server ask here.
    pub(crate) fn setting(&self) -> String {
        format!("dns_servers = [\"{}\"]\n", self.address)
    }

    /// True if anybody asked for a name.
    pub(crate) fn was_asked_for(&self, name: &str) -> bool {
        let log = self.zone.log.lock().unwrap();
        log.iter().any(|(_, asked)| asked == name)
    }
}

impl Asked {
    /// Messages over TCP have their length before them (RFC 1035 section 4.2.2).
    async fn talk(&self, mut stream: TcpStream) {
        while let Ok(length) = stream.read_u16().await {
            let mut message = vec![0; length.into()];
            if stream.read_exact(&mut message).await.is_err() {
                return;
            }
            let Some(answer) = self.answer(&message, true) else {
                return;
            };
            let mut framed = u16::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
            framed.extend(answer);
            if stream.write_all(&framed).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, message: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let (name, end) = read_name(message)?;
        let kind = u16::from_be_bytes(message.get(end..end + 2)?.try_into().ok()?);
        let before = {
            let mut log = self.log.lock().unwrap();
            let entry = (kind, name.clone());
            let before = log.iter().filter(|asked| **asked == entry).count();
            log.push(entry);
            before
        };
        let said = (self.zone)(&Question {
            name: &name,
            before,
            tcp,
        });
        let (mut truncated, mut missing) = (0, 0);
        let records = match said {
            DnsAnswer::Are(addresses) => of_family(&name, kind, addresses),
            DnsAnswer::Alias(to) => vec![record(&name, CNAME, &write_name(&to))],
            DnsAnswer::Chain(names, addresses) => {
                let mut owner = name;
                let mut records = Vec::new();
                for to in names {
                    records.push(record(&owner, CNAME, &write_name(&to)));
                    owner = to;
                }
                records.extend(of_family(&owner, kind, addresses));
                records
            }
            DnsAnswer::Missing => {
                missing = 3;
                vec![]
            }
            DnsAnswer::Truncated => {
                truncated = 0x0200;
                vec![]
            }
        };
        // A response, recursion desired and available.
        let flags: u16 = 0x8180 | truncated | missing;
        let mut answer = message.get(..2)?.to_vec();
        let count = u16::try_from(records.len()).unwrap();
        for field in [flags, 1, count, 0, 0] {
            answer.extend(field.to_be_bytes());
        }
        answer.extend(message.get(12..end + 4)?);
        answer.extend(records.concat());
        Some(answer)
    }
}

fn of_family(owner: &str, kind: u16, addresses: Vec<IpAddr>) -> Vec<Vec<u8>> {
    let of_one = |address| match (kind, address) {
        (A, IpAddr::V4(v4)) => Some(record(owner, A, &v4.octets())),
        (AAAA, IpAddr::V6(v6)) => Some(record(owner, AAAA, &v6.octets())),
        _ => None,
    };
    addresses.into_iter().filter_map(of_one).collect()
}

/// A record of class IN that nobody may keep.
fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = write_name(owner);
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0]);
    record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    record.extend(data);
    record
}

fn write_name(name: &str) -> Vec<u8> {
    let mut written = Vec::new();
    for label in name.split('.') {
        written.push(u8::try_from(label.len()).unwrap());
        written.extend(label.bytes());
    }
    written.push(0);
    written
}

/// The name of the first question, and where it ends.
fn read_name(message: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}
