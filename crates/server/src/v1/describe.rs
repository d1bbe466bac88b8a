//! `GET /v1/functions/{function}/openapi.json`: the OpenAPI document of one function, for programs that generate
//! clients or forms. It is built from the function's own description.

use super::access::{self, FunctionPath};
use super::answer::{ErrorResponse, Json, Problem};
use crate::app::App;
use crate::caller;
use crate::http::truncate;
use axum::extract::{Path, State};
use http::HeaderMap;
use iof_engine::{Abi, BodyUse, Described, Export, Manifest, Signature, Type};
use iof_fault::Fault;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Show a function's own OpenAPI document
///
/// Everyone who may call the function may read its document.
#[utoipa::path(get, path = "/functions/{function}/openapi.json", operation_id = "readFunctionDocument", tag = "functions",
    params(FunctionPath),
    security((), ("key" = [])),
    responses((status = 200, body = Object, description = "An OpenAPI 3.1 document"), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(FunctionPath { function: id }): Path<FunctionPath>,
    headers: HeaderMap,
) -> Result<Json<Value>, ErrorResponse> {
    let function = match described(&app, &id, &headers).await {
        Ok(function) => function,
        Err(fault) => return Err(caller::concealed(&app, &id, &headers, fault).await.into()),
    };
    let manifest: Manifest = serde_json::from_str(&function.version.manifest)
        .map_err(|error| Fault::host("The function cannot be described.", error))?;
    Ok(Json(document(&id, &function, &manifest)))
}

/// A function that the sender may call, as stored. A function that cannot run yet, because a secret is not set, can
/// still be described.
async fn described(app: &App, id: &str, headers: &HeaderMap) -> Result<iof_store::Function, Fault> {
    let unknown = || Fault::no_such_function(truncate(id));
    let number = access::number(app, id).await?.ok_or_else(unknown)?;
    let function = app.store.function(number).await?;
    let function = function.ok_or_else(unknown)?;
    let keys = (function.usage_key_hash.as_ref(), &function.admin_key_hash);
    caller::admit(app, number, keys, headers).await?;
    Ok(function)
}

fn document(id: &str, function: &iof_store::Function, manifest: &Manifest) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for export in &manifest.exports {
        // The slash in the name of an interface's function is not a separator of the path.
        let segment = export.name.replace('/', "%2F");
        let path = format!("/v1/functions/{id}/call/{segment}");
        let operation = operation(export, &mut schemas);
        if let Some(own) = own_address(export, &operation) {
            paths.insert(format!("/fn/{id}/{segment}"), own);
        }
        paths.insert(path, json!({ "post": operation }));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": id, "version": function.version.number.to_string() },
        "paths": paths,
        "components": { "schemas": { "Problem": {
            "type": "object",
            "required": ["error", "fault"],
            "properties": { "error": { "type": "string" }, "fault": { "type": "string" } },
        } } },
    });
    if !function.description.is_empty() {
        document["info"]["description"] = function.description.as_str().into();
    }
    if let Some(known) = document["components"]["schemas"].as_object_mut() {
        known.extend(schemas);
    }
    if function.usage_key_hash.is_some() {
        document["components"]["securitySchemes"] =
            json!({ "key": { "type": "http", "scheme": "bearer" } });
        document["security"] = json!([{ "key": [] }]);
    }
    document
}

/// The methods at `/fn/NAME/EXPORT` of a function that takes whole requests or declares its methods.
fn own_address(export: &Export, operation: &Value) -> Option<Value> {
    let described = export.described.as_ref()?;
    if described.body == BodyUse::Arguments && described.methods.is_empty() {
        return None;
    }
    let usual = vec!["POST".to_owned()];
    let methods = match described.methods.is_empty() {
        true => &usual,
        false => &described.methods,
    };
    let operations = methods.iter().map(|method| {
        let method = method.to_ascii_lowercase();
        let mut operation = operation.clone();
        operation["operationId"] = format!("{}-{method}", export.name).into();
        if method == "get" {
            let body = operation
                .as_object_mut()
                .and_then(|of| of.remove("requestBody"));
            operation["parameters"] = body.map_or(json!([]), |body| in_query(&body));
        }
        (method, operation)
    });
    Some(Value::Object(operations.collect()))
}

