//! The findings of `sidecall doctor`, as text or JSON.

use serde::Serialize;

use crate::cli::output::{self, clean};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Everything is fine.
    Ok,
    /// Could not be checked.
    Unknown,
    /// May be intended.
    Warning,
    /// Something doesn't work, or isn't safe.
    Problem,
}

#[derive(Debug, Serialize)]
struct Finding {
    verdict: Verdict,
    /// The subject: `configuration`, `node`, `pbx NAME`, `number`.
    about: String,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

/// Collects findings. Prints each at once, or all of them at the end as JSON.
#[derive(Debug)]
pub(super) struct DoctorReport {
    json: bool,
    findings: Vec<Finding>,
}

impl DoctorReport {
    pub(super) fn new(json: bool) -> DoctorReport {
        DoctorReport { json, findings: Vec::new() }
    }

    pub(super) fn ok(&mut self, about: &str, found: impl Into<String>) -> anyhow::Result<()> {
        self.add(Verdict::Ok, about, found.into(), None)
    }

    pub(super) fn unknown(&mut self, about: &str, found: impl Into<String>) -> anyhow::Result<()> {
        self.add(Verdict::Unknown, about, found.into(), None)
    }

    pub(super) fn warning(
        &mut self,
        about: &str,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> anyhow::Result<()> {
        self.add(Verdict::Warning, about, found.into(), Some(todo.into()))
    }

    pub(super) fn problem(
        &mut self,
        about: &str,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> anyhow::Result<()> {
        self.add(Verdict::Problem, about, found.into(), Some(todo.into()))
    }

    fn add(&mut self, verdict: Verdict, about: &str, found: String, todo: Option<String>) -> anyhow::Result<()> {
        let finding = Finding { verdict, about: about.to_owned(), found: clean(&found), todo };
        if !self.json {
            show(&finding)?;
        }
        self.findings.push(finding);
        Ok(())
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Prints the totals. Fails if there is a problem.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let (problems, warnings) = (self.count(Verdict::Problem), self.count(Verdict::Warning));
        if self.json {
            output::json(&serde_json::json!({"problems": problems, "warnings": warnings, "findings": self.findings}))?;
        } else {
            output::line(format!("\n{}, {}", plural(problems, "problem"), plural(warnings, "warning")))?;
        }
        match problems {
            0 => Ok(()),
            n => Err(anyhow::anyhow!("{} found", plural(n, "problem"))),
        }
    }
}

fn show(finding: &Finding) -> anyhow::Result<()> {
    let mark = match finding.verdict {
        Verdict::Ok => "ok     ",
        Verdict::Unknown => "?      ",
        Verdict::Warning => "warning",
        Verdict::Problem => "PROBLEM",
    };
    output::line(format!("{mark}  {}: {}", finding.about, finding.found))?;
    match &finding.todo {
        Some(todo) => output::line(format!("         -> {todo}")),
        None => Ok(()),
    }
}

fn plural(n: usize, what: &str) -> String {
    match n {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
