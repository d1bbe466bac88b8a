//! Does what its first argument says; without one, it prints its stdin in capitals.

use std::io::{Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).unwrap();
            print!("{}", text.to_uppercase());
        }
        ["words", words @ ..] => print!("{}", words.join("|")),
        ["variables"] => {
            let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            print!("{}", names.join(" "));
        }
        ["same"] => {
            std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).unwrap();
        }
        ["exit", status] => {
            print!("so far");
            eprintln!("why it ends");
            return ExitCode::from(status.parse::<u8>().unwrap());
        }
        ["flood", bytes] => {
            let chunk = [b'x'; 4096];
            for _ in 0..bytes.parse::<usize>().unwrap() / chunk.len() {
                std::io::stdout().write_all(&chunk).unwrap();
            }
        }
        ["complain", bytes] => eprint!("{}", "x".repeat(bytes.parse().unwrap())),
        ["panic"] => panic!("as asked"),
        ["loop"] => loop {
            std::hint::black_box(());
        },
        ["file"] => {
            std::fs::write("/note", "kept for this run").unwrap();
            print!("{}", std::fs::read_to_string("/note").unwrap());
        }
        ["write", bytes] => {
            let mut file = std::fs::File::create("/big").unwrap();
            for _ in 0..bytes.parse::<usize>().unwrap() / 4096 {
                file.write_all(&[b'x'; 4096]).unwrap();
            }
            file.sync_all().unwrap();
            print!("{}", std::fs::metadata("/big").unwrap().len());
        }
        ["open", count] => {
            let open = (0..count.parse().unwrap()).map(|n: usize| std::fs::File::create(format!("/{n}")).unwrap());
            print!("{}", open.collect::<Vec<_>>().len());
        }
        ["directories", count] => {
            for n in 0..count.parse().unwrap() {
                let n: usize = n;
                std::fs::create_dir(format!("/{n}")).unwrap();
            }
            print!("{}", std::fs::read_dir("/").unwrap().count());
        }
        ["memory", bytes] => print!("{}", std::hint::black_box(vec![1u8; bytes.parse().unwrap()]).len()),
        ["recurse"] => print!("{}", recurse(1)),
        ["chance"] => {
            use std::hash::{BuildHasher, Hasher};
            let seed = std::hash::RandomState::new().build_hasher().finish();
            print!("{seed} {:?}", std::time::SystemTime::now());
        }
        ["sleep", seconds] => {
            std::thread::sleep(std::time::Duration::from_secs(seconds.parse().unwrap()));
        }
        ["connect"] => print!("{:?}", std::net::TcpStream::connect("127.0.0.1:80").map(drop)),
        other => panic!("what is {other:?}?"),
    }
    ExitCode::SUCCESS
}

/// Deeper than any stack.
fn recurse(n: u64) -> u64 {
    let here = std::hint::black_box([n; 64]);
    here[0] + std::hint::black_box(recurse(here[63] + 1))
}
