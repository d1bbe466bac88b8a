//! The demo: from an uploaded module to a sent mail, every step with the line that one would type.
//!
//! `cargo xtask demo` builds what it needs and runs it. With `--once` it ends with a status after the mail has
//! arrived; otherwise everything stays up until Ctrl-C, for the page and for lines typed by hand. What it started
//! ends with it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a program for people, on top of the harness; what it cannot go on without ends it there"
)]

use std::{path::Path, process::ExitCode, time::Instant};

use iof_tests::{
    guests,
    mail::{HOST, MailService},
    pages::Pages,
    server::Server,
};
use serde_json::json;

const TOKEN: &str = "SG.demo-token";

#[tokio::main]
async fn main() -> ExitCode {
    let once = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--once") => true,
        Some(other) => {
            eprintln!("there is no {other}: the demo takes --once, or nothing");
            return ExitCode::from(2);
        }
    };
    let folder = tempfile::Builder::new()
        .prefix("iof-demo-")
        .tempdir()
        .expect("a temporary folder");
    let told = tokio::select! {
        told = tell(folder.path()) => told,
        _ = tokio::signal::ctrl_c() => Err("stopped before its end".into()),
    };
    let told = match told {
        Ok(running) => running.end(once).await,
        Err(problem) => Err(problem),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nproblem: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The servers that are up after the story was told.
struct Running {
    /// Held for the mails that are still to come.
    _mail: MailService,
    server: Server,
    function: u64,
}

async fn tell(folder: &Path) -> Result<Running, String> {
    let start = Instant::now();
    say(1, "Start a stand-in for the mail service");
    let mail = MailService::start(TOKEN).await;
    let ca = folder.join("ca.pem");
    let config = mail.config(&ca);
    println!(
        "   an HTTPS server at {} that takes the token {TOKEN} and keeps the mails",
        mail.address()
    );

    say(
        2,
        "Start iof, whose operator leads the service's name to the stand-in",
    );
    let server = Server::start(&config).await;
    for line in config.lines().filter(|line| !line.is_empty()) {
        println!("   | {line}");
    }
    println!("   $ iof serve --listen 127.0.0.1:0 --data DIR --config iof.toml");
    println!("   it listens on {}", server.url);

    say(3, "Upload the function");
    let module = guests::path("send_email");
    println!("   $ curl -X POST {}/api/executables \\", server.url);
    println!(
        "       -H 'Content-Type: application/octet-stream' -H 'SSVM-Description: send email' \\"
    );
    println!("       --data-binary @{}", module.display());
    let function = server.upload(guests::guest("send_email")).await;
    println!("   {}", function.json);

    say(4, "Call it");
    let message = json!({
        "from": "ada@example.com", "token": TOKEN, "to": "grace@example.com",
        "subject": "It works", "mime": "text/plain", "body": "Sent by a function that cannot open a connection.",
    });
    let url = format!("{}/api/run/{}/send_email", server.url, function.id);
    println!("   $ curl -X POST {url} -H 'Content-Type: text/plain' \\\n       --data '{message}'");
    let answer = server
        .run(function.id, "send_email", message.to_string())
        .await;
    println!(
        "   status {}, answer {:?}: empty means sent",
        answer.header("iof-status"),
        answer.text()
    );
    if !answer.text().is_empty() || !answer.fault().is_empty() {
        return Err(format!(
            "the mail was not sent: {} {}\n{}",
            answer.fault(),
            answer.text(),
            server.log()
        ));
    }

    say(5, "Look into the mailbox");
    let mailbox = format!("https://{HOST}:{}/mailbox", mail.address().port());
    println!(
        "   $ curl --cacert {} --resolve {HOST}:{}:127.0.0.1 {mailbox}",
        ca.display(),
        mail.address().port()
    );
    let [arrived] = &mail.mailbox()[..] else {
        return Err(format!(
            "the mailbox holds {} mails, and not one",
            mail.mailbox().len()
        ));
    };
    println!("   {arrived}");
    if arrived["subject"] != message["subject"] || arrived["content"][0]["value"] != message["body"]
    {
        return Err("another mail arrived than the one that was sent".into());
    }

    say(6, "Call it with a wrong token");
    let mut wrong = message.clone();
    wrong["token"] = "SG.wrong".into();
    println!("   $ curl -X POST {url} -H 'Content-Type: text/plain' \\\n       --data '{wrong}'");
    let answer = server
        .run(function.id, "send_email", wrong.to_string())
        .await;
    println!(
        "   status {}, answer {}",
        answer.header("iof-status"),
        answer.text()
    );
    if !answer.text().contains("authorization") || mail.mailbox().len() != 1 {
        return Err("a wrong token must be refused by the mail service".into());
    }

    println!(
        "\nThe mail arrived, {:.1} s after the start.",
        start.elapsed().as_secs_f64()
    );
    Ok(Running {
        _mail: mail,
        server,
        function: function.id,
    })
}

impl Running {
    async fn end(mut self, once: bool) -> Result<(), String> {
        if !once {
            let pages = Pages::start(&guests::root().join("examples/send-email/web")).await;
            let (server, id) = (&self.server.url, self.function);
            println!(
                "\nThe page that calls the function: {}/?server={server}&id={id}",
                pages.url()
            );
            println!("Its token is {TOKEN}. Everything stays up until Ctrl-C.");
            let _ = tokio::signal::ctrl_c().await;
            println!();
        }
        // Ctrl-C on a terminal reaches the server too, which then is on its way out already.
        let status = self.server.stop().await;
        println!("iof stopped: {status}");
        if status.success() {
            Ok(())
        } else {
            Err(format!("iof did not stop well:\n{}", self.server.log()))
        }
    }
}

fn say(number: u8, what: &str) {
    println!("\n{number}. {what}");
}
