//! A request's body as a form: `a=1&b[0]=2`.

use serde_json::Value;

use crate::execution::Failure;
use crate::tasks::failure;

/// How deep a form's object may nest.
const DEPTH_MAX: usize = 32;

/// The body of `application/x-www-form-urlencoded`; `format` says how lists are written.
///
/// # Errors
/// The body is no object, or nests too deep, or the format is none.
pub(super) fn form(body: &Value, format: &str) -> Result<String, Failure> {
    if !["INDICES", "REPEAT", "COMMAS", "BRACKETS"].contains(&format) {
        return Err(failure::parameters(format!("there is no `ArrayFormat` `{format}`")));
    }
    let Value::Object(fields) = body else {
        return Err(failure::parameters("only an object can be sent as `URL_ENCODED`"));
    };
    let mut form = Form { out: url::form_urlencoded::Serializer::new(String::new()), format };
    for (name, value) in fields {
        form.add(name.clone(), value, DEPTH_MAX)?;
    }
    Ok(form.out.finish())
}

struct Form<'a> {
    out: url::form_urlencoded::Serializer<'static, String>,
    format: &'a str,
}

impl Form<'_> {
    fn add(&mut self, name: String, value: &Value, depth: usize) -> Result<(), Failure> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(failure::parameters(format!("the body nests more than {DEPTH_MAX} levels deep")));
        };
        match (value, self.format) {
            (Value::Object(fields), _) => {
                fields.iter().try_for_each(|(field, value)| self.add(format!("{name}[{field}]"), value, depth))
            }
            (Value::Array(items), "COMMAS") => {
                let texts: Vec<String> = items.iter().map(super::text).collect();
                self.out.append_pair(&name, &texts.join(","));
                Ok(())
            }
            (Value::Array(items), format) => items.iter().enumerate().try_for_each(|(number, item)| {
                let name = match format {
                    "INDICES" => format!("{name}[{number}]"),
                    "BRACKETS" => format!("{name}[]"),
                    _ => name.clone(),
                };
                self.add(name, item, depth)
            }),
            (Value::Null, _) => {
                self.out.append_pair(&name, "");
                Ok(())
            }
            (other, _) => {
                self.out.append_pair(&name, &super::text(other));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
