use super::*;

/// The example of every kind is read by its own row and validates: the golden test of the table.
#[test]
fn examples_are_valid_resources_of_their_kinds() {
    let registry = Registry::new(&[]);
    for kind in registry.kinds() {
        let drafts = registry.read("example.yaml", kind.example.as_bytes(), &Limits::default());
        let drafts = drafts.unwrap_or_else(|problems| panic!("{}: {problems:?}", kind.name));
        assert_eq!(drafts.len(), 1, "{}", kind.name);
        let context = crate::port::Context::without_node(".");
        let view = View { registry: &registry, context: &context, drafts: &HashMap::new(), stored: &|_, _| None };
        assert_eq!((kind.validate)(&drafts[0], &view), [], "{}", kind.name);
        let schema = registry.resource_schema(kind);
        let value = yaml::read("example.yaml", kind.example.as_bytes(), &Limits::default()).unwrap().remove(0).value;
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", kind.name);
    }
}

#[test]
fn a_kind_is_found_by_any_of_its_names() {
    let registry = Registry::new(&[]);
    for word in ["Stream", "stream", "streams", "st", "STREAMS"] {
        assert_eq!(registry.find(word).unwrap().name, "Stream");
    }
    let problem = registry.find("tabel").err().unwrap();
    assert_eq!(problem.code, "HW-KERNEL-006");
    assert!(problem.help.unwrap().contains("did you mean `Table`?"));
}

#[test]
fn what_the_node_shows_can_be_applied_again() {
    let registry = Registry::new(&[]);
    let draft = registry
        .read_value(json!({
            "apiVersion": API_VERSION, "kind": "Stream",
            "metadata": {"name": "a", "generation": 3, "uid": "x", "created": "2026-01-01T00:00:00Z", "labels": {"a": "b"}},
            "spec": {}, "status": {"ready": "true", "reason": "Exists"}
        }))
        .unwrap();
    assert_eq!((draft.generation, draft.labels.len()), (Some(3), 1));
}
