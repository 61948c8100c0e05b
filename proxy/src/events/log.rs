//! The decision log: one line an event, to standard output, a file, or both, written by a thread of its own.
//!
//! `write` serialises into a buffer under a short lock; the thread takes whole buffers and writes them with one system call,
//! so lines are never torn and a burst costs few calls. The buffer is bounded ([`BOUND`]); lines beyond it are counted
//! and the count is logged. spec: http-proxy §16.1, §16.3

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use muselet_rules::Strictness;
use thiserror::Error;

use super::encode::{Fields as _, JsonFields, json_string, sanitise};
use super::event::{Context, Event, Gate};
use super::stamp::with_stamp;
use super::text;

mod file;

use file::LogFile;
pub(crate) use file::open as open_file;

/// Bytes that may wait for one output: about 50,000 lines.
const BOUND: usize = 16 << 20;

/// How long the first line of a batch waits for company: waking the thread and a system call for each line would cost more than
/// the line.
const GATHER: Duration = Duration::from_millis(4);

/// A batch of this many bytes waits for nothing more.
const BATCH: usize = 64 << 10;

/// How long [`Log::flush`] waits for a stalled output.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Format of the lines on standard output. A file always gets JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Json,
    /// Console lines; with ANSI colours or without.
    Text {
        colour: bool,
    },
}

/// Where lines go.
pub enum LogOutput {
    Stdout,
    /// Opened for appending, created with mode 0600.
    File(PathBuf),
    Both(PathBuf),
    /// In place of standard output; for embedding.
    Writer(Box<dyn Write + Send>),
}

/// How to open the log. Fixed for the life of the process.
pub struct LogOptions {
    pub format: LogFormat,
    pub output: LogOutput,
    /// `logging.include_allowed`
    pub include_allowed: bool,
    /// `logging.include_blocked`
    pub include_blocked: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            format: LogFormat::Json,
            output: LogOutput::Stdout,
            include_allowed: true,
            include_blocked: true,
        }
    }
}

/// The log could not be opened.
#[derive(Debug, Error)]
pub enum LogError {
    /// `open PATH: why`
    #[error("open {}: {}", path.display(), crate::events::log::reason(source))]
    Open { path: PathBuf, source: std::io::Error },
    #[error("starting the log writer: {0}")]
    Thread(std::io::Error),
}

/// The system's words for an error, as C has them (`no such file or directory`).
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => {
            let text = std::io::Error::from_raw_os_error(code).to_string();
            let text = text.split(" (os error").next().unwrap_or(&text);
            text.to_lowercase()
        }
        None => error.to_string(),
    }
}

#[derive(Default)]
struct Buffers {
    console: Vec<u8>,
    file: Vec<u8>,
}

impl Buffers {
    fn is_empty(&self) -> bool {
        self.console.is_empty() && self.file.is_empty()
    }

    fn clear(&mut self) {
        self.console.clear();
        self.file.clear();
    }
}

#[derive(Default)]
struct State {
    waiting: Buffers,
    /// The thread is writing what it took.
    writing: bool,
    /// Lines that were not written, or found no room, since the last one that did.
    dropped: u64,
    closing: bool,
    /// Somebody has waited for the output in vain, and nobody does again before it moves.
    stuck: bool,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to write, or the log closes.
    filled: Condvar,
    /// Everything has been written.
    drained: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves at worst half a line.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Log {
    shared: Option<Arc<Shared>>,
    thread: Option<JoinHandle<()>>,
    console: Option<LogFormat>,
    file: bool,
    include_allowed: bool,
    include_blocked: bool,
}

impl Log {
    pub(super) fn discard() -> Log {
        Log {
            shared: None,
            thread: None,
            console: None,
            file: false,
            include_allowed: true,
            include_blocked: true,
        }
    }

    pub(super) fn open(options: LogOptions) -> Result<Log, LogError> {
        let (console, path): (Option<Box<dyn Write + Send>>, Option<PathBuf>) = match options.output {
            LogOutput::Stdout => (Some(Box::new(std::io::stdout())), None),
            LogOutput::File(path) => (None, Some(path)),
            LogOutput::Both(path) => (Some(Box::new(std::io::stdout())), Some(path)),
            LogOutput::Writer(writer) => (Some(writer), None),
        };
        let file = path.map(LogFile::open).transpose();
        let file = file.map_err(|(path, source)| LogError::Open { path, source })?;
        let mut log = Log {
            shared: None,
            thread: None,
            console: console.is_some().then_some(options.format),
            file: file.is_some(),
            include_allowed: options.include_allowed,
            include_blocked: options.include_blocked,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            filled: Condvar::new(),
            drained: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_out(&theirs, console, file))
            .map_err(LogError::Thread)?;
        log.shared = Some(shared);
        log.thread = Some(thread);
        Ok(log)
    }

    /// Whether the filters let the event be emitted.
    pub(super) fn passes_for_emission(&self, event: &Event<'_>) -> bool {
        event.gate() != Gate::Allowed || self.include_allowed
    }

