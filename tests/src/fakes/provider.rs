//! A provider of logins (`OpenID` Connect Core, Discovery, PKCE, RP-initiated logout): one person, one client, and any lie on demand.
//!
//! It is strict where providers are: a code is good once, for the address that it was asked for, with the client's secret and the verifier of its challenge.
//! `/authorize` asks nobody for a password; it shows a page with a link, as a provider that knows its person does, or leads straight back.
//!
//! The RSA key beside it is nobody's.

use super::http::{Fake, Question, Reply};
use crate::clock;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{digest, rand::SecureRandom as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// What the one client is called.
pub const CLIENT: &str = "rackside";
/// Its secret.
pub const SECRET: &str = "hunter2-and-more";

/// In which way ID tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// RS256.
    Rsa,
    /// ES256.
    Ecdsa,
    /// `EdDSA`.
    Ed25519,
    /// Not at all.
    None,
    /// HS256, with the client's secret.
    Secret,
}

/// How it is to be.
#[derive(Debug, Clone)]
pub struct State {
    /// Who logs in: claims beside the standard's.
    pub person: Json,
    /// Claims that the ID token has in place of the right ones.
    pub lies: Json,
    /// Of ID tokens.
    pub signing: Signing,
    /// Spoils each signature.
    pub spoils: bool,
    /// The name of the key; another one is another key to everybody.
    pub key: String,
    /// Whether its keys are shown as they are now. An earlier list is shown otherwise.
    pub shows: bool,
    /// The issuer that its description names, in place of its own.
    pub calls_itself: Option<String>,
    /// What it sends people back with, in place of a code.
    pub refuses: Option<String>,
    /// Claims that only `/userinfo` tells.
    pub userinfo: Json,
    /// Whether it leads straight back, instead of showing a page.
    pub knows: bool,
}

/// A running one.
pub struct Provider {
    /// Its socket and its faults.
    pub fake: Fake,
    state: Arc<Mutex<Inner>>,
}

struct Inner {
    state: State,
    keys: Keys,
    codes: HashMap<String, Asked>,
    shown: Json,
}

/// What was asked for with a code.
struct Asked {
    back: String,
    nonce: String,
    challenge: String,
}

struct Keys {
    rsa: RsaKeyPair,
    ecdsa: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

fn text(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let rsa = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("provider.pem")).expect("a key");
        let ecdsa = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("random");
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).expect("random");
        Self {
            rsa: RsaKeyPair::from_pkcs8(rsa.secret_pkcs8_der()).expect("a key of RSA"),
            ecdsa: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ecdsa.as_ref(), &random)
                .expect("it was made so"),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).expect("it was made so"),
        }
    }

    /// As others see them.
    fn shown(&self, signing: Signing, id: &str) -> Json {
        let mut key = match signing {
            Signing::Ecdsa => {
                // An uncompressed point: 4, x, y.
                let (x, y) = self.ecdsa.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y), "alg": "ES256" })
            }
            Signing::Ed25519 => {
                let x = text(self.ed25519.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA" })
            }
            Signing::Rsa | Signing::None | Signing::Secret => {
                let key = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
                json!({ "kty": "RSA", "n": text(&key.n), "e": text(&key.e), "alg": "RS256" })
            }
        };
        key["kid"] = json!(id);
        key["use"] = json!("sig");
        json!({ "keys": [key] })
    }

    fn signed(&self, state: &State, claims: &Json) -> String {
        let alg = match state.signing {
            Signing::Rsa => "RS256",
            Signing::Ecdsa => "ES256",
            Signing::Ed25519 => "EdDSA",
            Signing::None => "none",
            Signing::Secret => "HS256",
        };
        let head = json!({ "alg": alg, "kid": state.key, "typ": "JWT" });
        let message =
            format!("{}.{}", text(head.to_string().as_bytes()), text(claims.to_string().as_bytes()));
        let random = SystemRandom::new();
        let mut signature = match state.signing {
            Signing::Rsa => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let signed = self.rsa.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature);
                signed.expect("long enough");
                signature
            }
            Signing::Ecdsa => self.ecdsa.sign(&random, message.as_bytes()).expect("random").as_ref().to_vec(),
            Signing::Ed25519 => self.ed25519.sign(message.as_bytes()).as_ref().to_vec(),
            Signing::None => Vec::new(),
            Signing::Secret => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
                ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        };
        if state.spoils {
            signature[7] ^= 1;
        }
        format!("{message}.{}", text(&signature))
    }
}

