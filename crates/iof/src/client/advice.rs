//! Next steps that the client adds to errors.

use super::Client;
use super::keys::Function;
use crate::escape::line;
use bytes::Bytes;
use http::{Method, Response};
use iof_server::nearest;

impl Client {
    /// The next step after the answer that a function does not exist: the nearest name that the same keys may see.
    /// Empty after any other answer.
    pub(crate) async fn which(&self, answer: &Response<Bytes>) -> String {
        let fault = answer.headers().get("iof-fault");
        let (Function::One(name), true) = (
            &self.function,
            fault.is_some_and(|fault| fault == "no-such-function"),
        ) else {
            return String::new();
        };
        let seen = self
            .send(Method::GET, "/v1/functions?limit=1000", &[], "")
            .await
            .and_then(|list| self.json(list))
            .unwrap_or_default();
        let rows = seen["functions"].as_array().into_iter().flatten();
        let names = rows.filter_map(|row| row["name"].as_str());
        match nearest(&name.to_ascii_lowercase().replace('_', "-"), names) {
            Some(near) => format!(" Did you mean {}?", line(near)),
            None => " `iof list` shows those that you may see.".to_owned(),
        }
    }
}
