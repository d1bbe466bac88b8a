use super::*;
use crate::capability::{clock, random};
use std::time::Duration;

fn request(words: &[&str]) -> Request {
    Request {
        args: words.iter().map(|&word| word.to_owned()).collect(),
        env: vec![],
        stdin: Bytes::from_static(b"in"),
        timeout: Duration::from_secs(1),
    }
}

fn recorded() -> HostResponses {
    let tape = HostCallTape::recorder(10_000);
    for (word, status) in [("a", 0), ("b", 1), ("a", 2)] {
        let out = Bytes::from(format!("{word}{status}"));
        tape.note_command("run", request(&[word]), (status, &out, &Bytes::new()));
    }
    tape.note_load(b"key", Some(&Bytes::from_static(&[0xff, 1])));
    tape.note_load(b"none", None);
    tape.note_save(b"key", Bytes::from_static(b"new"), false);
    let mut random = [0; 12];
    random::fill(Some(&tape), &mut random);
    clock::wall(&tape);
    tape.responses().unwrap()
}

#[test]
fn what_was_heard_survives_json_and_is_played_in_its_order() {
    let responses = recorded();
    let json = serde_json::to_string(&responses).unwrap();
    assert!(
        json.contains(r#""base64":"/wE=""#) && json.contains(r#""stdout":"a0""#),
        "{json}"
    );
    let read: HostResponses = serde_json::from_str(&json).unwrap();
    assert_eq!(read, responses);

    let tape = HostCallTape::player(read);
    let status = |words: &[&str]| {
        tape.play_command("run", &request(words))
            .unwrap()
            .map(|came| came.0)
    };
    assert_eq!(
        (
            status(&["b"]).unwrap(),
            status(&["a"]).unwrap(),
            status(&["a"]).unwrap()
        ),
        (1, 0, 2)
    );
    assert_eq!(status(&["a"]).unwrap_err().code(), "not-recorded");
    assert_eq!(status(&["c"]).unwrap_err().code(), "not-recorded");
    assert_eq!(
        tape.play_load(b"key").unwrap().unwrap(),
        [0xff, 1].as_slice()
    );
    assert_eq!(tape.play_load(b"none").unwrap(), None);
    assert_eq!(
        tape.play_load(b"key").unwrap(),
        None,
        "a second load that was not recorded finds nothing"
    );
    assert_eq!(
        tape.play_save(b"key", &Bytes::from_static(b"new")),
        Some(false)
    );
    assert_eq!(
        tape.play_save(b"key", &Bytes::from_static(b"other")),
        Some(true)
    );
    assert_eq!(
        tape.play_load(b"key").unwrap().unwrap(),
        "other",
        "a load sees the run's own stores"
    );
}

#[test]
fn randomness_and_clocks_go_on_alike_where_the_recording_ends() {
    let responses = recorded();
    let run = || {
        let tape = HostCallTape::player(responses.clone());
        let mut random = [0; 40];
        random::fill(Some(&tape), &mut random[..5]);
        random::fill(Some(&tape), &mut random[5..]);
        let times: Vec<_> = (0..3).map(|_| clock::wall(&tape)).collect();
        (random, times)
    };
    let (random, times) = run();
    assert_eq!(run(), (random, times.clone()));
    assert_eq!(random[..12], responses.random.0[..]);
    assert_ne!(random[12..26], random[26..]);
    assert!(
        times.is_sorted_by(|a, b| a < b),
        "clocks advance after the recording"
    );
}

#[test]
fn too_much_is_none_and_takes_no_memory() {
    let tape = HostCallTape::recorder(100);
    let out = Bytes::from(vec![0; 1_000]);
    tape.note_command("run", request(&[]), (0, &out, &Bytes::new()));
    assert!(tape.responses().is_none());
    assert!(lock(&tape.0.responses).responses.commands.is_empty());
    tape.note_load(b"key", None);
    assert!(tape.responses().is_none(), "the recording stays dropped");
}
