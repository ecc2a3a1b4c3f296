//! Forecasts of groups, and queries that end before all of them are told.

use datafusion::prelude::{DataFrame, SessionContext};
use headwater_base::{Principal, Problem};
use headwater_kernel::port::sql::Via;
use tokio::runtime::Runtime;

use super::*;
use crate::sql::queries::{Asked, Listed, Queries};

const GROUPS: &str = "SELECT value % 3 AS k, \
     forecast(arrow_cast(value, 'Timestamp(Microsecond, Some(\"UTC\"))'), CAST(value AS double), 1) AS f \
     FROM generate_series(1, 9) GROUP BY value % 3";

fn nothing_new(values: Vec<(Micros, f64)>, _: usize) -> Result<Vec<Ahead>, Problem> {
    Ok(values.into_iter().map(|(time, predicted)| Ahead { time, predicted, half: None }).collect())
}

#[test]
fn what_nobody_waits_for_any_more_is_not_forecast() {
    let (queries, admin) = (Arc::new(Queries::default()), Principal::default());
    let listed = || queries.enter(Asked { principal: &admin, via: Via::Http, text: GROUPS, backend: None }, Micros(7));
    let context = SessionContext::new();
    context.register_udaf(AggregateUDF::from(Forecast::new(nothing_new)));
    Runtime::new().unwrap().block_on(async {
        let (state, plan) = context.sql(GROUPS).await.unwrap().into_parts();
        let code = async |listed: Listed, end: &dyn Fn(Listed) -> Option<Listed>| {
            let bound = bound(plan.clone(), &listed.query).unwrap();
            let kept = end(listed);
            let told = DataFrame::new(state.clone(), bound).collect().await;
            drop(kept);
            match told {
                Ok(rows) => rows.iter().map(|rows| rows.num_rows()).sum::<usize>().to_string(),
                Err(error) => fault::problem(&error).code,
            }
        };
        assert_eq!(code(listed(), &Some::<Listed>).await, "3");
        let cancelled = |listed: Listed| {
            queries.cancel(queries.seen_by(&admin)[0].id, &admin).unwrap();
            Some(listed)
        };
        assert_eq!(code(listed(), &cancelled).await, "HW-LAKE-072");
        assert_eq!(code(listed(), &|_| None).await, "HW-LAKE-072", "whoever asked has gone");
    });
}

#[test]
fn a_forecast_over_a_window_is_refused_wherever_it_stands() {
    let (queries, admin) = (Arc::new(Queries::default()), Principal::default());
    let context = SessionContext::new();
    context.register_udaf(AggregateUDF::from(Forecast::new(nothing_new)));
    let over = "SELECT forecast(arrow_cast(value, 'Timestamp(Microsecond, Some(\"UTC\"))'), CAST(value AS double), 1) \
         OVER (ORDER BY value) AS f FROM generate_series(1, 9)";
    let beside = format!("SELECT f FROM ({GROUPS}) UNION ALL {over}");
    Runtime::new().unwrap().block_on(async {
        for text in [over, beside.as_str()] {
            let listed = queries.enter(Asked { principal: &admin, via: Via::Http, text, backend: None }, Micros(7));
            let (_, plan) = context.sql(text).await.unwrap().into_parts();
            let problem = fault::problem(&bound(plan, &listed.query).unwrap_err());
            assert_eq!(problem.code, "HW-LAKE-041");
            assert!(problem.title.contains("use GROUP BY instead"), "{}", problem.title);
        }
    });
}
