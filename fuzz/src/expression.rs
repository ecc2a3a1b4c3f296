//! Paths, function calls and JSONata queries of the States Language, over a document: a value or a refusal, in bounds.

use headwater_base::Micros;
use headwater_work::intrinsic::Call;
use headwater_work::jsonata::{Place, Query};
use headwater_work::path::Path;
use headwater_work::{Chance, Limits};
use serde_json::{Map, json};

use crate::definition::limits;

/// A byte for the language; the expression.
pub fn run(bytes: &[u8]) {
    let Some((language, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let limits: Limits = limits();
    let data = json!({"a": 1, "list": [1, {"b": "x"}, null, [2.5, "y"]], "é": {"k": true}});
    let mut chance = Chance::new([7; 32]);
    match language % 3 {
        0 => {
            if let Ok(path) = Path::parse(text) {
                let _ = path.select(&data, limits.path_visits_max);
                let _ = path.write(data.clone(), json!("new"));
            }
        }
        1 => {
            if let Ok(call) = Call::parse(text) {
                let resolve = |path: &Path| path.select(&data, limits.path_visits_max);
                let _ = call.evaluate(&resolve, &mut chance, limits.sequence_items_max);
            }
        }
        _ => {
            if let Ok(query) = Query::parse(text) {
                let place = Place::State(Micros(1_767_225_600_000_000));
                let _ = query.evaluate(Some(&data), &Map::new(), &place, &mut chance, &limits);
            }
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "\0$.list[?(@.b=='x' && @.c>1)]..*",
        "\0$['a','é'][1:2:-1].length()",
        "\u{1}States.Format('{} {}', $.a, States.ArrayRange(1, 9, 2))",
        "\u{1}States.MathRandom(1, 5)",
        "\u{1}States.StringSplit('a,b', ',')",
        "\u{1}States.JsonMerge($.a, $.b, false)",
        "\u{2}$sum(list[$type($)='number']) & \"x\"",
        "\u{2}list^(>b){b: $}",
        "\u{2}$map([1..5], function($v){$v * 2}) ~> $join(',')",
        "\u{2}( $f := function($n){ $n < 2 ? 1 : $n * $f($n - 1) }; $f(5) )",
    ])
}
