//! The part of the walk about data of a function: state, callback, keys, ephemeral values, logs.

use crate::second_state::walk::{Look, NIL, NOBODY, Walk, error, is_uuid};
use iof_tests::call::Uploaded;
use serde_json::{Value, json};

pub(crate) async fn states(walk: &Walk<'_>, public: &Uploaded, private: &Uploaded) {
    let id = public.id;
    let get = |id: u64| walk.call("GET", format!("/api/state/{id}"));
    let put = |id: u64, key: &str, kind: &str| {
        let call = walk
            .call("PUT", format!("/api/state/{id}"))
            .header("Content-Type", kind);
        call.header("SSVM_Admin_Key", key)
            .body(format!("the state of {}", walk.name))
    };
    walk.ok(get(id), "the first state", "{}").await;
    walk.ok(
        put(id, &public.admin_key, "text/plain"),
        "a state",
        id.to_string(),
    )
    .await;
    walk.ok(get(id), "the state", format!("the state of {}", walk.name))
        .await;
    let wrong = error(&format!("Wrong admin key ... {id} can not be accessed."));
    let other = put(id, &private.admin_key, "text/plain");
    walk.no(other, "another's key", (403, "admin-key"), wrong)
        .await;
    let typed = error("Wrong content type. Please use Content-Type of text/plain only");
    let json = put(id, &public.admin_key, "application/json").body("{}");
    walk.no(
        json,
        "a state of another type",
        (415, "content-type"),
        typed,
    )
    .await;
    walk.ok(
        get(id),
        "the state still",
        format!("the state of {}", walk.name),
    )
    .await;
    let missing = format!("{NOBODY} does not exist");
    walk.no(
        get(NOBODY),
        "nobody's state",
        (404, "no-such-function"),
        &missing,
    )
    .await;
    let call = put(NOBODY, &public.admin_key, "text/plain");
    walk.no(
        call,
        "a state for a missing function",
        (404, "no-such-function"),
        &missing,
    )
    .await;
    let wrong = error(&format!(
        "Wrong usage key ... {} can not be accessed.",
        private.id
    ));
    walk.no(
        get(private.id),
        "a private state",
        (403, "usage-key"),
        wrong,
    )
    .await;
    let key = private.json["SSVM_Usage_Key"].as_str().unwrap();
    walk.ok(
        get(private.id).header("SSVM_Usage_Key", key),
        "with the key",
        "{}",
    )
    .await;
    walk.ok(
        put(id, &public.admin_key, "text/plain").body("{}"),
        "no state",
        id.to_string(),
    )
    .await;
}

pub(crate) async fn callbacks(walk: &Walk<'_>, public: &Uploaded) {
    let id = public.id;
    let object = json!({ "hostname": "hook.example.com", "path": "/", "method": "POST", "port": 443, "headers": {} });
    let put = |id: u64, key: &str, kind: &str, body: &str| {
        let call = walk
            .call("PUT", format!("/api/callback/{id}"))
            .header("Content-Type", kind);
        call.header("SSVM_Admin_Key", key).body(body)
    };
    let (key, object_text) = (&*public.admin_key, object.to_string());
    let json = "application/json";
    walk.ok(
        put(id, key, json, &object_text),
        "a callback",
        id.to_string(),
    )
    .await;
    let call = walk.filter("executables", id, "[\"wasm_callback_object\"]");
    let stored = call.send().await.json();
    let stored: Value =
        serde_json::from_str(stored["wasm_callback_object"].as_str().unwrap()).unwrap();
    assert_eq!(stored, object, "a callback is read as a text");
    let wrong = error(&format!("Wrong Admin key ... {id} can not be accessed."));
    walk.no(
        put(id, NIL, json, &object_text),
        "another's key",
        (403, "admin-key"),
        wrong,
    )
    .await;
    let typed = error(
        "Must use Content-Type of application/json in the header, please check your request and try again",
    );
    for kind in ["text/plain", "application/json; charset=utf-8"] {
        walk.no(
            put(id, key, kind, &object_text),
            kind,
            (415, "content-type"),
            &typed,
        )
        .await;
    }
    let own = object_text.replace("hook.example.com", "rpc.ssvm.secondstate.io");
    let refused = error(
        "Not allowed to store a callback to the rpc.ssvm.secondstate.io hostname in the database. Please utilise the SSVM_Callback feature in the request header if you want to execute a callback to this hostname",
    );
    walk.no(
        put(id, key, json, &own),
        "a callback to itself",
        (400, "callback"),
        refused,
    )
    .await;
    let missing = error(&format!("{NOBODY} does not exist"));
    let call = put(NOBODY, key, json, &object_text);
    walk.no(
        call,
        "a callback of a missing function",
        (404, "no-such-function"),
        missing,
    )
    .await;
    walk.ok(put(id, key, json, "{}"), "no callback", id.to_string())
        .await;
}

