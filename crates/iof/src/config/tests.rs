use super::*;

fn join(args: &Serve, environment: &[(&str, &str)], file: &str) -> Result<Config, String> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::join(
        args,
        environment,
        Some((Path::new("iof.toml"), file.to_owned())),
    )
}

#[test]
fn flags_over_environment_over_file_over_defaults() {
    let file = "listen = \"127.0.0.1:1\"\n[limits]\nwall_time = \"1s\"\nguest_cpu = \"1s\"\ncommands = 1\n";
    let environment = [
        ("IOF_LISTEN", "127.0.0.1:2"),
        ("IOF_LIMITS_GUEST_CPU", "2s"),
        ("IOF_LIMITS_COMMANDS", "2"),
    ];
    let args = Serve {
        listen: Some("127.0.0.1:3".parse().unwrap()),
        set: vec!["limits.commands=3".into()],
        ..Serve::default()
    };
    let config = join(&args, &environment, file).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.limits.wall_time.as_secs(), 1);
    assert_eq!(config.limits.guest_cpu.as_secs(), 2);
    assert_eq!(config.limits.commands, 3);
    assert_eq!(config.limits.memory, Limits::default().memory);
}

/// A file of settings of an earlier release starts a server.
#[test]
fn earlier_names_of_settings_are_read() {
    let file = "[second_state]\nlog_rows = 7\nform_fields = 8\nstatus = \"real\"\n[server]\nrefused_rows = 9\n";
    let environment = [("IOF_SECOND_STATE_FORM_FIELDS", "10")];
    let args = Serve {
        set: vec!["second_state.multipart_parts=11".into()],
        ..Serve::default()
    };
    let config = join(&args, &environment, file).unwrap();
    assert_eq!(
        (
            config.server.log_rows,
            config.server.refused_rows,
            config.server.form_fields,
            config.server.multipart_parts
        ),
        (7, 9, 10, 11)
    );
    // They are shown by the names of today, and no file has both.
    let shown = config.to_toml(false);
    assert_eq!(shown.matches("log_rows").count(), 1, "{shown}");
    let line = config.lines();
    let line = line.iter().find(|line| line.name == "server.log_rows");
    assert!(line.is_some_and(|line| line.value == "7" && line.source == SettingSource::File));
    let both = "[second_state]\nlog_rows = 7\n[server]\nlog_rows = 8\n";
    let error = join(&Serve::default(), &[], both).unwrap_err();
    assert_eq!(
        error,
        "iof.toml: second_state.log_rows is the earlier name of server.log_rows: got both. Remove second_state.log_rows."
    );
    for (wrong, words) in [
        ("[second_state]\nlog_rows = \"many\"\n", "server.log_rows"),
        ("[second_state]\nlog_rows = 1\nlog_row = 2\n", "log_row"),
        ("server = 1\n[second_state]\nlog_rows = 1\n", "server"),
    ] {
        let error = join(&Serve::default(), &[], wrong).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn every_error_names_the_setting_and_its_place() {
    let error = |environment: &[(&str, &str)], set: &str, file: &str| {
        let set = if set.is_empty() {
            vec![]
        } else {
            vec![set.to_owned()]
        };
        join(
            &Serve {
                set,
                ..Serve::default()
            },
            environment,
            file,
        )
        .unwrap_err()
    };
    for (message, wanted) in [
        (
            error(&[], "", "[limits]\nwall_tmie = \"1s\"\n"),
            vec!["iof.toml", "wall_tmie", "wall_time"],
        ),
        (
            error(&[], "", "listen = 70000\n"),
            vec!["iof.toml", "listen", "8080"],
        ),
        (
            error(&[], "", "log = \"inof\"\n"),
            vec!["log: ", "inof", "info"],
        ),
        (
            error(&[], "", "[limits]\nwall_time = 5\n"),
            vec!["wall_time", "\"5s\""],
        ),
        (
            error(&[("IOF_LIMITS_WALL_TMIE", "1s")], "", ""),
            vec!["IOF_LIMITS_WALL_TMIE", "IOF_LIMITS_WALL_TIME"],
        ),
        (
            error(&[("IOF_LIMITS_WALL_TIME", "soon")], "", ""),
            vec!["IOF_LIMITS_WALL_TIME", "soon"],
        ),
        (
            error(&[], "limits.memory=lots", ""),
            vec!["limits.memory", "lots"],
        ),
        (
            error(&[], "limits.commands=-1", ""),
            vec!["limits.commands"],
        ),
        (error(&[], "limits", ""), vec!["NAME=VALUE"]),
        (error(&[], "limit.memory=1", ""), vec!["limits.memory"]),
        (
            error(&[], "listen=0.0.0.0:80", ""),
            vec!["0.0.0.0:80", "auth.keys", "127.0.0.1"],
        ),
        (error(&[], "auth.keys=short", ""), vec!["auth.keys", "16"]),
        (
            error(&[], "server.concurrency=0", ""),
            vec!["server.concurrency", "between 1"],
        ),
    ] {
        for part in wanted {
            assert!(message.contains(part), "{part:?} is missing in: {message}");
        }
    }
}

#[test]
fn a_public_address_needs_keys() {
    let key = "0123456789abcdef0123";
    let config = join(
        &Serve::default(),
        &[("IOF_AUTH_KEYS", key)],
        "listen = \"0.0.0.0:80\"\n",
    )
    .unwrap();
    assert_eq!(config.auth.keys, [key]);
    assert!(
        !config.to_toml(false).contains(key),
        "keys are never printed"
    );
}

#[test]
fn what_is_printed_can_be_read() {
    let config = Config::default();
    let again: Config = toml::from_str(&config.to_toml(false)).unwrap();
    assert_eq!(again.to_toml(false), config.to_toml(false));
}

#[test]
fn listen_is_an_address_a_port_or_both() {
    for file in [
        "listen = 9090\n",
        "listen = \":9090\"\n",
        "listen = \"localhost:9090\"\n",
    ] {
        let config = join(&Serve::default(), &[], file).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:9090", "{file}");
        // A source that overrides the value may write it in another form.
        let config = join(&Serve::default(), &[("IOF_LISTEN", "127.0.0.1:1")], file).unwrap();
        assert_eq!(config.listen.port(), 1, "{file}");
    }
    let set = |set: &str| Serve {
        set: vec![set.into()],
        ..Serve::default()
    };
    assert_eq!(
        join(&set("listen=9090"), &[], "").unwrap().listen.port(),
        9090
    );
}

#[test]
fn files_are_relative_to_the_file_that_names_them() {
    let file = Some((Path::new("/etc/iof/iof.toml"), "data = \"d\"\n".to_owned()));
    let config = Config::join(&Serve::default(), std::iter::empty(), file).unwrap();
    assert_eq!(config.data, Path::new("/etc/iof/d"));
    // A path on the command line is relative to the working directory.
    let typed = Serve {
        data: Some("d".into()),
        ..Serve::default()
    };
    let file = Some((Path::new("/etc/iof/iof.toml"), "data = \"d\"\n".to_owned()));
    let config = Config::join(&typed, std::iter::empty(), file).unwrap();
    assert_eq!(config.data, std::path::absolute("d").unwrap());
}
