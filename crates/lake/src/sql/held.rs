//! Aggregates whose state grows with their rows, with a state that says how large it is.
//!
//! An aggregate without groups takes of the memory of queries what its state says that it has grown by. The engine's
//! `array_agg` does not count what lies behind views, which is where strings of more than twelve bytes are, and neither it
//! nor `string_agg` counts that their values are there a second time once they are given out. These are the engine's with
//! another size; and lists are in the order that was asked for, where the engine gives two of one column one order.
//!
//! # Source
//! `AggregateStream` in `datafusion-physical-plan` 54.1, `aggregates/no_grouping.rs`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};

/// Those that are told anew.
pub fn all() -> [AggregateUDF; 2] {
    [array_agg_udaf(), string_agg_udaf()].map(|udf| AggregateUDF::from(Held((*udf).clone())))
}

/// An aggregate of the engine.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Held(AggregateUDF);

impl Held {
    fn is_list(&self) -> bool {
        self.0.name() == "array_agg"
    }
}

impl AggregateUDFImpl for Held {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.0.return_type(kinds)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let plain = self.is_list() && !args.is_distinct && args.order_bys.is_empty();
        let state = self.0.accumulator(args)?;
        Ok(Box::new(State { state, kept: plain.then_some(0) }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.0.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.0.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let states = self.0.create_groups_accumulator(args)?;
        if self.is_list() { Ok(Box::new(States { states, views: 0 })) } else { Ok(states) }
    }

    fn with_beneficial_ordering(self: Arc<Self>, beneficial: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        // The engine tells of an order to the first of two stages alone, and reverses that one's lists without the other's
        // knowledge: a list puts its values in order itself.
        let other = self.0.clone().with_beneficial_ordering(beneficial && !self.is_list())?;
        Ok(other.map(|other| Arc::new(Self(other)) as Arc<dyn AggregateUDFImpl>))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.0.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.0.reverse_udf() {
            _ if self.is_list() => ReversedUDAF::NotSupported,
            ReversedUDAF::Reversed(udf) => ReversedUDAF::Reversed(Arc::new(AggregateUDF::from(Self((*udf).clone())))),
            other => other,
        }
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.0.supports_null_handling_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

/// The state of one list or text.
#[derive(Debug)]
struct State {
    state: Box<dyn Accumulator>,
    /// What its values weigh, where the state is the values as they came.
    kept: Option<usize>,
}

impl State {
    fn keep(&mut self, values: &[ArrayRef]) {
        if let Some(kept) = &mut self.kept {
            *kept = kept.saturating_add(values.iter().map(weight).sum());
        }
    }
}

impl Accumulator for State {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.state.update_batch(values)?;
        self.keep(values);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.state.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.kept.unwrap_or_else(|| self.state.size().saturating_mul(2))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.state.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.state.merge_batch(states)?;
        self.keep(states);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.state.retract_batch(values)?;
        if let Some(kept) = &mut self.kept {
            *kept = kept.saturating_sub(values.iter().map(weight).sum());
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        self.state.supports_retract_batch()
    }
}

/// The lists of all groups. What is behind views is counted until they are given out.
struct States {
    states: Box<dyn GroupsAccumulator>,
    views: usize,
}

impl States {
    /// Gives groups out; what is behind views goes with them, as far as they had it.
    fn given<T>(&mut self, give: impl FnOnce(&mut dyn GroupsAccumulator) -> Result<T>) -> Result<T> {
        let before = self.states.size().max(1);
        let given = give(&mut *self.states)?;
        self.views = self.views.saturating_mul(self.states.size().min(before)) / before;
        Ok(given)
    }
}

impl GroupsAccumulator for States {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.views += values.iter().map(|values| views(values)).sum::<usize>();
        self.states.update_batch(values, groups, filter, groups_total)
    }

    fn evaluate(&mut self, which: EmitTo) -> Result<ArrayRef> {
        self.given(|states| states.evaluate(which))
    }

    fn state(&mut self, which: EmitTo) -> Result<Vec<ArrayRef>> {
        self.given(|states| states.state(which))
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.views += states.iter().map(|states| views(states)).sum::<usize>();
        self.states.merge_batch(states, groups, filter, groups_total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.states.convert_to_state(values, filter)
    }

    fn supports_convert_to_state(&self) -> bool {
        self.states.supports_convert_to_state()
    }

    fn size(&self) -> usize {
        self.states.size().saturating_add(self.views)
    }
}

/// Bytes that values take, and take again once they are one list. What is behind views is not written again.
fn weight(values: &ArrayRef) -> usize {
    let own = values.to_data().get_slice_memory_size().unwrap_or_else(|_| values.get_array_memory_size());
    own.saturating_mul(2).saturating_add(views(values))
}

/// Bytes behind the views of an array, and of what it is made of.
pub fn views(values: &dyn Array) -> usize {
    match values.data_type() {
        DataType::Utf8View => values.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => values.as_binary_view().total_buffer_bytes_used(),
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            let (first, last) = (lists.value_offsets().first(), lists.value_offsets().last());
            let at = |offset: Option<&i32>| offset.and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
            views(&lists.values().slice(at(first), at(last).saturating_sub(at(first))))
        }
        DataType::Struct(_) => values.as_struct().columns().iter().map(|column| views(column)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
