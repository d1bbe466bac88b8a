//! Does what its first argument says; without one, it prints its stdin in capitals.

use std::io::Read;
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
        ["same"] => {
            std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).unwrap();
        }
        ["exit", status] => {
            print!("so far");
            eprintln!("why it ends");
            return ExitCode::from(status.parse::<u8>().unwrap());
        }
        ["panic"] => panic!("as asked"),
        other => panic!("what is {other:?}?"),
    }
    ExitCode::SUCCESS
}
