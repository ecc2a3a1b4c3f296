use headwater_base::{Limits, Name};
use headwater_flow::compile::compile;
use headwater_flow::program::Compiler;
use headwater_flow::spec::PipelineSpec;
use headwater_kernel::yaml;

use super::*;

/// As if data packages lay at the root.
fn settings(package: &Package, folder: &Path) -> Settings {
    let file = |(name, it): (&String, &Parameter)| Some((name.clone(), format!("/{}", it.package.as_ref()?)));
    Settings { folder: folder.to_path_buf(), values: package.parameters.iter().filter_map(file).collect() }
}

#[test]
fn every_solution_is_readable_and_every_pipeline_of_it_compiles() {
    let folder = tempfile::tempdir().unwrap();
    for package in all().into_values() {
        let package = package.unwrap();
        assert!(package.text("README.md").is_some(), "{}", package.name);
        assert_ne!(package.shown().unwrap().resources, Vec::<String>::new(), "{}", package.name);
        for file in package.resources(&settings(&package, folder.path())).unwrap() {
            assert!(!file.text.contains("${"), "{}: a parameter is not filled in", file.name);
            for document in yaml::read(&file.name, file.text.as_bytes(), &Limits::default()).unwrap() {
                if document.value["kind"] != "Pipeline" {
                    continue;
                }
                let name = Name::new(document.value["metadata"]["name"].as_str().unwrap()).unwrap();
                let spec: PipelineSpec = serde_json::from_value(document.value["spec"].clone()).unwrap();
                compile(&name, &spec, &Compiler::for_check()).unwrap();
            }
        }
    }
}

#[test]
fn a_description_that_cannot_be_read_says_where() {
    static TEXT: [include_dir::DirEntry<'static>; 1] = [include_dir::DirEntry::File(include_dir::File::new(
        "torn/solution.yaml",
        b"kind: Solution\nmetadata: {name: torn\n",
    ))];
    static TORN: Dir<'static> = Dir::new("torn", &TEXT);
    let problem = read(&TORN).unwrap_err();
    assert_eq!(problem.place.unwrap().path, "torn/solution.yaml");
}

#[test]
fn a_secret_is_drawn_once_and_only_its_owner_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let package = find("clickstream").unwrap();
    package.resources(&settings(&package, folder.path())).unwrap();
    let path = folder.path().join("keys/clickstream.key");
    let drawn = fs::read(&path).unwrap();
    assert_eq!(drawn.len(), 64);
    package.resources(&settings(&package, folder.path())).unwrap();
    assert_eq!(fs::read(&path).unwrap(), drawn);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_unknown_solution_is_refused_with_a_suggestion() {
    let problem = find("clickstraem").unwrap_err();
    assert_eq!(problem.code, "HW-CLI-201");
    assert!(problem.help.unwrap().contains("did you mean `clickstream`?"));
}
