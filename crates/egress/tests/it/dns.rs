//! A name server on loopback whose answers a test chooses. Also part of the unit tests of `resolve`.

#![allow(dead_code, reason = "the unit tests need less of it than these")]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// A name server on loopback.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    queries: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

/// An answer of the name server.
pub(crate) enum DnsAnswer {
    /// These addresses (of the queried family), with a lifetime of 0.
    Are(Vec<IpAddr>),
    /// The same, without an answer to a query for the other family.
    Only(Vec<IpAddr>),
    Cname(String),
    NoSuchName,
    Failure,
    Nothing,
}

pub(crate) fn are(addresses: &[&str]) -> DnsAnswer {
    DnsAnswer::Are(addresses.iter().map(|a| a.parse().unwrap()).collect())
}

impl Dns {
    /// Starts the server. `respond` gets a name without its trailing dot, and the number of earlier queries for that
    /// name and type.
    pub(crate) async fn start(respond: impl Fn(&str, usize) -> DnsAnswer + Send + 'static) -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let queries = Arc::new(Mutex::new(Vec::new()));
        let log = queries.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Ok(query) = Message::from_vec(&buffer[..length]) else {
                    continue;
                };
                if let Some(answer) = answer(&query, &respond, &log) {
                    let _ = socket.send_to(&answer.to_vec().unwrap(), from).await;
                }
            }
        });
        Dns {
            address,
            queries,
            _tasks: tasks,
        }
    }

    /// The queries so far, as `A name`.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }
}

fn answer(
    query: &Message,
    respond: &impl Fn(&str, usize) -> DnsAnswer,
    log: &Mutex<Vec<String>>,
) -> Option<Message> {
    let question = query.queries.first()?.clone();
    let name = question.name().to_ascii();
    let name = name.trim_end_matches('.');
    let before = {
        let mut log = log.lock().unwrap();
        let entry = format!("{} {name}", question.query_type());
        let before = log.iter().filter(|e| **e == entry).count();
        log.push(entry);
        before
    };
    let mut answer = Message::new(
        query.metadata.id,
        MessageType::Response,
        query.metadata.op_code,
    );
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    match respond(name, before) {
        DnsAnswer::Nothing => return None,
        DnsAnswer::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
        DnsAnswer::Failure => answer.metadata.response_code = ResponseCode::ServFail,
        DnsAnswer::Cname(to) => {
            let to = Name::from_ascii(format!("{to}.")).unwrap();
            answer.add_answer(Record::from_rdata(
                question.name().clone(),
                0,
                RData::CNAME(CNAME(to)),
            ));
        }
        DnsAnswer::Only(addresses)
            if !addresses
                .iter()
                .any(|a| a.is_ipv4() == (question.query_type() == RecordType::A)) =>
        {
            return None;
        }
        DnsAnswer::Are(addresses) | DnsAnswer::Only(addresses) => {
            for address in addresses {
                let data = match (question.query_type(), address) {
                    (RecordType::A, IpAddr::V4(v4)) => RData::A(v4.into()),
                    (RecordType::AAAA, IpAddr::V6(v6)) => RData::AAAA(v6.into()),
                    _ => continue,
                };
                answer.add_answer(Record::from_rdata(question.name().clone(), 0, data));
            }
        }
    }
    answer.add_query(question);
    Some(answer)
}
