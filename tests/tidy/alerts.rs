//! The alert rules in `etc/sidecall.rules.yml`: their metrics exist, and Prometheus fires them as `alerts.yml` says.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sources::root;

/// Metrics that the rules use and `src/monitor/metrics/names.rs` does not have.
fn unknown<'a>(rules: &'a str, names: &str) -> Vec<&'a str> {
    let words = rules.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let metrics = words.filter(|word| word.starts_with("sidecall_"));
    let known = |metric: &&str| names.contains(&format!("\"{}\"", metric.trim_end_matches("_bucket")));
    metrics.filter(|metric| !known(metric)).collect()
}

/// What promtool says against a file.
fn promtool(check: [&str; 2], file: &Path) -> String {
    let output = Command::new("promtool").args(check).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    if output.status.success() { String::new() } else { said.into_owned() }
}

#[test]
fn the_alerts_use_metrics_that_there_are() {
    let read = |path| fs::read_to_string(root().join(path)).unwrap();
    let (rules, names) = (read("etc/sidecall.rules.yml"), read("src/monitor/metrics/names.rs"));
    assert_eq!(unknown(&rules, &names), Vec::<&str>::new());
    assert_eq!(unknown("rate(sidecall_bugs_bucket[5m]) > sidecall_calls_live", &names), ["sidecall_bugs_bucket"]);
}

#[test]
fn prometheus_fires_the_alerts_and_reads_the_configuration() {
    if Command::new("promtool").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "promtool is missing");
        return eprintln!("skipped: no promtool here");
    }
    let fired = promtool(["test", "rules"], &root().join("tests/tidy/alerts.yml"));
    assert!(fired.is_empty(), "{fired}");

    let page = fs::read_to_string(root().join("docs/METRICS.md")).unwrap();
    let shown = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::copy(root().join("etc/sidecall.rules.yml"), folder.join("sidecall.rules.yml")).unwrap();
    fs::write(folder.join("prometheus.yml"), shown).unwrap();
    let refused = promtool(["check", "config"], &folder.join("prometheus.yml"));
    assert!(refused.is_empty(), "{refused}");
}
