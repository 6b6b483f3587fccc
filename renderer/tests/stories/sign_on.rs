//! Single sign-on: one fact that three programs are configured by.

use insta::assert_snapshot;

use crate::world::{World, files};

const FLEET: &str = "environments/_fleet.yaml";
const SOUND: &str = "no problems";
const FACT: &str = "
singleSignOn:
  issuer: https://login.example.com/realms/platform
  authorizationUrl: https://login.example.com/auth
  tokenUrl: https://login.example.com/token
  userinfoUrl: https://login.example.com/userinfo
  clients: {argocd: argocd-1, grafana: grafana-1, vault: vault-1}
  groups:
    administrators: [admins, /platform/owners]
    operators: [operators]
";

fn on() -> World {
    World::shipped().and(FLEET, FACT)
}

/// Returns the lines of a rendered file from the one that contains a text on.
fn lines(world: &World, path: &str, from: &str, count: usize) -> String {
    let rendered = files(&world.render());
    let (_, text) = rendered.iter().find(|(other, _)| other == path).unwrap();
    let lines = text.lines().skip_while(|line| !line.contains(from));
    lines.take(count).collect::<Vec<_>>().join("\n")
}

#[test]
fn it_is_off_until_the_fact_is_there() {
    let rendered = files(&World::shipped().render());
    let about_it: Vec<_> =
        rendered.iter().filter(|(_, text)| text.contains("-oidc")).map(|(path, _)| path).collect();
    assert_eq!(about_it, Vec::<&String>::new());
    assert_eq!(on().problems(), SOUND);
}

#[test]
fn each_program_knows_the_provider_its_client_and_who_may_do_more_than_look() {
    let world = on();
    assert_snapshot!(lines(&world, "argocd-apps/control/argo-cd/values.yaml", "oidc.config", 6), @"
        oidc.config: |
          name: Single sign-on
          issuer: https://login.example.com/realms/platform
          clientID: argocd-1
          clientSecret: $argocd-oidc:client-secret
          requestedScopes: [openid, profile, email, groups]
    ");
    assert_snapshot!(lines(&world, "argocd-apps/control/argo-cd/values.yaml", "g, operators", 3), @"
          g, operators, role:operator
          g, admins, role:admin
          g, /platform/owners, role:admin
    ");
    let grafana = "argocd-apps/control/kube-prometheus-stack/values.yaml";
    assert_snapshot!(lines(&world, grafana, "role_attribute_path", 1), @"      role_attribute_path: contains(groups[*], 'admins') && 'Admin' || contains(groups[*], '/platform/owners') && 'Admin' || contains(groups[*], 'operators') && 'Editor' || 'Viewer'");
    let vault = "argocd-apps/control/vault/manifests/scripts.yaml";
    assert_snapshot!(lines(&world, vault, "vault write auth/oidc/config", 4), @r#"
          vault write auth/oidc/config oidc_discovery_url=https://login.example.com/realms/platform \
            oidc_client_id=vault-1 oidc_client_secret=@/vault/oidc/client-secret default_role=administrators
          group administrators '["admins", "/platform/owners"]'
          group operators '["operators"]'
    "#);
}

#[test]
fn a_role_that_no_group_has_any_more_is_taken_away() {
    let world = on().edit(FLEET, "    operators: [operators]\n", "");
    assert_eq!(world.problems(), SOUND);
    let vault = "argocd-apps/control/vault/manifests/scripts.yaml";
    assert_snapshot!(lines(&world, vault, "group administrators", 2), @r#"
          group administrators '["admins", "/platform/owners"]'
          vault delete auth/oidc/role/operators
    "#);
    assert!(
        !lines(&world, "argocd-apps/control/argo-cd/values.yaml", "policy.csv", 99).contains("g, operators")
    );
}

#[test]
fn every_part_of_it_has_to_be_there() {
    for part in ["issuer", "authorizationUrl", "tokenUrl", "userinfoUrl", "clients"] {
        let line = FACT.lines().find(|line| line.trim_start().starts_with(part)).unwrap();
        let problems = on().edit(FLEET, &format!("{line}\n"), "").problems();
        assert!(problems.contains(&format!("missing key `{part}`")), "{part}: {problems}");
    }
    for client in ["argocd", "grafana", "vault"] {
        let problems =
            on().edit(FLEET, &format!("{client}: {client}-1"), &format!("other: {client}-1")).problems();
        assert!(problems.contains(&format!("has no `{client}`")), "{client}: {problems}");
    }
    let nobody =
        on().edit(FLEET, "administrators: [admins, /platform/owners]", "administrators: []").problems();
    assert!(nobody.contains("administrators"), "{nobody}");
}

#[test]
fn what_would_mean_something_in_another_language_is_no_name_and_no_address() {
    for name in ["a, role:admin", "a'", "a\\\"", "$(id)", "a b", "a`id`", "a\\n", "{{a}}", "a|b", "*", ""] {
        let quoted = format!("[\"{name}\"]");
        for (old, new) in [("[operators]", quoted.clone()), ("[admins, /platform/owners]", quoted)] {
            let world = on().edit(FLEET, old, &new);
            assert_ne!(world.problems(), SOUND, "{name}");
        }
        let world = on().edit(FLEET, "vault: vault-1", &format!("vault: \"{name}\""));
        assert_ne!(world.problems(), SOUND, "{name}");
    }
    for address in [
        "http://login.example.com",
        "https://a b",
        "https://a\\n",
        "https://a/$(id)",
        "https://a/'",
        "https://a?b",
        "https:///a",
    ] {
        let world = on().edit(FLEET, "https://login.example.com/realms/platform", &format!("\"{address}\""));
        assert_ne!(world.problems(), SOUND, "{address}");
    }
}
