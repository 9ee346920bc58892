//! `crosspage health`: whether the crosspage that runs here takes webhooks, for whoever has no HTTP client at hand, such as a
//! container's health check.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use super::{EXIT_NOT_ALL, EXIT_SETUP, complain};
use crate::config::Config;
use crate::http::reachable;
use crate::remote::innermost;

/// An answer that takes longer is none. Shorter than what supervisors allow, so that it is said why.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/readyz` on `LISTEN_ADDR` and prints the answer. The exit code is 0 if webhooks are taken, 1 if not, 2 if the set-up is
/// wrong.
pub async fn run() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(EXIT_SETUP);
        }
    };
    match ask(config.listen).await {
        Ok((true, said)) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Ok((false, said)) => {
            println!("{said}");
            ExitCode::from(EXIT_NOT_ALL)
        }
        Err(error) => {
            eprintln!("crosspage: nothing answers on LISTEN_ADDR {}: {}", config.listen, innermost(&error));
            ExitCode::from(EXIT_NOT_ALL)
        }
    }
}

/// Whether it is ready, and what it says of itself.
async fn ask(listen: SocketAddr) -> Result<(bool, String), reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let response = client.get(format!("http://{}/readyz", reachable(listen))).send().await?;
    Ok((response.status().is_success(), response.text().await?))
}
