//! The Applications that a file makes, and what becomes of each of them.
//!
//! An `ApplicationSet` is read as what it generates: its template with the values of each element filled in.
//! So an element is known by the name of its Application, whatever its keys are called. Knows nothing of
//! add-ons.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::argo;
use crate::manifests::ObjectName;

use super::compare::read::read;
use super::risk::kind::{DOWNGRADE, Risk, RiskKind};
use super::risk::version;
use crate::secrets::Mask;
use crate::tree::IDENTITIES;
use crate::yaml::Value;

/// What changes about an Application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationChange {
    /// The name of the Application.
    pub application: String,
    /// What identifies the element that generates it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// The chart that it installs, if it installs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// The repository that the chart comes from, if it installs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What changes.
    pub what: ApplicationSetting,
    /// What it was; absent if there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it becomes; absent if there is nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// What can go wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
}

/// What of an Application decides which objects it makes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ApplicationSetting {
    /// Whether it is generated at all.
    Name,
    /// The project whose rules it comes under.
    Project,
    /// The cluster that it is applied to.
    Destination,
    /// The namespace of what names none itself.
    Namespace,
    /// The repository of the chart.
    Repository,
    /// The name of the chart.
    Chart,
    /// The name of the release.
    Release,
    /// The version of the chart.
    Version,
}

impl ApplicationSetting {
    /// Returns the word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Project => "project",
            Self::Destination => "destination",
            Self::Namespace => "namespace",
            Self::Repository => "repository",
            Self::Chart => "chart",
            Self::Release => "release",
            Self::Version => "version",
        }
    }
}

/// An Application with its settings as they are once everything is filled in.
#[derive(Debug, Default)]
struct Application {
    element: Option<String>,
    settings: BTreeMap<ApplicationSetting, String>,
}

/// What the Applications of one object are, by their names.
type Applications = BTreeMap<String, Application>;

/// Returns what changes about the Applications of a file, in the order of their names.
pub(super) fn changes(old: &str, new: &str) -> Vec<ApplicationChange> {
    let is_meant = |text: &str| text.contains("argoproj.io/") && text.contains("Application");
    if !is_meant(old) || !is_meant(new) {
        return Vec::new();
    }
    let (Some(old), Some(new)) = (read(old), read(new)) else { return Vec::new() };
    let old = by_object(&old);
    let pairs = by_object(&new).into_iter().filter_map(|(name, new)| Some((old.get(&name)?, new)));
    pairs.flat_map(|(old, new)| compare(&applications(old), &applications(new))).collect()
}

fn by_object(documents: &[Value]) -> BTreeMap<ObjectName, &Value> {
    let is_meant = |name: &ObjectName| {
        name.api_version.starts_with("argoproj.io/")
            && matches!(name.kind.as_str(), "Application" | "ApplicationSet")
    };
    let named = documents.iter().filter_map(|document| Some((ObjectName::of(document)?, document)));
    named.filter(|(name, _)| is_meant(name)).collect()
}

fn compare(old: &Applications, new: &Applications) -> Vec<ApplicationChange> {
    let mut changes = Vec::new();
    for (name, was) in old {
        let Some(is) = new.get(name) else {
            changes.push(was.change(name, ApplicationSetting::Name, Some(name), None));
            continue;
        };
        let settings: BTreeSet<_> = was.settings.keys().chain(is.settings.keys()).collect();
        for what in settings {
            let (old, new) = (was.settings.get(what), is.settings.get(what));
            if old != new {
                changes.push(is.change(name, *what, old, new));
            }
        }
    }
    changes
}

fn risk_of(what: ApplicationSetting, old: Option<&str>, new: Option<&str>) -> Option<Risk> {
    let (kind, note) = match what {
        ApplicationSetting::Name => {
            (RiskKind::Deletion, "the ApplicationSet no longer generates this Application")
        }
        ApplicationSetting::Project => {
            (RiskKind::Rbac, "the Application comes under the rules of another project")
        }
        ApplicationSetting::Destination => (
            RiskKind::Deletion,
            "everything is created on another cluster; what runs on the old one is deleted or left behind",
        ),
        ApplicationSetting::Namespace => (
            RiskKind::NamespaceMove,
            "everything is created in the new namespace; what is in the old one is deleted or left behind",
        ),
        // That the chart is gone says it all.
        ApplicationSetting::Repository if new.is_none() => return None,
        ApplicationSetting::Repository => {
            (RiskKind::OtherRepository, "Argo CD reads what it applies from another repository")
        }
        ApplicationSetting::Chart if new.is_none() => (
            RiskKind::Deletion,
            "without a chart, what it made and no file of the Application has is deleted, with its data, if Argo CD prunes",
        ),
        ApplicationSetting::Chart => (
            RiskKind::Deletion,
            "another chart makes other objects: those of the old one are deleted, with their data, if Argo CD prunes",
        ),
        ApplicationSetting::Release => (
            RiskKind::Deletion,
            "every object of the release is created under another name: the old ones are deleted, with their data, if Argo CD prunes",
        ),
        ApplicationSetting::Version => return version_risk(old?, new?),
    };
    Some(Risk { kind, note })
}

