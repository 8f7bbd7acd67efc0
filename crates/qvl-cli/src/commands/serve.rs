//! `qvl serve`

use std::time::Duration;

use anyhow::Context as _;
use qvl::{CancelFlag, Pipeline};
use qvl_server::{Server, ServerOptions};
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::allocator::give_large_buffers_back;
use crate::args::ServeArgs;
use crate::interrupt::Interrupt;
use crate::package;
use crate::terminal::print;

/// How often it is looked whether the program was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Threads that read requests and write answers; the model's threads do the work.
const THREADS: usize = 2;

/// Serves a model until Ctrl-C or SIGTERM, then finishes what it has.
///
/// # Errors
/// If the model cannot be loaded, an option is wrong, or the port cannot be had.
pub fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    give_large_buffers_back();
    let interrupt = Interrupt::install()?;
    interrupt.during(|cancel| {
        let options = args.options(&model_name(args))?;
        let pipeline = package::load(&args.package, &args.engine, cancel)?;
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        let runtime = runtime.context("cannot start the server's threads")?;
        runtime.block_on(run(pipeline, options, cancel))
    })
}

async fn run(pipeline: Pipeline, options: ServerOptions, cancel: &CancelFlag) -> anyhow::Result<()> {
    let name = options.model_name.clone();
    let server = Server::bind(pipeline, options).await?;
    print(&format!("{name} is ready at http://{}\n", server.address()?))?;
    Ok(server.run(asked_to_stop(cancel)).await?)
}

async fn asked_to_stop(cancel: &CancelFlag) {
    while !cancel.is_cancelled() {
        sleep(LOOK).await;
    }
}

/// The name of the package's directory, or the demo model's.
fn model_name(args: &ServeArgs) -> String {
    let Some(path) = &args.package.package else { return qvl_demo::SLUG.to_owned() };
    // Of `.` the last part is found only in the whole path.
    let whole = std::path::absolute(path).ok();
    let name = whole.as_deref().unwrap_or(path).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "qvl".to_owned())
}
