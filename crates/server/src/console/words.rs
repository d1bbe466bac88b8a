//! Numbers, times and cells as people read them: with units, in few digits, aligned.

use maud::{Markup, html};
use std::time::Duration;

/// A count, its thousands apart: `12 345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of calls: `1 call`, `12 calls`.
pub(super) fn calls(number: u64) -> String {
    match number {
        1 => "1 call".to_owned(),
        many => format!("{} calls", count(many)),
    }
}

/// Calls in a second: `12.3/s`.
pub(super) fn rate(each_second: f64) -> String {
    match each_second {
        0.0 => "0/s".to_owned(),
        few if few < 10.0 => format!("{few:.2}/s"),
        some if some < 100.0 => format!("{some:.1}/s"),
        many => format!("{}/s", count(many.round() as u64)),
    }
}

/// A part of a whole: `1.3 %`; a dash of nothing.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        0.0 => "0 %".to_owned(),
        few if few < 10.0 => format!("{few:.2} %"),
        many => format!("{many:.1} %"),
    }
}

/// A time: `830 µs`, `4.20 ms`, `1.50 s`, `30 s`, `2 min`.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        0.0 => "0 ms".to_owned(),
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.01 => format!("{:.2} ms", s * 1e3),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// The same of an optional time; a dash of none.
pub(super) fn seconds_or_none(time: Option<f64>) -> String {
    time.map_or("–".to_owned(), seconds)
}

/// A setting's time.
pub(super) fn duration(time: Duration) -> String {
    humantime_serde::re::humantime::format_duration(time).to_string()
}

/// Bytes: `532 B`, `1.3 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = units[0];
    for next in &units[1..] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    match value < 10.0 {
        true => format!("{value:.2} {unit}"),
        false => format!("{value:.1} {unit}"),
    }
}

/// A time in UTC, which the script of the page shows in the zone of its reader.
pub(super) fn time(unix_ms: i64) -> Markup {
    let text = crate::time::time(unix_ms);
    // As wide as what the script makes of it, so that nothing moves.
    let shown = text.get(..19).unwrap_or(&text).replace('T', " ");
    html! { time datetime=(text) { (shown) } }
}

/// The same without its year, where all times are of late.
pub(super) fn recent_time(unix_ms: i64) -> Markup {
    let text = crate::time::time(unix_ms);
    let shown = text.get(5..19).unwrap_or(&text).replace('T', " ");
    html! { time datetime=(text) data-recent="" { (shown) } }
}

/// The address of a function's page.
pub(super) fn function_href(id: i64) -> String {
    format!("/console/functions/{id}")
}

/// The name of a function as it is written: its name, or its number.
pub(super) fn label(name: Option<&str>, id: i64) -> String {
    name.map_or_else(|| format!("function {id}"), str::to_owned)
}

/// A table whose first row has these heads; a head that begins with `>` is of numbers. `empty` stands where there is no row.
pub(super) fn table(
    id: &str,
    caption: &str,
    heads: &[&str],
    rows: &[Markup],
    empty: &Markup,
) -> Markup {
    html! {
        @if rows.is_empty() {
            div class="empty" id=(id) { (empty) }
        } @else {
            div class="scroll" id=(id) tabindex="0" role="region" aria-label=(format!("{caption} (table)")) {
                table {
                    caption class="hidden" { (caption) }
                    thead { tr {
                        @for head in heads {
                            @match head.strip_prefix('>') {
                                Some(head) => th scope="col" class="n" { (head) },
                                None if head.is_empty() => td {},
                                None => th scope="col" { (head) },
                            }
                        }
                    } }
                    tbody { @for row in rows { (row) } }
                }
            }
        }
    }
}

/// A figure with its name.
pub(super) fn figure(name: &str, value: &str, note: &str) -> Markup {
    html! {
        div class="figure" {
            dt { (name) }
            dd { (value) @if !note.is_empty() { small { (note) } } }
        }
    }
}

/// The mark of an outcome.
pub(super) fn outcome(fault: Option<&str>) -> Markup {
    html! {
        @match fault {
            None => span class="state good" { "ok" },
            Some(fault) => span class="state bad" { (fault) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits_and_a_unit() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            [0.0, 0.5, 12.34, 1234.2].map(rate),
            ["0/s", "0.50/s", "12.3/s", "1\u{202f}234/s"]
        );
        assert_eq!(percent(1, 0), "–");
        assert_eq!(
            [(0, 9), (1, 100), (1, 3)].map(|(a, b)| percent(a, b)),
            ["0 %", "1.00 %", "33.3 %"]
        );
        assert_eq!(
            [
                0.0, 0.000_25, 0.0042, 0.042, 0.42, 4.2, 420.0, 7200.0, 864_000.0
            ]
            .map(seconds),
            [
                "0 ms",
                "250 µs",
                "4.20 ms",
                "42.0 ms",
                "420 ms",
                "4.20 s",
                "7 min",
                "2.0 h",
                "10.0 days"
            ]
        );
        assert_eq!(
            [512, 1024, 20 << 20].map(bytes),
            ["512 B", "1.00 KiB", "20.0 MiB"]
        );
    }

    #[test]
    fn text_of_a_cell_is_text() {
        let row = html! { tr { td { ("<script>") } } };
        let text = table("t", "<b>", &["a", ">n"], &[row], &html! {}).into_string();
        assert!(
            !text.contains("<script>") && !text.contains("<b>"),
            "{text}"
        );
        assert!(
            text.contains("<th scope=\"col\" class=\"n\">n</th>"),
            "{text}"
        );
    }
}
