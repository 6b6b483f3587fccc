//! What is documented is what is there: commands, exit codes, schemas.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use fleetwright::cli::Cli;
use fleetwright::output::Exit;
use renderer::schema::Schema;
use renderer::yaml::{self, Node, NodeKind, Value};

use crate::repo::Repo;

const KINDS: [&str; 5] = ["inventory", "defaults", "fleet", "profile", "addon"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn page(name: &str) -> String {
    fs::read_to_string(repository().join("docs/reference").join(name)).unwrap()
}

#[test]
fn every_command_and_option_is_in_the_reference() {
    let page = page("commands.md");
    let mut missing = BTreeSet::new();
    let command = Cli::command();
    collect(&command, "", &page, &mut missing);
    assert_eq!(missing, BTreeSet::new(), "not in docs/reference/commands.md");
}

fn collect(command: &clap::Command, prefix: &str, page: &str, missing: &mut BTreeSet<String>) {
    for sub in shown_commands(command) {
        let name = format!("{prefix}{}", sub.get_name());
        let is_top = prefix.is_empty();
        let section = section(page, name.split(' ').next().unwrap());
        if is_top && section.is_empty() || !section.contains(&format!("fleetwright {name}")) {
            missing.insert(name.clone());
        }
        for argument in sub.get_arguments() {
            let written = match argument.get_long() {
                Some(long) => format!("--{long}"),
                None => match argument.get_value_names() {
                    Some([name, ..]) => name.to_string(),
                    _ => argument.get_id().to_string().to_uppercase(),
                },
            };
            if !section.contains(&written) {
                missing.insert(format!("{name} {written}"));
            }
        }
        collect(sub, &format!("{name} "), page, missing);
    }
    if prefix.is_empty() {
        let everywhere = section(page, "Everywhere");
        for argument in command.get_arguments() {
            let written = format!("`--{}", argument.get_long().unwrap());
            if !everywhere.contains(&written) {
                missing.insert(written);
            }
        }
    }
}

/// Returns the commands that the help shows: the others are for processes of our own.
fn shown_commands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

/// Returns the part of a page below a heading.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let start = page.find(&format!("\n## {heading}\n")).map_or(page.len(), |at| at + 1);
    let end = page[start..].find("\n## ").map_or(page.len(), |at| start + at);
    &page[start..end]
}

#[test]
fn the_reference_names_no_command_that_is_not_there() {
    let known: BTreeSet<_> = shown_commands(&Cli::command()).map(|sub| sub.get_name().to_owned()).collect();
    let page = page("commands.md");
    let headings =
        page.lines().filter_map(|line| line.strip_prefix("## ")).filter(|name| *name != "Everywhere");
    assert_eq!(headings.map(str::to_owned).collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_exit_code_is_in_the_reference_and_in_the_help() {
    let (page, help) = (page("exit-codes.md"), Repo::empty().run(&["--help"]).out);
    let codes = [
        Exit::Done,
        Exit::Unexpected,
        Exit::Usage,
        Exit::Changes,
        Exit::Problems,
        Exit::Git,
        Exit::Forge,
        Exit::Cluster,
    ];
    for code in codes.map(|exit| exit as u8) {
        assert!(page.contains(&format!("\n| {code} |")), "{code}");
        assert!(
            help.contains(&format!(" {code} ")) || help.contains(&format!("\n{code} ")),
            "{code}: {help}"
        );
    }
}

#[test]
fn the_published_schemas_are_current() {
    let repo = Repo::empty();
    for kind in KINDS {
        let printed = repo.run(&["schema", kind]);
        assert_eq!(printed.code, 0);
        let published = page(&format!("schemas/{kind}.schema.json"));
        assert!(
            published == printed.out,
            "docs/reference/schemas/{kind}.schema.json is stale: run `just schemas`"
        );
    }
}

#[test]
fn every_shipped_file_points_to_its_schema_and_fits_it() {
    let repo = Repo::shipped();
    let mut kinds = BTreeSet::new();
    for file in repo.git(&["ls-files", "*.yaml", ":!argocd-apps", ":!infra", ":!templates/_files"]).lines() {
        let kind = match Path::new(file).file_name().unwrap().to_str().unwrap() {
            "_defaults.yaml" => "defaults",
            "_fleet.yaml" => "fleet",
            "addon.yaml" => "addon",
            _ if file.contains("/_profiles/") => "profile",
            _ => "inventory",
        };
        let text = repo.read(file);
        let modeline = text.lines().find_map(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let target =
            repository().join(file).parent().unwrap().join(modeline.unwrap_or_else(|| panic!("{file}")));
        let expected = repository().join(format!("docs/reference/schemas/{kind}.schema.json"));
        assert_eq!(target.canonicalize().ok(), Some(expected.clone()), "{file}");
        let schema =
            Schema::compile(&serde_json::from_str(&fs::read_to_string(expected).unwrap()).unwrap()).unwrap();
        assert_eq!(schema.violations(&json(&text)), [], "{file}");
        kinds.insert(kind);
    }
    assert_eq!(kinds, BTreeSet::from(KINDS));
}

#[test]
fn defaults_may_leave_out_what_a_cluster_must_have() {
    let schema = |kind: &str| Schema::compile(&Repo::empty().run(&["schema", kind]).json()).unwrap();
    let nothing = serde_json::json!({});
    assert_eq!(schema("defaults").violations(&nothing), []);
    assert_eq!(schema("inventory").violations(&nothing).len(), 2);
    let pods = serde_json::json!({ "networks": { "pods": "10.0.0.0/16" } });
    assert_eq!(schema("defaults").violations(&pods), []);
    let unknown = serde_json::json!({ "role": "ap", "netwroks": {} });
    assert_eq!(schema("defaults").violations(&unknown).len(), 2);
}

/// Reads one document the way the product does, without its places.
fn json(text: &str) -> serde_json::Value {
    fn value(node: &Node) -> serde_json::Value {
        match &node.kind {
            NodeKind::Scalar(_) => match yaml::interpret(node).unwrap() {
                Value::Bool(flag) => flag.into(),
                Value::Number(number) => serde_json::from_str(number.as_str()).unwrap(),
                Value::String(text) => text.into(),
                _ => serde_json::Value::Null,
            },
            NodeKind::List(items) => items.iter().map(value).collect(),
            NodeKind::Map(entries) => entries
                .iter()
                .map(|(key, item)| (key.as_scalar().unwrap().text.clone(), value(item)))
                .collect(),
        }
    }
    value(&yaml::parse(text).unwrap()[0])
}
