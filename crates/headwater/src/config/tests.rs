use super::*;

fn load(text: &str) -> Result<FileConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headwater.yaml");
    std::fs::write(&path, text).unwrap();
    let place = folder.path().display().to_string();
    FileConfig::load(&path).map_err(|problems| problems.to_string().replace(&place, ""))
}

#[test]
fn reads_what_is_there_and_needs_nothing() {
    assert_eq!(FileConfig::load(Path::new("/nowhere/headwater.yaml")).unwrap(), FileConfig::default());
    let config =
        load("data: /var/lib/headwater\nportOffset: 10\nhttp: 127.0.0.1:9000\nautoCreateStreams: false\n").unwrap();
    assert_eq!(config.data.as_deref(), Some(Path::new("/var/lib/headwater")));
    assert_eq!((config.port_offset, config.http), (Some(10), "127.0.0.1:9000".parse().ok()));
    assert_eq!(config.auto_create_streams, Some(false));
    assert_eq!(load("aws: localhost:9001\n").unwrap().aws, "127.0.0.1:9001".parse().ok());
    let config = load("site: https://data.example.com/\n").unwrap();
    assert_eq!(config.site.map(|site| site.to_string()).as_deref(), Some("https://data.example.com"));
    let config =
        load("privateAddresses: true\nfunctions: http://127.0.0.1:3001\npayloadBytes: 1048576\nexecutionsKept: 10\n");
    let config = config.unwrap();
    assert_eq!((config.private_addresses, config.functions.as_deref()), (Some(true), Some("http://127.0.0.1:3001")));
    assert_eq!((config.payload_bytes, config.executions_kept), (Some(1_048_576), Some(10)));
    assert_eq!(load("stateBytes: 8589934592\n").unwrap().state_bytes, Some(8 << 30));
}

#[test]
fn bounds_are_the_usual_ones_unless_set() {
    let of = |text: &str| {
        let mut limits = Limits::default();
        load(text).unwrap().limit(&mut limits);
        limits
    };
    assert_eq!(of("data: d\n"), Limits::default());
    let text = "sqlMemoryBytes: 1073741824\nsqlSpillBytes: 0\nsqlQueries: 2\nsqlSeconds: 3600\nsqlMessageBytes: 65536\n\
         sqlClientBytes: 1048576\n";
    let set = Limits {
        sql_memory_bytes: 1 << 30,
        sql_spill_bytes: 0,
        sql_queries: 2,
        sql_seconds: 3_600,
        sql_message_bytes: 64 << 10,
        sql_client_bytes: 1 << 20,
        ..Limits::default()
    };
    assert_eq!(of(text), set);
    let text = "payloadBytes: 1048576\nexecutionsKept: 10\nstateBytes: 7\nreconcileBytes: 8\n";
    let set =
        Limits { payload_bytes: 1 << 20, executions_kept: 10, state_bytes: 7, reconcile_bytes: 8, ..Limits::default() };
    assert_eq!(of(text), set);
    for (text, fact) in [
        ("sqlQueries: 0\n", "`sqlQueries` is 0"),
        ("sqlSeconds: 86401\n", "`sqlSeconds` is 86401"),
        ("sqlMemoryBytes: 1024\n", "`sqlMemoryBytes` is 1024"),
        ("sqlMessageBytes: 1024\n", "`sqlMessageBytes` is 1024"),
        ("sqlClientBytes: 1024\n", "`sqlClientBytes` is 1024"),
    ] {
        let said = load(text).unwrap_err();
        assert!(said.contains("HW-CLI-017") && said.contains(fact), "{said}");
    }
}

#[test]
fn says_where_a_slip_is() {
    expect_test::expect![[r#"
        error[HW-CLI-003]: there is no setting `dta`
          --> /headwater.yaml:2:1
        help: did you mean `data`?"#]]
    .assert_eq(&load("portOffset: 1\ndta: x\n").unwrap_err());
    let unlike = load("colour: red\n").unwrap_err();
    assert!(unlike.contains("help: keys are `server`, `data`, `http`") && unlike.contains("`stateBytes`"), "{unlike}");
    expect_test::expect![[r#"
        error[HW-CLI-017]: `payloadBytes` is 100
          --> /headwater.yaml:1:1
        help: it lies between 1024 and 8388608"#]]
    .assert_eq(&load("payloadBytes: 100\n").unwrap_err());
    expect_test::expect![[r#"
        error[HW-KERNEL-010]: `site`: `data.example.com` is no address such as `https://data.example.com`
          --> /headwater.yaml:1:7"#]]
    .assert_eq(&load("site: data.example.com\n").unwrap_err());
    expect_test::expect![[r#"
        error[HW-KERNEL-010]: `kafka`: an address and a port are wanted, such as `127.0.0.1:8080` or `[::1]:8080`
          --> /headwater.yaml:1:8"#]]
    .assert_eq(&load("kafka: broker:9092\n").unwrap_err());
    let both = load("stateBytes: 4GiB\nexecutionsKept: -1\n").unwrap_err();
    assert!(both.contains("`stateBytes` is the text `4GiB`; a whole number is wanted"), "{both}");
    assert!(both.contains("`executionsKept` is the number `-1`") && !both.contains("usize"), "{both}");
}
