//! Signing in on the page: a token is shown once, and a cookie stands for it until it ends. Sessions are kept in memory:
//! after a restart people sign in again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{ConnectInfo, State, rejection::JsonRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::{Role, Token, sha256};

use super::{
    Context,
    caller::Caller,
    errors::Problem,
    openapi::{SERVER, TooLarge},
};

pub(super) const COOKIE: &str = "userdata_session";
const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions that are remembered; of more the oldest end.
const MOST: usize = 10_000;

/// By the hash of their secret: who reads this memory signs in nowhere with it.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

struct Session {
    /// Hash of the token: when that is removed, the session has nothing to stand for.
    token: String,
    ends: Instant,
}

impl Sessions {
    /// Begins one; gives its secret.
    fn begin(&self, token: &Token) -> String {
        let now = Instant::now();
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.ends > now);
        if sessions.len() >= MOST
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.ends).map(|(hash, _)| hash.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(sha256(&secret), Session { token: token.sha256.clone(), ends: now + LASTS });
        secret
    }

    /// Hash of the token that a request's cookie stands for.
    pub fn token(&self, headers: &HeaderMap) -> Option<String> {
        let secret = cookie(headers)?;
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions
            .get(&sha256(secret))
            .filter(|session| session.ends > Instant::now())
            .map(|session| session.token.clone())
    }

    fn end(&self, headers: &HeaderMap) {
        if let Some(secret) = cookie(headers) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&sha256(secret));
        }
    }
}

/// The session's cookie; HTTP/2 may send cookies in several headers.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// As the browser keeps it: out of reach of scripts, and sent by our own page alone.
fn set_cookie(context: &Context, value: &str, lasts: Duration) -> HeaderValue {
    let server = &context.config.server;
    let public = server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    let secure = if public || server.tls.is_some() { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", lasts.as_secs());
    // Hexadecimal digits fit into any header.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// A token to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    token: String,
}

/// Signs in: the answer's cookie stands for the token.
#[utoipa::path(post, path = "/session", operation_id = "sign_in", tag = SERVER, request_body = SignIn,
    responses((status = 204, headers(("set-cookie" = String))), TooLarge))]
pub(super) async fn begin(
    State(context): State<Context>,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    asked: Result<Json<SignIn>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(SignIn { token }) = asked.map_err(|_| {
        Problem::bad_request("bad_body", "signing in takes a JSON object with the token")
            .next("send {\"token\": \"…\"} with Content-Type: application/json")
    })?;
    if !context.access.tokens.needed() {
        return Err(Problem::bad_request(
            "no_tokens",
            "this server has no tokens: whoever reaches it may do everything",
        )
        .next("go on without signing in"));
    }
    let token = context.access.judge(peer, token.trim())?;
    if token.role == Role::Worker {
        let text = format!("the token \"{}\" is a worker's: it reads contents and opens no page", token.name);
        return Err(Problem::new(StatusCode::FORBIDDEN, "role_too_small", text)
            .next("use a token with the role upload, read or admin"));
    }
    let secret = context.access.sessions.begin(&token);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(&context, &secret, LASTS))]).into_response())
}

/// Who the caller is.
#[derive(Serialize, ToSchema)]
pub(super) struct Who {
    /// The token's, or `local` where there are none; null of a stranger.
    name: Option<String>,
    role: Option<Role>,
    signed_in: bool,
    /// Whether this server wants tokens at all.
    tokens_needed: bool,
}

/// Who the caller is.
#[utoipa::path(get, path = "/session", operation_id = "who", tag = SERVER, responses((status = 200, body = Who)))]
pub(super) async fn show(State(context): State<Context>, caller: Option<Caller>) -> Json<Who> {
    let tokens_needed = context.access.tokens.needed();
    let signed_in = tokens_needed && caller.is_some();
    let (name, role) = caller.map(|caller| (caller.name, caller.role)).unzip();
    Json(Who { name, role, signed_in, tokens_needed })
}

/// Signs out.
#[utoipa::path(delete, path = "/session", operation_id = "sign_out", tag = SERVER, responses((status = 204)))]
pub(super) async fn end(State(context): State<Context>, headers: HeaderMap) -> Response {
    context.access.sessions.end(&headers);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(&context, "", Duration::ZERO))]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token { name: "x".into(), sha256: sha256("x"), role: Role::Read }
    }

    fn with_cookie(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn a_session_is_found_by_its_cookie_among_others_until_it_ends() {
        let sessions = Sessions::default();
        let secret = sessions.begin(&token());
        let mut headers = with_cookie("theme=dark");
        headers.append(header::COOKIE, HeaderValue::from_str(&format!("a=b; {COOKIE}={secret}")).unwrap());
        assert_eq!(sessions.token(&headers), Some(sha256("x")));
        for other in ["", "0", &sha256(&secret)] {
            assert_eq!(sessions.token(&with_cookie(&format!("{COOKIE}={other}"))), None);
        }
        sessions.end(&headers);
        assert_eq!(sessions.token(&headers), None);
    }

    #[test]
    fn many_sessions_take_no_more_memory_and_the_oldest_end_first() {
        let sessions = Sessions::default();
        let first = sessions.begin(&token());
        let last = (0..MOST).map(|_| sessions.begin(&token())).last().unwrap();
        assert_eq!(sessions.0.lock().unwrap().len(), MOST);
        assert_eq!(sessions.token(&with_cookie(&format!("{COOKIE}={first}"))), None);
        assert!(sessions.token(&with_cookie(&format!("{COOKIE}={last}"))).is_some());
    }
}
