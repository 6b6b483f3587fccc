use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::hostile::bombs;

use super::*;
use crate::key_path::Step;

/// Judges `value` and writes each violation as `path [key]: message (hint)`.
fn judged(schema: &Value, value: &Value) -> String {
    let schema = Schema::compile(schema).unwrap();
    let lines: Vec<_> = schema.violations(value).iter().map(shown).collect();
    lines.join("\n")
}

fn shown(violation: &Violation) -> String {
    let path: Vec<_> = violation.path.iter().map(Step::to_string).collect();
    let mark = if violation.on_key { " (key)" } else { "" };
    let hint = violation.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    format!("{}{mark}: {}{hint}", path.join("."), violation.message)
}

#[test]
fn a_value_that_fits_has_no_violation() {
    let schema = json!({"type": "object", "properties": {"role": {"enum": ["control", "app"]}}});
    assert_eq!(judged(&schema, &json!({"role": "app", "more": 1})), "");
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_known_one() {
    let schema = json!({
        "type": "object",
        "properties": {"replicas": {}, "labels": {}},
        "additionalProperties": false,
    });
    assert_snapshot!(judged(&schema, &json!({"replica": 1, "zebra": 2})), @"
    replica (key): unknown key `replica`
      hint: did you mean `replicas`?
    zebra (key): unknown key `zebra`
      hint: known keys: `labels`, `replicas`
    ");
}

#[test]
fn a_key_that_is_there_already_is_not_offered_again() {
    let schema = json!({"properties": {"replicas": {}, "a": {}}, "additionalProperties": false});
    let told = judged(&schema, &json!({"replica": 1, "replicas": 2}));
    assert_snapshot!(told, @"
    replica (key): unknown key `replica`
      hint: known keys: `a`, `replicas`
    ");
}

#[test]
fn keys_known_through_references_and_combinations_are_offered_too() {
    let schema = json!({
        "$defs": {"base": {"properties": {"region": {}}}},
        "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"networks": {}}}],
        "unevaluatedProperties": false,
    });
    assert_snapshot!(judged(&schema, &json!({"regoin": 1, "network": 1})), @"
    network (key): unknown key `network`
      hint: did you mean `networks`?
    regoin (key): unknown key `regoin`
      hint: did you mean `region`?
    ");
}

#[test]
fn all_violations_come_at_once_in_the_order_of_their_paths() {
    let schema = json!({
        "type": "object",
        "required": ["hub", "role"],
        "properties": {
            "hub": {"type": "string", "x-hint": "name the cluster that runs Argo CD"},
            "role": {"type": "string", "enum": ["control", "app"]},
            "machines": {"type": "object", "additionalProperties": {"$ref": "#/$defs/group"}},
        },
        "$defs": {"group": {"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}}},
    });
    let value = json!({"role": "ap", "machines": {"workers": {"count": "6"}, "control": {"count": 0}}});
    assert_snapshot!(judged(&schema, &value), @"
    : missing key `hub`
      hint: name the cluster that runs Argo CD
    machines.control.count: `count` must be at least 1, not 0
    machines.workers.count: `count` must be an integer, not a string
      hint: remove the quotes
    role: `role` must be one of `control`, `app`
      hint: did you mean `app`?
    ");
}

#[test]
fn a_key_of_digits_is_told_from_an_index() {
    let schema = json!({"additionalProperties": {"items": {"type": "string"}}});
    let schema = Schema::compile(&schema).unwrap();
    let found = schema.violations(&json!({"0": ["a", 1], "a/b~c": [2], "": [3]}));
    let paths: Vec<_> = found.into_iter().map(|violation| violation.path).collect();
    let key = |text: &str| Step::Key(text.to_owned());
    assert_eq!(
        paths,
        [vec![key(""), Step::Index(0)], vec![key("0"), Step::Index(1)], vec![key("a/b~c"), Step::Index(0)]]
    );
}

#[test]
fn a_wrong_type_says_what_was_found_and_how_to_write_it() {
    let schema = json!({"properties": {
        "a": {"type": "boolean"}, "b": {"type": "string"}, "c": {"type": ["integer", "string"]},
        "d": {"type": "integer"}, "e": {"type": "object"}, "f": {"type": "array", "items": {"type": "string"}},
    }});
    let value = json!({"a": "true", "b": 1.1, "c": [], "d": 1.5, "e": null, "f": ["x", {}]});
    assert_snapshot!(judged(&schema, &value), @"
    a: `a` must be `true` or `false`, not a string
      hint: remove the quotes
    b: `b` must be a string, not a number
      hint: put the value in quotes
    c: `c` must be an integer or a string, not a list
    d: `d` must be an integer, not `1.5`
    e: `e` must be a map, not null
      hint: write a value or remove the key
    f.[1]: `f[1]` must be a string, not a map
    ");
}

#[test]
fn a_text_of_the_wrong_form_is_shown_with_what_to_write() {
    let schema = json!({"properties": {
        "days": {"pattern": "^[0-9]+d$"}, "retention": {"pattern": "^[0-9]+d$", "x-hint": "write a number of days such as `15d`"},
        "address": {"format": "ipv4"}, "pods": {"format": "cidr"}, "url": {"format": "uri"}, "odd": {"format": "uuid"},
        "long": {"maxLength": 3}, "short": {"minLength": 2}, "empty": {"minLength": 1},
    }});
    let value = json!({
        "days": "15", "retention": "15 days\n", "address": "192.168.64", "pods": "10.244.0.1/16", "url": "charts", "odd": "x",
        "long": "four", "short": "ü", "empty": "",
    });
    assert_snapshot!(judged(&schema, &value), @r"
    address: `address` must be an IPv4 address such as `192.168.64.100`, not `192.168.64`
    days: `days` is `15`, which does not match `^[0-9]+d$`
    empty: `empty` must not be empty
    long: `long` must have at most 3 characters, not 4
    odd: `odd` must be a valid `uuid`, not `x`
    pods: `pods` must be a network such as `10.244.0.0/16`, with no bits set after the prefix, not `10.244.0.1/16`
      hint: the network of that address is `10.244.0.0/16`
    retention: `15 days\n` is not a valid `retention`
      hint: write a number of days such as `15d`
    short: `short` must have at least 2 characters, not 1
    url: `url` must be a complete URL such as `https://example.com/charts`, not `charts`
    ");
}

#[test]
fn sizes_and_numbers_out_of_their_limits_are_said_with_the_limit() {
    let schema = json!({"properties": {
        "a": {"maximum": 5}, "b": {"exclusiveMinimum": 0}, "c": {"exclusiveMaximum": 1}, "d": {"multipleOf": 2},
        "e": {"minItems": 1}, "f": {"minItems": 2}, "g": {"maxItems": 1}, "h": {"uniqueItems": true},
        "i": {"minProperties": 1}, "j": {"maxProperties": 1}, "k": {"contains": {"const": 1}},
    }});
    let value = json!({
        "a": 6, "b": 0, "c": 1, "d": 3, "e": [], "f": [1], "g": [1, 2], "h": ["x", "y", "x"], "i": {},
        "j": {"x": 1, "y": 2}, "k": [],
    });
    assert_snapshot!(judged(&schema, &value), @"
    a: `a` must be at most 5, not 6
    b: `b` must be more than 0, not 0
    c: `c` must be less than 1, not 1
    d: `d` must be a multiple of 2, not 3
    e: `e` must not be empty
    f: `f` must have at least 2 items, not 1
    g: `g` must have at most 1 item, not 2
    h: `h` has `x` more than once
    i: `i` must not be empty
    j: `j` must have at most 1 key, not 2
    k: `k` lacks an item that it must have
    ");
}

#[test]
fn a_key_of_the_wrong_form_is_a_fault_of_the_key() {
    let schema = json!({"propertyNames": {"pattern": "^[a-z]+$", "x-hint": "use lower-case letters"}});
    assert_snapshot!(judged(&schema, &json!({"Aa": 1, "bb": 2})), @"
    Aa (key): `Aa` is not a valid key
      hint: use lower-case letters
    ");
}

#[test]
fn a_key_that_is_ruled_out_is_a_fault_of_the_key() {
    let schema = json!({"properties": {"data": false, "items": {"items": false}}});
    assert_snapshot!(judged(&schema, &json!({"data": {}, "items": [1]})), @"
    data (key): `data` is not allowed here
    items.[0]: `items[0]` is not allowed here
    ");
}

#[test]
fn an_optional_value_is_judged_as_what_it_would_be() {
    let schema = json!({
        "properties": {"pool": {"anyOf": [{"$ref": "#/$defs/pool"}, {"type": "null"}]}},
        "$defs": {"pool": {
            "type": "object",
            "properties": {"range": {"type": "string"}},
            "required": ["range"],
            "additionalProperties": false,
        }},
    });
    assert_snapshot!(judged(&schema, &json!({"pool": {"rang": "x"}})), @"
    pool.rang (key): unknown key `rang`
      hint: did you mean `range`?
    ");
}

#[test]
fn alternatives_of_other_types_are_named_together() {
    let schema = json!({"properties": {"port": {"anyOf": [
        {"type": "integer"}, {"type": "string"}, {"type": ["null", "string"]},
    ]}}});
    assert_snapshot!(
        judged(&schema, &json!({"port": []})),
        @"port: `port` must be null, an integer or a string, not a list"
    );
}

#[test]
fn constants_in_alternatives_are_one_choice() {
    let schema = json!({"properties": {"role": {"oneOf": [
        {"const": "control", "description": "…", "type": "string"}, {"const": "app", "type": "string"},
    ]}}});
    assert_snapshot!(judged(&schema, &json!({"role": "aps"})), @"
    role: `role` must be one of `control`, `app`
      hint: did you mean `app`?
    ");
}

#[test]
fn the_alternative_with_the_right_discriminator_is_the_one_judged() {
    let schema = json!({"oneOf": [
        {"properties": {"kind": {"const": "git"}, "url": {"type": "string"}}, "required": ["url"]},
        {"properties": {"kind": {"const": "folder"}, "path": {"type": "string"}}, "required": ["path", "mode"]},
    ]});
    assert_snapshot!(judged(&schema, &json!({"kind": "folder"})), @"
    : missing key `mode`
    : missing key `path`
    ");
}

#[test]
fn alternatives_that_each_want_another_key_are_said_in_one_line() {
    let schema = json!({"properties": {"route": {"anyOf": [{"required": ["cidr"]}, {"required": ["asn"]}]}}});
    assert_snapshot!(judged(&schema, &json!({"route": {}})), @"route: missing one of the keys `cidr`, `asn`");
}

#[test]
fn mixed_alternatives_are_told_apart() {
    let schema =
        json!({"properties": {"source": {"oneOf": [{"required": ["chart"]}, {"required": ["path"]}]}}});
    assert_snapshot!(judged(&schema, &json!({"source": {"chart": 1, "path": 2}})), @"
    source: `source` fits more than one of its alternatives
      hint: keep only one of `chart`, `path`
    ");
}

#[test]
fn keys_that_exclude_each_other_are_named() {
    let schema = json!({"not": {"required": ["a", "b"]}, "properties": {"c": {"not": {"required": ["d"]}}}});
    assert_snapshot!(judged(&schema, &json!({"a": 1, "b": 2, "c": {"d": 1}})), @"
    : the document must not have `a`, `b` together
    c: `c` must not have `d`
    ");
}

#[test]
fn a_long_value_and_a_long_list_are_cut() {
    let options: Vec<_> = (0..20).map(|n| format!("o{n}")).collect();
    let schema = json!({"properties": {"a": {"const": "x".repeat(100)}, "b": {"enum": options}}});
    let told = judged(&schema, &json!({"a": "y".repeat(100), "b": "zebra"}));
    assert!(told.contains(&format!("`{}…`", "y".repeat(60))), "{told}");
    assert!(told.contains("`o11` and 8 more"), "{told}");
}

#[test]
fn the_same_violation_is_said_once() {
    let part = json!({"required": ["a"]});
    assert_snapshot!(judged(&json!({"allOf": [part, part]}), &json!({})), @": missing key `a`");
}

#[test]
fn a_recursive_schema_is_judged_to_the_bottom() {
    let schema = json!({"$ref": "#/$defs/tree", "$defs": {"tree": {
        "properties": {"child": {"$ref": "#/$defs/tree"}, "name": {"type": "string"}},
        "additionalProperties": false,
    }}});
    assert_snapshot!(
        judged(&schema, &json!({"child": {"child": {"nam": 1}}})),
        @"
    child.child.nam (key): unknown key `nam`
      hint: did you mean `name`?
    "
    );
}

#[test]
fn a_schema_that_is_not_one_is_refused_with_its_place() {
    let error = Schema::compile(&json!({"properties": {"a": {"type": "strin"}}})).unwrap_err();
    assert_eq!(error.pointer, "/properties/a/type");
}

#[test]
fn a_schema_that_refers_to_another_document_is_refused() {
    assert!(Schema::compile(&json!({"$ref": "https://example.com/schema.json"})).is_err());
}

/// Returns a value of so many levels.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({"c": 1}), |inner, _| json!({"child": inner}))
}

fn refused(schema: &Value) -> String {
    Schema::compile(schema).unwrap_err().to_string()
}

#[test]
fn a_judgement_that_doubles_with_each_level_is_not_begun() {
    let schema = Schema::compile(&bombs::doubling_schema()).unwrap();
    assert_eq!(schema.violations(&json!({"child": {"a": 1}})), []);
    let [violation] = <[_; 1]>::try_from(schema.violations(&nested(100))).unwrap();
    assert_snapshot!(violation.message, @"its schema takes more than 2000000 steps to judge the document");
}

#[test]
fn what_is_wrong_in_too_many_ways_is_not_listed() {
    let schema = Schema::compile(&bombs::doubling_schema()).unwrap();
    let [violation] = <[_; 1]>::try_from(schema.violations(&nested(17))).unwrap();
    assert_snapshot!(violation.message, @"the document does not fit its schema, in too many ways to list");
}

#[test]
fn a_schema_that_costs_too_much_whatever_it_judges_is_refused() {
    assert_snapshot!(refused(&bombs::chained_schema(15)), @"the schema is not valid at `/$defs/d12`: more than 10000 of its parts, or 1000 inside each other, apply to the same value");
    assert_snapshot!(refused(&bombs::chained_schema(40)), @"the schema is not valid at `/$defs/d12`: more than 10000 of its parts, or 1000 inside each other, apply to the same value");
    assert_snapshot!(refused(&json!({"anyOf": [{"$ref": "#", "required": ["a"]}, {"$ref": "#", "required": ["b"]}]})), @"the schema is not valid at `/anyOf/1`: more than 10000 of its parts, or 1000 inside each other, apply to the same value");
    let chain: serde_json::Map<_, _> = (0..5_000)
        .map(|at| (format!("d{at}"), json!({"properties": {"a": {"$ref": format!("#/$defs/d{}", at + 1)}}})))
        .collect();
    assert_snapshot!(refused(&json!({"$ref": "#/$defs/d0", "$defs": chain})), @"the schema is not valid at `/$defs/d1330/properties/a`: its parts refer to each other over more than 4000 levels");
    let patterns: serde_json::Map<_, _> = (0..1_000).map(|at| (format!("^{at}$"), json!(true))).collect();
    assert_snapshot!(refused(&json!({"patternProperties": patterns})), @"the schema is not valid at ``: it has more than 256 different patterns");
}

#[test]
fn a_reference_is_found_by_its_path_in_the_schema_alone() {
    for schema in [
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}),
        json!({"$dynamicRef": "#a"}),
        json!({"properties": {"a": {"$id": "https://example.com/a", "$ref": "#"}}}),
    ] {
        assert!(Schema::compile(&schema).is_err(), "{schema}");
    }
    // A key of this name is no keyword.
    assert!(Schema::compile(&json!({"properties": {"$id": {"type": "string"}, "$ref": true}})).is_ok());
}

#[test]
fn a_pattern_takes_time_that_grows_with_the_text_alone() {
    let schema = Schema::compile(&json!({"pattern": "^(a+)+$"})).unwrap();
    assert_eq!(schema.violations(&json!("a".repeat(1_000_000) + "!")).len(), 1);
    assert!(Schema::compile(&json!({"pattern": "(?=a)b"})).is_err());
    assert!(Schema::compile(&json!({"pattern": "(a{1000}){1000}"})).is_err());
}

#[test]
fn the_deepest_schemas_that_are_taken_fit_the_stack() {
    let chain: serde_json::Map<_, _> = (0..1_300)
        .map(|at| {
            (
                format!("d{at}"),
                json!({"properties": {"a": {"$ref": format!("#/$defs/d{}", (at + 1) % 1_300)}}}),
            )
        })
        .collect();
    let schema = Schema::compile(&json!({"$ref": "#/$defs/d0", "$defs": chain})).unwrap();
    let value = (0..126).fold(json!(1), |inner, _| json!({"a": inner}));
    assert_eq!(schema.violations(&value), []);
}