pub(crate) async fn keys(walk: &Walk<'_>, public: &Uploaded) {
    let id = public.id;
    let call = |method: &str, id: u64, key: &str| {
        let call = walk.call(method, format!("/api/keys/{id}/usage_key"));
        call.header("SSVM_Admin_Key", key)
    };
    let answer = call("PUT", id, &public.admin_key).send().await;
    let key = answer.json()["SSVM_Usage_Key"].as_str().unwrap().to_owned();
    assert!(is_uuid(&key), "{key}");
    let expected = format!("{{\"SSVM_Usage_Key\":\"{key}\"}}");
    walk.check("a new key", &answer, (200, ""), Look::Json, expected);
    let wrong = error(&format!("Wrong admin key ... {id} can not be updated."));
    for method in ["PUT", "DELETE"] {
        walk.no(call(method, id, NIL), method, (403, "admin-key"), &wrong)
            .await;
        // The original crashed here.
        let nobody = call(method, NOBODY, &public.admin_key);
        walk.hung(nobody, method, (404, "no-such-function")).await;
    }
    let answer = call("DELETE", id, &public.admin_key).send().await;
    let expected = format!("{{\"SSVM_Usage_Key\":\"{NIL}\"}}");
    walk.check("no key", &answer, (200, ""), Look::Json, expected);
}

pub(crate) async fn ephemeral(walk: &Walk<'_>) {
    let (name, json) = (&walk.name, "application/json");
    let call = |method: &str, key: &str| walk.call(method, format!("/api/ephemeral_storage{key}"));
    let value = format!("{{\"asdf\":\"{name}\"}}");
    let created = call("POST", "")
        .header("Content-Type", json)
        .body(&value)
        .send()
        .await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    assert!(is_uuid(&key), "{key}");
    let keyed = format!("{{\"key\":\"{key}\"}}");
    walk.check("a value", &created, (200, ""), Look::Html, &keyed);
    let at = format!("/{key}");
    walk.ok(
        call("GET", &at),
        "the value",
        format!("{{\"value\":{value}}}"),
    )
    .await;
    let put = call("PUT", &at)
        .header("Content-Type", json)
        .body("{\"asdf\":88888888}");
    walk.ok(put, "another value", &keyed).await;
    walk.ok(
        call("GET", &at),
        "the other value",
        "{\"value\":{\"asdf\":88888888}}",
    )
    .await;
    let mime = error("Mime type in request headers must be application/json");
    for (method, at) in [("POST", ""), ("PUT", &*at)] {
        let typed = call(method, at)
            .header("Content-Type", "text/plain")
            .body("{}");
        walk.no(typed, method, (415, "content-type"), &mime).await;
    }
    walk.ok(call("DELETE", &at), "no value", &keyed).await;
    let missing = call("GET", &at).send().await;
    assert_eq!(
        (missing.text(), missing.status()),
        (error("Key not found"), 404)
    );
}

pub(crate) async fn log(walk: &Walk<'_>, public: &Uploaded) {
    let (id, name) = (public.id, &walk.name);
    let call = |id: u64, key: &str| {
        let call = walk.call("GET", format!("/api/log/{id}"));
        call.header("SSVM_Admin_Key", key)
    };
    let answer = call(id, &public.admin_key).send().await;
    let row = answer.json();
    let (log_id, at) = (&row["log_id"], &row["execution_timestamp"]);
    assert!(log_id.is_u64(), "{row}");
    let expected = format!(
        r#"{{"log_id":{log_id},"wasm_executable_id":{id},"wasm_executable_state":"\"{{}}\"","execution_timestamp":{at},"execution_object":"{{\"original_wasm_executables_id\":\"{id}\",\"data_payload\":\"{name}\"}}"}}"#
    );
    walk.check("the log", &answer, (200, ""), Look::Html, expected);
    let wrong = error(&format!("Wrong admin key ... {id} can not be accessed."));
    walk.no(call(id, NIL), "another's log", (403, "admin-key"), &wrong)
        .await;
    let bare = walk.call("GET", format!("/api/log/{id}"));
    walk.no(bare, "a log without a key", (403, "admin-key"), wrong)
        .await;
    let missing = error(&format!("wasm_id of {NOBODY} does not exist"));
    walk.no(
        call(NOBODY, NIL),
        "nobody's log",
        (404, "no-such-function"),
        missing,
    )
    .await;
    let filter = |names: &str| {
        let call = walk.filter("log", id, names);
        call.header("SSVM_Admin_Key", &*public.admin_key)
    };
    let one = format!("{{\"wasm_executable_id\":{id}}}");
    walk.ok(filter("[\"wasm_executable_id\"]"), "a column", one)
        .await;
    let unknown = r#"[{"error_invalid_filter":"[\"nope\"]"},{"valid_filters_include":["log_id","wasm_executable_id","wasm_executable_state","execution_timestamp","execution_object"]}]"#;
    walk.no(filter("[\"nope\"]"), "no column", (400, "filter"), unknown)
        .await;
    let broken = error("Please check your filterBy parameters. Not valid string array!");
    walk.no(filter("nope"), "no filter", (400, "filter"), broken)
        .await;
}