/// The arguments of a body as parameters of a query.
fn in_query(body: &Value) -> Value {
    let schema = &body["content"]["application/json"]["schema"];
    let required = schema["required"].as_array();
    let properties = schema["properties"].as_object();
    let parameters = properties.into_iter().flatten().map(|(name, schema)| {
        let required = required.is_some_and(|all| all.iter().any(|one| one == name));
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    });
    parameters.collect()
}

fn operation(export: &Export, schemas: &mut Map<String, Value>) -> Value {
    let problem = json!({
        "description": "What went wrong",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let mut operation = json!({ "operationId": export.name });
    let (Some(signature), Some(described)) = (&export.signature, &export.described) else {
        // A module without a description takes a text, or several arguments in an array; its result is unknown.
        operation["requestBody"] = json!({
            "content": { "text/plain": {}, "application/octet-stream": {}, "application/json": { "schema": { "type": "array" } } },
        });
        operation["responses"] =
            json!({ "2XX": { "description": "What it returned" }, "default": problem });
        return operation;
    };
    if !described.doc.is_empty() {
        let (summary, rest) = described
            .doc
            .split_once("\n\n")
            .unwrap_or((&described.doc, ""));
        operation["summary"] = summary.replace('\n', " ").into();
        if !rest.is_empty() {
            operation["description"] = rest.into();
        }
    }
    if described.body != BodyUse::Arguments {
        operation["requestBody"] = whole(export, signature, described, schemas);
        operation["responses"] = responses(export, schemas);
        operation["responses"]["default"] = problem;
        return operation;
    }
    let mut properties = Map::new();
    let mut required = vec![];
    for (ty, param) in signature.params.iter().zip(&described.params) {
        let place = format!("{}.{}", export.name, param.name);
        let schema = named(schema(ty, param.schema.as_ref()), &place, schemas);
        properties.insert(param.name.clone(), schema);
        // Missing JSON is null, which some types accept, and missing stdin is empty.
        let program = export.abi == Abi::Command;
        if !program && (*ty != Type::Json || !takes_null(param.schema.as_ref())) {
            required.push(param.name.as_str());
        }
    }
    if !properties.is_empty() {
        operation["requestBody"] = json!({
            "required": !required.is_empty(),
            "content": { "application/json": { "schema": {
                "type": "object", "properties": properties, "required": required, "additionalProperties": false,
            } } },
        });
    }
    if export.abi == Abi::Command {
        operation["requestBody"]["content"]["multipart/form-data"] = json!({ "schema": { "type": "object", "properties": {
                "stdin": { "type": "string", "contentMediaType": "application/octet-stream" },
                "args": { "type": "array", "items": { "type": "string" } },
            } } });
    }
    operation["responses"] = responses(export, schemas);
    operation["responses"]["default"] = problem;
    operation
}

/// The body of a function that takes it unchanged.
fn whole(
    export: &Export,
    signature: &Signature,
    described: &Described,
    schemas: &mut Map<String, Value>,
) -> Value {
    let param = described.params.first();
    let content = match (signature.params.first(), param) {
        (Some(ty @ Type::Json), Some(param)) => {
            let place = format!("{}.{}", export.name, param.name);
            json!({ "schema": named(schema(ty, param.schema.as_ref()), &place, schemas) })
        }
        _ => json!({}),
    };
    json!({ "content": { "*/*": content } })
}

/// The responses of an export.
fn responses(export: &Export, schemas: &mut Map<String, Value>) -> Value {
    let (Some(signature), Some(described)) = (&export.signature, &export.described) else {
        return json!({});
    };
    match &signature.result {
        Type::Unit => json!({ "204": { "description": "It returned nothing" } }),
        Type::Response => json!({ "2XX": { "description": "What it answered" } }),
        ty => {
            let content_type = match ty {
                Type::String => "text/plain",
                Type::Bytes => "application/octet-stream",
                _ => "application/json",
            };
            let content = match ty {
                Type::Bytes => json!({}),
                _ => {
                    let result = schema(ty, described.result.as_ref());
                    json!({ "schema": named(result, &format!("{}.result", export.name), schemas) })
                }
            };
            json!({ "200": { "description": "What it returned", "content": { content_type: content } } })
        }
    }
}

/// Moves a schema so that its references resolve: `#/$defs/Item` is relative to the schema, but in the document `#` is
/// the whole document.
fn named(mut schema: Value, place: &str, schemas: &mut Map<String, Value>) -> Value {
    let place: String = place
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let Some(Value::Object(parts)) = schema
        .as_object_mut()
        .and_then(|schema| schema.shift_remove("$defs"))
    else {
        if !refers(&schema) {
            return schema;
        }
        lead(&mut schema, &place);
        schemas.insert(place.clone(), schema);
        return json!({ "$ref": format!("#/components/schemas/{place}") });
    };
    for (name, mut part) in parts {
        lead(&mut part, &place);
        schemas.insert(format!("{place}.{name}"), part);
    }
    lead(&mut schema, &place);
    schemas.insert(place.clone(), schema);
    json!({ "$ref": format!("#/components/schemas/{place}") })
}

/// Returns whether a schema refers to itself.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name == "$ref" || refers(value)),
        Value::Array(values) => values.iter().any(refers),
        _ => false,
    }
}

