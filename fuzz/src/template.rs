//! Input templates and paths of targets, over any event: what is rendered, or a refusal.

use headwater_pattern::{Context, Input, InputSpec};

/// A template, a zero byte, a path, a zero byte, an event.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (template, path, event) = (text(), text(), text());
    let paths = [("v".to_owned(), path.clone())].into();
    let templated = InputSpec { input_template: Some(template), input_paths_map: paths, ..InputSpec::default() };
    let picked = InputSpec { input_path: Some(path), ..InputSpec::default() };
    for spec in [templated, picked] {
        if let Ok(input) = Input::parse(&spec, "target") {
            let _ = input.render(event.as_bytes(), &Context::default());
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "{\"x\": <v>, \"e\": <aws.events.event>}\0$.detail.a[0]\0{\"detail\":{\"a\":[{\"b\":1}]}}",
        "\"is <v>, at <aws.events.event.ingestion-time>\"\0$.detail['x y']\0{\"detail\":{\"x y\":\"q\\\"z\"}}",
    ])
}
