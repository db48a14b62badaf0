//! A second process on the database of a node.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use crate::cli::{ALICE, BOB, Node, sidecall};

/// A process that is started with the configuration of a node that runs.
struct Second {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Second {
    /// `database` is a path from the node's folder.
    fn start(node: &Node, database: &str) -> Second {
        let config = std::fs::read_to_string(node.config()).unwrap();
        let own = node.path(&format!("{database}.toml"));
        std::fs::write(&own, config.replace("\"sidecall.db\"", &format!("\"{database}\""))).unwrap();
        let mut command = sidecall(Path::new(&own));
        command.arg("node").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Second { child, log }
    }

    /// Its log up to the first line with this text.
    fn log_until(&mut self, text: &str) -> String {
        let mut log = String::new();
        while self.log.read_line(&mut log).unwrap() > 0 {
            if log.contains(text) {
                return log;
            }
        }
        panic!("no {text:?} in {log}");
    }

    /// Waits for its end; its exit code, and the rest of its log.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_second_process_on_the_database_is_refused() {
    let node = Node::start();
    symlink("sidecall.db", node.path("link.db")).unwrap();
    for (database, mut second) in ["sidecall.db", "link.db"].map(|database| (database, Second::start(&node, database)))
    {
        let (code, log) = second.end();
        let refusal = format!(
            "sidecall: the node can't start: the database {} is in use by process {}: stop it first, or set node.database",
            node.path(database),
            node.pid()
        );
        assert!(code == Some(1) && log.contains(&refusal), "{code:?} {log}");
    }
    node.number(ALICE, "Alice");
}

#[test]
fn a_node_that_was_killed_leaves_its_database_free() {
    let mut node = Node::start();
    node.number(ALICE, "Alice");
    node.kill();
    assert!(std::fs::read_to_string(node.path("sidecall.db-lock")).unwrap().contains(&node.pid().to_string()));
    node.restart();
    node.must(&["number", "show", ALICE]);
}

#[test]
fn a_node_waits_for_the_one_before_it_to_end() {
    let mut node = Node::start();
    node.number(ALICE, "Alice");
    let mut next = Second::start(&node, "sidecall.db");
    next.log_until(&format!("waiting for process {} to close the database", node.pid()));
    node.kill();
    node.wait();
    node.must(&["number", "show", ALICE]);
    node.number(BOB, "Bob");
}
