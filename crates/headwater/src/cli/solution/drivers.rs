//! What each solution can do beyond being applied: a row for each, a verb for each column.

use std::future::Future;
use std::pin::Pin;

use headwater_base::Problem;

use super::{feed, import, over, report, test};
use crate::cli::{Context, Done};

/// How a verb is done.
pub(super) type Act<A> = for<'a> fn(A, &'a Context) -> Pin<Box<dyn Future<Output = Done> + 'a>>;

/// One solution's verbs.
pub(super) struct Driver {
    /// The solution.
    solution: &'static str,
    /// `solution run`
    pub run: Option<Act<over::Args>>,
    /// `solution feed`
    pub feed: Option<Act<feed::Args>>,
    /// `solution import`
    pub import: Option<Act<import::Args>>,
    /// `solution report`
    pub report: Option<Act<report::Args>>,
    /// `solution test`
    pub test: Option<Act<test::Args>>,
}

const DRIVERS: &[Driver] = &[
    Driver {
        solution: "clickstream",
        run: Some(|args, _| Box::pin(over::access_log(args))),
        feed: Some(|args, context| Box::pin(feed::traffic(args, context))),
        import: None,
        report: None,
        test: Some(|args, _| Box::pin(test::clickstream(args))),
    },
    Driver {
        solution: "sales-insights",
        run: Some(|args, _| Box::pin(over::sales(args))),
        feed: Some(|args, context| Box::pin(feed::sales(args, context))),
        import: None,
        report: None,
        test: Some(|args, _| Box::pin(test::sales_insights(args))),
    },
    Driver {
        solution: "workflow-cost",
        run: None,
        feed: Some(|args, context| Box::pin(feed::runs(args, context))),
        import: Some(|args, context| Box::pin(import::run(args, context))),
        report: Some(|args, context| Box::pin(report::run(args, context))),
        test: Some(|args, _| Box::pin(test::workflow_cost(args))),
    },
];

/// How a solution does a verb.
///
/// # Errors
/// `HW-CLI-201` when there is no such solution, `HW-CLI-208` when it does not have the verb.
pub(super) fn find<A>(name: &str, verb: &str, of: fn(&Driver) -> Option<Act<A>>) -> Result<Act<A>, Problem> {
    let package = crate::solution::package::find(name)?;
    let driver = DRIVERS.iter().find(|driver| driver.solution == package.name);
    driver.and_then(of).ok_or_else(|| {
        let verbs = driver.map_or_else(Vec::new, |driver| {
            let all = [
                ("run", driver.run.is_some()),
                ("feed", driver.feed.is_some()),
                ("import", driver.import.is_some()),
                ("report", driver.report.is_some()),
                ("test", driver.test.is_some()),
            ];
            all.into_iter().filter(|(_, is_there)| *is_there).map(|(verb, _)| verb).collect()
        });
        let problem = Problem::new("HW-CLI-208", format!("the solution `{name}` has no `{verb}`"));
        if verbs.is_empty() { problem } else { problem.help(format!("it has `{}`", verbs.join("`, `"))) }
    })
}
