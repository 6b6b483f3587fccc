use insta::assert_snapshot;

use super::*;

/// Returns what is said about a template with the facts of the small fleet.
fn said(template: &str) -> String {
    problems(template, &facts())
}

#[test]
fn an_unknown_path_is_told_with_what_is_near() {
    assert_snapshot!(said("a: 1\nb: {{clustr.name}}\n"), @"
    t.hbs:2:4: unknown value `clustr.name`
      hint: did you mean `cluster`?
    ");
    assert_snapshot!(said("a: {{cluster.lables.region}}"), @"
    t.hbs:1:4: unknown value `cluster.lables.region`: `cluster` has no `lables`
      hint: did you mean `cluster.labels`?
    ");
    assert_snapshot!(said("a: {{cluster.labels.zone}}"), @"
    t.hbs:1:4: unknown value `cluster.labels.zone`: `cluster.labels` has no `zone`
      hint: there is `region`, `tier`; write `(default path value)` where it may be absent
    ");
    assert_snapshot!(said("a: {{cluster.count.x}}"), @"
    t.hbs:1:4: unknown value `cluster.count.x`: `cluster.count` is a number
      hint: write `(default path value)` where it may be absent
    ");
    assert_snapshot!(said("a: {{cluster.spare.x}}"), @"
    t.hbs:1:4: unknown value `cluster.spare.x`: `cluster.spare` is null
      hint: write `(default path value)` where it may be absent
    ");
    assert_snapshot!(said("a: {{cluster.zones.2}}"), @"
    t.hbs:1:4: unknown value `cluster.zones.2`: `cluster.zones` is a list of 2 items, counted from 0
      hint: write `(default path value)` where it may be absent
    ");
    assert_snapshot!(said("a: {{cluster.zones.first}}"), @"
    t.hbs:1:4: `first` in `cluster.zones.first` is looked up in a list
      hint: loop over the list with `{{#each …}}`, or take an item by its number, as in `list.0`
    ");
    assert_snapshot!(said("a: {{@root.clustr}}"), @"
    t.hbs:1:4: unknown value `@root.clustr`
      hint: did you mean `cluster`?
    ");
    assert_snapshot!(said("a: {{lookup @root \"x\"}}"), @"
    t.hbs:1:4: `@root` stands for nothing by itself
      hint: write the whole path: `@root.cluster.name`
    ");
    assert_snapshot!(said("a: {{@index}}"), @"
    t.hbs:1:4: unknown value `@index`
      hint: `@index`, `@key`, `@first` and `@last` are set inside `{{#each …}}`, and `@key` only for a map
    ");
}

#[test]
fn an_unknown_path_is_found_wherever_it_stands() {
    assert_snapshot!(said("{{#if cluster.isHubb}}\na: 1\n{{/if}}"), @"
    t.hbs:1:1: unknown value `cluster.isHubb`: `cluster` has no `isHubb`
      hint: did you mean `cluster.isHub`?
    ");
    assert_snapshot!(said("a:\n{{#if cluster.spare}}\n  b\n{{else if (eq cluster.nam \"x\")}}\n  c\n{{/if}}"), @"
    t.hbs:4:1: unknown value `cluster.nam`: `cluster` has no `nam`
      hint: did you mean `cluster.name`?
    ");
    assert_snapshot!(said("a: {{join cluster.zone \",\"}}"), @"
    t.hbs:1:4: unknown value `cluster.zone`: `cluster` has no `zone`
      hint: did you mean `cluster.zones`?
    ");
    assert_snapshot!(said("a: {{default cluster.x cluster.zonez}}"), @"
    t.hbs:1:4: unknown value `cluster.zonez`: `cluster` has no `zonez`
      hint: did you mean `cluster.zones`?
    ");
    assert_snapshot!(said("{{#each cluster.zonez}}{{/each}}"), @"
    t.hbs:1:1: unknown value `cluster.zonez`: `cluster` has no `zonez`
      hint: did you mean `cluster.zones`?
    ");
    assert_snapshot!(said("{{#each addons}}\n- {{nam}}\n{{/each}}"), @"
    t.hbs:2:3: unknown value `nam`
      hint: did you mean `name`?
    ");
    assert_snapshot!(said("{{#each addons}}\n- {{cluster.name}}\n{{/each}}"), @"
    t.hbs:2:3: unknown value `cluster.name`
      hint: from inside a block or a partial, write `@root.cluster.name`
    ");
    assert_snapshot!(said("{{#each addons as |one|}}\n- {{one.settings.retenton}}\n{{/each}}"), @"
    t.hbs:2:3: unknown value `one.settings.retenton`: `one.settings` has no `retenton`
      hint: did you mean `one.settings.retention`?
    ");
    assert_snapshot!(said("{{#with cluster}}{{../hub.nam}}{{/with}}"), @"
    t.hbs:1:18: unknown value `../hub.nam`: `../hub` has no `nam`
      hint: did you mean `../hub.name`?
    ");
}

#[test]
fn an_unknown_path_in_a_partial_is_told_in_the_partial() {
    let partials = [("meta", "x: 1\nname: {{nme}}\n"), ("outer", "y:\n  {{> meta cluster}}\n")];
    assert_snapshot!(problems_with("a:\n  {{> meta cluster}}\n", &partials, &facts()), @"
    _partials/meta.hbs:2:7: unknown value `nme`
      hint: did you mean `name`?
    ");
    assert_snapshot!(problems_with("a:\n  {{> outer cluster=cluster}}\n", &partials, &facts()), @"
    _partials/meta.hbs:2:7: unknown value `nme`
      hint: did you mean `name`?
    ");
    let partials = [("meta", "name: {{cluster.name}}\n")];
    assert_snapshot!(problems_with("a:\n  {{> meta hub}}\n", &partials, &facts()), @"
    _partials/meta.hbs:1:7: unknown value `cluster.name`
      hint: from inside a block or a partial, write `@root.cluster.name`
    ");
}

#[test]
fn a_missing_argument_of_a_partial_is_told_at_the_call() {
    let partials = [("meta", "name: {{size}}\n")];
    assert_snapshot!(problems_with("a: 1\n{{> meta clustr}}\n", &partials, &facts()), @"
    t.hbs:2:1: unknown value `clustr`
      hint: did you mean `cluster`?
    ");
    assert_snapshot!(problems_with("a: 1\n{{> meta cluster size=addon.size}}\n", &partials, &facts()), @"
    t.hbs:2:1: unknown value `addon.size`
      hint: did you mean `addons`?
    ");
    assert_snapshot!(problems_with("{{> meta cluster.name size=1}}\n", &partials, &facts()), @"
    t.hbs:1:1: named arguments cannot be added to a string
      hint: pass a map first, or name every argument
    ");
}

#[test]
fn all_missing_arguments_of_a_call_are_reported_in_one_order() {
    let partials = [("meta", "name: {{a}}\n")];
    let template = "{{> meta cluster a=cluster.nam d=x.d c=x.c b=x.b}}\n";
    let places =
        |told: &str| told.lines().filter(|line| !line.contains("hint:")).collect::<Vec<_>>().join("\n");
    let expected = [
        "t.hbs:1:1: unknown value `cluster.nam`: `cluster` has no `nam`",
        "t.hbs:1:1: unknown value `x.b`",
        "t.hbs:1:1: unknown value `x.c`",
        "t.hbs:1:1: unknown value `x.d`",
    ];
    for _ in 0..8 {
        assert_eq!(places(&problems_with(template, &partials, &facts())), expected.join("\n"));
    }
    assert_snapshot!(places(&said("a: {{eq hub.x (len hub.y)}}\nb: {{and hub.x hub.y}}\n")), @"t.hbs:1:4: unknown value `hub.y`: `hub` has no `y`");
    assert_snapshot!(places(&said("b: {{and hub.x hub.x hub.y}}\n")), @"
    t.hbs:1:4: unknown value `hub.x`: `hub` has no `x`
    t.hbs:1:4: unknown value `hub.y`: `hub` has no `y`
    ");
}

#[test]
fn a_value_that_has_no_text_is_refused_inside_text() {
    assert_snapshot!(said("a: x-{{cluster.zones}}"), @"
    t.hbs:1:6: `{{cluster.zones}}` is a list inside a larger string
      hint: give it a scalar of its own, or pick a string or number from it
    ");
    assert_snapshot!(said("a: 1\nb: \"{{cluster.labels}}\""), @"
    t.hbs:2:5: `{{cluster.labels}}` is a map inside a larger string
      hint: give it a scalar of its own, or pick a string or number from it
    ");
    assert_snapshot!(said("a: |\n  one\n  two {{cluster.spare}}\n"), @"
    t.hbs:3:7: `{{cluster.spare}}` is null inside a larger string
      hint: give it a scalar of its own, or pick a string or number from it
    ");
    assert_snapshot!(said("{{cluster.labels}}: 1"), @"
    t.hbs:1:1: `{{cluster.labels}}` is a map inside a key
      hint: give it a scalar of its own, or pick a string or number from it
    ");
}

#[test]
fn keys_that_become_equal_are_refused() {
    assert_snapshot!(said("eu-1: 1\n{{cluster.name}}: 2\n"), @"
    t.hbs:2:1: `{{cluster.name}}` makes the key `eu-1`, which is there already
      hint: keys made from values must differ from each other and from the written ones
    ");
    assert_snapshot!(said("{{cluster.name}}: 1\neu-1: 2\n"), @"
    t.hbs:1:1: `{{cluster.name}}` makes the key `eu-1`, which is there already
      hint: keys made from values must differ from each other and from the written ones
    ");
    assert_snapshot!(said("x:\n{{#each addons}}\n  {{len @root.addons}}: 1\n{{/each}}\n"), @"
    t.hbs:3:3: `{{len @root.addons}}` makes the key `2`, which is there already
      hint: keys made from values must differ from each other and from the written ones
    ");
    assert_snapshot!(said("{{#each addons}}\na: 1\n{{/each}}\n"), @"
    t.hbs:2:1: key `a` is there twice, written by the same line
      hint: keep one of the two
    ");
    assert_snapshot!(said("{{! one }}\n{{! two }}\na: 1\nb: 1\na: 2\n"), @"
    t.hbs:5:1: key `a` is there twice, first on line 3
      hint: keep one of the two
    ");
}

#[test]
fn misspelt_helpers_and_partials_are_told_with_what_is_near() {
    assert_snapshot!(said("a: {{defautl cluster.x 1}}"), @"
    t.hbs:1:4: unknown helper `defautl`
      hint: did you mean `default`?
    ");
    assert_snapshot!(said("a: {{quote cluster.name}}"), @"
    t.hbs:1:4: unknown helper `quote`
      hint: there is `and`, `default`, `eq`, `family`, `file`, `host`, `join`, `len`, `list`, `lookup`, `ne`, `not`, `or`, `outside`, `pluck`, `where`; none is needed for quoting or indentation, since values keep their type
    ");
    assert_snapshot!(said("a: {{len (lookop cluster.labels \"x\")}}"), @"
    t.hbs:1:4: unknown helper `lookop`
      hint: did you mean `lookup`?
    ");
    assert_snapshot!(said("{{#eachh addons}}{{/eachh}}"), @"
    t.hbs:1:1: unknown block helper `eachh`
      hint: did you mean `each`?
    ");
    assert_snapshot!(said("{{#range addons}}{{/range}}"), @"
    t.hbs:1:1: unknown block helper `range`
      hint: there is `each`, `if`, `raw`, `unless`, `with`; none is needed for quoting or indentation, since values keep their type
    ");
    assert_snapshot!(said("{{#if x}}{{else unles y}}{{/if}}"), @"
    t.hbs:1:10: unknown block helper `unles`
      hint: did you mean `unless`?
    ");
    let partials = [("labels", "a: 1\n")];
    assert_snapshot!(problems_with("{{> lables cluster}}", &partials, &facts()), @"
    t.hbs:1:1: unknown partial `lables`
      hint: did you mean `labels`?
    ");
    assert_snapshot!(problems_with("{{> other cluster}}", &partials, &facts()), @"
    t.hbs:1:1: unknown partial `other`
      hint: create `templates/_partials/other.hbs`
    ");
    assert_snapshot!(problems_with("x: 1\n  {{> labels}}", &partials, &facts()), @"
    t.hbs:2:3: partial `labels` is called without an argument
      hint: pass what it needs, as in `{{> labels cluster}}`
    ");
    assert_snapshot!(problems_with("{{> labels cluster hub}}", &partials, &facts()), @"
    t.hbs:1:1: partial `labels` is called with more than one argument
      hint: name the others, as in `{{> labels cluster size=2}}`
    ");
    assert_snapshot!(problems_with("{{> (lookup cluster \"x\") hub}}", &partials, &facts()), @"
    t.hbs:1:1: the name of a partial must be written out
      hint: choose with `{{#if}}` instead
    ");
}

#[test]
fn helpers_are_called_with_what_they_take() {
    assert_snapshot!(said("a: {{eq cluster.name}}"), @r#"
    t.hbs:1:4: `eq` takes 2 arguments, not 1
      hint: write it like `(eq cluster.role "app")`
    "#);
    assert_snapshot!(said("a: {{and cluster.name}}"), @"
    t.hbs:1:4: `and` takes at least 2 arguments, not 1
      hint: write it like `(and a b)`
    ");
    assert_snapshot!(said("a: {{len cluster.zones cluster.zones}}"), @"
    t.hbs:1:4: `len` takes 1 argument, not 2
      hint: write it like `(len list)`
    ");
    assert_snapshot!(said("a: {{default cluster.x fallback=1}}"), @"
    t.hbs:1:4: helpers take no named arguments
      hint: give the values one after the other
    ");
    assert_snapshot!(said("{{#if cluster.name \"x\"}}{{/if}}"), @"
    t.hbs:1:1: `{{#if}}` takes 1 argument, not 2
      hint: write it like `{{#if (lookup a b)}}`
    ");
    assert_snapshot!(said("{{#each}}{{/each}}"), @"
    t.hbs:1:1: `{{#each}}` takes 1 argument, not 0
      hint: write it like `{{#each (lookup a b)}}`
    ");
    assert_snapshot!(said("{{#if cluster as |x|}}{{/if}}{{#with cluster as |a b|}}{{/with}}"), @"
    t.hbs:1:1: `{{#if}}` takes no name after `as`
      hint: write `{{#each map as |value key|}}` or `{{#with value as |name|}}`
    t.hbs:1:30: `{{#with}}` takes one name after `as`
      hint: write `{{#each map as |value key|}}` or `{{#with value as |name|}}`
    ");
    assert_snapshot!(said("{{#each cluster.name}}{{/each}}"), @"
    t.hbs:1:1: `each` needs a list or a map, not a string
      hint: write `{{#if …}}` for a single value
    ");
    assert_snapshot!(said("a: {{len cluster.name}}"), @"t.hbs:1:4: `len` needs a list or a map, not a string");
}

#[test]
fn a_path_that_leads_out_of_the_template_is_refused() {
    assert_snapshot!(said("a: {{../cluster.name}}"), @"
    t.hbs:1:4: `../cluster.name` leads out of the template
      hint: write one `../` for each `{{#each}}` and `{{#with}}` around it, and none for `{{#if}}`
    ");
    assert_snapshot!(said("{{#if cluster}}{{../cluster.name}}{{/if}}{{#each addons}}{{../../x}}{{@../index}}{{/each}}"), @"
    t.hbs:1:16: `../cluster.name` leads out of the template
      hint: write one `../` for each `{{#each}}` and `{{#with}}` around it, and none for `{{#if}}`
    t.hbs:1:58: `../../x` leads out of the template
      hint: write one `../` for each `{{#each}}` and `{{#with}}` around it, and none for `{{#if}}`
    ");
    assert_snapshot!(problems_with("{{#each addons}}{{> p this}}{{/each}}", &[("p", "{{../cluster}}")], &facts()), @"
    _partials/p.hbs:1:1: `../cluster` leads out of the partial
      hint: write one `../` for each `{{#each}}` and `{{#with}}` around it, and none for `{{#if}}`
    ");
}

#[test]
fn a_partial_that_includes_itself_is_told_before_anything_is_rendered() {
    let partials = [("a", "{{> b x}}"), ("b", "x: 1\n  {{> c x}}"), ("c", "{{> a x}}{{> c x}}")];
    assert_snapshot!(problems_with("{{> a hub}}", &partials, &facts()), @"
    _partials/a.hbs:1:1: partial `a` includes itself: `b` → `c` → `a`
      hint: break the cycle
    _partials/c.hbs:1:10: partial `c` includes itself: `c`
      hint: break the cycle
    ");
}

#[test]
fn tags_that_cannot_be_read_are_told_with_what_to_write() {
    assert_snapshot!(said("a: {{cluster.name"), @r#"
    t.hbs:1:4: `{{` is never closed
      hint: close it and the quotes in it, or write `\{{` for braces that are meant as text
    "#);
    assert_snapshot!(said("a: {{}}\nb: {{.}}\nc: {{ .Values.x }}\nd: {{$x}}\n"), @r#"
    t.hbs:1:4: cannot read `{{}}`
      hint: write a path between the braces: `{{cluster.name}}`
    t.hbs:2:4: cannot read `{{.}}`
      hint: write `this` for the item of a loop, and `../this` for what stands around it
    t.hbs:3:4: cannot read `{{.Values.x}}`
      hint: braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    t.hbs:4:4: cannot read `{{$x}}`
      hint: braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    "#);
    assert_snapshot!(said("{{#each addons}}{{../@index}}{{..}}{{/each}}"), @"
    t.hbs:1:17: cannot read `{{../@index}}`
      hint: write `@../index` for the index of the outer loop
    t.hbs:1:30: cannot read `{{..}}`
      hint: write `this` for the item of a loop, and `../this` for what stands around it
    ");
    assert_snapshot!(said("a: {{cluster.name == \"x\"}}\nb: {{cluster.name | quote}}\n"), @r#"
    t.hbs:1:4: cannot read `{{cluster.name == "x"}}`
      hint: there are no operators: write `(eq a b)`, `(ne a b)`, `(and a b)`, `(or a b)` or `(not a)`
    t.hbs:2:4: cannot read `{{cluster.name | quote}}`
      hint: there are no filters, and none is needed for quoting or indentation: values keep their type
    "#);
    assert_snapshot!(said("{{#if cluster.a && cluster.b}}{{/if}}"), @"
    t.hbs:1:1: cannot read `{{#if cluster.a && cluster.b}}`
      hint: there are no operators: write `(eq a b)`, `(ne a b)`, `(and a b)`, `(or a b)` or `(not a)`
    ");
    assert_snapshot!(said("a: {{cluster..name}}\nb: {{default cluster.x \"a}}\n"), @r#"
    t.hbs:2:4: `{{` is never closed
      hint: close it and the quotes in it, or write `\{{` for braces that are meant as text
    "#);
    assert_snapshot!(said("a: {{default cluster.x 'it''s'}}\nb: {{len (}}\n"), @r#"
    t.hbs:2:4: cannot read `{{len (}}`
      hint: write a path, as in `{{cluster.name}}`, or a helper with its arguments, as in `{{default cluster.labels.zone "a"}}`
    "#);
    assert_snapshot!(said("a: {{cluster.name}\n"), @r#"
    t.hbs:1:4: `{{` is never closed
      hint: close it and the quotes in it, or write `\{{` for braces that are meant as text
    "#);
    assert_snapshot!(said("{{~! note }}\n{{*decorate x}}\n"), @"
    t.hbs:1:1: cannot read `{{! note}}`
      hint: a comment is written `{{! … }}`, without `~`
    ");
    assert_snapshot!(said("{{> }}"), @"
    t.hbs:1:1: cannot read `{{> }}`
      hint: name the partial and its argument: `{{> name cluster}}`
    ");
    assert_snapshot!(said("a: {{!-- no end"), @r#"
    t.hbs:1:4: this comment is never closed
      hint: close it and the quotes in it, or write `\{{` for braces that are meant as text
    "#);
}

#[test]
fn blocks_that_do_not_fit_together_are_told_where_they_open() {
    assert_snapshot!(said("a: 1\n  {{#if cluster}}\n"), @"
    t.hbs:2:3: `{{#if}}` is never closed
      hint: close it with `{{/if}}`
    ");
    assert_snapshot!(said("{{#each addons}}\n{{#if name}}\n{{/each}}\n{{/if}}"), @"
    t.hbs:3:1: `{{/each}}` closes `{{#if}}` of line 2
      hint: write `{{/if}}` here, or close the inner block first
    t.hbs:4:1: `{{/if}}` closes `{{#each}}` of line 1
      hint: write `{{/each}}` here, or close the inner block first
    ");
    assert_snapshot!(said("{{else}}\n{{else if x}}\n{{/each}}"), @r"
    t.hbs:1:1: `else` outside a block
      hint: open it with `{{#if …}}`; braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    t.hbs:2:1: `else if` outside a block
      hint: open it with `{{#if …}}`; braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    t.hbs:3:1: `{{/each}}` closes nothing
      hint: remove it or open the block
    ");
    assert_snapshot!(said("{{#if a}}{{else}}1{{else}}2{{/if}}"), @"
    t.hbs:1:19: `else` after the `else` of the block of line 1
      hint: write `{{else}}` once, as the last branch
    ");
    assert_snapshot!(said("{{#> layout x}}{{/layout}}{{#*inline \"a\"}}{{/inline}}"), @"
    t.hbs:1:1: `{{#> …}}` is not supported
      hint: put the text into a file of its own under `templates/_partials/`
    t.hbs:1:27: `{{#* …}}` is not supported
      hint: put the text into a file of its own under `templates/_partials/`
    ");
    assert_snapshot!(said("{{{{raw}}}} {{x}}"), @r#"
    t.hbs:1:1: this raw block is never closed
      hint: close it and the quotes in it, or write `\{{` for braces that are meant as text
    "#);
    assert_snapshot!(said("{{{{code}}}}x{{{{/code}}}}"), @"
    t.hbs:1:1: unknown block helper `code`
      hint: there is `each`, `if`, `raw`, `unless`, `with`; none is needed for quoting or indentation, since values keep their type
    ");
}

#[test]
fn characters_that_stand_for_values_may_not_be_written() {
    assert_snapshot!(said("a: 1\nb: \u{F0000}\u{100000}\n"), @"
    t.hbs:2:4: private-use character U+F0000 in a template
      hint: remove it, or write it into the inventory
    t.hbs:2:5: private-use character U+100000 in a template
      hint: remove it, or write it into the inventory
    ");
    assert_snapshot!(said("a: {{cluster.name}}\nb: \"\\U000F0000\"\n"), @"
    t.hbs:2:5: the escape of a private-use character in a template
      hint: remove it, or write it into the inventory
    ");
    assert_snapshot!(said("b: \"x\\U000{{! }}F0000\"\n"), @"
    t.hbs:1:6: the escape of a private-use character in a template
      hint: remove it, or write it into the inventory
    ");
    assert_snapshot!(said("b: \"\\uDB80\\uDC00\"\n"), @"
    t.hbs:1:5: the escape of a private-use character in a template
      hint: remove it, or write it into the inventory
    ");
}

#[test]
fn a_value_where_yaml_wants_a_name_is_refused() {
    assert_snapshot!(said("a: &{{cluster.name}} 1\n"), @"
    t.hbs:1:4: an anchor's name holds an expression
      hint: write the name itself: anchors are resolved before values are inserted
    ");
    assert_snapshot!(said("a: *{{cluster.name}}\n"), @r#"
    t.hbs:1:4: no anchor `&{{cluster.name}}` stands before this alias
      hint: quote it if text is meant: `"*{{cluster.name}}"`
    "#);
    assert_snapshot!(said("a: !{{cluster.name}} 1\n"), @"t.hbs:1:4: this is not YAML: while scanning a tag, did not find expected whitespace or line break");
    assert_snapshot!(said("a: !!str {{cluster.zones}}\n"), @"
    t.hbs:1:10: `{{cluster.zones}}` is a list inside a larger string
      hint: give it a scalar of its own, or pick a string or number from it
    ");
    assert_snapshot!(said("<<: {{cluster.labels}}\n"), @r#"
    t.hbs:1:5: `<<` merges maps, and this is none
      hint: name a map by its alias: `<<: *name`; quote the key if it is meant as text: `"<<"`
    "#);
}

#[test]
fn braces_for_another_program_come_with_the_way_to_write_them() {
    const HINT: &str = "braces for another program are written `\\{{ … }}`, in quotes or a block scalar, or stand in a raw block";
    for braces in [
        "{{ $labels.x }}",
        "{{$value | humanize}}",
        "{{ printf \"%.2f\" $value }}",
        "{{ humanize $value }}",
        "{{range .Alerts}}",
        "{{ range $i, $a := .Alerts }}",
        "{{/* c */}}",
        "{{- /* c */ -}}",
        "{{ .Values.x }}",
        "{{.Release.Name}}",
        "{{- if .x }}",
        "{{ if eq .x 1 }}",
        "{{ else if .x }}",
        "{{- end }}",
        "{{ template \"x\" . }}",
        "{{ define \"x\" }}",
        "{{ include \"x\" . | nindent 4 }}",
        "{{ with .x }}",
        "{{`{{ x }}`}}",
        "{{ `x` }}",
        "{{ $x := 1 }}",
        "{{ not .x }}",
        "{{ len .Alerts }}",
        "{{ (index .x 0).y }}",
        "{{ \"{{\" }}",
        "{{=x + 1}}",
        "{{% raw %}}",
    ] {
        for (template, place) in
            [(format!("a: |\n  ü {braces} b\n"), "2:5"), (format!("- 'ü {braces}'\n"), "1:6")]
        {
            let told = said(&template);
            let expected = format!("t.hbs:{place}: cannot read `{{{{");
            assert!(
                told.starts_with(&expected) && told.ends_with(&format!("\n  hint: {HINT}")),
                "{braces}: {told}"
            );
            assert_eq!(told.lines().count(), 2, "{braces}: {told}");
            // Escaped or kept raw, they are text.
            let escaped = template.replace(braces, &braces.replace("{{", "\\{{"));
            let raw = template.replace(braces, &format!("{{{{{{{{raw}}}}}}}}{braces}{{{{{{{{/raw}}}}}}}}"));
            let written = |template: &str| document(template, &facts()).to_string();
            assert!(written(&escaped).contains(&braces.replace('"', "\\\"")), "{escaped}");
            assert_eq!(written(&escaped), written(&raw), "{braces}");
        }
    }
    for braces in [
        "{{instance}}",
        "{{namespace}}",
        "{{ pod }}",
        "{{end}}",
        "{{workflow.name}}",
        "{{ __name__ }}",
        "{{ cluster_id }}",
    ] {
        let told = said(&format!("a: 1\nb: '{{{{hub.name}}}} {braces}'\n"));
        assert!(told.starts_with("t.hbs:2:18: unknown value `"), "{told}");
        assert!(told.ends_with(&format!(" {HINT}")), "{told}");
    }
    for braces in ["{{ query \"up\" | first }}", "{{ a || 'b' }}", "{{ x | y }}", "{{else}}"] {
        assert!(said(&format!("a: '{braces}'\n")).ends_with(&format!("; {HINT}")), "{braces}");
    }
    // Grafana calls a label `cluster`, and so do we call a map.
    assert!(said("a: '{{cluster}}/{{hub.name}}'\n").ends_with(&format!("; {HINT}")));
    // What stands in quotes may be anything.
    let query = r#"{{default cluster.q "a{x=~'$x .y \"'} | $z"}}"#;
    assert_eq!(document(&format!("a: {query}\n"), &facts())["a"], r#"a{x=~'$x .y "'} | $z"#);
    // What is meant for us gets no such advice.
    for braces in
        ["{{cluster.nmae}}", "{{cluster.name | quote}}", "{{cluster.name == \"a\"}}", "{{clustr.name}}"]
    {
        assert!(!said(&format!("a: {braces}\n")).contains("another program"), "{braces}");
    }
}

#[test]
fn every_brace_of_a_pasted_text_is_told_at_once() {
    assert_snapshot!(said("a: |\n  {{ range .Alerts }}\n  {{ else }}{{ .Labels.x }} {{end}}\nb: {{len (}}\n"), @r#"
    t.hbs:2:3: cannot read `{{range .Alerts}}`
      hint: braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    t.hbs:3:3: `else` outside a block
      hint: open it with `{{#if …}}`; braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    t.hbs:3:13: cannot read `{{.Labels.x}}`
      hint: braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    t.hbs:3:29: cannot read `{{end}}`
      hint: braces for another program are written `\{{ … }}`, in quotes or a block scalar, or stand in a raw block
    "#);
}