    pub(super) fn write(&self, event: &Event<'_>, agent: &str, strictness: Strictness) {
        let Some(shared) = &self.shared else { return };
        match event.gate() {
            Gate::Allowed if !self.include_allowed => return,
            Gate::Blocked if !self.include_blocked => return,
            _ => {}
        }
        let wants_json = self.file || self.console == Some(LogFormat::Json);
        let mut state = shared.lock();
        let room = state.waiting.console.len() < BOUND && state.waiting.file.len() < BOUND;
        if !room {
            state.dropped += 1;
            return;
        }
        let lost = std::mem::take(&mut state.dropped);
        let was_empty = state.waiting.is_empty();
        if lost > 0 {
            let error = format!("log output failed or too slow: {lost} events were not written");
            let gap = Event::Error { ctx: Context { method: "LOG", ..Context::default() }, error: &error };
            self.append(&mut state.waiting, &gap, "", strictness, wants_json);
        }
        self.append(&mut state.waiting, event, agent, strictness, wants_json);
        let wake = was_empty && !state.writing;
        drop(state);
        if wake {
            shared.filled.notify_one();
        }
    }

    fn append(&self, to: &mut Buffers, event: &Event<'_>, agent: &str, strictness: Strictness, json: bool) {
        if json {
            // The first output that wants JSON gets it written in place, a second one a copy.
            let (first, second) = match (self.console, self.file) {
                (Some(LogFormat::Json), both) => (&mut to.console, both.then_some(&mut to.file)),
                _ => (&mut to.file, None),
            };
            let start = first.len();
            json_line(first, event, agent, strictness);
            if let Some(second) = second {
                second.extend_from_slice(&first[start..]);
            }
        }
        if let Some(LogFormat::Text { colour }) = self.console {
            text::line(&mut to.console, event, agent, strictness, colour);
        }
    }

    /// Waits until everything recorded so far is written, or the output proves stuck.
    pub(super) fn flush(&self) {
        let Some(shared) = &self.shared else { return };
        let deadline = Instant::now() + FLUSH_LIMIT;
        let mut state = shared.lock();
        while (state.writing || !state.waiting.is_empty()) && !state.stuck {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.stuck = true;
                return;
            }
            state = shared.drained.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        state.closing = true;
        let stuck = state.writing;
        drop(state);
        shared.filled.notify_one();
        // A thread stuck in a write cannot be waited for.
        if let Some(thread) = self.thread.take()
            && !stuck
        {
            let _ = thread.join();
        }
    }
}

fn write_out(shared: &Shared, mut console: Option<Box<dyn Write + Send>>, mut file: Option<LogFile>) {
    let mut taken = Buffers::default();
    let mut complained = false;
    let mut state = shared.lock();
    loop {
        while state.waiting.is_empty() {
            if state.closing {
                return;
            }
            state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.closing && state.waiting.console.len() < BATCH {
            drop(state);
            std::thread::sleep(GATHER);
            state = shared.lock();
        }
        std::mem::swap(&mut state.waiting, &mut taken);
        state.writing = true;
        drop(state);

        let mut failed = None;
        let mut lost = 0;
        if let Some(out) = &mut console
            && let Err(e) = out.write_all(&taken.console).and_then(|()| out.flush())
        {
            failed = Some(e);
            lost = lines(&taken.console);
        }
        if let Some(out) = &mut file
            && let Err((e, unwritten)) = out.write(&taken.file)
        {
            failed = Some(e);
            lost = lost.max(unwritten);
        }
        if let Some(e) = failed
            && !std::mem::replace(&mut complained, true)
        {
            // Said once: a full disk must not fill standard error as well.
            let _ = writeln!(std::io::stderr(), "pipelock: writing the audit log failed: {}", reason(&e));
        }
        taken.clear();

        state = shared.lock();
        state.writing = false;
        state.stuck = false;
        state.dropped += lost;
        if state.waiting.is_empty() {
            shared.drained.notify_all();
        }
    }
}

/// How many lines there are.
fn lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

/// Appends one line of JSON.
fn json_line(out: &mut Vec<u8>, event: &Event<'_>, agent: &str, strictness: Strictness) {
    out.extend_from_slice(b"{\"level\":\"");
    out.extend_from_slice(event.level().as_str().as_bytes());
    out.extend_from_slice(b"\",\"component\":\"pipelock\"");
    if !agent.is_empty() && !event.names_agent() {
        out.extend_from_slice(b",\"agent\":");
        json_string(out, &sanitise(agent), false);
    }
    out.extend_from_slice(b",\"event\":\"");
    out.extend_from_slice(event.name().as_bytes());
    out.push(b'"');
    let mut fields = JsonFields { out };
    event.fields(strictness, &mut fields);
    with_stamp(|stamp| fields.raw("time", stamp));
    fields.raw("message", event.message());
    out.extend_from_slice(b"}\n");
}
