//! `headwater rebuild`: throws derived views away, so that the next start builds them again from the log.

use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::Problem;

use super::{Context, Done};
use crate::config::DATA;
use crate::{folder, output};

/// Flags of `rebuild`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data folder of a node that does not run [default: headwater-data]
    #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Say what would be removed and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Files of the tables' view; everything in them is in the log as well.
const VIEW: [&str; 3] = ["tables.db", "tables.db-wal", "tables.db-shm"];

/// Removes the views of a node that does not run.
///
/// # Errors
/// `HW-CLI-013` while a node runs in the folder.
pub fn run(args: Args, context: &Context) -> Done {
    let data = args.data.or_else(|| context.file.data.clone()).unwrap_or_else(|| PathBuf::from(DATA));
    if !data.is_dir() {
        return Err(Problem::new("HW-CLI-002", format!("there is no data folder `{}`", data.display()))
            .help("name it with `--data`")
            .into());
    }
    let _lock = folder::lock(&data)?;
    let (mut found, suffix) = (false, if args.dry_run { " (dry run)" } else { "" });
    for file in VIEW {
        let path = data.join(file);
        let removed = if args.dry_run { std::fs::metadata(&path).map(drop) } else { std::fs::remove_file(&path) };
        match removed {
            Ok(()) => {
                found = true;
                output::line(format!("{file} removed{suffix}"))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Problem::new("HW-CLI-002", format!("cannot remove `{}`", path.display()))
                    .because(error)
                    .into());
            }
        }
    }
    output::note(if found {
        "the next `headwater up` builds the tables again from the log"
    } else {
        "there is nothing to remove"
    });
    Ok(ExitCode::SUCCESS)
}
