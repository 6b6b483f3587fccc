//! Text that people write to deceive who reads it, or that holds what nobody may read.

/// One character of each kind that hides or reorders text, controls a terminal, or is no character.
pub const HIDDEN: &str = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180e}\
    \u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202a}\u{202e}\u{202f}\u{2060}\u{2066}\u{2069}\u{206a}\u{2800}\u{3000}\u{3164}\
    \u{e000}\u{fdd0}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffe}\u{110bd}\u{1bca0}\u{1d159}\u{1d173}\u{e0001}\u{e0041}\u{e01ef}\
    \u{f0000}\u{10ffff}";

/// Texts that are markup, mentions, references or ends of blocks to what shows Markdown or HTML.
pub const MARKUP: [&str; 14] = [
    "`",
    "``` ",
    "````\n",
    "~~~",
    "</details>",
    "<script>alert(1)</script>",
    "@everyone",
    "@acme/owners",
    "#1",
    "acme/fleet#1",
    "[x](javascript:alert(1))",
    "![x](https://x/y.png)",
    "<!-- ",
    "| a | b |",
];

/// Texts that would run a script or ask another machine in a page that took them for HTML. A script that runs sets `hit`.
pub const HTML: [&str; 18] = [
    "<script>window.hit=1</script>",
    "</script><script>window.hit=1</script>",
    "</style><script>window.hit=1</script>",
    "</title><script>window.hit=1</script>",
    "<img src=https://elsewhere.invalid/a.png onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<details open ontoggle=window.hit=1>",
    "<link rel=stylesheet href=https://elsewhere.invalid/a.css>",
    "<meta http-equiv=refresh content='0;url=https://elsewhere.invalid/'>",
    "<base href=https://elsewhere.invalid/>",
    "<form action=https://elsewhere.invalid/><input autofocus onfocus=window.hit=1>",
    "\" autofocus onfocus=\"window.hit=1",
    "' onmouseover='window.hit=1",
    "--><script>window.hit=1</script><!--",
    "{{policy}}{{{policy}}}{{> script}}",
    "&lt;script&gt;&#60;script>",
    "`${window.hit=1}`",
];

/// A key and a text that is a secret by its form. None of them was ever valid.
#[rustfmt::skip]
pub const SECRETS: &[(&str, &str)] = &[
    ("a", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"),
    ("a", "-----BEGIN PGP PRIVATE KEY BLOCK----- lQdGBF"),
    ("a", "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNz"),
    ("a", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB"),
    ("a", "ghr_0123456789abcdefghij0123456789abcdef"),
    ("a", "xapp-1-A0123456789-0123456789012-0123456789abcdef"),
    ("a", "sk_live_0123456789abcdefghijklmn"),
    ("a", "SG.0123456789abcdefghijkl.0123456789abcdefghijklmnopqrstuvwxyz0123456"),
    ("a", "Authorization: Bearer 0123456789abcdef"),
    ("a", "Authorization: Basic dXNlcjpodW50ZXIyaHVudGVyMg=="),
    ("a", "npm_0123456789abcdefghijklmnopqrstuvwxyz"),
    ("a", "hf_0123456789abcdefghijklmnopqrstuvwx"),
    ("a", "glsa_0123456789abcdefghijklmnopqrstuv_01234567"),
    ("a", "sk-ant-api03-0123456789abcdefghijklmnop"),
    ("a", "dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    ("a", "https://discord.com/api/webhooks/0123456789/abcdefghij"),
    ("a", "postgres://app:hunter2hunter2@db.example.com/app"),
];

/// A key and a text that is like a secret and none.
#[rustfmt::skip]
pub const NO_SECRETS: &[(&str, &str)] = &[
    ("existingSecret", "grafana-admin"),
    ("passwordKey", "admin-password"),
    ("secretName", "token"),
    ("proxy_pass", "http://192.168.64.102:9090"),
    ("bypass", "none"),
    ("a", "Bearer authentication"),
    ("a", "Basic authentication is off"),
    ("a", "npm_config_registry_url"),
    ("a", "SG.everything-is-fine.really"),
    ("a", "sk-learn-models-are-served-by-a-service-of-its-own-here"),
    ("a", "enter the password: it is in Vault"),
    ("a", "password = remote.vault.db.data[\"password\"]"),
    ("a", "token_ttl = 3600"),
    ("a", "sum(rate(x{code=\"500\"}[5m])) by (token)"),
    ("a", "--token-file=/run/token"),
    ("a", "--password=$(DB_PASSWORD)"),
    ("a", "password: {{ .Values.password }}"),
    ("a", "https://user@example.com/x:y@z"),
    ("a", "-----BEGIN CERTIFICATE----- MII"),
];
