//! Programs that operators declare, from Debian's packages, in the default profile.
//!
//! A program that is not installed is reported and left out.

use std::path::Path;

use iof_jail::{Feature, Profile};

use crate::support::{Way, jails, out, run, text};

async fn try_one(way: &Way, program: &str, script: &str, expected: &str) {
    if !Path::new(program).exists() {
        println!("{program} is not installed");
        return;
    }
    // A shell creates the input files of the program; both run in the same jail.
    let shell = way.program(Profile::new("/bin/bash"));
    let ended = run(&shell, &["-c", script], "").await.unwrap();
    let output = out(&ended);
    assert!(
        output.contains(expected),
        "{} {program}: {output} {}",
        way.name,
        text(&ended.stderr)
    );
}

#[tokio::test]
async fn real_programs_work() {
    let tesseract = "convert -size 400x80 xc:white -font DejaVu-Sans -pointsize 40 \
        -draw 'text 20,55 \"Hello 42\"' t.png && OMP_THREAD_LIMIT=2 tesseract t.png - 2>/dev/null";
    let ffmpeg = "ffmpeg -v error -f lavfi -i testsrc=duration=1:size=64x64:rate=5 \
        -c:v libx264 v.mp4 && ffprobe -v error -show_entries stream=nb_frames -of csv=p=0 v.mp4";
    let node = "node -e 'require(\"child_process\"); \
        const w = new (require(\"worker_threads\").Worker)(\"console.log(6 * 7)\", {eval: true});'";
    let python = "/usr/bin/python3 -c 'import json, ssl, sqlite3, tempfile, subprocess, hashlib, threading\n\
        t = threading.Thread(target=lambda: print(subprocess.check_output([\"echo\", \"sub\"]))); t.start(); t.join()\n\
        f = tempfile.NamedTemporaryFile(); f.write(b\"x\"); sqlite3.connect(\"d.db\").execute(\"create table t(x)\")\n\
        print(json.dumps(hashlib.sha256(b\"\").hexdigest()[:8]))'";
    for way in jails().await {
        for (program, script, expected) in [
            (
                "/usr/bin/bash",
                "a=(1 2 3); echo $(( ${#a[@]} * 14 ))",
                "42",
            ),
            ("/usr/bin/python3", python, "e3b0c442"),
            ("/usr/bin/node", node, "42"),
            (
                "/usr/bin/convert",
                "PATH=/usr/bin:/bin; convert rose: -resize 50% -rotate 30 r.jpg && convert r.jpg info:-",
                "JPEG",
            ),
            ("/usr/bin/ffmpeg", ffmpeg, "5"),
            (
                "/usr/bin/pandoc",
                "echo '# T *x*' | pandoc -f markdown -t html",
                "<em>x</em>",
            ),
            (
                "/usr/bin/tesseract",
                &format!("PATH=/usr/bin:/bin; {tesseract}"),
                "Hello 42",
            ),
        ] {
            try_one(&way, program, script, expected).await;
        }
        if way.has(Feature::Proc) {
            // Bash implements <( ) by /dev/fd, which needs /proc.
            let script = "cat <(echo here); ls /proc | grep -c '^[0-9]'";
            try_one(&way, "/bin/bash", script, "here").await;
        }
    }
}