/// Rewrites references to the location to which [`named`] moves their targets.
fn lead(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value.as_str()) {
                    ("$ref", Some("#")) => *value = format!("#/components/schemas/{place}").into(),
                    ("$ref", Some(to)) => {
                        if let Some(part) = to.strip_prefix("#/$defs/") {
                            *value = format!("#/components/schemas/{place}.{part}").into();
                        }
                    }
                    _ => lead(value, place),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| lead(value, place)),
        _ => {}
    }
}

fn takes_null(schema: Option<&Value>) -> bool {
    let Some(schema) = schema else { return true };
    let of_type = |ty: &Value| {
        ty == "null"
            || ty
                .as_array()
                .is_some_and(|all| all.iter().any(|ty| ty == "null"))
    };
    schema == &Value::Bool(true)
        || of_type(&schema["type"])
        || schema["anyOf"]
            .as_array()
            .is_some_and(|any| any.iter().any(|one| of_type(&one["type"])))
}

/// The JSON Schema of a type.
fn schema(ty: &Type, own: Option<&Value>) -> Value {
    let integer =
        |low: i128, high: i128| json!({ "type": "integer", "minimum": low, "maximum": high });
    match ty {
        Type::Unit => json!({ "type": "null" }),
        Type::Bool => json!({ "type": "boolean" }),
        Type::I8 => integer(i8::MIN.into(), i8::MAX.into()),
        Type::U8 => integer(0, u8::MAX.into()),
        Type::I16 => integer(i16::MIN.into(), i16::MAX.into()),
        Type::U16 => integer(0, u16::MAX.into()),
        Type::I32 => integer(i32::MIN.into(), i32::MAX.into()),
        Type::U32 => integer(0, u32::MAX.into()),
        Type::I64 => json!({ "type": "integer", "format": "int64" }),
        Type::U64 => json!({ "type": "integer", "format": "uint64", "minimum": 0 }),
        Type::I128 => json!({ "type": "integer" }),
        Type::U128 => json!({ "type": "integer", "minimum": 0 }),
        Type::F32 => json!({ "type": "number", "format": "float" }),
        Type::F64 => json!({ "type": "number", "format": "double" }),
        Type::String => json!({ "type": "string" }),
        Type::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Type::Json => own.cloned().unwrap_or(Value::Bool(true)),
        // Whole responses, of any content.
        Type::Request | Type::Response => Value::Bool(true),
        Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Type::List(element) => json!({ "type": "array", "items": schema(element, None) }),
        Type::Option(inner) => json!({ "anyOf": [schema(inner, None), { "type": "null" }] }),
        Type::Enum { .. } => json!({ "type": "integer" }),
    }
}
