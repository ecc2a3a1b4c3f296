use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::kinds::secret::From;

fn spec(env: Option<&str>, file: Option<&str>) -> SecretSpec {
    SecretSpec { from: From { env: env.map(str::to_owned), file: file.map(str::to_owned) } }
}

fn write(folder: &Path, name: &str, value: &[u8], mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, value).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_of_its_owner_is_read_without_its_last_newline() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "key", b"s3cret\n", 0o600);
    assert_eq!(read(&spec(None, Some("key")), folder.path()).unwrap(), "s3cret");
}

#[test]
fn what_cannot_be_read_names_the_place_and_never_the_value() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "open", b"hunter2", 0o644);
    write(folder.path(), "empty", b"\n", 0o600);
    write(folder.path(), "large", &vec![b'x'; SECRET_BYTES_MAX + 1], 0o600);
    for (spec, fact) in [
        (spec(None, Some("open")), "may be read by others than its owner (mode 644)"),
        (spec(None, Some("empty")), "is empty"),
        (spec(None, Some("large")), "more than 65536 bytes"),
        (spec(None, Some("missing")), "cannot be read"),
        (spec(None, Some(".")), "is no file"),
        (spec(Some("HW_TEST_NO_SUCH_VARIABLE"), None), "no environment variable `HW_TEST_NO_SUCH_VARIABLE`"),
        (spec(None, None), "names no place"),
    ] {
        let problem = read(&spec, folder.path()).unwrap_err();
        assert_eq!(problem.code, "HW-KERNEL-018");
        let text = problem.to_string();
        assert!(text.contains(fact), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("xxxx"), "{text}");
    }
}
