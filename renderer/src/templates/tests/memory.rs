//! Remembering what was parsed changes nothing but the time it takes.

use std::thread;

use super::*;

/// Templates that make few skeletons, many, and ones that cannot be filled.
const TEMPLATES: [&str; 4] = [
    "a: {{v}}\nb: \"x{{s}}\"\n",
    "{{#each list}}\n- {{this}}\n{{/each}}\n",
    "{{s}}: {{v}}\n{{#each list}}\nk{{@index}}: {{this}}\n{{/each}}\n",
    "a: x{{v}}\n{{s}}: 1\n",
];

fn scopes() -> Vec<Scope<'static>> {
    let values = [json!(1), json!("no"), json!(["x"]), json!(null)];
    let facts = (0..40).map(|at: usize| {
        json!({"v": values[at % values.len()], "s": format!("s{}", at % 5), "list": (0..at % 7).collect::<Vec<_>>()})
    });
    facts
        .chain([json!({"v": 1, "s": "k0", "list": [1]}), json!({"v": 1, "s": "a", "list": []})])
        .map(Scope::new)
        .collect()
}

fn all(templates: &Templates, files: &[RepoPath], scopes: &[Scope]) -> Vec<Result<Vec<Value>, Vec<Problem>>> {
    let expand = |scope, template| templates.render(Expand { template, scope, addon: None, machine: None });
    scopes.iter().flat_map(|scope| files.iter().map(move |file| expand(scope, file))).collect()
}

fn compile() -> (Templates, Vec<RepoPath>) {
    let files: Vec<_> =
        (0..TEMPLATES.len()).map(|at| RepoPath::parse(&format!("{at}.hbs")).unwrap()).collect();
    let sources = files.iter().zip(TEMPLATES);
    let sources = sources.map(|(file, text)| TemplateSource { file: file.clone(), text: text.into() });
    (Templates::compile(sources.collect(), vec![], Texts::new()).unwrap(), files)
}

#[test]
fn a_warm_memory_gives_what_a_cold_one_gives() {
    let scopes = scopes();
    let (warm, files) = compile();
    let first = all(&warm, &files, &scopes);
    assert_eq!(all(&warm, &files, &scopes), first);
    for (at, scope) in scopes.iter().enumerate().rev() {
        let (cold, files) = compile();
        let alone = all(&cold, &files, std::slice::from_ref(scope));
        assert_eq!(alone, first[at * files.len()..(at + 1) * files.len()], "{:?}", scope.facts());
    }
    assert!(first.iter().any(Result::is_ok) && first.iter().any(Result::is_err));
}

#[test]
fn threads_that_share_a_memory_agree() {
    let scopes = scopes();
    let (templates, files) = compile();
    let expected = all(&templates, &files, &scopes);
    let (shared, files) = compile();
    thread::scope(|threads| {
        let started: Vec<_> = (0..4).map(|_| threads.spawn(|| all(&shared, &files, &scopes))).collect();
        for thread in started {
            assert_eq!(thread.join().unwrap(), expected);
        }
    });
}
