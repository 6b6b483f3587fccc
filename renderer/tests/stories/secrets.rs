//! No secret gets into a rendered file.

use insta::assert_snapshot;

use crate::world::World;

const CONTROL: &str = "environments/control.yaml";

fn hub_with(values: &str) -> String {
    World::platform().and(CONTROL, &format!("    values:\n{values}")).problems()
}

#[test]
fn a_password_is_told_where_it_is_written() {
    assert_snapshot!(hub_with("      grafana:\n        adminPassword: hunter2\n"), @"
    environments/control.yaml:27:24: `adminPassword` holds a secret in plain text
      hint: keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`
    ");
    let template = "templates/addons/metallb/values.yaml.hbs";
    assert_snapshot!(World::platform().and(template, "\nauth:\n  token: abc\n").problems(), @"
    templates/addons/metallb/values.yaml.hbs:8:10: `token` holds a secret in plain text (on `app` and `control`)
      hint: keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`
    ");
}

#[test]
fn a_password_in_an_environment_variable_is_told() {
    assert_snapshot!(hub_with("      env:\n        - name: DB_PASSWORD\n          value: hunter2\n"), @"
    environments/control.yaml:28:18: `DB_PASSWORD` holds a secret in plain text
      hint: keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`
    ");
}

#[test]
fn a_secret_is_known_by_its_shape() {
    assert_snapshot!(hub_with("      a: ghp_0123456789abcdefghij0123\n      b: mysql://app:hunter2@192.168.64.21/app\n      c: |\n        -----BEGIN RSA PRIVATE KEY-----\n        MII\n"), @"
    environments/control.yaml:26:10: a secret in plain text
      hint: keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`
    environments/control.yaml:27:10: a secret in plain text
      hint: keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`
    environments/control.yaml:29:9: a secret in plain text
      hint: keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`
    ");
}

#[test]
fn what_platforms_write_to_refer_to_secrets_is_let_through() {
    let manifest = r"apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: grafana-admin}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: vault}
  target: {name: grafana-admin}
  data:
    - secretKey: admin-password
      remoteRef: {key: grafana, property: password}
";
    let values = r#"
existingSecret: db
existingSecretPasswordKey: password
passwordSecretRef: {name: db, key: password}
secretName: token
tokenReviewAudience: vault
automountServiceAccountToken: true
oidc: {clientSecret: $oidc.clientSecret}
env:
  - name: DB_PASSWORD
    valueFrom: {secretKeyRef: {name: db, key: password}}
  - name: DB_PASSWORD_FILE
    value: /run/secrets/db
  - name: TOKEN
    value: $(OTHER)
adminPassword: ""
maxTokens: 5
tokenizer: standard
passwordPolicy: strong
tls: {certificate: "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"}
"#;
    let world = World::platform()
        .with("templates/addons/metallb/manifests/x.yaml.hbs", manifest)
        .and("templates/addons/metallb/addon.yaml", "outside: {secrets: [db, grafana-admin, token]}\n")
        .and("templates/addons/metallb/values.yaml.hbs", values);
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn names_of_keys_users_and_files_are_let_through() {
    for values in [
        "existingSecretKey: password",
        "auth: {rootUserSecretKey: rootUser, rootPasswordSecretKey: root-password}",
        "auth: {existingSecret: db, secretKey: password, userKey: username}",
        "auth: {existingSecret: {name: db}, accessKey: access-key-id}",
        "storage: {existingSecret: {name: db, accessKey: rootUser, secretKey: rootPassword}}",
        "usernameSecretKey: login",
        "tls: {privateKey: tls.key}",
        "tls: {privateKey: certs/server-key.pem}",
        "privateKey: ./keys/id.pem",
        "apiKey: token.txt",
    ] {
        let world = World::platform()
            .and("templates/addons/metallb/addon.yaml", "outside: {secrets: [db]}\n")
            .and("templates/addons/metallb/values.yaml.hbs", &format!("\n{values}\n"));
        assert_eq!(world.problems(), "no problems", "{values}");
    }
}

#[test]
fn what_only_looks_like_a_reference_is_told() {
    for values in [
        "existingSecretKey: Xk29fmQ0vvR1",
        "auth: {existingSecret: db, password: hunter2}",
        "auth: {existingSecret: db, secretKey: Xk29fmQ0vvR1}",
        "auth: {existingSecret: '', secretKey: password}",
        "secretKey: password",
        "s3SecretKey: minio-secret-key",
        "privateKey: hunter-two",
        "rootPassword: my.password",
        "accessKey: .key",
        "tokens: [tls.key, hunter2]",
    ] {
        let world = World::platform()
            .and("templates/addons/metallb/addon.yaml", "outside: {secrets: [db]}\n")
            .and("templates/addons/metallb/values.yaml.hbs", &format!("\n{values}\n"));
        assert!(world.problems().contains("a secret in plain text"), "{values}: {}", world.problems());
    }
}

#[test]
fn well_known_forms_of_secrets_are_found() {
    for (key, text) in testkit::hostile::text::SECRETS {
        let problems = hub_with(&format!("      {key}: '{text}'\n"));
        assert!(problems.contains("a secret in plain text"), "{key}: {text}: {problems}");
        assert!(!problems.contains(text), "{problems}");
    }
    for values in [
        "      password: {value: hunter2}\n",
        "      password: 123456\n",
        "      args: [--db-password, hunter2]\n",
        "      args: [--db-password=hunter2]\n",
        "      config: |\n        a: 1\n        password: hunter2\n",
        "      config: |\n        password = \"hunter2\"\n",
        "      config: '{\"password\": \"hunter2\"}'\n",
        "      dsn: 'Server=x;User=y;Password=hunter2;'\n",
    ] {
        let problems = hub_with(values);
        assert!(problems.contains("secret in plain text"), "{values}: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn texts_that_are_like_secrets_are_let_through() {
    for (key, text) in testkit::hostile::text::NO_SECRETS {
        assert_eq!(hub_with(&format!("      {key}: '{text}'\n")), "no problems", "{key}: {text}");
    }
}

#[test]
fn a_problem_does_not_repeat_a_secret() {
    let addon = "templates/addons/kube-prometheus-stack/addon.yaml";
    let setting = "settings:\n  adminPassword: {type: string, pattern: '^[a-z]+$', default: abc}\n";
    for (written, is_shown) in [("adminPassword: HUNTER-2222", false), ("retention: HUNTER-2222", true)] {
        let world = World::platform().edit(addon, "\nsettings:\n", &format!("\n{setting}"));
        let world = world.edit(CONTROL, "retention: 31d", written);
        let problems = world.problems();
        assert_eq!(problems.contains("HUNTER-2222"), is_shown, "{problems}");
        assert!(is_shown || problems.contains("`adminPassword` is `***`"), "{problems}");
    }
}
