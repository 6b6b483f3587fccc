//! The documentation names every check, and no other.

use std::collections::BTreeSet;

use fleetwright_renderer::catalog::FINAL_CHECKS;
use fleetwright_renderer::effects::EffectKind;
use fleetwright_renderer::plan::RiskKind;
use fleetwright_renderer::render::check_names;

const DOCUMENTATION: &str = include_str!("../../../docs/reference/checks.md");

#[test]
fn every_check_is_documented_and_every_documented_check_exists() {
    let documented: BTreeSet<_> = DOCUMENTATION
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(documented, &check_names() | &FINAL_CHECKS.into());
}

#[test]
fn every_risk_has_its_section_and_every_section_is_of_a_risk() {
    let page = include_str!("../../../docs/reference/risks.md");
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(sections, RiskKind::ALL.map(RiskKind::anchor), "most severe first");
    for kind in RiskKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.anchor(), "the anchor is the name in JSON");
    }
    assert!(RiskKind::ALL.is_sorted());
}

#[test]
fn every_effect_has_its_section_and_every_section_is_of_an_effect() {
    let page = include_str!("../../../docs/reference/effects.md");
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let (folded, effects) = sections.split_last().unwrap();
    assert_eq!((effects, *folded), (&EffectKind::ALL.map(EffectKind::anchor)[..], "What is folded"));
    for kind in EffectKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.anchor(), "the anchor is the name in JSON");
    }
    assert!(EffectKind::ALL.is_sorted());
}

/// Each check with the story that it fails in; a new check is not done before it has one.
const STORIES: &[(&str, &str, &str)] = &[
    ("files", include_str!("files.rs"), "a_file_with_another_name_is_not_read_and_that_is_said"),
    ("yaml", include_str!("files.rs"), "facts_are_one_map_in_one_document"),
    ("schema", include_str!("facts.rs"), "a_misspelt_key_is_told_where_it_is_written"),
    ("hubs", include_str!("facts.rs"), "an_unknown_hub_is_told_once_and_not_by_every_template"),
    ("lock", include_str!("charts.rs"), "a_lock_that_was_damaged_is_told"),
    ("template", include_str!("facts.rs"), "a_misspelt_key_of_an_address_is_told_where_it_is_missing"),
    ("limits", include_str!("bounds.rs"), "a_rendering_beyond_its_limit_is_refused"),
    ("fleet", include_str!("files.rs"), "a_repository_without_clusters_says_how_to_describe_one"),
    ("addresses", include_str!("facts.rs"), "an_address_outside_its_pool_is_told_once_where_it_is_given"),
    ("networks", include_str!("facts.rs"), "networks_of_two_clusters_must_not_overlap"),
    ("machines", include_str!("facts.rs"), "a_machine_stands_outside_pools_and_networks"),
    ("groups", include_str!("groups.rs"), "a_cluster_is_in_one_group_and_in_no_other"),
    ("accept", include_str!("accepted.rs"), "an_answer_to_nothing_is_told"),
    ("deployed", include_str!("deployed.rs"), "an_addon_that_no_application_carries_is_told"),
    ("reserved", include_str!("argo.rs"), "names_of_argo_cd_itself_are_taken"),
    ("lengths", include_str!("argo.rs"), "a_name_that_is_composed_is_short_enough"),
    ("templates", include_str!("placement.rs"), "a_repository_without_templates_is_told"),
    ("addons", include_str!("placement.rs"), "an_unknown_addon_is_told"),
    ("settings", include_str!("placement.rs"), "a_setting_must_be_known_and_of_its_type"),
    ("placement", include_str!("placement.rs"), "a_placement_label_that_no_cluster_has_is_told"),
    ("mirror", include_str!("mirror.rs"), "an_exception_for_a_repository_that_no_addon_names_is_told"),
    ("unread", include_str!("placement.rs"), "a_fact_that_no_template_reads_is_told"),
    ("charts", include_str!("charts.rs"), "a_chart_that_is_not_locked_is_told_at_its_version"),
    ("keys", include_str!("charts.rs"), "a_key_that_the_chart_has_not_is_told_where_it_is_written"),
    ("images", include_str!("images.rs"), "an_image_without_a_version_is_told"),
    ("objects", include_str!("objects.rs"), "a_misspelt_field_is_told_in_its_template"),
    ("secrets", include_str!("secrets.rs"), "a_password_is_told_where_it_is_written"),
    ("patterns", include_str!("patterns.rs"), "a_pattern_in_a_fact_does_not_widen_a_project"),
    ("hosts", include_str!("ipv6.rs"), "an_address_that_is_written_out_needs_its_brackets"),
    ("exposed-addresses", include_str!("flows.rs"), "an_exposed_address_lies_in_the_pool"),
    ("service-names", include_str!("names.rs"), "a_service_that_no_release_brings_is_told"),
    ("storage-classes", include_str!("names.rs"), "a_storage_class_that_nothing_provides_is_told"),
    ("secret-names", include_str!("names.rs"), "a_secret_that_nothing_provides_is_told"),
    ("metrics", include_str!("flows.rs"), "metrics_sent_to_nobody_are_told"),
    ("logs", include_str!("logs.rs"), "logs_sent_to_nobody_are_told_on_their_line"),
    ("traces", include_str!("traces.rs"), "traces_sent_to_nobody_are_told"),
    ("flows", include_str!("vault.rs"), "a_vault_that_is_asked_elsewhere_is_told"),
    ("flows", include_str!("interfaces.rs"), "a_signal_of_ones_own_that_is_sent_elsewhere_is_told"),
    ("workloads", include_str!("machines.rs"), "what_is_placed_needs_a_machine_that_takes_workloads"),
    ("interfaces", include_str!("interfaces.rs"), "a_description_names_values_that_the_locked_chart_takes"),
    ("verify", include_str!("live.rs"), "what_cannot_be_asked_is_told_where_it_is_written"),
    ("mesh", include_str!("mesh.rs"), "clusters_of_one_mesh_share_its_name"),
    ("cluster-labels", include_str!("flows.rs"), "metrics_carry_the_name_of_their_cluster"),
    ("exposed-once", include_str!("flows.rs"), "fn an_address_is_exposed_once"),
    ("exposure", include_str!("exposure.rs"), "pods_behind_an_address_without_a_policy_are_told"),
    ("objects-once", include_str!("objects.rs"), "fn an_object_is_written_once"),
];

#[test]
fn every_check_has_a_story() {
    assert_eq!(STORIES.iter().map(|(check, ..)| *check).collect::<BTreeSet<_>>(), check_names());
    for (check, stories, story) in STORIES.iter().copied() {
        assert!(stories.contains(story), "the story of `{check}` is gone");
    }
}
