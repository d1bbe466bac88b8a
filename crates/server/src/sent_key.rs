//! Classification of the key that a request carries, for the refusal and for the server's log.

use crate::app::App;
use crate::auth::given;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use iof_fault::Fault;
use iof_store::{ApiKey, Scope};

/// The class of the key that a request carries.
pub(crate) enum SentKey {
    Nothing,
    /// The request has the header Authorization with a scheme other than Bearer.
    OtherScheme,
    /// A key that this server does not know. It may be the key of a function.
    Unknown,
    /// A key that this server made and that has expired.
    Ended(ApiKey),
    /// A key that this server made.
    Made(ApiKey),
    /// A key of the server.
    Operator,
}

impl SentKey {
    /// A sentence for the client, before the one that states what to send. It does not reveal whether an unknown key
    /// was ever valid.
    pub(crate) fn public(&self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::OtherScheme => " The header Authorization was sent, but not as `Bearer KEY`.",
            Self::Unknown | Self::Ended(_) | Self::Made(_) | Self::Operator => {
                " The key that was sent does not give access: it is wrong or has expired."
            }
        }
    }

    /// The same sentence, for the beginning of a message.
    pub(crate) fn public_first(&self) -> String {
        match self.public().trim_start() {
            "" => String::new(),
            sentence => format!("{sentence} "),
        }
    }

    /// A description for the server's log.
    pub(crate) fn private(&self) -> String {
        match self {
            Self::Nothing => "no key was sent".into(),
            Self::OtherScheme => "Authorization is not `Bearer KEY`".into(),
            Self::Unknown => "the key is unknown to this server".into(),
            Self::Ended(key) => format!(
                "key {} (`{}`) expired at {}",
                key.id,
                key.label,
                key.expires_at.map(crate::time::time).unwrap_or_default()
            ),
            Self::Made(key) => {
                let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
                let reach = key
                    .function_id
                    .map_or("all functions".into(), |id| format!("function {id}"));
                format!(
                    "key {} (`{}`) has {} for {reach}",
                    key.id,
                    key.label,
                    scopes.join(", ")
                )
            }
            Self::Operator => "a key of the server".into(),
        }
    }
}

/// Classifies the key of a request. `made` is the key that was found for it, if it was looked up.
pub(crate) async fn sent_key(
    app: &App,
    headers: &HeaderMap,
    made: Option<ApiKey>,
) -> Result<SentKey, Fault> {
    if let Some(key) = made {
        return Ok(SentKey::Made(key));
    }
    let Some(given) = given(headers) else {
        return Ok(match headers.contains_key(AUTHORIZATION) {
            true => SentKey::OtherScheme,
            false => SentKey::Nothing,
        });
    };
    if app.keys.is_operator(headers) {
        return Ok(SentKey::Operator);
    }
    Ok(match app.store.key(given).await? {
        Some(key) => SentKey::Made(key),
        None => app
            .store
            .key_ever(given)
            .await?
            .map_or(SentKey::Unknown, SentKey::Ended),
    })
}
