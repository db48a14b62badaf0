//! What engines lack that are distributed and speak PostgreSQL's protocol: no statement of the store needs it.

use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::findings::Finding;
use crate::sources::Tree;

/// Notifications, locks and tables of a session, extensions, and keys from one counter, which all go to one place.
const LACKING: [&str; 15] = [
    "LISTEN",
    "UNLISTEN",
    "NOTIFY",
    "EXTENSION",
    "TEMP",
    "TEMPORARY",
    "UNLOGGED",
    "SERIAL",
    "BIGSERIAL",
    "SMALLSERIAL",
    "AUTOINCREMENT",
    "IDENTITY",
    "SEQUENCE",
    "CURSOR",
    "PREPARE",
];

/// Parts of the names of functions that do the same, or that set something for a session.
const FUNCTIONS: [&str; 7] = ["pg_notify", "advisory", "nextval", "currval", "lastval", "setval", "set_config"];

/// Its connections have a limit for each read. A session without it reads the same.
const READS: &str = "src/store/sql/read_pool.rs";

/// The migrations: paths and texts.
pub fn schemas(root: &Path) -> Vec<(String, String)> {
    let folders = ["src/store/migrations", "src/store/postgres_migrations"];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap().map(move |entry| (*folder, entry.unwrap().path())));
    let named = files.map(|(folder, path)| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (format!("{folder}/{name}"), fs::read_to_string(path).unwrap())
    });
    named.collect()
}

/// Statements of the store, and of its migrations, that need what such an engine lacks. Tests may.
pub fn lacking(tree: &Tree, schemas: &[(String, String)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (source, _) in tree.code().filter(|(source, code)| source.path.starts_with("src/store/") && !code.test) {
        let built = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let mut texts = Vec::new();
        literals(built.parse().unwrap(), &mut texts);
        for (line, text) in texts {
            let needed = needs(&text, source.path == READS).into_iter();
            found.extend(needed.map(|what| Finding::new(&source.path, line, what)));
        }
    }
    for (path, text) in schemas {
        let code: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let needed = needs(&code.join("\n").to_uppercase(), false).into_iter();
        found.extend(needed.map(|what| Finding::new(path, 0, what)));
    }
    found
}

/// The texts in quotes, with their lines. Attributes, and so comments, have none.
fn literals(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let mut is_attribute = false;
    for token in tokens {
        match &token {
            TokenTree::Group(group) if !is_attribute => literals(group.stream(), found),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.push((literal.span().start().line, text.value()));
                }
            }
            _ => {}
        }
        is_attribute = match &token {
            TokenTree::Punct(punct) => punct.as_char() == '#' || (is_attribute && punct.as_char() == '!'),
            _ => false,
        };
    }
}

/// What a text needs of an engine, if it is a statement: their words are in capitals.
fn needs(text: &str, may_set: bool) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| LACKING.contains(word));
    let lower = text.to_lowercase();
    let functions = FUNCTIONS.into_iter().filter(|function| lower.contains(*function));
    let sets =
        text.split(';').map(str::trim).filter(|part| part.starts_with("SET ") && !part.starts_with("SET LOCAL "));
    let sets = sets.filter(|_| !may_set).map(|_| "a setting of the session");
    words.chain(functions).chain(sets).map(|what| format!("needs {what}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        lacking(&Tree::of(&[(path, text)]), &[]).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn what_a_distributed_engine_lacks_is_found() {
        for (statement, what) in [
            ("LISTEN calls", "needs LISTEN"),
            ("SELECT pg_notify($1, $2)", "needs pg_notify"),
            ("SELECT pg_advisory_xact_lock($1)", "needs advisory"),
            ("SELECT pg_try_advisory_lock($1)", "needs advisory"),
            ("SELECT set_config('lock_timeout', $1, false)", "needs set_config"),
            ("SELECT currval('ids')", "needs currval"),
            ("SELECT lastval()", "needs lastval"),
            ("SELECT setval('ids', $1)", "needs setval"),
            ("CREATE TEMP TABLE x (id TEXT)", "needs TEMP"),
            ("CREATE EXTENSION x", "needs EXTENSION"),
            ("INSERT INTO x VALUES (nextval('ids'))", "needs nextval"),
            ("BEGIN; SET lock_timeout = 5", "needs a setting of the session"),
        ] {
            for text in
                [format!("const A: &str = \"{statement}\";"), format!("fn f() {{ g(format!(\"{statement}\")); }}")]
            {
                assert_eq!(found("src/store/calls.rs", &text), [what], "{text}");
                assert_eq!(found("src/push/mod.rs", &text), [""; 0], "{text}");
                let test = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{ {text} }}");
                assert_eq!(found("src/store/calls.rs", &test), [""; 0], "{text}");
            }
        }
    }

    #[test]
    fn a_schema_with_keys_from_a_counter_is_found() {
        let of = |text: &str| lacking(&Tree::of(&[]), &[("x.sql".to_owned(), text.to_owned())]).len();
        assert_eq!(of("create table x (id bigserial primary key);"), 1);
        assert_eq!(of("create table x (id bigint default nextval('ids'));"), 1);
        assert_eq!(of("-- No SERIAL.\nCREATE TABLE x (id TEXT PRIMARY KEY); -- NOTIFY"), 0);
    }

    #[test]
    fn what_every_engine_has_is_not_found() {
        for text in [
            "const A: &str = \"BEGIN; SET LOCAL lock_timeout = 5\";",
            "const A: &str = \"UPDATE calls SET body = $1 WHERE id = $2\";",
            "/// No LISTEN.\nfn f() { g(\"listens, and notifies nobody\"); }",
        ] {
            assert_eq!(found("src/store/calls.rs", text), [""; 0], "{text}");
        }
        assert_eq!(found(READS, "const A: &str = \"SET statement_timeout = 5\";"), [""; 0]);
    }
}
