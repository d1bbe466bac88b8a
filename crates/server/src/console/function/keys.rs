//! The keys of a function and its secrets, by name; its admin key; its deletion.

use super::Seen;
use crate::console::words;
use crate::deploy::secrets_not_set;
use iof_fault::Fault;
use iof_store::MAX_SECRET_VALUE;
use maud::{Markup, html};

pub(super) async fn secrets(seen: &Seen<'_>) -> Result<Markup, Fault> {
    let app = &seen.console.app;
    let id = seen.function.function_id;
    let set = app.store.secret_names(id).await?;
    let declared = seen.function.version.declaration.as_deref();
    let missing = secrets_not_set(app, id, declared).await?;
    let rows: Vec<_> = set
        .iter()
        .map(|of| {
            html! {
                tr {
                    td { code { (of.name) } }
                    td class="time" { (words::time(of.created_at)) }
                    td { code { (of.key_id) } }
                    td class="buttons" {
                        form data-action="DELETE" data-path=(seen.api(&format!("/secrets/{}", of.name))) data-confirm="Really delete?" {
                            button class="quiet" type="submit" { "Delete" }
                            div class="outcome" role="status" {}
                        }
                    }
                }
            }
        })
        .collect();
    let heads = ["Name", "Set", "Encrypted under", ""];
    let empty = html! {
        p { "No secrets are set." }
        p class="note" { "A secret is a value that the server adds to requests that match a rule. The function never sees it." }
    };
    Ok(html! {
        @if !missing.is_empty() {
            p class="alert warn" { "Declared but not set: " (missing.join(", ")) ". Calls that need one fail until it is set." }
        }
        section class="sheet" aria-label="Secrets" { (words::table("secrets", "Secrets", &heads, &rows, &empty)) }
        form class="sheet" data-action="PUT" data-path=(seen.api("/secrets/{name}")) data-body="value" {
            h2 { "Set a secret" }
            div class="fields" {
                div class="field" {
                    label for="secret" { "Name" }
                    input id="secret" name="name" required pattern="[A-Z][A-Z0-9_]{0,63}" list="missing" autocomplete="off" spellcheck="false"
                        placeholder="API_TOKEN";
                    datalist id="missing" { @for name in &missing { option value=(name) {} } }
                }
                div class="field" {
                    label for="value" { "Value" small { "it cannot be read again" } }
                    input id="value" name="value" type="password" required maxlength=(MAX_SECRET_VALUE) autocomplete="off";
                }
            }
            div class="act" { button type="submit" { "Set" } }
            div class="outcome" role="status" {}
        }
    })
}

pub(super) async fn keys(seen: &Seen<'_>) -> Result<Markup, Fault> {
    let id = seen.function.function_id;
    let keys = seen.console.app.store.keys(Some(id)).await?;
    let rows: Vec<_> = keys
        .iter()
        .map(|key| crate::console::keys::row(key, false))
        .collect();
    let empty = html! {
        p { "No keys for this function only." }
        p class="note" { "An operator can create one under " a href="/console/keys" { "Keys" } ", or with " code { "iof key create" } "." }
    };
    let label = seen.counted();
    Ok(html! {
        section class="sheet" aria-labelledby="own-keys" {
            h2 id="own-keys" { "Keys for this function" }
            (words::table("keys", "Keys for this function", &crate::console::keys::HEADS, &rows, &empty))
        }
        section class="sheet" aria-labelledby="admin-key" {
            h2 id="admin-key" { "Admin key" }
            p class="note" { "It can change and delete the function. A new one replaces the old one, which then stops working." }
            form data-action="POST" data-path=(seen.api("/admin-key")) data-confirm="Really replace it?" data-done="admin_key" {
                button class="quiet" type="submit" { "Replace the admin key" }
                div class="outcome" role="status" {}
            }
        }
        section class="sheet danger" aria-labelledby="delete-title" {
            h2 id="delete-title" { "Delete the function" }
            p class="note" { "This also deletes its versions, secrets, stored values and log. Its outbound log is kept." }
            form data-action="DELETE" data-path=(seen.api("")) data-same=(label) data-done="/console/functions" {
                div class="joined" {
                    input data-repeat="" aria-label=(format!("Type {label} to delete it")) placeholder=(format!("Type {label}")) autocomplete="off" spellcheck="false";
                    button class="quiet bad" type="submit" { "Delete" }
                }
                div class="outcome" role="status" {}
            }
        }
    })
}
