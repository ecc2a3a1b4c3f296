use super::*;

/// Of an input that is a constant, a path or a template, or several of them.
fn spec(input: Option<&str>, path: Option<&str>, template: Option<&str>) -> InputSpec {
    let [input, input_path, input_template] = [input, path, template].map(|text| text.map(str::to_owned));
    InputSpec { input, input_path, input_template, input_paths_map: BTreeMap::new() }
}

#[test]
fn an_input_that_cannot_be_is_refused_with_its_target() {
    for (spec, code, title) in [
        (
            spec(None, None, Some("{\"a\": <b>}")),
            "HW-PATTERN-021",
            "InputTemplate for target t contains invalid placeholder b.",
        ),
        (
            spec(Some("1"), Some("$.a"), None),
            "HW-PATTERN-022",
            "Only one of Input, InputPath, or InputTransformer must be provided for target t.",
        ),
        (spec(Some("plain"), None, None), "HW-PATTERN-024", "Input of target t is no JSON: `plain`"),
    ] {
        let problem = Input::parse(&spec, "t").unwrap_err();
        assert_eq!((problem.code.as_str(), problem.title.as_str()), (code, title));
    }
}

#[test]
fn a_path_that_leads_to_nothing_gives_nothing_to_deliver() {
    let input = Input::parse(&spec(None, Some("$.a"), None), "t").unwrap();
    let render = |event: &'static str| input.render(event.as_bytes(), &Context::default());
    assert_eq!(render("{\"a\": [1]}").unwrap(), &b"[1]"[..]);
    assert_eq!(render("{\"b\": [1]}").unwrap_err().code, "HW-PATTERN-025");
}
