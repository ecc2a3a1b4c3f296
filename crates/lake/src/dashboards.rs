//! Dashboards as their readers ask them: the spec is looked up or examined, a chart becomes a statement ([`charts`]),
//! and SQL's engine answers it within its bounds.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::Sql as _;
use headwater_kernel::port::charts::{Charts, Choice, Drawn, Whose};
use headwater_kernel::port::sql::{Format, Question};
use headwater_kernel::{Kernel, Origin, kind};

use crate::charts::{self, Grain, Statement};
use crate::kinds::dashboard::{self, DashboardSpec};
use crate::sql::Engine;

/// Answers charts.
pub struct Dashboards {
    kernel: Arc<Kernel>,
    engine: Engine,
}

impl Dashboards {
    /// The dashboards of `kernel`, answered by `engine`.
    pub fn new(kernel: Arc<Kernel>, engine: Engine) -> Self {
        Self { kernel, engine }
    }

    /// A spec without problems.
    fn spec(&self, of: &Whose) -> Result<DashboardSpec, Problem> {
        match of {
            Whose::Named(name) => {
                let resource = self.kernel.get(dashboard::KIND.name, name).ok_or_else(|| {
                    let fact = format!("there is no Dashboard `{}`", name.escape_debug());
                    Problem::new("HW-KERNEL-012", fact).help("`headwater get dashboards` lists them")
                })?;
                kind::decode(resource.effective(), "/spec", &resource.draft().origin)
            }
            Whose::Draft(spec) => {
                let spec: DashboardSpec = kind::decode(spec, "/spec", &Origin::resource("Dashboard/draft"))?;
                match charts::check(&spec).into_iter().next() {
                    Some((at, problem)) => Err(problem.at(format!("spec{}", at.replace('/', ".")), 0, 0)),
                    None => Ok(spec),
                }
            }
        }
    }

    async fn ask(&self, Statement { text, grain, axes }: Statement, choice: &Choice) -> Result<Drawn, Problem> {
        let (principal, via) = (choice.reader.clone(), choice.via);
        let question = Question { text: text.clone(), format: Format::Json, rows_max: None, principal, via };
        match self.engine.ask(question).await {
            Ok(answer) => Ok(Drawn { query: text, grain: grain.map(Grain::word), axes, answer }),
            // Places are within what was asked, which nobody has written.
            Err(problem) => Err(problem.because(format!("the chart asked: {}", text.replace('\n', " ")))),
        }
    }
}

impl Charts for Dashboards {
    fn draw<'a>(&'a self, of: &'a Whose, chart: &'a str, choice: &'a Choice) -> BoxFuture<'a, Result<Drawn, Problem>> {
        Box::pin(async move {
            let spec = self.spec(of)?;
            self.ask(charts::chart(&spec, chart, choice, self.kernel.clock().now())?, choice).await
        })
    }

    fn values<'a>(
        &'a self,
        of: &'a Whose,
        filter: &'a str,
        search: &'a str,
        choice: &'a Choice,
    ) -> BoxFuture<'a, Result<Drawn, Problem>> {
        Box::pin(async move {
            let spec = self.spec(of)?;
            self.ask(charts::values(&spec, filter, search, choice)?, choice).await
        })
    }
}
