//! A GitHub App's private key, and the short-lived claim that is signed with it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;
use serde_json::json;

/// GitHub takes a claim for at most ten minutes. With what is taken off below, nine are left.
/// Source: docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App".
const LIFETIME: Duration = Duration::from_mins(9);

/// A claim is dated back, so that it holds where the clock is a little behind; the same page recommends it.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

const NOT_PEM: &str = "there is no PEM block with a private key";
const NOT_RSA: &str = "it is not an RSA key of 2,048 to 4,096 bits";

/// A key that signs as an App.
pub struct AppKey(RsaKeyPair);

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppKey")
    }
}

impl AppKey {
    /// Reads a key in PEM, in either of the two forms that RSA keys come in, or returns what is wrong with it.
    pub fn from_pem(pem: &str) -> Result<Self, &'static str> {
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            Ok(_) => return Err(NOT_RSA),
            Err(_) => return Err(NOT_PEM),
        };
        key.map(Self).map_err(|_| NOT_RSA)
    }

    /// Signs the claim to be the App `id` from `now` on.
    pub(super) fn claim(&self, id: &str, now: SystemTime) -> Result<SecretString, &'static str> {
        let seconds =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({
            "iat": seconds(now).saturating_sub(CLOCK_TOLERANCE.as_secs()),
            "exp": seconds(now + LIFETIME),
            "iss": id,
        });
        let encoded = |value: &[u8]| URL_SAFE_NO_PAD.encode(value);
        let signed =
            format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| "it does not sign")?;
        Ok(format!("{signed}.{}", encoded(&signature)).into())
    }
}
