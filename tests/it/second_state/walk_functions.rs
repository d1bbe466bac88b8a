//! The part of the walk about functions: uploading, reading, running, updating and deleting them.

use crate::second_state::modules;
use crate::second_state::walk::{BLANK, FAILED, Look, NIL, NOBODY, OCTETS, Walk, error, is_uuid};
use iof_tests::call::Uploaded;
use serde_json::{Value, json};

pub(crate) async fn uploads(walk: &Walk<'_>, module: &[u8]) -> Uploaded {
    let answer = walk.upload(module).send().await;
    let json = answer.json();
    let (id, key) = (
        json["wasm_id"].as_u64().unwrap(),
        json["SSVM_Admin_Key"].as_str().unwrap(),
    );
    assert!(is_uuid(key), "{key}");
    let sha256 = modules::legacy_sha256(module);
    let original = format!(
        r#"{{"wasm_id":{id},"wasm_sha256":"{sha256}","SSVM_Usage_Key":"{NIL}","SSVM_Admin_Key":"{key}""#
    );
    // Our own fields come last.
    let rest = answer.text().strip_prefix(&original).map(str::to_owned);
    let rest = rest.unwrap_or_else(|| panic!("{} does not begin as {original}", answer.text()));
    assert!(rest == "}" || rest.starts_with(",\"iof_"), "{rest}");
    walk.check("an upload", &answer, (200, ""), Look::Html, answer.text());
    for yes in ["true", "True"] {
        let created = walk
            .upload(module)
            .header("SSVM_Create_Usage_Key", yes)
            .send()
            .await
            .json();
        assert!(
            is_uuid(created["SSVM_Usage_Key"].as_str().unwrap()),
            "{yes}: {created}"
        );
        drop_it(walk, &created).await;
    }
    let created = walk
        .upload(module)
        .header("SSVM_Create_Usage_Key", "TRUE")
        .send()
        .await
        .json();
    assert_eq!(created["SSVM_Usage_Key"], NIL, "neither of the two words");
    drop_it(walk, &created).await;

    walk.no(walk.upload(b""), "nothing", (400, "not-wasm"), BLANK)
        .await;
    walk.hung(walk.upload(b"no module"), "no module", (400, "not-wasm"))
        .await;
    let typed = walk
        .call("POST", "/api/executables".into())
        .header("Content-Type", "text/plain");
    walk.hung(typed.body(module), "another type", (415, "content-type"))
        .await;
    Uploaded {
        id,
        admin_key: key.to_owned(),
        json: json.clone(),
    }
}

async fn drop_it(walk: &Walk<'_>, created: &Value) {
    let call = walk.call("DELETE", format!("/api/executables/{}", created["wasm_id"]));
    call.header(
        "SSVM_Admin_Key",
        created["SSVM_Admin_Key"].as_str().unwrap(),
    )
    .send()
    .await;
}

