//! What an add-on says to bring by name: Services with their ports, Secrets, storage classes, and how all names begin.

use std::collections::BTreeSet;

use crate::catalog::{Condition, MadeSecret, Service};
use crate::checks::finding::{Finding, Part};
use crate::checks::names::{FULL_NAME, Provided, classes_of, filled, of_object};
use crate::key_path::{Step, key, keys};
use crate::plural::quoted_up_to;
use crate::problem::did_you_mean;

use super::content::{AddonObjects, MadeService, UntrueStatement};

/// How many names a hint has.
const MAX_NAMED: usize = 8;

/// What is said of the Services of a chart, or of how its names begin if its Services are not described.
pub(super) fn services(it: &AddonObjects<'_>) -> Vec<UntrueStatement> {
    let Some(said) = &it.addon.facts.provides.services else { return full_name(it).into_iter().collect() };
    let made = it.made_services();
    let named: Vec<(String, bool)> = said
        .iter()
        .map(|service| {
            let name = filled(&service.name, it.addon, service.subchart.as_ref(), it.values);
            (name, Condition::all_hold(&service.when, it.values))
        })
        .collect();
    let expected: BTreeSet<&str> =
        named.iter().filter(|(_, is_expected)| *is_expected).map(|(name, _)| name.as_str()).collect();
    let others = || made.iter().map(|it| it.name).filter(|name| !expected.contains(name));
    let mut found = Vec::new();
    for ((at, service), (name, is_expected)) in said.iter().enumerate().zip(&named) {
        let of_it = made.iter().find(|it| it.name == name);
        let fault = match of_it {
            None if *is_expected && !service.at_runtime => {
                Some(missing("Service", name, others()).at(at, "name"))
            }
            Some(_) if service.at_runtime && *is_expected => {
                Some(itself("Service", name).at(at, "atRuntime"))
            }
            Some(_) if !expected.contains(name.as_str()) => {
                Some(against_when("Service", name).at(at, "when"))
            }
            Some(of_it) if *is_expected => ports(service, at, of_it, it),
            _ => None,
        };
        found.extend(fault.map(|fault| fault.under("services").about("Service", name)));
    }
    let is_said = |name: &str| named.iter().any(|(said, _)| said == name);
    for service in made.iter().filter(|made| !is_said(made.name) && !it.is_given("Service", made.name)) {
        let message = format!("the chart also makes Service `{}`, which is not said", service.name);
        let example = format!("- {{name: {}{}}}", pattern(it, service.name), written_ports(service));
        let hint = format!("add `{example}`: `services` are all that the chart makes");
        let fault = Fault { path: Vec::new(), part: Part::Key, message, hint };
        found.push(fault.under("services").about("Service", service.name));
    }
    found
}

/// Returns what is wrong with the ports that are said of a Service.
fn ports(service: &Service, at: usize, made: &MadeService<'_>, it: &AddonObjects<'_>) -> Option<Fault> {
    let said: Vec<u16> = service.ports.iter().map(|port| port.of(it.values)).collect();
    if said.is_empty() {
        return None;
    }
    let its = format!("its ports: {}", quoted_up_to(MAX_NAMED, &made.ports));
    if let Some((index, port)) = said.iter().enumerate().find(|(_, port)| !made.ports.contains(port)) {
        let message = format!("the chart makes Service `{}` without the port `{port}`", made.name);
        let path = vec![Step::Index(at), key("ports"), Step::Index(index)];
        return Some(Fault { path, part: Part::Value, message, hint: its });
    }
    let unsaid = made.ports.iter().find(|port| !said.contains(port))?;
    let message =
        format!("the chart gives Service `{}` the port `{unsaid}`, too, which is not said", made.name);
    let hint = format!("{its}; what names one that is not said is taken for a fault");
    Some(Fault { path: vec![Step::Index(at), key("ports")], part: Part::Key, message, hint })
}

