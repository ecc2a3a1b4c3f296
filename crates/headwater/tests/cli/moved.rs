//! A data folder that is not where it belongs.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use super::{command, text};

/// A life of a node in a data folder, from start to stop.
fn up(folder: &Path, data: &str) -> Output {
    let ports = ["--http", "--kafka", "--aws", "--postgres"].into_iter().flat_map(|flag| [flag, "127.0.0.1:0"]);
    command(folder).args(["up", "--exit-after", "0", "--data", data]).args(ports).output().unwrap()
}

fn moved(folder: &Path, data: &str) -> Output {
    command(folder).args(["doctor", "--moved", "--data", data]).output().unwrap()
}

/// Asserts that a start is refused, with both paths.
fn assert_refused(folder: &Path, home: &str, data: &str) {
    let output = up(folder, data);
    let (home, here) = (folder.join(home), folder.join(data));
    let fact =
        format!("error[HW-LOG-005]: the data folder of `{}` lies in `{}`\ncause: ", home.display(), here.display());
    assert!(text(&output).starts_with(&fact) && output.status.code() == Some(1), "{}", text(&output));
}

fn assert_up(folder: &Path, data: &str) {
    let output = up(folder, data);
    assert!(output.status.success(), "{}", text(&output));
}

fn copy(folder: &Path, from: &str, to: &str) {
    let done = Command::new("cp").args(["--archive", from, to]).current_dir(folder).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_folder_that_was_moved_is_refused_until_its_old_path_leads_to_it() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = &scratch.path().canonicalize().unwrap();
    assert_up(folder, "first");
    std::fs::rename(folder.join("first"), folder.join("second")).unwrap();
    assert_refused(folder, "first", "second");
    let doctor = text(&command(folder).args(["doctor", "--data", "second"]).output().unwrap());
    assert!(doctor.contains("BAD    data folder: HW-LOG-005: ") && doctor.contains("cannot be reached"), "{doctor}");
    symlink("second", folder.join("first")).unwrap();
    assert_up(folder, "first");
    assert_up(folder, "second");
}

#[test]
fn a_copy_is_refused_and_can_be_put_back() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = &scratch.path().canonicalize().unwrap();
    assert_up(folder, "first");
    copy(folder, "first", "copy");
    assert_refused(folder, "first", "copy");
    let told = text(&moved(folder, "copy"));
    assert!(told.starts_with("error[HW-LOG-006]: ") && told.contains("this is a copy"), "{told}");
    assert_up(folder, "first");
    std::fs::rename(folder.join("first"), folder.join("damaged")).unwrap();
    std::fs::rename(folder.join("copy"), folder.join("first")).unwrap();
    assert_up(folder, "first");
}

#[test]
fn a_folder_without_files_of_tables_can_stay_where_it_was_moved_to() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = &scratch.path().canonicalize().unwrap();
    assert_up(folder, "first");
    std::fs::rename(folder.join("first"), folder.join("second")).unwrap();
    let metadata = folder.join("second/lake/orders/metadata");
    std::fs::create_dir_all(&metadata).unwrap();
    std::fs::write(metadata.join("00000.metadata.json"), "{}").unwrap();
    let told = text(&moved(folder, "second"));
    assert!(told.starts_with("error[HW-LOG-006]: ") && told.contains("tables in `lake`"), "{told}");
    assert_refused(folder, "first", "second");
    std::fs::remove_dir_all(folder.join("second/lake")).unwrap();
    let done = moved(folder, "second");
    assert!(done.status.success(), "{}", text(&done));
    assert_up(folder, "second");
    std::fs::rename(folder.join("second"), folder.join("first")).unwrap();
    assert_refused(folder, "second", "first");
}

#[test]
fn a_folder_of_an_older_version_belongs_where_it_is_started_next() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = &scratch.path().canonicalize().unwrap();
    assert_up(folder, "first");
    std::fs::remove_file(folder.join("first/home")).unwrap();
    std::fs::rename(folder.join("first"), folder.join("second")).unwrap();
    assert_up(folder, "second");
    std::fs::rename(folder.join("second"), folder.join("third")).unwrap();
    assert_refused(folder, "second", "third");
}