fn version_risk(old: &str, new: &str) -> Option<Risk> {
    if version::compare(old, new) == Some(Ordering::Greater) {
        return Some(Risk { kind: RiskKind::Downgrade, note: DOWNGRADE });
    }
    (version::breaking_part(old)? != version::breaking_part(new)?).then_some(Risk {
        kind: RiskKind::ChartMajorVersion,
        note: "keys may have been renamed or removed: read the chart's notes on upgrading",
    })
}

/// Returns the Applications that an object is or generates.
fn applications(object: &Value) -> Applications {
    argo::applications_of_any_generator(object).iter().map(named).collect()
}

/// Returns an Application with its name, once its own templates are filled in.
fn named(application: &argo::Application<'_>) -> (String, Application) {
    let template = application.template();
    let text = |value: Option<&Value>| {
        let text = application.shown(value.and_then(Value::as_str)?);
        (!text.is_empty()).then(|| text.into_owned())
    };
    let at = |keys: &[&str]| text(template.get("spec").and_then(|spec| spec.at(keys)));
    let sources: Vec<_> = application.sources().map(|(_, source)| source).collect();
    let chart = sources.iter().find(|source| text(source.get("chart")).is_some());
    let of_chart = |key: &str| text(chart.and_then(|source| source.get(key)));
    let release = sources.iter().find_map(|source| text(source.at(&["helm", "releaseName"])));
    let settings = [
        (ApplicationSetting::Project, at(&["project"])),
        (
            ApplicationSetting::Destination,
            at(&["destination", "name"]).or_else(|| at(&["destination", "server"])),
        ),
        (ApplicationSetting::Namespace, at(&["destination", "namespace"])),
        (ApplicationSetting::Repository, of_chart("repoURL")),
        (ApplicationSetting::Chart, of_chart("chart")),
        (ApplicationSetting::Release, release),
        (ApplicationSetting::Version, of_chart("targetRevision")),
    ];
    let settings = settings.into_iter().filter_map(|(what, text)| Some((what, text?))).collect();
    let name = text(template.at(&["metadata", "name"])).unwrap_or_default();
    (name, Application { element: application.element().and_then(element_name), settings })
}

/// Returns what identifies an element of a generator's list: the first of the usual keys, or else its first text.
fn element_name(element: &Value) -> Option<String> {
    let first_text = || element.as_map()?.iter().find_map(|(_, value)| value.as_str().map(str::to_owned));
    IDENTITIES.iter().find_map(|kind| kind.of(element)).or_else(first_text)
}

impl Application {
    fn change(
        &self,
        application: &str,
        what: ApplicationSetting,
        old: Option<&String>,
        new: Option<&String>,
    ) -> ApplicationChange {
        let own = |what: ApplicationSetting| self.settings.get(&what);
        let text = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let mut mask = Mask::default();
        let repository = own(ApplicationSetting::Repository);
        ApplicationChange {
            application: application.to_owned(),
            element: self.element.clone(),
            chart: own(ApplicationSetting::Chart).cloned(),
            repository: repository
                .map(|url| text(Mask::default().rendered(Value::String(url.clone()), None))),
            what,
            old: old.map(|old| text(mask.published(Value::String(old.clone()), None))),
            new: new.map(|new| text(mask.rendered(Value::String(new.clone()), None))),
            risk: risk_of(what, old.map(String::as_str), new.map(String::as_str)),
        }
    }
}

impl ApplicationChange {
    /// Returns what the change is about.
    pub(super) fn place(&self) -> String {
        match self.what {
            ApplicationSetting::Name => format!("Application {}", self.application),
            what => format!("Application {} {}", self.application, what.word()),
        }
    }
}
