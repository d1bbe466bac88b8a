//! Signatures of requests to AWS and compatible services (Signature Version 4), made as a request is sent: the key
//! stays here, and a request that is sent again, or follows a redirect, is signed again.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::SecretValue;
use super::query::PARAMETER;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
/// The prefix of headers that are always signed.
const OWN: &str = "x-amz-";

/// The parts of a signature that are not secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsScope {
    /// The id of the access key, whose secret is the function's; or the name of a secret that has it, in braces: the id
    /// of temporary credentials changes with them.
    pub access_key_id: String,
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// The service, such as `s3`.
    pub service: String,
}

impl AwsScope {
    /// The secret that has the id of the access key, if one has.
    #[must_use]
    pub fn key_id_secret(&self) -> Option<&str> {
        self.access_key_id.strip_prefix('{')?.strip_suffix('}')
    }

    /// The same with the id that a secret has.
    #[must_use]
    pub fn with_key_id(&self, id: &SecretValue) -> AwsScope {
        AwsScope {
            access_key_id: id.text().to_owned(),
            ..self.clone()
        }
    }

    /// Returns `true` if each part can stand in a header.
    pub(super) fn is_valid(&self) -> bool {
        [&self.access_key_id, &self.region, &self.service]
            .iter()
            .all(|part| {
                let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                (1..=128).contains(&part.len()) && part.bytes().all(known)
            })
    }

    /// Adds the date, the digest of the body and the signature. The request must not change after this.
    pub(super) fn sign(
        &self,
        secret: &str,
        (method, url, headers): (&Method, &Url, &mut HeaderMap),
        body: &[u8],
        now: SystemTime,
    ) -> Option<HeaderValue> {
        let time: String = humantime_serde::re::humantime::format_rfc3339_seconds(now)
            .to_string()
            .chars()
            .filter(|c| !matches!(c, '-' | ':'))
            .collect();
        let day = time.get(..8)?;
        let content = hex::encode(Sha256::digest(body));
        headers.insert(DATE, HeaderValue::from_str(&time).ok()?);
        headers.insert(CONTENT, HeaderValue::from_str(&content).ok()?);

        let (names, lines) = signed_headers(url, headers)?;
        let path = self.path(url.path());
        let query = query(url);
        let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{content}");
        let (region, service) = (&self.region, &self.service);
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let digest = hex::encode(Sha256::digest(request));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [day, region, service, "aws4_request", &text] {
            key = mac(&key, part.as_bytes())?;
        }
        let signature = hex::encode(key);
        let id = &self.access_key_id;
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The path, each segment encoded, and, except for S3, encoded again.
    fn path(&self, path: &str) -> String {
        let segments = path.split('/').map(|segment| {
            let once = encoded(&percent_decode_str(segment).decode_utf8_lossy());
            match self.service.as_str() {
                "s3" => once,
                _ => encoded(&once),
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// The parameters of the query, encoded and in order.
fn query(url: &Url) -> String {
    let mut pairs: Vec<_> = url
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let part = |text: &str| encoded(&percent_decode_str(text).decode_utf8_lossy());
            (part(name), part(value))
        })
        .collect();
    pairs.sort();
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// The names of the headers that are signed, and one line for each.
fn signed_headers(url: &Url, headers: &HeaderMap) -> Option<(String, String)> {
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?),
        None => url.host_str()?.to_owned(),
    };
    let mut signed = vec![("host", host)];
    for name in headers.keys() {
        if *name == CONTENT_TYPE || name.as_str().starts_with(OWN) {
            let values = headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().ok());
            let values: Option<Vec<_>> = values.collect();
            let value = values?.join(",");
            let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            signed.push((name.as_str(), value));
        }
    }
    signed.sort();
    let names: Vec<_> = signed.iter().map(|(name, _)| *name).collect();
    let lines = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"));
    Some((names.join(";"), lines.collect()))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PARAMETER).to_string()
}

fn mac(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn scope(service: &str) -> AwsScope {
        AwsScope {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            region: "us-east-1".into(),
            service: service.into(),
        }
    }

    fn signed(url: &str, headers: &mut HeaderMap) -> String {
        let url = Url::parse(url).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let request = (&Method::GET, &url, headers);
        let value = scope("s3").sign(SECRET, request, b"", now).unwrap();
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    }

    /// The examples of "Signature Calculations for the Authorization Header" in the reference of Amazon S3.
    #[test]
    fn requests_are_signed_as_the_reference_signs_them() {
        for (query, signature) in [
            (
                "?lifecycle",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "?max-keys=2&prefix=J",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
            (
                "?prefix=J&max-keys=2",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let mut headers = HeaderMap::new();
            let url = format!("https://examplebucket.s3.amazonaws.com/{query}");
            assert_eq!(
                signed(&url, &mut headers),
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                     SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
                ),
            );
            assert_eq!(headers["x-amz-date"], "20130524T000000Z");
        }
    }

    #[test]
    fn headers_of_the_service_are_signed_and_others_are_not() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-acl", HeaderValue::from_static("  public   read "));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let value = signed("https://b.example:8443/a%20b/c(1)", &mut headers);
        assert!(value.contains(
            "SignedHeaders=content-type;host;x-amz-acl;x-amz-content-sha256;x-amz-date,"
        ));
        let (names, lines) =
            signed_headers(&Url::parse("https://b.example:8443/").unwrap(), &headers).unwrap();
        assert!(names.starts_with("content-type;host;x-amz-acl;"));
        assert!(
            lines.contains("host:b.example:8443\n") && lines.contains("x-amz-acl:public read\n")
        );
        assert_eq!(scope("s3").path("/a%20b/c(1)/~"), "/a%20b/c%281%29/~");
        assert_eq!(scope("sqs").path("/a%20b"), "/a%2520b");
    }

    #[test]
    fn a_scope_is_words() {
        assert!(scope("s3").is_valid());
        for bad in ["", "a b", "a\n", "a/b", "a,b", &"a".repeat(129)] {
            assert!(!scope(bad).is_valid(), "{bad:?}");
        }
    }
}
