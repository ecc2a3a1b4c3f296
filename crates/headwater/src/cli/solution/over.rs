//! `headwater solution run`: a file through the solution's pipelines.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::Done;
use crate::solution::clickstream::run as over_file;
use crate::solution::package;

/// Flags of `solution run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The solution
    pub(super) name: String,
    /// The file, such as a web server's access log
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the file and prints what came out.
///
/// # Errors
/// `HW-CLI-206` when the file cannot be read, and what the node has to say.
pub(super) async fn run(args: Args) -> Done {
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
