//! Does what its first argument says; without one, it prints its stdin in capitals. The words are those of `program`, over
//! the interfaces of WASI 0.3.

use wasip3::cli::{environment, exit, stderr, stdin, stdout};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::random::random;
use wasip3::sockets::types::{IpAddressFamily, TcpSocket, UdpSocket};
use wasip3::{sockets::ip_name_lookup, spawn_local, wit_stream};

struct Program;

wasip3::cli::command::export!(Program);

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let words: Vec<String> = environment::get_arguments().into_iter().skip(1).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => {
                let text = String::from_utf8(read().await).unwrap();
                print(text.to_uppercase()).await;
            }
            ["words", words @ ..] => print(words.join("|")).await,
            ["variables"] => {
                let variables = environment::get_environment().into_iter();
                let names: Vec<String> = variables.map(|(name, _)| name).collect();
                print(names.join(" ")).await;
            }
            ["same"] => print(read().await).await,
            ["exit", status] => {
                print("so far").await;
                complain("why it ends\n").await;
                exit::exit_with_code(status.parse::<u8>().unwrap());
            }
            ["fail"] => return Err(()),
            ["flood", bytes] => {
                let (mut stream, read) = wit_stream::new();
                let _printed = stdout::write_via_stream(read);
                for _ in 0..bytes.parse::<usize>().unwrap() / 4096 {
                    stream.write_all(vec![b'x'; 4096]).await;
                }
            }
            ["complain", bytes] => complain("x".repeat(bytes.parse().unwrap())).await,
            ["panic"] => panic!("as asked"),
            ["loop"] => loop {
                std::hint::black_box(());
            },
            ["file"] => {
                write("note", b"kept for this run").await.unwrap();
                let file = open("note", OpenFlags::empty()).await.unwrap();
                let (stream, ended) = file.read_via_stream(0);
                let bytes = stream.collect().await;
                ended.await.unwrap();
                print(bytes).await;
            }
            ["write", bytes] => {
                let bytes = vec![b'x'; bytes.parse().unwrap()];
                let written = write("big", &bytes).await;
                let file = open("big", OpenFlags::empty()).await.unwrap();
                let size = file.stat().await.unwrap().size;
                print(format!("{size} {written:?}")).await;
            }
            ["open", count] => {
                let mut all = vec![];
                for n in 0..count.parse::<usize>().unwrap() {
                    all.push(open(&n.to_string(), OpenFlags::CREATE).await.unwrap());
                }
                print(all.len().to_string()).await;
            }
            // One file, and so many streams of it.
            ["streams", count] => {
                write("note", b"text").await.unwrap();
                let file = open("note", OpenFlags::empty()).await.unwrap();
                let all = (0..count.parse().unwrap()).map(|_: usize| file.read_via_stream(0));
                print(all.collect::<Vec<_>>().len().to_string()).await;
            }
            ["directories", count] => {
                for n in 0..count.parse::<usize>().unwrap() {
                    root().create_directory_at(n.to_string()).await.unwrap();
                }
                let (entries, ended) = root().read_directory();
                let entries = entries.collect().await;
                ended.await.unwrap();
                print(entries.len().to_string()).await;
            }
            // Lists of a directory that nobody reads.
            ["lists", count] => {
                root().create_directory_at("a".to_owned()).await.unwrap();
                root().create_directory_at("b".to_owned()).await.unwrap();
                let all = (0..count.parse().unwrap()).map(|_: usize| root().read_directory());
                print(all.collect::<Vec<_>>().len().to_string()).await;
            }
            ["long", length] => {
                let path = "x".repeat(length.parse().unwrap());
                print(format!("{:?}", open(&path, OpenFlags::CREATE).await.err())).await;
            }
            ["outside"] => {
                let mut seen = vec![];
                for path in ["../etc/passwd", "/etc/passwd", "a/../../etc/passwd"] {
                    seen.push(format!("{:?}", open(path, OpenFlags::empty()).await.err()));
                }
                print(seen.join(" ")).await;
            }
            ["memory", bytes] => {
                let all = std::hint::black_box(vec![1u8; bytes.parse().unwrap()]);
                print(all.len().to_string()).await;
            }
            ["recurse"] => print(recurse(1).to_string()).await,
            ["chance"] => {
                let seed = random::get_random_u64();
                print(format!("{seed} {:?}", system_clock::now())).await;
            }
            ["random", length] => {
                let bytes = random::get_random_bytes(length.parse().unwrap());
                print(bytes.len().to_string()).await;
            }
            ["sleep", seconds] => {
                monotonic_clock::wait_for(seconds.parse::<u64>().unwrap() * 1_000_000_000).await;
            }
            ["connect"] => {
                let tcp = TcpSocket::create(IpAddressFamily::Ipv4).map(drop);
                let udp = UdpSocket::create(IpAddressFamily::Ipv4).map(drop);
                let name = ip_name_lookup::resolve_addresses("localhost".to_owned()).await;
                print(format!("{tcp:?} {udp:?} {name:?}")).await;
            }
            // Prints when it has returned.
            ["after"] => {
                spawn_local(async {
                    monotonic_clock::wait_for(50_000_000).await;
                    print("and after").await;
                });
                print("before ").await;
            }
            other => panic!("what is {other:?}?"),
        }
        Ok(())
    }
}

async fn print(bytes: impl Into<Vec<u8>>) {
    let (mut stream, read) = wit_stream::new();
    let printed = stdout::write_via_stream(read);
    stream.write_all(bytes.into()).await;
    drop(stream);
    printed.await.unwrap();
}

async fn complain(bytes: impl Into<Vec<u8>>) {
    let (mut stream, read) = wit_stream::new();
    let printed = stderr::write_via_stream(read);
    stream.write_all(bytes.into()).await;
    drop(stream);
    printed.await.unwrap();
}

/// All of stdin.
async fn read() -> Vec<u8> {
    let (stream, ended) = stdin::read_via_stream();
    let bytes = stream.collect().await;
    ended.await.unwrap();
    bytes
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
    root()
        .open_at(PathFlags::empty(), path.to_owned(), flags, mode)
        .await
}

async fn write(path: &str, bytes: &[u8]) -> Result<(), ErrorCode> {
    let file = open(path, OpenFlags::CREATE).await?;
    let (mut stream, read) = wit_stream::new();
    let written = file.write_via_stream(read, 0);
    stream.write_all(bytes.to_vec()).await;
    drop(stream);
    written.await
}

/// Deeper than any stack.
fn recurse(n: u64) -> u64 {
    let here = std::hint::black_box([n; 64]);
    here[0] + std::hint::black_box(recurse(here[63] + 1))
}
