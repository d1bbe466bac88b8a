//! Tunnels to one host and port, whose bytes this server does not read, for programs that speak TLS themselves and use
//! a proxy (RFC 9110 section 9.3.6).
//!
//! The bytes inside can neither be checked against a rule nor carry a secret of the host's. So a rule has to allow all
//! of the origin: every method, every path. Everything else holds as for a request: names are resolved here, and the
//! checked address is dialled; permits are limited; each tunnel is recorded.

use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use url::Host;

use crate::client::fail;
use crate::exchange::bytes;
use crate::limit::Permit;
use crate::record::Record;
use crate::url_parts::upstream;
use crate::{Config, Egress, Error, Kind, Outbound, Rule, parse_outbound_url};

/// A tunnel to one host and port. It is recorded when it is dropped.
pub struct Tunnel<'a> {
    stream: TcpStream,
    config: &'a Config,
    host: String,
    record: Record<'a>,
    _permit: Permit,
    _connection: iof_admission::Permit,
    context: &'a Outbound<'a>,
}

impl Egress {
    /// Opens a tunnel to `authority`, which is a host and a port.
    ///
    /// # Errors
    /// An [`Error`] whose `Display` may be shown to the function.
    pub async fn tunnel<'a>(
        &'a self,
        context: &'a Outbound<'a>,
        authority: &str,
    ) -> Result<Tunnel<'a>, Error> {
        let shared = self.shared();
        let mut record = Record::new(context, &shared.observers, &Method::CONNECT);
        let url = match parse_outbound_url(&format!("https://{authority}/")) {
            // Text after the authority would make it another URL.
            Ok(url) if url.path() == "/" && url.query().is_none() => url,
            Ok(_) => {
                let message = "the target of a tunnel is not host:port";
                return Err(fail(record, Error::new(Kind::Url, message)));
            }
            Err(e) => return Err(fail(record, e)),
        };
        record.url(&url);
        let host = upstream(&url);
        let rule = format!("* https://{host}").parse::<Rule>();
        let Some(rule) = rule.ok().and_then(|all| context.rules.covers(&all)) else {
            let message = format!(
                "no outbound rule of this function allows everything at https://{host}, which a tunnel needs: \
                 what is inside cannot be checked"
            );
            return Err(fail(record, Error::new(Kind::Denied, message)));
        };
        record.rule = Some(rule);
        let permit = shared
            .limits
            .acquire(context.function, &host, context.deadline, &mut record.wait)
            .await;
        let permit = match permit {
            Ok(permit) => permit,
            Err(e) => return Err(fail(record, e)),
        };
        let name = url.host().map(|host| host.to_owned());
        let name = name.unwrap_or(Host::Domain(String::new()));
        let port = url.port_or_known_default().unwrap_or(443);
        let opened = shared.pool.connector().tcp(&name, port);
        let opened = match timeout_at(context.deadline, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::new(
                Kind::TimeoutTotal,
                format!("the call's time was over before {host} was reached"),
            )),
        };
        let (stream, address, connection) = match opened {
            Ok(opened) => opened,
            Err(e) => return Err(fail(record, e)),
        };
        record.address = Some(address);
        record.status = Some(StatusCode::OK);
        Ok(Tunnel {
            stream,
            config: &shared.config,
            host,
            record,
            _permit: permit,
            _connection: connection,
            context,
        })
    }
}

impl Tunnel<'_> {
    /// Carries bytes both ways until both ends are done, one fails, `max_request` bytes have
    /// gone out or `max_response` have come in, or the call's time is over.
    pub async fn carry(mut self, near: impl AsyncRead + AsyncWrite) {
        let (near_in, mut near_out) = tokio::io::split(near);
        let (far_in, mut far_out) = self.stream.split();
        let (most_out, most_in) = (
            bytes(self.config.max_request),
            bytes(self.config.max_response),
        );
        // One byte more than allowed shows that it was too much.
        let (mut near_in, mut far_in) = (near_in.take(most_out + 1), far_in.take(most_in + 1));
        let out = async {
            let copied = copy(&mut near_in, &mut far_out).await;
            let _ = far_out.shutdown().await;
            copied.map(|_| ())
        };
        let back = async {
            let copied = copy(&mut far_in, &mut near_out).await;
            let _ = near_out.shutdown().await;
            copied.map(|_| ())
        };
        let both = timeout_at(self.context.deadline, async { tokio::try_join!(out, back) });
        let ended = both.await;
        let (left_out, left_in) = (near_in.limit(), far_in.limit());
        self.record.bytes_out = (most_out + 1 - left_out) as usize;
        self.record.bytes_in = (most_in + 1 - left_in) as usize;
        let host = &self.host;
        let error = match ended {
            _ if left_out == 0 => Error::new(
                Kind::RequestTooLarge,
                format!("more than {most_out} bytes went to {host} (limit max_request)"),
            ),
            _ if left_in == 0 => Error::new(
                Kind::ResponseTooLarge,
                format!("more than {most_in} bytes came from {host} (limit max_response)"),
            ),
            Err(_) => Error::new(
                Kind::TimeoutTotal,
                format!("the call's time was over before the tunnel to {host} had ended"),
            ),
            // The way in which an end closes does not matter for what it carried.
            Ok(_) => return self.record.done("ok"),
        };
        self.record.failed(&error);
    }
}
