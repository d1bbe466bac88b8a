//! The settings, as an operator writes them.

use std::time::Duration;

use bytesize::ByteSize;
use iof_egress::{Addresses, Config, Egress};

#[test]
fn defaults_and_texts() {
    assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    let config: Config = toml::from_str(
        r#"
        ca_files = ["/etc/ca.pem"]
        dns_servers = ["[::1]:53"]
        deny = ["11.0.0.0/8"]
        connect_timeout = "1s 500ms"
        max_response = "2MiB"
        max_request = 1024
        max_redirects = 0

        [[pin]]
        host = "db.internal"
        port = 443
        to = "10.0.0.7:8443"

        [[client_certificate]]
        host = "api.bank.example"
        certificate = "us.pem"
        key = "us.key"
        "#,
    )
    .unwrap();
    assert_eq!(config.connect_timeout, Duration::from_millis(1500));
    assert_eq!(
        (config.max_response, config.max_request),
        (ByteSize::mib(2), ByteSize::kib(1))
    );
    assert_eq!(config.pin[0].to.to_string(), "10.0.0.7:8443");
    assert_eq!(config.client_certificate[0].port, None);
    assert_eq!(config.idle_timeout, Config::default().idle_timeout);
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
}

#[test]
fn unknown_settings_are_refused_and_the_address_policy_is_one_of_them() {
    for text in [
        "adresses = 'any'",
        "addresses = 'any'",
        "addresses = 'Any'",
        "[[pin]]\nhost='a'\nport=1\nto='1.1.1.1:1'\nx=1",
        "[[client_certificate]]\nhost='a'\ncertificate='a'",
        "[[client_certificate]]\nhost='a'\ncertificate='a'\nkey='a'\nx=1",
    ] {
        assert!(toml::from_str::<Config>(text).is_err(), "{text}");
    }
    let any = Config {
        addresses: Addresses::Any,
        ..Config::default()
    };
    assert!(!toml::to_string(&any).unwrap().contains("addresses"));
}

#[tokio::test]
async fn settings_that_do_not_work_are_named() {
    for (text, expected) in [
        (
            "connect_timeout = '0s'",
            "egress.connect_timeout: write more than 0s",
        ),
        (
            "total_timeout = '2days'",
            "egress.total_timeout: write more than 0s",
        ),
        (
            "max_concurrent = 0",
            "egress.max_concurrent: write a number",
        ),
        (
            "max_concurrent_per_function = 0",
            "egress.max_concurrent_per_function: write a number",
        ),
        (
            "max_retries = 11",
            "egress.max_retries: write a number from 0 to 10",
        ),
        (
            "max_connections = 10000000",
            "egress.max_connections: write a number",
        ),
        (
            "max_response_headers = '1KiB'",
            "egress.max_response_headers: write a size from 8KiB",
        ),
        (
            "[[pin]]\nhost = 'a b'\nport = 1\nto = '1.1.1.1:1'",
            "egress.pin: the host is not valid: got \"a b\"",
        ),
        (
            "[[pin]]\nhost = 'a'\nport = 0\nto = '1.1.1.1:1'",
            "egress.pin: a: the port is not valid",
        ),
        (
            "[[pin]]\nhost = 'a'\nport = 1\nto = '1.1.1.1:1'\n[[pin]]\nhost = 'A.'\nport = 1\nto = '1.1.1.1:1'",
            "a.:1 is pinned twice",
        ),
    ] {
        let config: Config = toml::from_str(text).unwrap();
        let error = Egress::new(config)
            .err()
            .unwrap_or_else(|| panic!("{text} was accepted"));
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}
