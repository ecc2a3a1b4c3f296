#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;

use super::*;

static SCENE: Scene = Scene { path: String::new(), width: 2, height: 3 };

/// A browser that is a program of the shell: `$out` is where its picture goes.
fn browser(folder: &Path, program: &str) -> Chromium {
    let file = folder.join("browser.sh");
    let find = "for word; do case $word in --screenshot=*) out=${word#--screenshot=};; esac; done";
    fs::write(&file, format!("#!/bin/sh\n{find}\n{program}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    Chromium {
        named: Some(file.into()),
        timeout: Duration::from_secs(20),
        ..Chromium::new(SocketAddr::from(([127, 0, 0, 1], 1)), folder.join("work"))
    }
}

#[tokio::test]
async fn a_picture_is_a_png_of_the_size_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let head = |width: u8| format!(r"printf '\211PNG\r\n\032\n\0\0\0\rIHDR\0\0\0\{width}\0\0\0\003rest' > $out");
    let drawn = browser(folder.path(), &head(2)).take(&SCENE).await.unwrap();
    assert!(drawn.ends_with(b"rest"));
    for (program, says) in [
        (head(3), "what the browser drew is no PNG of the size it was asked for"),
        ("echo no picture > $out".to_owned(), "what the browser drew is no PNG of the size it was asked for"),
        ("true".to_owned(), "the browser drew nothing"),
        ("exit 3".to_owned(), "the browser ended with exit status: 3"),
    ] {
        let problem = browser(folder.path(), &program).take(&SCENE).await.unwrap_err();
        assert_eq!((problem.code.as_str(), problem.title.as_str()), ("HW-CONNECT-121", says));
        assert!(!folder.path().join("work").exists(), "its folder stays");
    }
    let none = Chromium { named: Some(OsString::new()), ..browser(folder.path(), "true") };
    assert_eq!(none.take(&SCENE).await.unwrap_err().code, "HW-CONNECT-120");
}

#[tokio::test]
async fn a_browser_that_hangs_ends_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let program = format!("sleep 600 &\necho $! > {file}.part && mv {file}.part {file}\nwait", file = file.display());
    let slow = browser(folder.path(), &program);
    let child = tokio::select! {
        drawn = slow.take(&SCENE) => panic!("{drawn:?}"),
        child = soon(|| fs::read_to_string(&file).ok()) => child,
    };
    // Who has ended and was not waited for yet has no command any more.
    let command = PathBuf::from(format!("/proc/{}/cmdline", child.trim()));
    soon(|| fs::read(&command).map_or(true, |words| words.is_empty()).then_some(())).await;

    let late = Chromium { timeout: Duration::ZERO, ..browser(folder.path(), "sleep 600") };
    assert_eq!(late.take(&SCENE).await.unwrap_err().title, "the browser drew nothing in 0ns");
}

/// What is looked for until it is there.
async fn soon<T>(look: impl Fn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("it is there within a minute")
}
