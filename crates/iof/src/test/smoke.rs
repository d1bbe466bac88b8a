//! The calls of one function: those in its `function.toml`, and one of each export without arguments; requests if the
//! function answers HTTP.

use super::report::{CallReport, Outcome, shown};
use crate::call::{JSON, TEXT, result_of};
use crate::client::{Client, segment};
use crate::deploy::{DeployOptions, name_of, package_of, put};
use crate::functions::{call_operations, path};
use crate::output::texts;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use iof_build::Built;
use iof_server::DeclaredTest;
use serde_json::{Map, Value as Json, json as object};

/// The value of each secret. No request with it leaves the test, and its signatures are worthless.
const STAND_IN: &str = "a stand-in of iof test";

/// Deploys a function, and makes its calls.
///
/// # Errors
/// The reason why it cannot be called at all.
pub(super) async fn calls(client: &Client, built: &Built) -> Result<Vec<CallReport>, String> {
    let package = package_of(built).await?;
    let tests = match &package.declaration {
        Some(text) => iof_server::declared_tests(text)?,
        None => vec![],
    };
    let wishes = DeployOptions {
        passing: true,
        ..DeployOptions::default()
    };
    let deployed = put(client, package, &wishes).await?.answer;
    let place = path(&name_of(&deployed));
    for secret in texts(&deployed, "secrets_not_set") {
        let secret = format!("{place}/secrets/{secret}");
        client.ask(Method::PUT, &secret, STAND_IN).await?;
    }
    let document = client
        .ask(Method::GET, &format!("{place}/openapi.json"), "")
        .await?;
    let exports = exports(&document);
    let mut reports = vec![];
    let name = name_of(&deployed);
    if built.summary.answers_http() && tests.iter().all(|test| test.request.is_none()) {
        reports.push(requested(client, &name, "GET /", &DeclaredTest::of_first_page()).await?);
    }
    for test in &tests {
        if let Some(request) = &test.request {
            reports.push(requested(client, &name, request, test).await?);
            continue;
        }
        reports.push(match exports.iter().find(|of| of.name == test.export) {
            Some(export) => called(client, &place, export, test).await?,
            None => {
                let known: Vec<_> = exports.iter().map(|export| export.name).collect();
                let why = format!(
                    "there is no such export; there are {}. Correct [[test]] in function.toml.",
                    known.join(", ")
                );
                report(test, Outcome::Failed, None, Some(why))
            }
        });
    }
    for export in &exports {
        if tests.iter().any(|test| test.export == export.name) {
            continue;
        }
        let nothing = DeclaredTest::without_arguments(export.name);
        reports.push(match export.takes.is_nothing() {
            true => called(client, &place, export, &nothing).await?,
            false => CallReport {
                arguments: None,
                ..report(
                    &nothing,
                    Outcome::Skipped,
                    None,
                    Some("it takes arguments, but function.toml has no [[test]] for it".into()),
                )
            },
        });
    }
    Ok(reports)
}

fn report(
    test: &DeclaredTest,
    outcome: Outcome,
    result: Option<Json>,
    why: Option<String>,
) -> CallReport {
    CallReport {
        export: test.export.clone(),
        arguments: Some(test.arguments.clone()),
        outcome,
        result,
        why,
    }
}

/// One request to a function that answers HTTP, and its report.
///
/// # Errors
/// The server does not answer.
async fn requested(
    client: &Client,
    name: &str,
    request: &str,
    test: &DeclaredTest,
) -> Result<CallReport, String> {
    let report = |outcome, result, why| CallReport {
        export: request.to_owned(),
        arguments: None,
        outcome,
        result,
        why,
    };
    let (method, path) = request.split_once(' ').unwrap_or(("GET", request));
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let place = format!("/fn/{}{path}", segment(name));
    let body = test.body.clone().unwrap_or_default();
    let answer = client.send(method, &place, &[], body).await?;
    let header = |name: &str| answer.headers().get(name)?.to_str().ok();
    if let Some(fault) = header("iof-fault") {
        let said: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
        let said = said["error"].as_str().unwrap_or_default();
        let why = format!("{said} [{fault}]");
        return Ok(report(Outcome::Failed, None, Some(why)));
    }
    let (result, _) = result_of(header("content-type").unwrap_or_default(), answer.body());
    let status = answer.status();
    let wrong = match (test.status, &test.expect) {
        (Some(wanted), _) if status != wanted => {
            Some(format!("expected status {wanted}, got {}", status.as_u16()))
        }
        (None, _) if status.is_server_error() => Some(format!("its status is {}", status.as_u16())),
        (_, Some(expected)) if !is_same(expected, &result) => Some(format!(
            "expected {}, got {}",
            shown(expected),
            shown(&result)
        )),
        _ => None,
    };
    Ok(match wrong {
        Some(why) => report(Outcome::Failed, Some(result), Some(why)),
        None => report(Outcome::Passed, Some(result), None),
    })
}

