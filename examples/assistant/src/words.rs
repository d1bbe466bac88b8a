//! The words in a stream of events (`text/event-stream`) of chat completions.

use serde_json::Value;

/// The longest line that is kept while its end has not come.
const LONGEST: usize = 1 << 20;

/// The bytes of a line whose end has not come.
#[derive(Default)]
pub struct Words {
    line: Vec<u8>,
}

impl Words {
    /// The words that are complete, now that this piece has come.
    ///
    /// # Errors
    /// A line that is too long.
    pub fn push(&mut self, piece: &[u8]) -> Result<String, &'static str> {
        let mut words = String::new();
        for byte in piece {
            if *byte == b'\n' {
                words += &of_line(&self.line);
                self.line.clear();
            } else if self.line.len() < LONGEST {
                self.line.push(*byte);
            } else {
                return Err("a line of the answer is too long");
            }
        }
        Ok(words)
    }
}

/// The words in one line: `data: {"choices": [{"delta": {"content": "words"}}]}`.
fn of_line(line: &[u8]) -> String {
    let event = line.strip_prefix(b"data:").unwrap_or_default();
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    let words = &event["choices"][0]["delta"]["content"];
    words.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_come_out_as_soon_as_their_line_ends() {
        let events = "data: {\"choices\":[{\"delta\":{\"content\":\"Zug\"}}]}\n\n: still here\r\n\
                      data: {\"choices\":[{\"delta\":{\"content\":\"spitze\"}}]}\r\n\ndata: [DONE]\n";
        let mut words = Words::default();
        let said: Vec<_> = events
            .as_bytes()
            .chunks(7)
            .map(|piece| words.push(piece).unwrap())
            .filter(|said| !said.is_empty())
            .collect();
        assert_eq!(said, ["Zug", "spitze"]);
    }

    #[test]
    fn what_is_not_an_event_says_nothing() {
        let mut words = Words::default();
        assert_eq!(
            words.push(b"data: {\"choices\": 7}\nnonsense\n\n").unwrap(),
            ""
        );
        assert!(words.push(&vec![b'x'; 2 << 20]).is_err());
    }
}
