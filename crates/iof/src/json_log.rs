//! The log as JSON, one object per line, with unique keys and numbers as numbers.
//!
//! A line has `timestamp`, `level`, `message`, the event's fields and `target`. Rejected: the formatter of
//! `tracing-subscriber`. It repeats a key for each field of that name, `message` and `target` included, of which
//! readers of JSON keep either (RFC 8259, section 4), and writes a number of 128 bits as a string.

use serde_json::{Map, Value};
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event as one line of JSON.
pub(crate) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let mut line = Line(Map::new());
        line.put("timestamp", timestamp.into());
        line.put("level", metadata.level().as_str().into());
        // This reserves the position of the message, whichever field an event has first.
        line.put("message", Value::Null);
        event.record(&mut line);
        line.finish(metadata.target());
        let line = serde_json::to_string(&line.0).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// The members of a line.
struct Line(Map<String, Value>);

impl Line {
    /// Adds a member; if the name is taken, it is called `field.NAME`.
    fn put(&mut self, name: &str, value: Value) {
        let mut name = name.to_owned();
        while self.0.contains_key(&name) {
            name.insert_str(0, "field.");
        }
        self.0.insert(name, value);
    }

    fn finish(&mut self, target: &str) {
        if self.0.get("message") == Some(&Value::Null) {
            self.0.shift_remove("message");
        }
        // An event of the crate `log` has its target in a field.
        match self.0.get("log.target") {
            Some(Value::String(from)) if target == "log" => {
                let from = from.as_str().into();
                self.put("target", from);
            }
            _ => self.put("target", target.into()),
        }
    }

    fn record(&mut self, field: &Field, value: Value) {
        match (field.name(), self.0.get_mut("message")) {
            ("message", Some(message)) if message.is_null() => *message = value,
            // The key `target` is reserved for the event's own target, which comes last.
            ("target", _) => self.put("field.target", value),
            (name, _) => self.put(name, value),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        let small = i64::try_from(value).map(Value::from);
        self.record(field, small.unwrap_or_else(|_| value.to_string().into()));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        let small = u64::try_from(value).map(Value::from);
        self.record(field, small.unwrap_or_else(|_| value.to_string().into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let finite = serde_json::Number::from_f64(value).map(Value::Number);
        self.record(field, finite.unwrap_or_else(|| value.to_string().into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_key_is_there_once_and_numbers_are_numbers() {
        let lines = Lines::default();
        let made = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLine)
            .with_writer(move || made.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let message = "mine";
            tracing::info!(target: "t", message, level = 3, timestamp = 1.5, target = "x", "the {}", "event");
            tracing::info!(target: "t", big = 7u128, huge = u128::MAX, nan = f64::NAN, text = ?"a\"b\n", none = None::<u8>);
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut lines = text.lines();
        let first = lines.next().unwrap();
        assert!(
            first.contains(r#""level":"INFO","message":"#)
                && first.ends_with(r#""field.target":"x","target":"t"}"#)
                && first.contains(r#""field.level":3,"field.timestamp":1.5"#)
                && first.contains(r#""the event""#)
                && first.contains(r#""mine""#),
            "{first}"
        );
        let second: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!(second["big"], 7);
        assert_eq!(second["huge"], u128::MAX.to_string());
        assert_eq!(second["nan"], "NaN");
        assert_eq!(second["text"], "\"a\\\"b\\n\"");
        assert!(second.get("none").is_none() && second.get("message").is_none());
    }
}
