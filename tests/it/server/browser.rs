//! The view of a user: a page in Chromium, from a separate web server, calls a function across origins.

use std::{process::Stdio, time::Duration};

use iof_tests::{
    guests::{guest, root},
    mail::MailService,
    pages::Pages,
    server::Server,
};
use tokio::{process::Command, time::timeout};

const TOKEN: &str = "SG.the-right-one";

/// Runs a script of `tests/browser`, which must succeed.
pub(crate) async fn browse(server: &Server, script: &str, arguments: &[String]) {
    let script = Command::new("node")
        .arg(root().join("tests/browser").join(script))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(120), script)
        .await
        .expect("the browser finishes within two minutes")
        .expect("node runs; `cargo xtask test` installs what the browser test needs");
    assert!(
        output.status.success(),
        "{}{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        server.log()
    );
}

#[tokio::test]
async fn the_page_sends_a_mail() {
    let folder = tempfile::tempdir().unwrap();
    let mail = MailService::start(TOKEN).await;
    let server = Server::start(mail.config(&folder.path().join("ca.pem"))).await;
    let function = server.upload(guest("send_email")).await;
    let pages = Pages::start(&root().join("examples/send-email/web")).await;

    let arguments = [
        pages.url(),
        server.url.clone(),
        function.id.to_string(),
        TOKEN.to_owned(),
    ];
    browse(&server, "send-email.mjs", &arguments).await;

    let mailbox = mail.mailbox();
    assert_eq!(mailbox.len(), 1, "one of the two mails had the right token");
    assert_eq!(mailbox[0]["subject"], "From a browser");
    assert_eq!(
        mailbox[0]["content"][0]["value"],
        "Hello <b>there</b>,\nhow are you?"
    );
    assert_eq!(mail.seen(), ["POST 202", "POST 401"]);
}

/// The operator's server adds the token: the user of the page needs none.
#[tokio::test]
async fn the_page_sends_a_mail_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let mail = MailService::start(TOKEN).await;
    let server = Server::start(mail.config(&folder.path().join("ca.pem"))).await;
    let declaration = root().join("examples/send-email/function.toml");
    let declaration = tokio::fs::read_to_string(declaration).await.unwrap();
    let function = server.deploy(guest("send_email"), &declaration).await;
    let set = server.set_secret(&function, "SENDGRID_TOKEN", TOKEN).await;
    assert_eq!(set.http, 204, "{}", set.text());
    let pages = Pages::start(&root().join("examples/send-email/web")).await;
    let arguments = [pages.url(), server.url.clone(), function.id.to_string()];
    browse(&server, "send-email.mjs", &arguments).await;
    assert_eq!(mail.mailbox()[0]["subject"], "Without a token");
    assert_eq!(mail.seen(), ["POST 202"]);
}

#[tokio::test]
async fn the_page_recognises_digits() {
    let example = root().join("examples/pictures");
    let settings = tokio::fs::read_to_string(example.join("iof.toml"))
        .await
        .unwrap();
    let server = Server::start(settings).await;
    crate::guests::infer::add_digits(&server).await;
    let function = server.upload(guest("pictures")).await;
    let pages = Pages::start(&example.join("web")).await;
    let arguments = [
        pages.url(),
        server.url.clone(),
        function.id.to_string(),
        root()
            .join("crates/infer/tests/models/digit.png")
            .display()
            .to_string(),
        crate::guests::infer::expected().await,
    ];
    browse(&server, "pictures.mjs", &arguments).await;
}

/// Calls public and private functions, and one of 2020, from their pages on the server.
pub(crate) async fn calls_from_pages(server: &Server, origin: &str) {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a 'picture'.png");
    let digit = root().join("crates/infer/tests/models/digit.png");
    tokio::fs::copy(digit, &picture).await.unwrap();
    let function = server.deploy(guest("typed"), "").await;
    let private = server.try_deploy_named("hidden&private=true", "", guest("typed"), "");
    let private = private.await.json();
    let old = server.upload(crate::second_state::modules::hello()).await;
    let page = |id: u64| format!("{origin}/v1/functions/{id}/try");
    let arguments = [
        page(function.id),
        folder.path().display().to_string(),
        picture.display().to_string(),
        page(private["function"].as_u64().unwrap()),
        private["admin_key"].as_str().unwrap().to_owned(),
        page(old.id),
    ];
    browse(server, "try.mjs", &arguments).await;
}

#[tokio::test]
async fn the_page_of_a_function_calls_it() {
    let server = Server::start("").await;
    calls_from_pages(&server, &server.url).await;
}

/// More functions than one page of the list has, one of them private, on servers with and without a public list.
#[tokio::test]
async fn the_page_of_a_server_shows_only_what_its_reader_may_see() {
    const KEY: &str = "a key of the server's";
    let module = iof_tests::guests::wat("(module (func (export \"f\")))");
    for keyed in [false, true] {
        let settings = match keyed {
            false => String::new(),
            true => format!("[auth]\nkeys = [{KEY:?}]\n"),
        };
        let server = Server::start(settings).await;
        let mut names: Vec<_> = (1..=60)
            .map(|n| format!("f{n:03}&description=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E"))
            .collect();
        names.insert(20, "hidden&private=true".to_owned());
        for name in names {
            let created = server
                .try_deploy_named(&name, KEY, module.clone(), "")
                .await;
            assert_eq!(created.http, 201, "{}", created.text());
        }
        let key = if keyed { KEY } else { "" };
        let arguments = [&server.url, "hidden", key, &keyed.to_string()].map(str::to_owned);
        browse(&server, "index.mjs", &arguments).await;
    }
}
