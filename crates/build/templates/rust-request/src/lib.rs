//! Functions of `__NAME__`.

/// Says what the page of a topic begins with.
///
/// The request leaves through the server, which checks it against the rules of `function.toml`, and which adds the
/// secrets that are declared there: none is ever in here.
#[iof::function]
fn look_up(topic: &str) -> iof::Result<String> {
    let page = iof::http::get("https://example.com/")
        .query("topic", topic)
        .send()?
        .error_for_status()?
        .text();
    Ok(page.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use iof::http::Response;

    #[test]
    fn it_asks_for_the_topic() {
        let host = iof::testing::http(|_| Response::new(200).with_body("a page"));
        assert_eq!(look_up("tea").unwrap(), "a page");
        assert_eq!(host.requests()[0].url, "https://example.com/?topic=tea");
    }

    #[test]
    fn it_fails_when_the_page_does() {
        let _host = iof::testing::http(|_| Response::new(500));
        assert!(look_up("tea").is_err());
    }
}
