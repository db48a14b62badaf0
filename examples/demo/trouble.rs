//! What goes wrong while a scenario runs: the person gets one sentence, a file gets the rest.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use lab::LabError;

/// Why something was not played to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// This machine lacks what it needs.
    Missing(String),
    /// It broke off; one sentence.
    Broke(String),
}

impl From<LabError> for Trouble {
    fn from(error: LabError) -> Trouble {
        match error.is_missing() {
            true => Trouble::Missing(error.to_string()),
            false => Trouble::Broke(sentence(&error.to_string())),
        }
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Trouble {
        Trouble::Broke(sentence(&text))
    }
}

/// Something was written to the file.
static NOTED: AtomicBool = AtomicBool::new(false);

fn file() -> PathBuf {
    std::env::temp_dir().join(format!("sidecall-demo-{}.log", std::process::id()))
}

/// The file with the technical text, if there is any.
pub(crate) fn noted() -> Option<PathBuf> {
    NOTED.load(Ordering::Relaxed).then(file)
}

fn note(text: &str) {
    let opened = OpenOptions::new().create(true).append(true).open(file());
    if opened.and_then(|mut file| writeln!(file, "{text}\n")).is_ok() {
        NOTED.store(true, Ordering::Relaxed);
    }
}

/// Panics of every thread go to the file, unless `quiet` says that they aren't worth a word.
pub(crate) fn watch(quiet: impl Fn() -> bool + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        if !quiet() {
            let mut text = panic.to_string();
            let _ = write!(text, "\n{}", std::backtrace::Backtrace::force_capture());
            note(&text);
        }
    }));
}

/// Plays something. A panic in it is trouble like any other.
pub(crate) fn guard<T>(play: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|_| {
        let about = noted().map(|file| format!("; the details are in {}", file.display())).unwrap_or_default();
        Err(Trouble::Broke(format!(
            "this broke off, since a PBX, a phone or sidecall stopped answering: play it again{about}"
        )))
    })
}

/// One line of a text for the person. If the text has more, such as the end of a log, the file gets all of it.
pub(crate) fn sentence(text: &str) -> String {
    let short = text.split("; log: ").next().unwrap_or_default().lines().next().unwrap_or_default().trim_end();
    if short.len() == text.len() {
        return text.to_owned();
    }
    note(text);
    let about = noted().map(|file| format!(" (the details are in {})", file.display())).unwrap_or_default();
    format!("{short}{about}")
}

/// Where plays are played: opened when one needs it, and closed when one went wrong there, so that the next one
/// begins anew.
#[derive(Debug)]
pub(crate) struct Venue<T> {
    open: Option<T>,
    /// How often in a row it could not be opened.
    failed: usize,
}

impl<T> Venue<T> {
    pub(crate) fn new() -> Venue<T> {
        Venue { open: None, failed: 0 }
    }

    /// Plays one, and judges it by `went_well`.
    pub(crate) fn run<R>(
        &mut self,
        open: impl FnOnce() -> Result<T, Trouble>,
        play: impl FnOnce(&mut T) -> Result<R, Trouble>,
        went_well: impl FnOnce(&R) -> bool,
    ) -> Result<R, Trouble> {
        guard(|| {
            let mut venue = match self.open.take() {
                Some(venue) => venue,
                None => self.open_with(open)?,
            };
            let played = play(&mut venue)?;
            if went_well(&played) {
                self.open = Some(venue);
            }
            Ok(played)
        })
    }

    fn open_with(&mut self, open: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        if self.failed > 1 {
            let why =
                "the PBXs for this did not start, twice in a row: free some memory and processors, and play it again";
            return Err(Trouble::Broke(why.to_owned()));
        }
        self.failed += 1;
        let venue = open()?;
        self.failed = 0;
        Ok(venue)
    }

    /// What is still open.
    pub(crate) fn into_open(self) -> Option<T> {
        self.open
    }
}
