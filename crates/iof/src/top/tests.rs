use super::*;

fn counts(calls: u64, faults: u64, times: [u64; 3]) -> Counts {
    Counts {
        function: "f".into(),
        version: 1,
        calls,
        client_faults: 0,
        faults,
        loads: 1,
        cpu: calls as f64 / 100.0,
        times: times.to_vec(),
        waits: times.to_vec(),
        memory: vec![calls, 0, 0],
    }
}

fn reading(uptime: f64, functions: Vec<Counts>) -> Reading {
    Reading {
        uptime,
        bounds: vec![0.1, 1.0],
        memory_bounds: vec![65_536.0, 131_072.0],
        functions,
    }
}

#[test]
fn a_row_is_the_difference_of_two_readings() {
    let before = reading(10.0, vec![counts(100, 1, [100, 0, 0])]);
    let after = reading(12.0, vec![counts(120, 2, [110, 10, 0])]);
    let rows = rows(&before, &after);
    let row = &rows[0];
    assert_eq!((row.calls_per_second, row.failed), (10.0, Some(0.05)));
    assert_eq!(row.p50, Some(0.1));
    assert!((row.p99.unwrap() - 0.982).abs() < 1e-9, "{row:?}");
    assert!((row.cores - 0.1).abs() < 1e-9, "{row:?}");
    assert_eq!(row.memory_p99, Some(0.99 * 65_536.0));
}

#[test]
fn a_server_that_started_anew_begins_from_nothing() {
    let before = reading(10.0, vec![counts(100, 1, [100, 0, 0])]);
    let after = reading(2.0, vec![counts(120, 0, [120, 0, 0])]);
    assert_eq!(rows(&before, &after)[0].calls_per_second, 60.0);
}

#[test]
fn a_function_that_was_not_called_has_no_times() {
    let same = reading(10.0, vec![counts(100, 1, [100, 0, 0])]);
    let later = Reading {
        uptime: 11.0,
        ..same.clone()
    };
    let rows = rows(&same, &later);
    assert_eq!((rows[0].failed, rows[0].p99), (None, None));
    let page = page("http://x", &Json::Null, &same, &later, &rows, room(None));
    assert!(page.ends_with("No function was called.\n"), "{page}");
}

fn room(columns: Option<usize>) -> Room {
    Room { rows: 9, columns }
}

#[test]
fn figures_are_aligned_to_the_right_and_long_names_make_room_for_them() {
    let name = "a-function-whose-name-is-as-long-as-it-may-be-by-the-rules";
    let of = |name: &str, calls| Counts {
        function: name.into(),
        ..counts(calls, 0, [calls, 0, 0])
    };
    let before = reading(10.0, vec![]);
    let after = reading(11.0, vec![of(name, 9), of("b", 1_234)]);
    let rows = rows(&before, &after);
    let table = |columns| -> Vec<String> {
        let page = page("x", &Json::Null, &before, &after, &rows, room(columns));
        page.lines().skip(HEAD - 1).map(str::to_owned).collect()
    };
    let wide = table(None);
    assert!(wide[1].starts_with(name), "{wide:?}");
    for columns in [None, Some(80), Some(30)] {
        let lines = table(columns);
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() == lines[0].chars().count()),
            "{lines:?}"
        );
        assert!(
            lines[0].ends_with("  CORES  MEM P99") && lines[1].ends_with(" 0.09   63 KiB"),
            "{lines:?}"
        );
    }
    let narrow = table(Some(80));
    assert_eq!(narrow[0].chars().count(), 80, "{narrow:?}");
    assert!(narrow[1].starts_with("a-functio…  "), "{narrow:?}");
    // A terminal without room for the figures keeps the beginning of the names.
    assert!(table(Some(30))[1].starts_with("a-funct… "));
}

#[test]
fn times_beyond_the_last_bound_are_that_bound() {
    assert_eq!(quantile(0.99, &[0.1, 1.0], &[0, 0, 5]), Some(1.0));
    assert_eq!(quantile(0.99, &[0.1, 1.0], &[0, 0, 0]), None);
}

#[test]
fn numbers_are_written_as_people_read_them() {
    assert_eq!(whole(1_234_567.0), "1,234,567");
    assert_eq!(whole(123.4), "123");
    assert_eq!(rate(0.25), "0.2");
    assert_eq!(time(0.000_25), "250 µs");
    assert_eq!(time(0.0123), "12.3 ms");
    assert_eq!(time(2.5), "2.5 s");
    assert_eq!(size(65_536.0), "64 KiB");
    assert_eq!(size(1023.9 * 1024.0), "1.0 MiB");
    assert_eq!(size(150.0 * 1_048_576.0), "150 MiB");
    assert_eq!(size(1_073_741_824.0), "1.0 GiB");
}
