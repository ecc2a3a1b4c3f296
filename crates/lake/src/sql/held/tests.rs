//! What values weigh.

use arrow::array::{Int64Array, ListArray, StringViewArray};
use arrow::datatypes::Int64Type;

use super::*;

#[test]
fn values_weigh_what_they_take_twice_and_what_is_behind_views_once() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    assert_eq!(weight(&numbers), 16_000);
    assert_eq!(weight(&numbers.slice(0, 10)), 160);
    let short: ArrayRef = Arc::new(StringViewArray::from_iter_values(["twelve bytes"; 100]));
    assert_eq!(weight(&short), 2 * 100 * 16);
    let long: ArrayRef = Arc::new(StringViewArray::from_iter_values(vec!["x".repeat(1_000); 100]));
    assert_eq!(weight(&long), 2 * 100 * 16 + 100 * 1_000);
    assert_eq!(weight(&long.slice(0, 3)), 2 * 3 * 16 + 3 * 1_000);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None]);
    assert_eq!(views(&lists), 0);
    let field = Arc::new(arrow::datatypes::Field::new("item", DataType::Utf8View, true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 5]);
    let lists = ListArray::new(field, offsets, long.slice(0, 7), None);
    assert_eq!(views(&lists), 7_000);
    assert_eq!(views(&lists.slice(1, 1)), 5_000);
}
