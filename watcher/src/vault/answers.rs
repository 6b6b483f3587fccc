//! What Vault answers, and what is written to it.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a replica is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no keys yet.
    Uninitialized,
    /// It waits for keys.
    Sealed,
    /// It passes on what it is asked.
    Standby,
    /// It answers.
    Active,
}

/// Reads what a replica answers about its health.
#[must_use]
pub fn standing(health: &Value) -> Option<Standing> {
    let is = |key: &str| health[key].as_bool();
    Some(match (is("initialized")?, is("sealed")?, is("standby")?) {
        (false, ..) => Standing::Uninitialized,
        (_, true, _) => Standing::Sealed,
        (_, _, true) => Standing::Standby,
        _ => Standing::Active,
    })
}

/// How far a replica is unsealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct SealStatus {
    /// Whether it still waits for keys.
    pub sealed: bool,
    /// How many keys it needs.
    #[serde(rename = "t")]
    pub threshold: usize,
    /// How many it has been given.
    pub progress: usize,
}

/// Returns what to write so that a secret has these values beside its others, if it does not have them already; `read` is
/// the answer to reading it. Another writer's change in between is refused by Vault.
#[must_use]
pub fn laid_over(read: &Value, values: &[(&str, &SecretString)]) -> Option<Value> {
    let current = read["data"]["data"].as_object().cloned().unwrap_or_default();
    let mut wanted = current.clone();
    wanted.extend(values.iter().map(|(name, value)| ((*name).to_owned(), value.expose_secret().into())));
    let version = read["data"]["metadata"]["version"].as_u64().unwrap_or(0);
    (wanted != current).then(|| json!({ "options": { "cas": version }, "data": wanted }))
}

/// Returns why Vault refuses.
#[must_use]
pub fn reasons(answer: &Value) -> String {
    let errors = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let reasons = errors.collect::<Vec<_>>().join("; ");
    if reasons.is_empty() { "no reason is given".to_owned() } else { reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_has_is_not_written_again_and_its_other_values_stay() {
        let (token, read) =
            ("t".into(), |data: Value| json!({"data": {"data": data, "metadata": {"version": 3}}}));
        let values = [("token", &token)];
        assert_eq!(laid_over(&read(json!({"token": "t", "x": "y"})), &values), None);
        let write = json!({"options": {"cas": 3}, "data": {"token": "t", "x": "y"}});
        assert_eq!(laid_over(&read(json!({"token": "s", "x": "y"})), &values), Some(write));
        let first = json!({"options": {"cas": 0}, "data": {"token": "t"}});
        assert_eq!(laid_over(&json!({"errors": []}), &values), Some(first));
    }

    #[test]
    fn a_replica_stands_where_its_health_says() {
        let health = |initialized, sealed, standby| json!({"initialized": initialized, "sealed": sealed, "standby": standby});
        assert_eq!(standing(&health(false, true, true)), Some(Standing::Uninitialized));
        assert_eq!(standing(&health(true, true, true)), Some(Standing::Sealed));
        assert_eq!(standing(&health(true, false, true)), Some(Standing::Standby));
        assert_eq!(standing(&health(true, false, false)), Some(Standing::Active));
        assert_eq!(standing(&json!("<html>")), None);
    }
}
