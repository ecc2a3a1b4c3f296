use std::os::unix::fs::PermissionsExt;

use super::{file, forget, keep};

#[tokio::test]
async fn a_value_is_in_a_file_that_only_its_owner_reads_and_is_replaced_whole() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join(file("connection.crm"));
    for value in ["first", "second, longer", "3\n"] {
        keep(data.path().to_owned(), "connection.crm".to_owned(), value.to_owned()).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{value}\n"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let folder = path.parent().unwrap();
        assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "nothing is left beside it");
    }
    for _ in 0..2 {
        forget(data.path().to_owned(), "connection.crm".to_owned()).await.unwrap();
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_without_the_value() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("secrets"), "in the way").unwrap();
    let refused = keep(data.path().to_owned(), "connection.crm".to_owned(), "hunter2".to_owned()).await.unwrap_err();
    assert_eq!(refused.code, "HW-API-024");
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}
