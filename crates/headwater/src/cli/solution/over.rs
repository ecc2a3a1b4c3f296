//! `headwater solution run`: a file through the solution's pipelines.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::Done;
use crate::solution::clickstream::run as over_file;
use crate::solution::package;
use crate::solution::sales_insights::{replay, sale};

/// Flags of `solution run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The solution
    pub(super) name: String,
    /// The file: a web server's access log (clickstream), or a CSV file of sales (sales-insights)
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the sales of a file and prints what became of them.
///
/// # Errors
/// `HW-CLI-206` when the file cannot be read, and what the node has to say.
pub(super) async fn sales(args: Args) -> Done {
    let package = package::find(&args.name)?;
    let sales = sale::read(&args.input)?;
    let bar = super::bar(sales.len() as u64);
    let replayed = replay::replay(&package, &sales, |step, sent| {
        bar.set_message(step);
        bar.set_position(sent);
    })
    .await;
    bar.finish_and_clear();
    super::show(&replayed?.figures(&sales), args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs an access log and prints what came out.
///
/// # Errors
/// `HW-CLI-206` when the file cannot be read, and what the node has to say.
pub(super) async fn access_log(args: Args) -> Done {
    let package = package::find(&args.name)?;
    let bar = super::bar(0);
    let figures = over_file::access_log(&package, &args.input, |step, done, total| {
        bar.set_message(step);
        bar.set_length(total);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    super::show(&figures?, args.json)?;
    Ok(ExitCode::SUCCESS)
}