/// What is said of the Secrets that a chart makes.
pub(super) fn secrets(it: &AddonObjects<'_>) -> Vec<UntrueStatement> {
    let made = it.made.iter().flat_map(|object| of_object(&object.value, it.namespace()));
    let made: BTreeSet<String> = made
        .filter_map(|provided| match provided {
            Provided::Secret(_, name) => Some(name),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for (at, secret) in it.addon.facts.provides.secrets.iter().enumerate() {
        let name = secret.name_in(it.addon.release());
        let (is_made, is_expected) = (made.contains(&name), secret.is_expected(it.values));
        let part = |key: &'static str| if matches!(secret, MadeSecret::Named(_)) { "" } else { key };
        let fault = match (is_made, is_expected, secret.is_at_runtime()) {
            (false, true, false) => {
                let fault = missing("Secret", &name, made.iter().map(String::as_str));
                let by_hand = "name one that is put there by hand under `outside.secrets`";
                Fault { hint: format!("{}; {by_hand}", fault.hint), ..fault }.at(at, part("name"))
            }
            (true, true, true) => itself("Secret", &name).at(at, part("atRuntime")),
            (true, false, _) => against_when("Secret", &name).at(at, part("when")),
            _ => continue,
        };
        found.push(fault.under("secrets").about("Secret", &name));
    }
    found
}

/// What is said of the storage classes that a chart makes, if it is said to make any.
pub(super) fn classes(it: &AddonObjects<'_>) -> Vec<UntrueStatement> {
    const KIND: &str = "StorageClass";
    let said = &it.addon.facts.provides.storage_classes;
    let made: BTreeSet<&str> = it.made_of_kind(KIND).collect();
    let mut found = Vec::new();
    let names: Vec<(usize, String)> = said
        .iter()
        .enumerate()
        .flat_map(|(at, classes)| classes_of(classes, it.values).into_iter().map(move |name| (at, name)))
        .collect();
    let is_said = |name: &&str| names.iter().any(|(_, said)| said == name);
    for (at, name) in names.iter().filter(|(_, name)| !made.contains(name.as_str())) {
        let others = made.iter().copied().filter(|name| !is_said(name));
        let fault = missing(KIND, name, others).at(*at, "");
        found.push(fault.under("storageClasses").about(KIND, name));
    }
    let unsaid = made.iter().filter(|name| !said.is_empty() && !is_said(name) && !it.is_given(KIND, name));
    for name in unsaid {
        let message = format!("the chart also makes {KIND} `{name}`, which is not said");
        let hint = format!("add `- name: {name}`, or correct the `when` of one that is there");
        let fault = Fault { path: Vec::new(), part: Part::Key, message, hint };
        found.push(fault.under("storageClasses").about(KIND, name));
    }
    found
}

/// Where Services are not described, names are known by how they begin.
fn full_name(it: &AddonObjects<'_>) -> Option<UntrueStatement> {
    let said = &it.addon.facts.provides.full_name;
    if said.name.is_none() && said.max_length.is_none() {
        return None;
    }
    let full_name = filled(FULL_NAME, it.addon, None, it.values);
    let begins =
        |name: &str| name.strip_prefix(&full_name).is_some_and(|it| it.is_empty() || it.starts_with('-'));
    let names: BTreeSet<&str> = it.made.iter().map(|object| object.name.name.as_str()).collect();
    if names.is_empty() || names.iter().any(|name| begins(name)) {
        return None;
    }
    let message = format!("no name of what the chart makes begins with `{full_name}`");
    let fault = Finding::new(&keys(&["provides", "fullName"]), message).on(Part::Key);
    let hint = format!("it makes {}", quoted_up_to(MAX_NAMED, names));
    Some(UntrueStatement { object: None, finding: fault.hint(hint) })
}

/// What is wrong at a place in a list of statements.
struct Fault {
    path: Vec<Step>,
    part: Part,
    message: String,
    hint: String,
}

impl Fault {
    fn new(message: String, hint: String) -> Self {
        Self { path: Vec::new(), part: Part::Value, message, hint }
    }

    /// Places it at a key of an item of the list; at the item itself if the key is empty.
    fn at(self, index: usize, name: &str) -> Self {
        let path = std::iter::once(Step::Index(index)).chain((!name.is_empty()).then(|| key(name)));
        Self { path: path.collect(), ..self }
    }

    fn under(self, list: &str) -> Self {
        Self { path: [keys(&["provides", list]), self.path].concat(), ..self }
    }

    fn about(self, kind: &str, name: &str) -> UntrueStatement {
        let finding = Finding::new(&self.path, self.message).on(self.part).hint(self.hint);
        UntrueStatement::about(kind, name, finding)
    }
}

fn missing<'n>(kind: &str, name: &str, others: impl Iterator<Item = &'n str>) -> Fault {
    let others: Vec<&str> = others.collect();
    let way_out =
        "write `when` it is made, `atRuntime: true` if a program of the chart makes it, or remove it";
    let hint = match (did_you_mean(name, others.iter().copied()), others.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`? Otherwise {way_out}"),
        (None, []) => way_out.to_owned(),
        (None, others) => format!("it makes {}; {way_out}", quoted_up_to(MAX_NAMED, others)),
    };
    Fault::new(format!("the chart makes no {kind} `{name}`"), hint)
}

fn itself(kind: &str, name: &str) -> Fault {
    let message = format!("the chart itself makes {kind} `{name}`");
    Fault::new(message, "remove `atRuntime`, which is for what its programs make".to_owned())
}

fn against_when(kind: &str, name: &str) -> Fault {
    let message = format!("the chart makes {kind} `{name}`, although its conditions do not hold");
    Fault::new(
        message,
        "correct them: the values, what they have to be, or what the chart takes by default".to_owned(),
    )
}

/// Writes a name as a statement does.
fn pattern(it: &AddonObjects<'_>, name: &str) -> String {
    let full_name = filled(FULL_NAME, it.addon, None, it.values);
    match name.strip_prefix(&full_name) {
        Some(rest) if rest.is_empty() || rest.starts_with('-') => format!("{FULL_NAME}{rest}"),
        _ => name.to_owned(),
    }
}

fn written_ports(service: &MadeService<'_>) -> String {
    let ports: Vec<String> = service.ports.iter().map(u16::to_string).collect();
    if ports.is_empty() { String::new() } else { format!(", ports: [{}]", ports.join(", ")) }
}
