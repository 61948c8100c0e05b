//! The agent's command with this terminal: bytes both ways, window size, exit code, and the sidecar watched meanwhile.

use std::io::IsTerminal;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;

use super::Launched;
use crate::engine::{Engine, EngineError, EngineResult, ExecSpec};
use crate::{Error, Result};

/// Runs the command to its end and gives its exit code. Ends early, with an error, on a signal and when the sidecar ends
/// (the agent has no way out then) unless `keep` is set.
///
/// # Errors
/// When the engine fails, a signal came, or the sidecar ended.
pub async fn run<E: Engine>(launched: Launched<'_, E>, spec: &ExecSpec, keep: bool) -> Result<i64> {
    let engine = launched.engine;
    let names = &launched.plan.names;
    let failed = |e: EngineError| Error::step("run the command in", &names.agent, e);
    let mut attached = engine.exec_attached(&names.agent, spec).await.map_err(failed)?;
    let _raw = if spec.tty { RawTerminal::enter() } else { None };
    let mut resized =
        signal(SignalKind::window_change()).map_err(|e| Error::step("watch", "the terminal", e))?;
    if spec.tty {
        fit(engine, &attached.id).await;
    }
    let input = std::mem::replace(&mut attached.input, Box::pin(tokio::io::sink()));
    let (keys, from_keys) = tokio::sync::mpsc::channel::<Vec<u8>>(8);
    // Standard input can only be read by a blocking thread, which ends with the process.
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        let mut stdin = std::io::stdin();
        while let Ok(n) = std::io::Read::read(&mut stdin, &mut buffer) {
            if n == 0 || keys.blocking_send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    // Apart from the output: a command that reads nothing must not keep its own output from being read. Ends with this function.
    let mut feeder = tokio::task::JoinSet::new();
    feeder.spawn(feed(input, from_keys));
    let sidecar = engine.wait_container(&names.sidecar);
    tokio::pin!(sidecar);
    let mut sidecar_lost = false;
    let (mut out, mut err) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        tokio::select! {
            chunk = attached.output.next() => match chunk {
                // Whoever reads the output may have stopped; a signal must end the launch all the same.
                Some(Ok((is_error, bytes))) => tokio::select! {
                    written = async {
                        if is_error { write(&mut err, &bytes).await } else { write(&mut out, &bytes).await }
                    } => written?,
                    () = launched.cancel.cancelled() => return Err(Error::Interrupted("a signal")),
                },
                // The engine resets the connection of a command that ended before it read all its input.
                Some(Err(e)) => return exit_code(engine, &attached.id).await.map_err(failed)?.ok_or_else(|| failed(e)),
                None => break,
            },
            _ = resized.recv(), if spec.tty => fit(engine, &attached.id).await,
            ended = &mut sidecar, if !sidecar_lost => {
                sidecar_lost = true;
                let code = ended.map_or_else(|e| e.to_string(), |code| format!("exit code {code}"));
                let message = format!("it ended ({code}) while the agent ran: the agent has no way out any more");
                if !keep {
                    return Err(Error::step("watch container", &names.sidecar, message));
                }
                write(&mut err, format!("bottle: {}: {message}\r\n", names.sidecar).as_bytes()).await?;
            }
            () = launched.cancel.cancelled() => return Err(Error::Interrupted("a signal")),
        }
    }
    let still_runs = || EngineError::Failed("its output ended, and it still runs".to_owned());
    exit_code(engine, &attached.id).await.map_err(failed)?.ok_or_else(|| failed(still_runs()))
}

/// The exit code, for which the engine may need a moment after the end of the output; none when the command still runs.
async fn exit_code<E: Engine>(engine: &E, id: &str) -> EngineResult<Option<i64>> {
    const TRIES: u32 = 20;
    for _ in 0..TRIES {
        if let Some(code) = engine.exec_code(id).await? {
            return Ok(Some(code));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(None)
}

/// Hands the keys on until there are no more, or the command takes none.
async fn feed(mut input: Pin<Box<dyn AsyncWrite + Send>>, mut keys: Receiver<Vec<u8>>) {
    while let Some(bytes) = keys.recv().await {
        if input.write_all(&bytes).await.and(input.flush().await).is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> Result<()> {
    let written = async { to.write_all(bytes).await.and(to.flush().await) }.await;
    written.map_err(|e| Error::step("write", "the agent's output", e))
}

async fn fit<E: Engine>(engine: &E, id: &str) {
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout()) {
        // A command that has just ended has no terminal to resize.
        let _ = engine.resize_exec(id, size.ws_col, size.ws_row).await;
    }
}

/// Whether both ends are a terminal.
pub fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The terminal in raw mode until this is dropped.
struct RawTerminal {
    before: rustix::termios::Termios,
}

impl RawTerminal {
    fn enter() -> Option<Self> {
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ =
            rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.before);
    }
}
