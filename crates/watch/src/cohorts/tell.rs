//! The documents that a forecast writes: what will be, and what became of it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::model::round;
use crate::series::Band;
use crate::shape::{Index, Shape, Side};
use crate::verdict::Verdict;

/// A document on its way out, under its cohort's name as the key.
#[derive(Clone, Debug)]
pub struct Told {
    /// The cohort.
    pub cohort: Arc<str>,
    /// A verdict rather than a forecast.
    pub is_verdict: bool,
    /// An anomaly begins with it.
    pub is_alarm: bool,
    /// JSON.
    pub text: String,
}

impl Told {
    /// Its size.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.cohort.len()
    }
}

/// Whom documents are about.
pub struct About<'a> {
    /// How it is forecast.
    pub shape: &'a Shape,
    /// Its name.
    pub cohort: &'a Arc<str>,
    /// Its parts.
    pub parts: &'a Map<String, Value>,
}

impl About<'_> {
    /// A forecast, made when the interval one horizon before its own had been closed.
    pub fn forecast(&self, index: Index, band: &Band) -> Told {
        let mut document = self.head(index);
        put_band(&mut document, band);
        let made = self.shape.start(index - self.shape.horizon + 1);
        document.insert("made".to_owned(), json!(made.to_string()));
        self.told(document, false, false)
    }

    /// What a value came to; without a verdict where no band had been stored for it.
    pub fn verdict(&self, index: Index, value: f64, stored: Option<Band>, verdict: Option<Verdict>) -> Told {
        let mut document = self.head(index);
        document.insert("actual".to_owned(), json!(value));
        let band = stored.unwrap_or(Band { predicted: f64::NAN, half: None });
        put_band(&mut document, &band);
        let upper = match self.shape.side {
            Side::Above => true,
            Side::Below => false,
            Side::Both => value > band.predicted,
        };
        let threshold = band.half.map(|half| round(if upper { band.predicted + half } else { band.predicted - half }));
        let since = verdict.and_then(|verdict| verdict.since).map(|since| self.shape.start(since).to_string());
        let change = verdict.and_then(|verdict| verdict.change);
        document.insert("threshold".to_owned(), json!(threshold));
        document.insert("score".to_owned(), json!(verdict.map(|verdict| round(verdict.score))));
        document.insert("outside".to_owned(), json!(verdict.is_some_and(|verdict| verdict.is_outside)));
        document.insert("anomaly".to_owned(), json!(verdict.is_some_and(|verdict| verdict.is_anomaly)));
        document.insert("change".to_owned(), json!(change.map(crate::verdict::Change::word)));
        document.insert("since".to_owned(), json!(since));
        self.told(document, true, change == Some(crate::verdict::Change::Began))
    }

    fn head(&self, index: Index) -> Map<String, Value> {
        let time = |index: Index| json!(self.shape.start(index).to_string());
        let holiday = self.shape.holidays.at(index).map(|day| ("holiday".to_owned(), json!(day.name)));
        [
            ("time".to_owned(), time(index)),
            ("end".to_owned(), time(index.saturating_add(1))),
            ("cohort".to_owned(), json!(self.cohort)),
            ("parts".to_owned(), Value::Object(self.parts.clone())),
        ]
        .into_iter()
        .chain(holiday)
        .collect()
    }

    fn told(&self, document: Map<String, Value>, is_verdict: bool, is_alarm: bool) -> Told {
        let text = Value::Object(document).to_string();
        Told { cohort: Arc::clone(self.cohort), is_verdict, is_alarm, text }
    }
}

/// JSON has no word for what is unknown but null, which serde makes of NaN.
fn put_band(document: &mut Map<String, Value>, band: &Band) {
    document.insert("predicted".to_owned(), json!(band.predicted));
    document.insert("lower".to_owned(), json!(band.half.map(|half| round(band.predicted - half))));
    document.insert("upper".to_owned(), json!(band.half.map(|half| round(band.predicted + half))));
}
