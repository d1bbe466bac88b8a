//! The form of a call: that of the page for callers, made by its script of the function's own description.

use super::Seen;
use maud::{Markup, html};

pub(super) fn page(seen: &Seen<'_>) -> Markup {
    html! {
        div id="exports" class="calls" data-call=(seen.api("")) {
            p class="note" { "The forms are generated from the function’s own description." }
        }
        button class="quiet" type="button" id="more" hidden { "Show more exports" }
    }
}
