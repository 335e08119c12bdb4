//! What the hub is to a provider, and the steps of a login: each either asks the provider once or is pure.
//!
//! The crate `openidconnect` knows the messages and checks ID tokens; which algorithms, how much of a difference between clocks and which errors are
//! decided here. A secret that both sides share (HS256) signs nothing for us: whoever has it could make anybody's token.

use crate::Claims;
use crate::error::{LoginError, TokenFault, tame};
use chrono::{DateTime, Duration, Utc};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreIdTokenVerifier, CoreJsonWebKey, CoreJsonWebKeySet,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::http::{Request, StatusCode, header};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthType, AuthorizationCode, ClaimsVerificationError, Client,
    ClientId, ClientSecret, CsrfToken, DiscoveryError, EmptyExtraTokenFields, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IdToken, IdTokenFields, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
};
use rackside_access::Begun;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::error::Error;
use std::fmt;

/// Two clocks that are kept differ by less.
const LEEWAY: i64 = 60;
/// Signatures that are believed: by keys of which we have the public half alone.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Claims beyond the standard's, whatever they are.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
struct Rest(Map<String, Json>);

impl AdditionalClaims for Rest {}

type Fields = IdTokenFields<
    Rest,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Answer = StandardTokenResponse<Fields, CoreTokenType>;
type Told = StandardErrorResponse<CoreErrorResponseType>;
type Relying = Client<
    Rest,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    Told,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;
type Token = IdToken<Rest, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// What the hub is to a provider.
#[derive(Debug, Clone)]
pub struct Registration {
    issuer: IssuerUrl,
    client_id: ClientId,
    secret: Option<ClientSecret>,
    scopes: Vec<String>,
}

/// What a provider says of itself, with its keys.
#[derive(Debug, Clone)]
pub struct Known(ProviderMetadataWithLogout);

/// What a code was exchanged for. Not believed yet.
pub struct Redeemed {
    token: Token,
    access: String,
}

impl fmt::Debug for Redeemed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redeemed(..)")
    }
}

/// An error with what stands behind it.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(source) = at {
        text = format!("{text}: {source}");
        at = source.source();
    }
    tame(&text)
}

fn discovery<E: Error + 'static>(what: &'static str, error: DiscoveryError<E>) -> LoginError {
    match error {
        DiscoveryError::Request(error) => LoginError::Unreachable(what, whole(&error)),
        DiscoveryError::Response(status, ..) => LoginError::Unreadable(
            what,
            format!("it answers {}; check `issuer` in [web.oidc]", status.as_u16()),
        ),
        error => LoginError::Unreadable(what, whole(&error)),
    }
}

fn redemption<E: Error + 'static>(error: RequestTokenError<E, Told>) -> LoginError {
    const WHAT: &str = "token endpoint";
    match error {
        RequestTokenError::ServerResponse(told) => {
            let said = tame(told.error().as_ref());
            match told.error() {
                CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                    LoginError::Client(said)
                }
                CoreErrorResponseType::InvalidGrant => LoginError::Code,
                _ => {
                    let more = told.error_description().map(|more| format!(": {}", tame(more)));
                    LoginError::Refused(format!("{said}{}", more.unwrap_or_default()))
                }
            }
        }
        RequestTokenError::Request(error) => LoginError::Unreachable(WHAT, whole(&error)),
        // What came is kept in it, a token perhaps: where it went wrong is told, and nothing of what.
        RequestTokenError::Parse(error, _) => {
            LoginError::Unreadable(WHAT, format!("its answer cannot be read at `{}`", error.path()))
        }
        RequestTokenError::Other(why) => LoginError::Unreadable(WHAT, tame(&why)),
    }
}

fn verification(error: ClaimsVerificationError) -> TokenFault {
    match error {
        ClaimsVerificationError::Expired(why) => TokenFault::Expired(tame(&why)),
        ClaimsVerificationError::InvalidAudience(why) => TokenFault::Audience(tame(&why)),
        ClaimsVerificationError::InvalidIssuer(why) => TokenFault::Issuer(tame(&why)),
        ClaimsVerificationError::InvalidNonce(_) => TokenFault::Nonce,
        ClaimsVerificationError::SignatureVerification(error) => match error {
            SignatureVerificationError::NoMatchingKey => TokenFault::UnknownKey,
            SignatureVerificationError::NoSignature => TokenFault::Algorithm("none".to_owned()),
            SignatureVerificationError::DisallowedAlg(why)
            | SignatureVerificationError::UnsupportedAlg(why) => TokenFault::Algorithm(tame(&why)),
            SignatureVerificationError::CryptoError(_) => TokenFault::Signature,
            other => TokenFault::Other(whole(&other)),
        },
        other => TokenFault::Other(whole(&other)),
    }
}

