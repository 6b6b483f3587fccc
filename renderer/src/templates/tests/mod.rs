//! Stories about templates: what is written, what is inserted, and what comes out or is said about it.

mod blocks;
mod files;
mod fuzz;
mod limits;
mod lines;
mod memory;
mod places;
mod problems;
mod values;

use serde_json::{Value as Json, json};

use super::*;
use crate::key_path::Step;
use crate::path::RepoPath;
use crate::problem::Problem;
use crate::yaml::{self, Value};

/// The template that is expanded in most stories.
const TEMPLATE: &str = "t.hbs";

/// A template with its partials.
struct World {
    templates: Templates,
    file: RepoPath,
}

impl World {
    fn compile(template: &str, partials: &[(&str, &str)]) -> Result<Self, Vec<Problem>> {
        Self::compile_with(template, partials, &[])
    }

    fn compile_with(
        template: &str,
        partials: &[(&str, &str)],
        texts: &[(&str, &str)],
    ) -> Result<Self, Vec<Problem>> {
        let source = |file: &str, text: &str| TemplateSource {
            file: RepoPath::parse(file).unwrap(),
            text: text.into(),
        };
        let partials = partials
            .iter()
            .map(|(name, text)| ((*name).to_owned(), source(&format!("_partials/{name}.hbs"), text)));
        let texts =
            texts.iter().map(|(name, text)| ((*name).to_owned(), source(&format!("_files/{name}"), text)));
        let templates =
            Templates::compile(vec![source(TEMPLATE, template)], partials.collect(), texts.collect())?;
        Ok(Self { templates, file: RepoPath::parse(TEMPLATE).unwrap() })
    }

    fn render(&self, facts: &Json) -> Result<Vec<Value>, Vec<Problem>> {
        let scope = Scope::new(facts.clone());
        self.templates.render(Expand { template: &self.file, scope: &scope, addon: None, machine: None })
    }
}

fn render_with(template: &str, partials: &[(&str, &str)], facts: &Json) -> Result<Vec<Value>, Vec<Problem>> {
    World::compile(template, partials)?.render(facts)
}

/// Renders a template that makes one document.
fn document(template: &str, facts: &Json) -> Json {
    document_with(template, &[], facts)
}

fn document_with(template: &str, partials: &[(&str, &str)], facts: &Json) -> Json {
    let documents =
        render_with(template, partials, facts).unwrap_or_else(|problems| panic!("{}", told(&problems)));
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents[0].to_json()
}

/// Returns what is said about a template that cannot be rendered.
fn problems(template: &str, facts: &Json) -> String {
    problems_with(template, &[], facts)
}

fn problems_with(template: &str, partials: &[(&str, &str)], facts: &Json) -> String {
    match render_with(template, partials, facts) {
        Ok(documents) => panic!("it renders: {documents:?}"),
        Err(problems) => told(&problems),
    }
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A small fleet as templates see it.
fn facts() -> Json {
    json!({
        "cluster": {
            "name": "eu-1",
            "labels": {"region": "local", "tier": "gold"},
            "zones": ["a", "b"],
            "count": 3,
            "ratio": 0.5,
            "spare": null,
            "isHub": true,
        },
        "hub": {"name": "control"},
        "fleet": {"storageClass": "local-path"},
        "addons": [
            {"name": "metallb", "settings": {"retention": "15d"}},
            {"name": "loki", "settings": {"retention": "1.10"}},
        ],
    })
}
