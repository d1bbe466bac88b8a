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
    }
}

fn reading(uptime: f64, functions: Vec<Counts>) -> Reading {
    Reading {
        uptime,
        bounds: vec![0.1, 1.0],
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
    let page = page("http://x", &Json::Null, &same, &later, &rows, 9);
    assert!(page.ends_with("No function was called.\n"), "{page}");
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
}
