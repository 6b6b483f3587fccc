//! What the text of a chart says about how it renders: which API versions of a cluster it asks for, whether it defines
//! kinds, and which of its functions may give something else each time.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

/// What the files of a chart say, all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartText {
    /// Which API versions it asks the cluster for.
    pub api_versions: AskedVersions,
    /// Whether it defines kinds.
    pub defines_kinds: bool,
    /// The functions whose result may differ from one rendering to the next, each with its file and line.
    pub unsteady: Vec<Unsteady>,
}

/// Which API versions of a cluster a chart asks for: what else the cluster serves makes no difference to it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AskedVersions {
    /// Those that it names, each as a text: `.Capabilities.APIVersions.Has "policy/v1"`.
    Named(BTreeSet<String>),
    /// Any: it works out their names, or goes through all.
    Any,
}

/// The use of a function.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unsteady {
    /// Its name.
    pub function: String,
    /// The file, below the chart's own folder.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// How many uses are kept.
const MAX_UNSTEADY: usize = 1_000;

/// The functions of Helm and of its library of functions that draw random numbers, make keys, read the clock, or list a
/// map in no order. All others give the same for the same.
static UNSTEADY: LazyLock<Regex> = LazyLock::new(|| {
    let functions = [
        "ago",
        "bcrypt",
        "buildCustomCert",
        "date",
        "dateInZone",
        "date_in_zone",
        "date_modify",
        "derivePassword",
        "encryptAES",
        "genCA",
        "genCAWithKey",
        "genPrivateKey",
        "genSelfSignedCert",
        "genSelfSignedCertWithKey",
        "genSignedCert",
        "genSignedCertWithKey",
        "getHostByName",
        "htmlDate",
        "htmlDateInZone",
        "htpasswd",
        "keys",
        "now",
        "randAlpha",
        "randAlphaNum",
        "randAscii",
        "randBytes",
        "randInt",
        "randNumeric",
        "shuffle",
        "uuidv4",
        "values",
    ];
    Regex::new(&format!(r"(^|[^\w.$-])({})([^\w.:-]|$)", functions.join("|"))).expect("it is constant")
});

