//! What every program gets: arguments, environment, streams, a directory; and how it ends.

use iof_jail::{Exit, Profile, Request};

use crate::support::{jails, request, text};

#[tokio::test]
async fn what_goes_in_comes_out() {
    for way in jails().await {
        println!("{}: {:#?}", way.name, way.jail.report());
        let mut profile = Profile::new("/bin/sh");
        profile.env = vec![("B".into(), "profile".into()), ("HOME".into(), "/x".into())];
        let program = way.program(profile);
        let script = "cat; echo \"$A $B $HOME\"; echo \"$0 $1\" >&2; exit 7";
        let ended = program
            .run(Request {
                env: vec![("A".into(), "run".into()), ("B".into(), "run".into())],
                ..request(&["-c", script, "zero", "a b"], "in\n")
            })
            .await
            .unwrap();
        assert_eq!(ended.exit, Exit::Code(7), "{}: {ended:?}", way.name);
        assert_eq!(text(&ended.stdout), "in\nrun profile /x", "{}", way.name);
        assert_eq!(text(&ended.stderr), "zero a b", "{}", way.name);
    }
}
