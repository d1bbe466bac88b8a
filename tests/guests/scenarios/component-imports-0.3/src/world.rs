//! The work that other kinds do by the standard library, by the interfaces of WASI 0.3.

use wasip3::cli::{environment, stderr, stdout};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::random::random;
use wasip3::sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};
use wasip3::wit_stream;

/// Runs a scenario of this name, if it is one of these.
pub async fn run(name: &str, arguments: &[&str]) -> Option<String> {
    let count = || arguments[0].parse::<usize>().expect("a number");
    Some(match (name, arguments) {
        ("variables", []) => {
            let variables = environment::get_environment().into_iter();
            let lines = variables.map(|(name, value)| format!("{name}={value}\n"));
            lines.collect()
        }
        ("print", [words]) => {
            write_stdout(format!("out: {words}\n")).await;
            String::new()
        }
        ("complain", [words]) => {
            write_stderr(format!("err: {words}\n")).await;
            String::new()
        }
        ("flood", [_]) => {
            write_stderr("x".repeat(count())).await;
            String::new()
        }
        ("sleep", [_]) => {
            monotonic_clock::wait_for(count() as u64 * 1_000_000).await;
            "slept".to_owned()
        }
        ("write", [_]) => {
            let written = write("big", &vec![b'x'; count()]).await;
            written.expect("the file is written");
            let file = open("big", OpenFlags::empty()).await.expect("a file");
            let stat = file.stat().await.expect("it exists");
            stat.size.to_string()
        }
        ("open", [_]) => {
            let mut all = vec![];
            for n in 0..count() {
                all.push(
                    open(&n.to_string(), OpenFlags::CREATE)
                        .await
                        .expect("a file"),
                );
            }
            all.len().to_string()
        }
        ("directories", [_]) => {
            for n in 0..count() {
                let made = root().create_directory_at(n.to_string()).await;
                made.expect("a directory");
            }
            let (entries, ended) = root().read_directory();
            let entries = entries.collect().await;
            ended.await.expect("the root");
            entries.len().to_string()
        }
        ("note", [words]) => {
            let before = read("note").await.unwrap_or_default();
            write("note", words.as_bytes()).await.expect("a file");
            let after = read("note").await.expect("it was written");
            format!("{before}|{after}")
        }
        ("chance", []) => {
            let drawn = random::get_random_u64();
            format!("{drawn} {:?}", system_clock::now())
        }
        ("connect", [_]) => {
            let connected = match TcpSocket::create(IpAddressFamily::Ipv4) {
                Ok(socket) => socket.connect(LOOPBACK).await,
                Err(error) => Err(error),
            };
            format!("{connected:?}")
        }
        _ => return None,
    })
}

/// The address to which the scenario connects.
const LOOPBACK: IpSocketAddress = IpSocketAddress::Ipv4(Ipv4SocketAddress {
    port: 80,
    address: (127, 0, 0, 1),
});

/// Prints a text.
pub async fn write_stdout(text: String) {
    let (mut stream, read) = wit_stream::new();
    let printed = stdout::write_via_stream(read);
    stream.write_all(text.into_bytes()).await;
    drop(stream);
    printed.await.expect("stdout");
}

async fn write_stderr(text: String) {
    let (mut stream, read) = wit_stream::new();
    let printed = stderr::write_via_stream(read);
    stream.write_all(text.into_bytes()).await;
    drop(stream);
    printed.await.expect("stderr");
}

fn root() -> Descriptor {
    let directories = get_directories();
    directories.into_iter().next().expect("a directory").0
}

async fn open(path: &str, flags: OpenFlags) -> Result<Descriptor, ErrorCode> {
    let mode = match flags.contains(OpenFlags::CREATE) {
        true => DescriptorFlags::READ | DescriptorFlags::WRITE,
        false => DescriptorFlags::READ,
    };
    let root = root();
    root.open_at(PathFlags::empty(), path.to_owned(), flags, mode)
        .await
}

async fn read(path: &str) -> Result<String, ErrorCode> {
    let (stream, ended) = open(path, OpenFlags::empty()).await?.read_via_stream(0);
    let bytes = stream.collect().await;
    ended.await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn write(path: &str, bytes: &[u8]) -> Result<(), ErrorCode> {
    let file = open(path, OpenFlags::CREATE).await?;
    let (mut stream, read) = wit_stream::new();
    let written = file.write_via_stream(read, 0);
    stream.write_all(bytes.to_vec()).await;
    drop(stream);
    written.await
}