impl Provider {
    /// One that tells the truth about somebody in the group `crew`.
    pub fn start() -> Self {
        let state = State {
            person: json!({ "preferred_username": "desk", "groups": ["crew"] }),
            lies: json!({}),
            signing: Signing::Rsa,
            spoils: false,
            key: "first".to_owned(),
            shows: true,
            calls_itself: None,
            refuses: None,
            userinfo: json!({}),
            knows: true,
        };
        let inner = Inner { state, keys: Keys::new(), codes: HashMap::new(), shown: Json::Null };
        let inner = Arc::new(Mutex::new(inner));
        let its = Arc::clone(&inner);
        let fake = Fake::start(move |question| {
            let host = question.header("host").unwrap_or_default();
            its.lock().unwrap_or_else(PoisonError::into_inner).answer(&format!("http://{host}"), question)
        });
        Self { fake, state: inner }
    }

    /// Its name.
    pub fn issuer(&self) -> String {
        self.fake.url()
    }

    /// Changes how it is.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).state);
    }

    /// `[web.oidc]` of its client, without grants.
    pub fn table(&self) -> String {
        format!("[web.oidc]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\n", self.issuer())
    }
}

impl Inner {
    fn answer(&mut self, own: &str, question: &Question) -> Reply {
        match question.path.as_str() {
            "/.well-known/openid-configuration" => Reply::json(200, &self.description(own).to_string()),
            "/jwks" => {
                if self.state.shows || self.shown.is_null() {
                    self.shown = self.keys.shown(self.state.signing, &self.state.key);
                }
                Reply::json(200, &self.shown.to_string())
            }
            "/authorize" => self.authorize(own, question),
            "/token" => self.token(own, question).unwrap_or_else(|error| {
                Reply::json(
                    400,
                    &json!({ "error": error, "error_description": "said the provider" }).to_string(),
                )
            }),
            "/userinfo" if question.header("authorization") == Some("Bearer access") => {
                let mut told = self.state.userinfo.clone();
                told["sub"] =
                    self.state.lies.get("userinfo_sub").cloned().unwrap_or_else(|| json!("248289761001"));
                Reply::json(200, &told.to_string())
            }
            _ => Reply::page(404),
        }
    }

    fn description(&self, own: &str) -> Json {
        let itself = self.state.calls_itself.as_deref().unwrap_or(own);
        json!({
            "issuer": itself,
            "authorization_endpoint": format!("{own}/authorize"),
            "token_endpoint": format!("{own}/token"),
            "userinfo_endpoint": format!("{own}/userinfo"),
            "jwks_uri": format!("{own}/jwks"),
            "end_session_endpoint": format!("{own}/logout"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
            "code_challenge_methods_supported": ["S256"],
        })
    }

    fn authorize(&mut self, own: &str, question: &Question) -> Reply {
        let value = |name| decoded(question.value(name).unwrap_or_default());
        let is_right = value("response_type") == "code"
            && value("client_id") == CLIENT
            && value("code_challenge_method") == "S256"
            && value("scope").split(' ').any(|scope| scope == "openid");
        if !is_right {
            return Reply::page(400);
        }
        let (back, state) = (value("redirect_uri"), value("state"));
        let to = if let Some(error) = &self.state.refuses {
            format!("{back}?error={error}&error_description=no+such+luck&state={state}")
        } else {
            let mut code = [0; 16];
            SystemRandom::new().fill(&mut code).expect("random");
            let code = text(&code);
            let to = format!("{back}?code={code}&state={state}&iss={}", encoded(own));
            self.codes
                .insert(code, Asked { back, nonce: value("nonce"), challenge: value("code_challenge") });
            to
        };
        if self.state.knows {
            return Reply::json(302, "{}").with("Location", &to);
        }
        let page = format!(
            "<!DOCTYPE html><title>Provider</title><a id=\"go\" href=\"{}\">It is me</a>",
            to.replace('&', "&amp;")
        );
        Reply { body: page.into_bytes(), ..Reply::page(200) }
    }

    fn token(&mut self, own: &str, question: &Question) -> Result<Reply, &'static str> {
        let login = format!("Basic {}", BASE64.encode(format!("{CLIENT}:{SECRET}").as_bytes()));
        if question.header("authorization") != Some(&login) {
            return Err("invalid_client");
        }
        let fields: HashMap<_, _> = question
            .body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, decoded(value)))
            .collect();
        let field = |name| fields.get(name).map_or("", String::as_str);
        let asked = self.codes.remove(field("code")).ok_or("invalid_grant")?;
        let challenge = text(digest::digest(&digest::SHA256, field("code_verifier").as_bytes()).as_ref());
        if field("grant_type") != "authorization_code"
            || field("redirect_uri") != asked.back
            || challenge != asked.challenge
        {
            return Err("invalid_grant");
        }
        let now = clock::unix_ms() / 1000;
        let mut claims = json!({
            "iss": own, "sub": "248289761001", "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": asked.nonce,
        });
        for more in [&self.state.person, &self.state.lies] {
            for (name, value) in more.as_object().expect("claims are an object") {
                claims[name] = value.clone();
            }
        }
        let token = self.keys.signed(&self.state, &claims);
        let answer =
            json!({ "access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": token });
        Ok(Reply::json(200, &answer.to_string()))
    }
}

/// A value of a form or a query.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex =
            after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