pub(crate) async fn reads(walk: &Walk<'_>, public: &Uploaded, module: &[u8]) {
    let id = public.id;
    let listed = walk.joey.get("/api/executables").await;
    if walk.alone {
        // The private function and the deleted ones have taken numbers, too.
        let expected = format!(r#"[{{"wasm_id":{id}}},{{"wasm_id":{}}}]"#, id + 4);
        walk.check("the list", &listed, (200, ""), Look::Html, expected);
    } else {
        let listed = listed.json();
        assert!(
            listed
                .as_array()
                .unwrap()
                .contains(&json!({ "wasm_id": id })),
            "{listed}"
        );
    }
    let (sha256, name) = (modules::legacy_sha256(module), &walk.name);
    let bytes: Vec<String> = modules::decimal(module)
        .bytes()
        .map(|byte| byte.to_string())
        .collect();
    let buffer = format!(r#"{{"type":"Buffer","data":[{}]}}"#, bytes.join(","));
    let call = walk.call("GET", format!("/api/executables/{id}"));
    let whole = format!(
        r#"{{"wasm_id":{id},"wasm_sha256":"{sha256}","wasm_description":"{name}","wasm_as_buffer":{buffer},"wasm_state":"{{}}","wasm_callback_object":"{{}}"}}"#
    );
    walk.ok(call, "a function", whole).await;
    for (filter, value) in [
        ("wasm_id", id.to_string()),
        ("wasm_sha256", format!("\"{sha256}\"")),
        ("wasm_description", format!("\"{name}\"")),
        ("wasm_as_buffer", buffer),
        ("wasm_state", "\"{}\"".into()),
        ("wasm_callback_object", "\"{}\"".into()),
    ] {
        let call = walk.filter("executables", id, &format!("[\"{filter}\"]"));
        walk.ok(call, filter, format!("{{\"{filter}\":{value}}}"))
            .await;
    }
    let admin = "Wrong admin key! total_gas_consumed, total_invocations and full_usage_report for {} require that San SVM_Admin_Key is present in the request headers.".replace("{}", &id.to_string());
    for (filter, none) in [
        ("total_gas_consumed", Some("0")),
        ("total_invocations", Some("0")),
        ("full_usage_report", Some("{}")),
        // Without a call the original never answered this.
        ("latest_execution_time_in_nanoseconds", None),
    ] {
        let call = walk.filter("executables", id, &format!("[\"{filter}\"]"));
        walk.no(call.clone(), filter, (403, "admin-key"), error(&admin))
            .await;
        if let Some(none) = none {
            let call = call.header("SSVM_Admin_Key", &*public.admin_key);
            walk.ok(call, filter, format!("{{\"{filter}\":{none}}}"))
                .await;
        }
    }
    walk.no(
        walk.filter("executables", id, "[\"nope\"]"),
        "an unknown filter",
        (400, "filter"),
        r#"[{"error_invalid_filter":"[\"nope\"]"},{"valid_filters_include":["wasm_id","wasm_description","wasm_as_buffer","wasm_state","wasm_sha256","wasm_callback_object","total_gas_consumed","total_invocations","full_usage_report","latest_execution_time_in_nanoseconds"]}]"#,
    )
    .await;
    let broken = error("Please check your filterBy parameters. Not valid string array!");
    walk.no(
        walk.filter("executables", id, "nope"),
        "a broken filter",
        (400, "filter"),
        broken,
    )
    .await;
    let nobody = walk.call("GET", format!("/api/executables/{NOBODY}"));
    let missing = error(&format!("wasm_id of {NOBODY} does not exist"));
    walk.no(nobody, "nobody", (404, "no-such-function"), missing)
        .await;
}

pub(crate) async fn runs(walk: &Walk<'_>, public: &Uploaded, private: &Uploaded) {
    let (id, name) = (public.id, &walk.name);
    let run = |id: u64, path: &str| walk.call("POST", format!("/api/run/{id}/{path}"));
    for (content_type, sent, argument) in [
        ("text/plain", name.clone(), name.clone()),
        (
            "application/json",
            " {\"b\": 1.0, \"a\": [1, 2]} ".into(),
            "{\"b\":1,\"a\":[1,2]}".into(),
        ),
        (OCTETS, name.clone(), name.clone()),
        (
            "application/x-www-form-urlencoded",
            "text=hi&x=1".into(),
            "{\"text\":\"hi\",\"x\":\"1\"}".into(),
        ),
    ] {
        let call = run(id, "say")
            .header("Content-Type", content_type)
            .body(sent);
        walk.ok(call, content_type, format!("hello {argument}"))
            .await;
    }
    walk.ok(run(id, "say"), "no body", "hello ").await;
    let bytes = [0xff, 0, 1, 0xfe];
    let raw = run(id, "echo/bytes")
        .header("Content-Type", OCTETS)
        .body(bytes);
    walk.check("bytes", &raw.send().await, (200, ""), Look::Octets, bytes);
    for (path, truth) in [("nope", (404, "no-such-export")), ("trap", (502, "trap"))] {
        let text = |path: &str| run(id, path).header("Content-Type", "text/plain").body("x");
        walk.no(text(path), path, truth, FAILED).await;
        let answer = text(&format!("{path}/bytes")).send().await;
        walk.check(path, &answer, truth, Look::Octets, FAILED);
    }
    let scalar = run(id, "say")
        .header("Content-Type", "application/json")
        .body("1");
    walk.hung(scalar, "a scalar", (400, "json")).await;
    for path in ["say", "say/bytes"] {
        let missing = format!("{NOBODY} does not exist");
        walk.no(
            run(NOBODY, path).body("x"),
            path,
            (404, "no-such-function"),
            missing,
        )
        .await;
    }
    let id = private.id;
    let key = private.json["SSVM_Usage_Key"].as_str().unwrap();
    let wrong = error(&format!("Wrong usage key ... {id} can not be accessed."));
    let text = || {
        run(id, "say")
            .header("Content-Type", "text/plain")
            .body(name)
    };
    walk.no(text(), "no key", (403, "usage-key"), &wrong).await;
    walk.no(
        text().header("SSVM_Usage_Key", NIL),
        "zeros",
        (403, "usage-key"),
        &wrong,
    )
    .await;
    for header in ["SSVM_Usage_Key", "SSVM-Usage-Key", "ssvm_usage_key"] {
        walk.ok(text().header(header, key), header, format!("hello {name}"))
            .await;
    }
}

pub(crate) async fn multipart(walk: &Walk<'_>, public: &Uploaded, private: &Uploaded) {
    let name = &*walk.name;
    let (kind, body) = modules::form(&[
        ("input_1", None, b"one"),
        ("input_2", None, b"{\"asdf\": 10}"),
        ("input_3", None, name.as_bytes()),
    ]);
    let post = |id: u64, path: &str| {
        let call = walk.call("POST", format!("/api/multipart/run/{id}/{path}"));
        call.header("Content-Type", &*kind).body(&body)
    };
    let joined = format!("one|{{\"asdf\": 10}}|{name}");
    walk.ok(post(public.id, "three"), "three parts", &joined)
        .await;
    let answer = post(public.id, "three/bytes").send().await;
    walk.check(
        "three parts as bytes",
        &answer,
        (200, ""),
        Look::Octets,
        &joined,
    );
    // This export takes one text.
    let misfit = post(public.id, "trap");
    walk.no(misfit, "multipart misfit", (400, "arguments"), FAILED)
        .await;
    let missing = format!("{NOBODY} does not exist");
    walk.no(
        post(NOBODY, "three"),
        "multipart nobody",
        (404, "no-such-function"),
        missing,
    )
    .await;
    let wrong = error(&format!(
        "Wrong usage key ... {} can not be accessed.",
        private.id
    ));
    walk.no(
        post(private.id, "three"),
        "multipart key",
        (403, "usage-key"),
        wrong,
    )
    .await;
    let bare = walk.call("POST", format!("/api/multipart/run/{}/three", public.id));
    let bare = bare
        .header("Content-Type", "multipart/form-data")
        .body(&body);
    walk.hung(bare, "no boundary", (400, "multipart")).await;
}

pub(crate) async fn updates(walk: &Walk<'_>, public: &Uploaded) {
    let id = public.id;
    let module = modules::fixed(&walk.name);
    let put = |id: u64, key: &str, kind: &str, module: &[u8]| {
        let call = walk.call("PUT", format!("/api/update_wasm_binary/{id}"));
        call.header("Content-Type", kind)
            .header("SSVM_Admin_Key", key)
            .body(module)
    };
    let key = &*public.admin_key;
    let sha256 = modules::legacy_sha256(&module);
    let done = format!("{{\"wasm_id\":\"{id}\",\"wasm_sha256\":\"{sha256}\"");
    let answer = put(id, key, OCTETS, &module).send().await;
    let rest = answer.text().strip_prefix(&done).map(str::to_owned);
    assert!(
        rest.is_some_and(|rest| rest == "}" || rest.starts_with(",\"iof_")),
        "{}",
        answer.text()
    );
    walk.check("an update", &answer, (200, ""), Look::Html, answer.text());
    let run = walk.call("POST", format!("/api/run/{id}/fixed"));
    walk.ok(run, "the new module", &walk.name).await;
    let wrong = error(&format!("Wrong admin key ... {id} can not be updated."));
    walk.no(
        put(id, NIL, OCTETS, &module),
        "another's module",
        (403, "admin-key"),
        wrong,
    )
    .await;
    let typed = error("Content-Type must be application/octet-stream");
    let text = put(id, key, "text/plain", &module);
    walk.no(
        text,
        "a module of another type",
        (415, "content-type"),
        typed,
    )
    .await;
    walk.no(
        put(id, key, OCTETS, b""),
        "an empty module",
        (400, "not-wasm"),
        BLANK,
    )
    .await;
    let missing = error(&format!("wasm_id of {NOBODY} does not exist"));
    let call = put(NOBODY, key, OCTETS, &module);
    walk.no(
        call,
        "a module for a missing function",
        (404, "no-such-function"),
        missing,
    )
    .await;
}

pub(crate) async fn deletes(walk: &Walk<'_>, uploaded: &Uploaded) {
    let id = uploaded.id;
    let delete = |key: &str| {
        let call = walk.call("DELETE", format!("/api/executables/{id}"));
        call.header("SSVM_Admin_Key", key)
    };
    let wrong = error(&format!("Wrong admin key ... {id} can not be deleted."));
    walk.no(delete(NIL), "another's function", (403, "admin-key"), wrong)
        .await;
    let done = format!("{{\"wasm_id\":\"{id}\"}}");
    walk.ok(delete(&uploaded.admin_key), "a function is deleted", done)
        .await;
    let missing = error(&format!("wasm_id of {id} does not exist"));
    let again = delete(&uploaded.admin_key);
    walk.no(again, "it is deleted", (404, "no-such-function"), missing)
        .await;
}
