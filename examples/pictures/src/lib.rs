//! Two functions on a picture, each by one command of the server's: `classify` asks a model what it shows, and
//! `thumbnail` has ImageMagick make a small one of it.
//!
//! Neither the weights of the model nor ImageMagick are in this module, and a broken picture breaks neither: what a
//! command says of it is the answer.

use iof::{Command, Output};

/// The three most likely digits of a picture, as JSON: `[{"index":7,"label":"seven","score":0.98},…]`.
#[iof::function]
fn classify(picture: &[u8]) -> Vec<u8> {
    answer(run("infer", "digits", picture))
}

/// The picture, no larger than 200 × 200, as PNG.
#[iof::function]
fn thumbnail(picture: &[u8]) -> Vec<u8> {
    answer(run("thumbnail", "200x200", picture))
}

fn run(command: &str, argument: &str, stdin: &[u8]) -> Output {
    Command::new(command)
        .arg(argument)
        .stdin_u8vec(stdin)
        .output()
}

/// The output of a command, or a line that says why there is none.
fn answer(done: Output) -> Vec<u8> {
    match done.status {
        0 => done.stdout,
        status => {
            let said = String::from_utf8_lossy(&done.stderr);
            format!("error {status}: {}", said.trim_end()).into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iof::testing::commands;

    #[test]
    fn commands_answer() {
        let host = commands(|run| {
            Output::ok([run.name.as_bytes(), run.args[0].as_bytes(), &run.stdin].join(&b' '))
        });
        assert_eq!(classify(b"png"), b"infer digits png");
        assert_eq!(thumbnail(b"png"), b"thumbnail 200x200 png");
        drop(host);
        let _host = commands(|_| Output::failed(4, "no picture\n"));
        assert_eq!(classify(b"png"), b"error 4: no picture");
    }
}