/// One call, and its report.
///
/// # Errors
/// The server does not answer.
async fn called(
    client: &Client,
    place: &str,
    export: &Export<'_>,
    test: &DeclaredTest,
) -> Result<CallReport, String> {
    let failed = |result, why| report(test, Outcome::Failed, result, Some(why));
    let (content_type, body) = match export.takes.body(&test.arguments) {
        Ok(body) => body,
        Err(why) => return Ok(failed(None, why)),
    };
    let place = format!("{place}/call/{}", segment(export.name));
    let headers = [(CONTENT_TYPE, content_type)];
    let answer = client.send(Method::POST, &place, &headers, body).await?;
    let header = |name: &str| answer.headers().get(name)?.to_str().ok();
    if let Some(fault) = header("iof-fault") {
        let said: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
        let said = said["error"].as_str().unwrap_or_default();
        let next = match fault {
            "egress-denied" => " A test sends requests only to the hosts of --allow.",
            _ => "",
        };
        return Ok(failed(None, format!("{said} [{fault}]{next}")));
    }
    // An answer with a status that the function chose is a result, too.
    let (result, _) = result_of(header("content-type").unwrap_or_default(), answer.body());
    Ok(match &test.expect {
        Some(expected) if !is_same(expected, &result) => {
            let why = format!("expected {}, got {}", shown(expected), shown(&result));
            failed(Some(result), why)
        }
        _ => report(test, Outcome::Passed, Some(result), None),
    })
}

/// One export, as the function's OpenAPI document describes it.
struct Export<'a> {
    name: &'a str,
    takes: ExportInput<'a>,
}

/// The input of an export.
enum ExportInput<'a> {
    Nothing,
    /// Arguments by name.
    Named {
        parameters: &'a Map<String, Json>,
        all_optional: bool,
    },
    /// The stdin and the arguments of a program.
    Words,
    /// The body, unchanged.
    Body,
    /// The module does not describe its arguments: a text, or several arguments in an array.
    Unsaid,
}

fn exports(document: &Json) -> Vec<Export<'_>> {
    call_operations(document)
        .filter_map(|operation| {
            let (body, name) = (&operation["requestBody"], &operation["operationId"]);
            let content = &body["content"];
            let schema = &content["application/json"]["schema"];
            let takes = match (schema["properties"].as_object(), body) {
                (_, Json::Null) => ExportInput::Nothing,
                _ if content["multipart/form-data"].is_object() => ExportInput::Words,
                (Some(parameters), _) => ExportInput::Named {
                    parameters,
                    all_optional: body["required"] == false,
                },
                _ if content["*/*"].is_object() => ExportInput::Body,
                _ => ExportInput::Unsaid,
            };
            Some(Export {
                name: name.as_str()?,
                takes,
            })
        })
        .collect()
}

impl ExportInput<'_> {
    /// Returns whether the export can be called without arguments.
    fn is_nothing(&self) -> bool {
        matches!(
            self,
            Self::Nothing
                | Self::Named {
                    all_optional: true,
                    ..
                }
        )
    }

    /// The body that carries the arguments.
    ///
    /// # Errors
    /// A sentence about their number or type.
    fn body(&self, arguments: &[Json]) -> Result<(HeaderValue, Bytes), String> {
        let json = |value: Json| (JSON, Bytes::from(value.to_string()));
        let count = arguments.len();
        match (self, arguments) {
            (Self::Nothing, []) => Ok((TEXT, Bytes::new())),
            (Self::Nothing, _) => Err(format!("it takes no arguments: got {count}")),
            (Self::Named { parameters, .. }, _) if count > parameters.len() => {
                let names: Vec<_> = parameters.keys().map(String::as_str).collect();
                Err(format!(
                    "it takes {} arguments ({}): got {count}",
                    names.len(),
                    names.join(", ")
                ))
            }
            (Self::Named { parameters, .. }, _) => {
                let pairs = parameters.keys().cloned().zip(arguments.iter().cloned());
                Ok(json(Json::Object(pairs.collect())))
            }
            (Self::Words, words) => match words.iter().all(Json::is_string) {
                true => Ok(json(object!({ "args": words }))),
                false => Err("a program takes texts: write each argument in quotes".into()),
            },
            (Self::Body | Self::Unsaid, [Json::String(text)]) => Ok((TEXT, text.clone().into())),
            (Self::Body, [one]) => Ok(json(one.clone())),
            (Self::Body, []) => Ok((TEXT, Bytes::new())),
            (Self::Body, _) => Err(format!("it takes one argument, its body: got {count}")),
            (Self::Unsaid, several) => Ok(json(several.into())),
        }
    }
}

/// Returns whether two values are equal. Numbers are compared by value, because TOML may have `1` where JSON has `1.0`.
fn is_same(expected: &Json, got: &Json) -> bool {
    match (expected, got) {
        (Json::Number(one), Json::Number(other)) => {
            let is_float = one.is_f64() || other.is_f64();
            one == other || (is_float && one.as_f64() == other.as_f64())
        }
        (Json::Array(one), Json::Array(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| is_same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            let mut fields = one.iter();
            let same =
                |(name, value): (&String, _)| other.get(name).is_some_and(|of| is_same(value, of));
            one.len() == other.len() && fields.all(same)
        }
        _ => expected == got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_whatever_wrote_their_numbers() {
        let same = |one: Json, other: Json| is_same(&one, &other);
        assert!(same(object!(1), object!(1.0)));
        assert!(same(object!({"a": [1, "x"]}), object!({"a": [1.0, "x"]})));
        let (one, next) = (u64::MAX, u64::MAX - 1);
        assert!(!same(object!(one), object!(next)));
        assert!(!same(object!("1"), object!(1)));
        assert!(!same(object!({"a": 1}), object!({"a": 1, "b": 2})));
        assert!(!same(object!([1]), object!([1, 2])));
        assert!(!same(object!(null), object!({})));
    }
}
