use super::*;

#[test]
fn a_java_says_its_version() {
    let release = "IMPLEMENTOR=\"Somebody\"\nJAVA_VERSION=\"25.0.3\"\nMODULES=\"java.base\"\n";
    assert_eq!(java_version(release), Some(25));
    assert_eq!(java_version("JAVA_VERSION=\"26\"\n"), Some(26));
    assert_eq!(java_version("JAVA_VERSION=\"1.8.0_402\"\n"), Some(1));
    assert_eq!(java_version("JAVA_RUNTIME_VERSION=\"25.0.3+9\"\n"), None);
}

#[test]
fn engines_have_their_checks_and_their_pins() {
    for engine in [SPARK, TRINO] {
        let folder = engines_folder().join(engine.name);
        assert!(folder.join("engine.py").is_file(), "{}", folder.display());
        for part in engine.jars {
            assert!(folder.join(part).join("pom.xml").is_file(), "{part} of {}", folder.display());
        }
        assert!(root().join("tests/conformance").join(engine.name).with_extension("txt").is_file());
    }
}
