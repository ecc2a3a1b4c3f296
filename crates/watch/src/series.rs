//! `Series`: what is known of one cohort: values of the past, and forecasts, of the past as well as those that wait.
//!
//! Intervals are closed one after the other, each once. Closing one does two things: its value, if there is one, meets
//! the forecast that was stored for it a horizon ago, and the forecast of the interval one horizon further on is made
//! and stored. So each interval gets one forecast, before it begins, and is judged by that one.
//!
//! Invariant: nothing behind `last` has a value, so that a forecast cannot know it.

use std::sync::Arc;

use crate::model;
use crate::shape::{Index, Shape};

/// Points of one block, the unit in which a series is written.
pub const BLOCK_POINTS: usize = 32;

/// What is known of one interval. NaN is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// What came.
    pub value: f64,
    /// What usually comes at such a moment, by the past alone.
    pub usual: f64,
    /// What was forecast.
    pub predicted: f64,
    /// Half the width of the band around it.
    pub half: f64,
}

impl Point {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { value: f64::NAN, usual: f64::NAN, predicted: f64::NAN, half: f64::NAN };
}

/// A forecast of one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// What is expected.
    pub predicted: f64,
    /// How far from that is still within; None while too little is known of how far off forecasts are.
    pub half: Option<f64>,
}

/// What closing an interval brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closed {
    /// The interval.
    pub index: Index,
    /// The forecast that was stored for it.
    pub stored: Option<Band>,
    /// The interval one horizon further on, and its forecast.
    pub next: (Index, Option<Band>),
}

/// The points of one cohort.
#[derive(Clone, Debug)]
pub struct Series {
    shape: Arc<Shape>,
    /// A ring: the point of an interval stands at its number modulo the length.
    points: Vec<Point>,
    last: Index,
}

impl Series {
    /// A series whose first interval is the one behind `before`.
    pub fn new(shape: Arc<Shape>, before: Index) -> Self {
        let length = usize::try_from(shape.points()).unwrap_or(0);
        Self { shape, points: vec![Point::UNKNOWN; length], last: before }
    }

    /// Goes on with a shape that differs in its holidays alone: what was told before stays as it was told.
    pub fn reshape(&mut self, shape: Arc<Shape>) {
        self.shape = shape;
    }

    /// The newest interval that is closed.
    pub const fn last(&self) -> Index {
        self.last
    }

    /// What is known of an interval; of those before the history nothing is.
    pub fn point(&self, index: Index) -> Point {
        if !self.holds(index) {
            return Point::UNKNOWN;
        }
        self.points.get(self.place(index)).copied().unwrap_or(Point::UNKNOWN)
    }

    /// Closes the interval behind the last one.
    pub fn close(&mut self, value: Option<f64>) -> Closed {
        let index = self.last + 1;
        self.last = index;
        let next = index + self.shape.horizon;
        self.put(next, Point::UNKNOWN);
        self.correct(index, value.unwrap_or(f64::NAN));
        let told = model::tell(self, &self.shape, next);
        if let Some(told) = told {
            let half = told.half(&self.shape);
            self.put(next, Point { value: f64::NAN, usual: told.usual, predicted: told.predicted(), half });
        }
        Closed { index, stored: self.band(index), next: (next, self.band(next)) }
    }

    /// Puts the value of a closed interval right; false when it is further back than the history.
    pub fn correct(&mut self, index: Index, value: f64) -> bool {
        let known = index <= self.last && self.holds(index);
        if known {
            self.put(index, Point { value, ..self.point(index) });
        }
        known
    }

    /// The forecast stored for an interval.
    fn band(&self, index: Index) -> Option<Band> {
        let point = self.point(index);
        let half = (!point.half.is_nan()).then_some(point.half);
        (!point.predicted.is_nan()).then_some(Band { predicted: point.predicted, half })
    }

    fn holds(&self, index: Index) -> bool {
        let newest = self.last + self.shape.horizon;
        index <= newest && index > newest - self.shape.points()
    }

    fn place(&self, index: Index) -> usize {
        let length = i64::try_from(self.points.len()).unwrap_or(i64::MAX).max(1);
        usize::try_from(index.rem_euclid(length)).unwrap_or(0)
    }

    fn put(&mut self, index: Index, point: Point) {
        let place = self.place(index);
        if let Some(slot) = self.points.get_mut(place) {
            *slot = point;
        }
    }

    /// The block that holds the point of an interval.
    pub fn block_of(&self, index: Index) -> usize {
        self.place(index) / BLOCK_POINTS
    }

    /// The points of a block.
    pub fn block(&self, block: usize) -> &[Point] {
        let from = block * BLOCK_POINTS;
        let to = (from + BLOCK_POINTS).min(self.points.len());
        self.points.get(from..to).unwrap_or_default()
    }

    /// Takes up the points of a block that was written; false when it is none of this series.
    pub fn restore(&mut self, block: usize, points: &[Point]) -> bool {
        let from = block.saturating_mul(BLOCK_POINTS);
        let fits = points.len() == self.block(block).len();
        let place = self.points.get_mut(from..from.saturating_add(points.len())).filter(|_| fits);
        let Some(place) = place else { return false };
        place.copy_from_slice(points);
        true
    }
}
