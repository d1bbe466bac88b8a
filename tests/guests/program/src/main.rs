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
        other => panic!("what is {other:?}?"),
    }
    ExitCode::SUCCESS
}
