//! Numbers with their units, as people read them.

/// A time in a readable unit.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// A size in a readable unit.
pub(super) fn size(bytes: f64) -> String {
    match bytes / 1024.0 {
        kib if kib < 1000.0 => format!("{kib:.0} KiB"),
        kib if kib < 102_400.0 => format!("{:.1} MiB", kib / 1024.0),
        kib if kib < 1_024_000.0 => format!("{:.0} MiB", kib / 1024.0),
        kib => format!("{:.1} GiB", kib / 1_048_576.0),
    }
}

pub(super) fn duration(seconds: f64) -> String {
    let seconds = std::time::Duration::from_secs(seconds as u64);
    humantime_serde::re::humantime::format_duration(seconds).to_string()
}

/// A rate per second, with a fraction only if it is low.
pub(super) fn rate(number: f64) -> String {
    match number < 10.0 {
        true => format!("{number:.1}"),
        false => whole(number),
    }
}

/// A whole number with commas at its thousands.
pub(super) fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
