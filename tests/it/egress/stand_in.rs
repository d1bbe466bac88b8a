//! The stand-in itself: a client that checks certificates gets the same as from the mail service.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use iof_tests::mail::{HOST, MailService};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

/// One request over TLS, to the name that the certificate is for unless said otherwise.
async fn ask(
    mail: &MailService,
    name: &str,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Vec<u8>), String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(mail.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(mail.address())
        .await
        .map_err(|e| e.to_string())?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream.map_err(|e| e.to_string())?))
            .await
            .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    Ok((
        status,
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    ))
}

fn mail(token: &str, body: &Value) -> Request<Full<Bytes>> {
    Request::post("/v3/mail/send")
        .header("host", HOST)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::from(body.to_string()))
        .unwrap()
}

fn whole() -> Value {
    json!({
        "personalizations": [{ "to": [{ "email": "b@example.com" }] }],
        "from": { "email": "a@example.com" },
        "subject": "Hi",
        "content": [{ "type": "text/plain", "value": "Hello" }],
    })
}

#[tokio::test]
async fn keeps_a_mail_and_shows_it() {
    let service = MailService::start("TKN").await;
    assert_eq!(
        ask(&service, HOST, mail("TKN", &whole())).await,
        Ok((202, vec![]))
    );
    assert_eq!(service.mailbox(), [whole()]);
    let shown = Request::get("/mailbox")
        .header("host", HOST)
        .body(Full::default())
        .unwrap();
    let (status, body) = ask(&service, HOST, shown).await.unwrap();
    assert_eq!(
        (status, serde_json::from_slice(&body).unwrap()),
        (200, json!([whole()]))
    );
}

#[tokio::test]
async fn refuses_as_the_service_does() {
    let service = MailService::start("TKN").await;
    let (status, body) = ask(&service, HOST, mail("other", &whole())).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &body["errors"][0]["field"]), (401, &Value::Null));

    for (pointer, field) in [
        ("/subject", "subject"),
        ("/from/email", "from.email"),
        ("/content/0/value", "content.0.value"),
        ("/content/0/type", "content.0.type"),
        (
            "/personalizations/0/to/0/email",
            "personalizations.0.to.0.email",
        ),
        ("/personalizations/0/to", "personalizations.0.to"),
        ("/content", "content"),
    ] {
        let mut broken = whole();
        *broken.pointer_mut(pointer).unwrap() = Value::Null;
        let (status, body) = ask(&service, HOST, mail("TKN", &broken)).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (status, &body["errors"][0]["field"]),
            (400, &json!(field)),
            "{body}"
        );
    }
    assert!(service.mailbox().is_empty());
    assert_eq!(service.seen().len(), 8);
}

#[tokio::test]
async fn is_trusted_for_its_own_name_alone() {
    let service = MailService::start("TKN").await;
    let refused = ask(&service, "api.example.com", mail("TKN", &whole()))
        .await
        .unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}
