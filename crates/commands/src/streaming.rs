//! Requests of components (`wasi:http`), whose bodies stream: through the same client and by the same rules as
//! [`http_proxy`](crate::http_proxy).

use async_trait::async_trait;
use http_body_util::BodyExt;
use iof_command::{CallContext, HttpClient, HttpRequest, HttpResponse};
use iof_egress::{Egress, Error, ResponseStream, StreamTimeouts};
use iof_fault::Fault;
use tokio::sync::oneshot;

use crate::outbound::outbound;

/// The client that sends through `egress`, by the rules of each call's grants.
pub struct StreamingHttp {
    egress: Egress,
}

impl StreamingHttp {
    /// A client that sends through `egress`.
    pub fn new(egress: Egress) -> StreamingHttp {
        StreamingHttp { egress }
    }
}

#[async_trait]
impl HttpClient for StreamingHttp {
    async fn send(&self, call: CallContext, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let HttpRequest {
            request,
            connect,
            first_byte,
            between_bytes,
        } = request;
        let timeouts = StreamTimeouts {
            connect,
            first_byte,
            between_bytes,
        };
        let (sender, mut head) = oneshot::channel();
        let egress = self.egress.clone();
        let mut exchange = Box::pin(async move {
            let context = outbound(&call, call.deadline);
            egress.exchange(&context, request, timeouts, sender).await
        });
        let ended = tokio::select! {
            biased;
            Ok(response) = &mut head => {
                return Ok(HttpResponse {
                    response: response.map(body),
                    // Its error is the end of the response's body.
                    rest: Box::pin(async { drop(exchange.await) }),
                });
            }
            ended = &mut exchange => ended,
        };
        match (head.try_recv(), ended) {
            (Ok(response), _) => Ok(HttpResponse {
                response: response.map(body),
                rest: Box::pin(std::future::ready(())),
            }),
            (Err(_), Err(error)) => Err(fault(error)),
            (Err(_), Ok(())) => Err(Fault::host("A request has no response.", "no head")),
        }
    }
}

fn body(stream: ResponseStream) -> http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, Fault> {
    stream.map_err(fault).boxed_unsync()
}

fn fault(error: Error) -> Fault {
    let mut fault = Fault::new(error.kind().into(), error.to_string());
    fault.detail = error.detail().map(str::to_owned);
    fault
}
