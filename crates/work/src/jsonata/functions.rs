//! The service's own functions, and its stand-ins for the built-in ones that read the clock or draw numbers.

use std::cell::RefCell;
use std::rc::Rc;

use headwater_base::Micros;
use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::parser;
use jsonata_core::value::JValue;

use crate::chance::Chance;
use crate::hash;
use crate::limits::Limits;

type Answer = Result<JValue, EvaluatorError>;

/// Makes the functions callable in `evaluator`.
pub(super) fn register(
    evaluator: &mut Evaluator,
    now: Micros,
    chance: &mut Chance,
    limits: &Limits,
) -> Result<(), EvaluatorError> {
    // Every evaluation gets its own stream of numbers, so that what one draws never depends on another.
    let mut seed = [0; 32];
    for chunk in seed.chunks_mut(8) {
        chunk.copy_from_slice(&chance.draw().to_be_bytes());
    }
    let own = Rc::new(RefCell::new(Chance::new(seed)));
    let items_max = limits.sequence_items_max;
    evaluator.register_fn("partition", move |arguments: &[JValue]| partition(arguments))?;
    evaluator.register_fn("range", move |arguments: &[JValue]| range(arguments, items_max))?;
    evaluator.register_fn("hash", move |arguments: &[JValue]| digest(arguments))?;
    evaluator.register_fn("parse", move |arguments: &[JValue]| parse(arguments))?;
    let chance = Rc::clone(&own);
    evaluator.register_fn("uuid", move |_: &[JValue]| Ok(JValue::string(chance.borrow_mut().uuid())))?;
    let chance = Rc::clone(&own);
    evaluator.register_fn_override("random", move |arguments: &[JValue]| {
        Ok(JValue::from(match arguments.first().and_then(JValue::as_f64) {
            Some(seed) => Chance::new(hash::sha256(&seed.to_be_bytes())).unit(),
            None => chance.borrow_mut().unit(),
        }))
    })?;
    evaluator.register_fn_override("shuffle", move |arguments: &[JValue]| shuffle(arguments, &mut own.borrow_mut()))?;
    evaluator.register_fn_override("millis", move |_: &[JValue]| Ok(JValue::from(now.millis())))?;
    evaluator.register_fn_override("now", move |arguments: &[JValue]| formatted_now(now, arguments))?;
    evaluator.register_fn_override("eval", |_: &[JValue]| {
        Err(error("T1006: `$eval` does not exist in states; `$parse` reads JSON"))
    })
}

fn error(message: impl Into<String>) -> EvaluatorError {
    EvaluatorError::EvaluationError(message.into())
}

fn integer(arguments: &[JValue], at: usize, function: &str) -> Result<i64, EvaluatorError> {
    let number = arguments.get(at).and_then(JValue::as_f64).map(f64::floor).filter(|n| n.abs() < 9e15);
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    number.map(|n| n as i64).ok_or_else(|| {
        error(format!("T0410: Argument {} of function \"{function}\" does not match function signature", at + 1))
    })
}

fn partition(arguments: &[JValue]) -> Answer {
    let Some(items) = arguments.first().and_then(JValue::as_array) else { return Ok(JValue::Undefined) };
    let size = usize::try_from(integer(arguments, 1, "partition")?).ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| error("D3137: the size of a chunk must be positive"))?;
    Ok(JValue::array(items.chunks(size).map(|chunk| JValue::array(chunk.to_vec())).collect()))
}

/// One number comes as itself, as a sequence of one does.
fn range(arguments: &[JValue], items_max: usize) -> Answer {
    let (first, last) = (integer(arguments, 0, "range")?, integer(arguments, 1, "range")?);
    let step = if arguments.len() > 2 { integer(arguments, 2, "range")? } else { 1 };
    if step == 0 {
        return Err(error("D3137: the step of a range must not be 0"));
    }
    let mut items = Vec::new();
    let mut at = first;
    while if step > 0 { at <= last } else { at >= last } {
        if items.len() == items_max {
            return Err(error(format!("D2015: The maximum sequence length of {items_max} was exceeded.")));
        }
        items.push(JValue::from(at));
        at = at.saturating_add(step);
    }
    Ok(if items.len() == 1 { items.remove(0) } else { JValue::array(items) })
}

fn digest(arguments: &[JValue]) -> Answer {
    let Some(data) = arguments.first().filter(|data| !data.is_undefined()) else { return Ok(JValue::Undefined) };
    let data = data.as_str().map_or_else(|| data.to_json_string().unwrap_or_default(), str::to_owned);
    let algorithm = arguments.get(1).and_then(JValue::as_str).unwrap_or_default();
    hash::digest(algorithm, data.as_bytes()).map(JValue::string).map_err(error)
}

fn parse(arguments: &[JValue]) -> Answer {
    let Some(text) = arguments.first().and_then(JValue::as_str) else { return Ok(JValue::Undefined) };
    JValue::from_json_str(text).map_err(|_| error(format!("D3137: `{text}` is not JSON")))
}

fn shuffle(arguments: &[JValue], chance: &mut Chance) -> Answer {
    let Some(first) = arguments.first().filter(|first| !first.is_undefined()) else { return Ok(JValue::Undefined) };
    let mut items = first.as_array().cloned().unwrap_or_else(|| vec![first.clone()]);
    for at in (1..items.len()).rev() {
        let other = chance.below(u64::try_from(at).unwrap_or(0) + 1);
        items.swap(at, usize::try_from(other).unwrap_or(at));
    }
    Ok(JValue::array(items))
}

/// `$now(picture, zone)` is `$fromMillis` of the step's time.
fn formatted_now(now: Micros, arguments: &[JValue]) -> Answer {
    let mut evaluator = Evaluator::new();
    let names = ["picture", "zone"];
    let mut call = format!("$fromMillis({}", now.millis());
    for (name, argument) in names.iter().zip(arguments) {
        evaluator.register_fn(*name, {
            let argument = argument.clone();
            move |_: &[JValue]| Ok(argument.clone())
        })?;
        call.push_str(&format!(", ${name}()"));
    }
    call.push(')');
    let ast = parser::parse(&call).map_err(|fault| error(fault.to_string()))?;
    evaluator.evaluate(&ast, &JValue::Undefined)
}
