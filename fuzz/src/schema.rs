//! JSON Schemas that users give, over any event: refused, or asked without an end of the process.

use headwater_kernel::kinds::stream::{OnMismatch, SchemaSpec};
use headwater_kernel::schema::Validator;
use serde_json::{Map, Value};

/// A schema, a zero byte, an event.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let Ok(json) = serde_json::from_slice::<Map<String, Value>>(parts.next().unwrap_or_default()) else { return };
    let event = parts.next().unwrap_or(b"null");
    match Validator::compile(&SchemaSpec { json, on_mismatch: OnMismatch::Refuse, dead_letter: None }) {
        Ok(validator) => {
            let told = validator.mismatch_text(event);
            assert_eq!(validator.mismatch_text(event), told, "it says the same twice");
        }
        Err(problem) => assert_eq!(problem.code, "HW-KERNEL-026"),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{\"n\":{\"type\":\"integer\",\"multipleOf\":0.5}}}\0{\"n\":1.5}",
        "{\"$defs\":{\"t\":{\"anyOf\":[{\"type\":\"null\"},{\"items\":{\"$ref\":\"#/$defs/t\"}}]}},\"$ref\":\"#/$defs/t\"}\0[[null],[[]]]",
        "{\"pattern\":\"^(a+)+$\",\"format\":\"date-time\",\"maxLength\":9}\0\"aaaaaaaaaaaaaaaaaaaaaaab\"",
        "{\"allOf\":[{\"not\":{\"const\":1e2}},{\"unevaluatedProperties\":false}],\"uniqueItems\":true}\0[1,1.0]",
    ])
}
