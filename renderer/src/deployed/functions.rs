//! What the text of a chart says about how it renders: whether it asks which API versions a cluster serves, whether it
//! defines kinds, and which of its functions may give something else each time.

use std::sync::LazyLock;

use regex::Regex;

/// What the files of a chart say, all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartText {
    /// Whether it asks which API versions the cluster serves.
    pub asks_api_versions: bool,
    /// Whether it defines kinds.
    pub defines_kinds: bool,
    /// The functions whose result may differ from one rendering to the next, each with its file and line.
    pub unsteady: Vec<Unsteady>,
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

impl ChartText {
    /// Takes in a file of the chart, by its path below the chart's own folder.
    pub fn read(&mut self, path: &str, text: &str) {
        self.asks_api_versions |= text.contains("APIVersions");
        self.defines_kinds |= text.contains("CustomResourceDefinition");
        // What is no template is rendered only by `tpl`, and then it stands in braces, too.
        if !text.contains("{{") {
            return;
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !is_comment(line)) {
            for function in UNSTEADY.captures_iter(line).filter_map(|found| found.get(2)) {
                if self.unsteady.len() < MAX_UNSTEADY {
                    self.unsteady.push(Unsteady {
                        function: function.as_str().to_owned(),
                        file: path.to_owned(),
                        line: number as u32 + 1,
                    });
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

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') && !line.contains("{{")
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
            // It may be the second line of an action, so it counts.
            ("a: {{ .Values.b }}\nc: now", Some("now templates/a.yaml:2")),
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
    fn a_chart_that_asks_for_api_versions_says_so() {
        let asks = |text: &str| {
            let mut chart = ChartText::default();
            chart.read("templates/a.yaml", text);
            (chart.asks_api_versions, chart.defines_kinds)
        };
        assert_eq!(asks("{{ if .Capabilities.APIVersions.Has \"a/v1\" }}"), (true, false));
        assert_eq!(asks("kind: CustomResourceDefinition"), (false, true));
        assert_eq!(asks("kind: Service"), (false, false));
        let none = ChartText::default();
        assert!(none.with_values(["a: '{{ .Capabilities.APIVersions }}'"].into_iter()).asks_api_versions);
    }
}