impl Registration {
    /// With the provider of this name; or why it can be none. `openid` is asked for in any case.
    pub fn new(
        issuer: &str,
        client_id: &str,
        secret: Option<&str>,
        scopes: &[String],
    ) -> Result<Self, String> {
        let url = IssuerUrl::new(issuer.to_owned()).map_err(|_| "is no URL".to_owned())?;
        if url.url().query().is_some() || url.url().fragment().is_some() {
            return Err("ends with its path: without ? and #".to_owned());
        }
        Ok(Self {
            issuer: url,
            client_id: ClientId::new(client_id.to_owned()),
            secret: secret.map(|secret| ClientSecret::new(secret.to_owned())),
            scopes: scopes.iter().filter(|scope| *scope != "openid").cloned().collect(),
        })
    }

    /// The provider's name.
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Asks the provider what it is, and for its keys.
    pub async fn discover<C>(&self, client: &C) -> Result<Known, LoginError>
    where
        C: for<'c> AsyncHttpClient<'c>,
        for<'c> <C as AsyncHttpClient<'c>>::Error: Error + 'static,
    {
        let found = ProviderMetadataWithLogout::discover_async(self.issuer.clone(), client).await;
        let known = found.map_err(|error| match error {
            // It says both, in words of its own; ours are told.
            DiscoveryError::Validation(said) => {
                let its = said.split('`').nth(1).unwrap_or_default();
                LoginError::Issuer(self.issuer().to_owned(), tame(its))
            }
            error => discovery("description", error),
        })?;
        if known.token_endpoint().is_none() {
            return Err(LoginError::NoTokens);
        }
        Ok(Known(known))
    }

    /// Asks for its keys anew.
    pub async fn renew<C>(&self, known: &Known, client: &C) -> Result<Known, LoginError>
    where
        C: for<'c> AsyncHttpClient<'c>,
        for<'c> <C as AsyncHttpClient<'c>>::Error: Error + 'static,
    {
        let keys = CoreJsonWebKeySet::fetch_async(known.0.jwks_uri(), client).await;
        Ok(Known(known.0.clone().set_jwks(keys.map_err(|error| discovery("keys", error))?)))
    }

    fn relying(&self, known: &Known) -> Relying {
        let client =
            Client::from_provider_metadata(known.0.clone(), self.client_id.clone(), self.secret.clone());
        // Without a word of it the header is meant.
        let methods = known.0.token_endpoint_auth_methods_supported();
        let takes = |method| methods.is_none_or(|methods| methods.contains(&method));
        let by_header =
            takes(CoreClientAuthMethod::ClientSecretBasic) || !takes(CoreClientAuthMethod::ClientSecretPost);
        client.set_auth_type(if by_header { AuthType::BasicAuth } else { AuthType::RequestBody })
    }

