//! The command line of the demo backend; all it does is in the library.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use demo_backend::{Config, certs, serve};
use tokio::signal::unix::{SignalKind, signal};

/// The service behind Portcullis in the demo and in the end-to-end tests.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT. Prints one line when both listeners are bound and Redis answers.
    Serve {
        /// The public listener's address; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:10001")]
        listen: SocketAddr,
        /// The admin listener's address: unprotected, so keep it on loopback
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:10002")]
        admin: SocketAddr,
        /// Where revoked token ids are kept
        #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1:16379")]
        redis: String,
        /// The issuer of the tokens
        #[arg(long, default_value = "https://demo.portcullis.example")]
        issuer: String,
        /// The audience of the tokens
        #[arg(long, default_value = "orders-api")]
        audience: String,
        /// How long a token lives
        #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        token_seconds: u64,
    },
    /// Write ca.pem, server.pem and server.key for the edge; again to rotate them.
    Certs {
        /// The directory, made if it is missing
        dir: PathBuf,
        /// A further DNS name or address beside localhost, 127.0.0.1 and ::1; may be repeated
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve {
            listen,
            admin,
            redis,
            issuer,
            audience,
            token_seconds,
        } => run(Config {
            listen,
            admin,
            redis,
            issuer,
            audience,
            token_seconds,
        }),
        Command::Certs { dir, names } => certs::write(&dir, &names).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("demo-backend: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let outcome = runtime.block_on(serve_until_signal(config));
    // Not a plain drop: that would wait for password hashes still being computed.
    runtime.shutdown_background();
    outcome
}

async fn serve_until_signal(config: Config) -> Result<(), String> {
    // Registered before anything else, so that a signal during the start ends it as cleanly as one later.
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let signalled = async {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    };
    tokio::pin!(signalled);

    let running = tokio::select! {
        running = serve(config) => running.map_err(|error| error.to_string())?,
        () = &mut signalled => return Ok(()),
    };
    if !running.admin.ip().is_loopback() {
        eprintln!(
            "demo-backend: warning: the admin listener on {} is not on loopback",
            running.admin
        );
    }
    // Whoever started us may have closed the pipe; the service is as good without the line.
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(
        stdout,
        "listening http://{} admin http://{}",
        running.public, running.admin
    );
    let _ = stdout.flush();
    drop(stdout);
    signalled.await;
    running.stop();
    Ok(())
}