/// A version that is asked for by a constant name.
static NAMED_VERSION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"APIVersions\.Has\s+"([^"\\]*)""#).expect("it is constant"));

impl Default for AskedVersions {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl AskedVersions {
    /// Takes in a text that may be a template.
    pub fn read(&mut self, text: &str) {
        if !text.contains("APIVersions") {
            return;
        }
        for (_, action) in actions(text) {
            let Self::Named(known) = self else { return };
            let names: Vec<_> =
                NAMED_VERSION.captures_iter(action).map(|found| found[1].to_owned()).collect();
            if names.len() == action.matches("APIVersions").count() {
                known.extend(names);
            } else {
                *self = Self::Any;
            }
        }
    }
}

impl ChartText {
    /// Takes in a file of the chart, by its path below the chart's own folder.
    pub fn read(&mut self, path: &str, text: &str) {
        self.api_versions.read(text);
        self.defines_kinds |= text.contains("CustomResourceDefinition");
        let (mut line, mut counted) = (1, 0);
        for (start, action) in actions(text) {
            for function in UNSTEADY.captures_iter(action).filter_map(|found| found.get(2)) {
                let at = start + function.start();
                line += text[counted..at].matches('\n').count() as u32;
                counted = at;
                if self.unsteady.len() < MAX_UNSTEADY {
                    let function = function.as_str().to_owned();
                    self.unsteady.push(Unsteady { function, file: path.to_owned(), line });
                }
            }
        }
    }

    /// Returns what the chart says together with values, which may hold templates, too.
    #[must_use]
    pub fn with_values<'t>(&self, values: impl Iterator<Item = &'t str>) -> Self {
        let mut both = self.clone();
        values.for_each(|text| both.read("the values", text));
        both
    }
}

/// Returns what stands in the braces of a template, each with where it begins; comments are left out.
///
/// Nothing is called elsewhere. A text that is rendered by `tpl` has braces of its own. Where a text in quotes does not
/// end, all that follows counts.
fn actions(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(brace) = text[at..].find("{{") {
        let start = at + brace + 2;
        let rest = &text[start..];
        let is_comment = rest.trim_start_matches(['-', ' ']).starts_with("/*");
        let end = if is_comment { rest.find("*/") } else { end_of_action(rest) };
        at = start + end.unwrap_or(rest.len());
        if !is_comment {
            found.push((start, &text[start..at]));
        }
    }
    found
}

/// Returns where the braces are closed, which those in quotes do not do.
fn end_of_action(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let (mut quote, mut at) = (None, 0);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, byte @ (b'"' | b'\'' | b'`')) => quote = Some(byte),
            (Some(b'"' | b'\''), b'\\') => at += 1,
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(text: &str) -> Vec<String> {
        let mut chart = ChartText::default();
        chart.read("templates/a.yaml", text);
        chart.unsteady.iter().map(|it| format!("{} {}:{}", it.function, it.file, it.line)).collect()
    }

    #[test]
    fn a_function_is_found_where_it_may_be_called() {
        for (text, found) in [
            ("a: {{ randAlphaNum 5 }}", Some("randAlphaNum templates/a.yaml:1")),
            ("{{- $ca := genCA \"x\" 365 -}}", Some("genCA templates/a.yaml:1")),
            ("{{\n  now | date \"2006\"\n}}", Some("now templates/a.yaml:2")),
            ("{{ (now) }}", Some("now templates/a.yaml:1")),
            ("{{ range keys .Values.a | sortAlpha }}", Some("keys templates/a.yaml:1")),
            ("a: {{ \"}}\" }}\nb: {{ print `}}` '}' now }}", Some("now templates/a.yaml:2")),
            ("a: {{ tpl \"{{ now }}\" . }}", Some("now templates/a.yaml:1")),
            // Quotes that do not end may hide where the action does.
            ("a: {{ \"b }}\nc: now", Some("now templates/a.yaml:2")),
            ("a: {{ .Values.b }}\nc: now", None),
            ("a: {{ .Values.b }} # it's now {{ .Values.c }}", None),
            ("{{- /* now }} */ -}}", None),
            ("a: now", None),
            ("now: {{ .Values.now }}", None),
            ("{{ .keys }}{{ $now }}", None),
            ("# now\na: {{ .Values.b }}", None),
            ("{{ $keys := 1 }}", None),
            ("{{ knows }} {{ now-this }}", None),
        ] {
            assert_eq!(functions(text).first().map(String::as_str), found, "{text}");
        }
    }

    #[test]
    fn a_chart_that_asks_for_api_versions_says_which() {
        let asked = |text: &str| {
            let mut chart = ChartText::default();
            chart.read("templates/a.yaml", text);
            match chart.api_versions {
                AskedVersions::Named(names) => names.into_iter().collect::<Vec<_>>().join(" "),
                AskedVersions::Any => "any".to_owned(),
            }
        };
        for (text, versions) in [
            ("{{ if .Capabilities.APIVersions.Has \"a/v1\" }}", "a/v1"),
            (
                "{{ if or ($.Capabilities.APIVersions.Has \"b/v1/B\") (.Capabilities.APIVersions.Has  \"a/v1\") }}",
                "a/v1 b/v1/B",
            ),
            ("{{ if .Capabilities.APIVersions.Has .Values.version }}", "any"),
            ("{{ if .Capabilities.APIVersions.Has (printf \"%s/v1\" \"a\") }}", "any"),
            ("{{ range .Capabilities.APIVersions }}", "any"),
            ("{{ $it := .Capabilities.APIVersions }}{{ $it.Has \"a/v1\" }}", "any"),
            ("{{ .Capabilities.APIVersions.Has \"a/v1\" }}{{ .Capabilities.APIVersions | toYaml }}", "any"),
            ("{{ .Capabilities.APIVersions.Has \"a\\u002fv1\" }}", "any"),
            ("{{ .Capabilities.APIVersions.Has `a/v1` }}", "any"),
            ("It asks by `.Capabilities.APIVersions`.{{ .Values.a }}", ""),
            ("{{/* .Capabilities.APIVersions */}}{{ .Values.a }}", ""),
            ("kind: CustomResourceDefinition", ""),
        ] {
            assert_eq!(asked(text), versions, "{text}");
        }
        let none = ChartText::default();
        let with = none.with_values(["a: '{{ .Capabilities.APIVersions }}'"].into_iter());
        assert_eq!(with.api_versions, AskedVersions::Any);
    }

    #[test]
    fn a_chart_that_defines_kinds_says_so() {
        let mut chart = ChartText::default();
        chart.read("templates/a.yaml", "kind: Service");
        assert!(!chart.defines_kinds);
        chart.read("crds/a.yaml", "kind: CustomResourceDefinition");
        assert!(chart.defines_kinds);
    }
}