    /// Where a browser goes to log in; it comes back to `back`.
    pub fn way(&self, known: &Known, begun: &Begun, back: &str) -> Result<String, LoginError> {
        let (state, nonce) = (begun.state(), begun.nonce());
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(begun.verifier()));
        let client = self.relying(known).set_redirect_uri(returning(back)?);
        let request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(state),
                || Nonce::new(nonce),
            )
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        Ok(request.url().0.to_string())
    }

    /// Exchanges the code that came back for an ID token.
    pub async fn redeem<C>(
        &self,
        known: &Known,
        begun: &Begun,
        code: &str,
        back: &str,
        client: &C,
    ) -> Result<Redeemed, LoginError>
    where
        C: for<'c> AsyncHttpClient<'c>,
        for<'c> <C as AsyncHttpClient<'c>>::Error: Error + 'static,
    {
        let relying = self.relying(known).set_redirect_uri(returning(back)?);
        let exchange = relying.exchange_code(AuthorizationCode::new(code.to_owned()));
        let exchange = exchange.map_err(|_| LoginError::NoTokens)?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(begun.verifier()));
        let answer = exchange.request_async(client).await.map_err(redemption)?;
        let token = answer.id_token().ok_or(LoginError::NoIdToken)?.clone();
        Ok(Redeemed { token, access: answer.access_token().secret().clone() })
    }

    /// What it vouches for, if it can be believed at `now`, in milliseconds since 1970.
    pub fn vouched(
        &self,
        known: &Known,
        redeemed: &Redeemed,
        begun: &Begun,
        now: i64,
    ) -> Result<Claims, LoginError> {
        let now = DateTime::from_timestamp_millis(now).unwrap_or_default();
        let verifier = CoreIdTokenVerifier::new_public_client(
            self.client_id.clone(),
            self.issuer.clone(),
            known.0.jwks().clone(),
        )
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || now - Duration::seconds(LEEWAY));
        let claims = redeemed.token.claims(&verifier, &Nonce::new(begun.nonce()));
        let claims = claims.map_err(|error| LoginError::Token(verification(error)))?;
        check_begins(claims.issue_time(), claims.additional_claims(), now)?;
        if claims.subject().is_empty() {
            return Err(LoginError::Token(TokenFault::Other("its subject is empty".to_owned())));
        }
        match serde_json::to_value(claims) {
            Ok(Json::Object(claims)) => Ok(Claims::from(claims)),
            _ => Err(LoginError::Token(TokenFault::Other("its claims are no object".to_owned()))),
        }
    }

    /// Asks for what the ID token does not hold, where the provider has a page about people.
    pub async fn completed<C>(
        &self,
        known: &Known,
        redeemed: &Redeemed,
        mut claims: Claims,
        client: &C,
    ) -> Result<Claims, LoginError>
    where
        C: for<'c> AsyncHttpClient<'c>,
        for<'c> <C as AsyncHttpClient<'c>>::Error: Error + 'static,
    {
        const WHAT: &str = "user information";
        let Some(page) = known.0.userinfo_endpoint() else { return Ok(claims) };
        let request = Request::get(page.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", redeemed.access))
            .body(Vec::new())
            .map_err(|_| LoginError::Unreadable(WHAT, "the access token fits into no header".to_owned()))?;
        let answer = client.call(request).await;
        let answer = answer.map_err(|error| LoginError::Unreachable(WHAT, whole(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(LoginError::Unreadable(WHAT, format!("it answers {}", answer.status().as_u16())));
        }
        let more: Map<String, Json> = serde_json::from_slice(answer.body())
            .map_err(|_| LoginError::Unreadable(WHAT, "it is no JSON object".to_owned()))?;
        if more.get("sub").and_then(Json::as_str) != claims.text("sub") {
            return Err(LoginError::OtherSubject);
        }
        claims.complete(more);
        Ok(claims)
    }

    /// Where a browser goes to log out of the provider as well, if it has such a place; from there it comes back to `back`.
    pub fn way_out(&self, known: &Known, back: &str) -> Option<String> {
        let place = known.0.additional_metadata().end_session_endpoint.clone()?;
        let back = PostLogoutRedirectUrl::new(back.to_owned()).ok()?;
        let request = LogoutRequest::from(place).set_client_id(self.client_id.clone());
        Some(request.set_post_logout_redirect_uri(back).http_get_url().to_string())
    }
}

fn returning(back: &str) -> Result<RedirectUrl, LoginError> {
    RedirectUrl::new(back.to_owned())
        .map_err(|_| LoginError::Refused(format!("{:?} is no address to come back to", tame(back))))
}

/// Nobody's token is of a later time than now; `openidconnect` looks at its end alone.
fn check_begins(made: DateTime<Utc>, rest: &Rest, now: DateTime<Utc>) -> Result<(), LoginError> {
    let begins = rest.0.get("nbf").and_then(Json::as_i64).unwrap_or(i64::MIN);
    let ahead = made.timestamp().max(begins).saturating_sub(now.timestamp());
    if ahead > LEEWAY { Err(LoginError::Token(TokenFault::Early(ahead))) } else { Ok(()) }
}
