//! Who asks, and what they may see and do. A request shows a token (as Bearer or as the password of HTTP Basic), or the
//! cookie of a session that began with one; without any token configured everybody is this machine's own user.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    config::{self, Network, Role, Token, sha256},
    error::Result,
    upload::UploadId,
};

use super::{Context, attempts::Attempts, errors::Problem, session::Sessions, tokens::Tokens, uploads};

/// What every token begins with that `userdata token` makes, and how long such a one is: nobody can guess it.
const MADE: &str = "ud_";
const MADE_CHARACTERS: usize = MADE.len() + 64;

/// A new token: 256 random bits.
pub fn new_token() -> String {
    let bits = rand::random::<[u8; 32]>();
    format!("{MADE}{}", bits.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The token's name; `local` where there are no tokens, the address of one that `server.open_to` lets in.
    pub name: String,
    pub role: Role,
}

impl Caller {
    /// Uploads are sent by the roles upload and admin.
    pub fn may_send(&self) -> Result<(), Problem> {
        match self.role {
            Role::Upload | Role::Admin => Ok(()),
            Role::Read | Role::Worker => Err(self.too_small("send or change uploads", "upload or admin")),
        }
    }

    /// Whether this sender's uploads are there for the caller.
    pub fn sees(&self, sender: &str) -> bool {
        match self.role {
            Role::Admin | Role::Read => true,
            Role::Upload => self.name == sender,
            Role::Worker => false,
        }
    }

    /// The sender whose uploads are the only ones there for the caller.
    pub fn sees_only(&self) -> Option<&str> {
        matches!(self.role, Role::Upload | Role::Worker).then_some(&self.name)
    }

    /// Of an upload that the caller does not see nothing tells that it is there.
    pub fn check_sees(&self, id: UploadId, sender: &str) -> Result<(), Problem> {
        if self.sees(sender) { Ok(()) } else { Err(Problem::no_such_upload(id).of(id)) }
    }

    /// Retry, again, cancel: the sender itself and admins.
    pub fn may_change(&self, id: UploadId, sender: &str) -> Result<(), Problem> {
        self.check_sees(id, sender)?;
        self.may_send()
    }

    /// Rejects and receipt: the sender itself and admins.
    pub fn may_read_rows(&self, id: UploadId, sender: &str) -> Result<(), Problem> {
        self.check_sees(id, sender)?;
        if self.role == Role::Admin || self.name == sender {
            return Ok(());
        }
        Err(self.too_small("read rows that others sent", "admin, or the sender's own"))
    }

    /// The original's bytes: also workers.
    pub fn may_read_content(&self, id: UploadId, sender: &str) -> Result<(), Problem> {
        if self.role == Role::Worker { Ok(()) } else { self.may_read_rows(id, sender) }
    }

    fn too_small(&self, what: &str, roles: &str) -> Problem {
        let text = format!("the token \"{}\" has the role {} and may not {what}", self.name, self.role);
        Problem::new(StatusCode::FORBIDDEN, "role_too_small", text).next(format!("use a token with the role {roles}"))
    }
}

impl FromRequestParts<Context> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(token_needed)
    }
}

impl OptionalFromRequestParts<Context> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

fn token_needed() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token_needed", "this needs an access token, and the request shows none")
        .next("sign in on the page, or send Authorization: Bearer TOKEN; an operator makes one: userdata token add NAME --role upload")
}

/// What is known of tokens and of those who show them.
pub(super) struct Access {
    pub tokens: Tokens,
    pub sessions: Sessions,
    attempts: Attempts,
    open_to: Vec<Network>,
}

impl Access {
    /// `Fatal` (`configuration`) where the token file cannot be read.
    pub fn open(server: &config::Server) -> Result<Self> {
        let tokens = Tokens::open(server)?;
        Ok(Self {
            tokens,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            open_to: server.open_to.clone(),
        })
    }

    /// The token that was shown. Who has shown too many wrong ones waits, whatever he shows; but a token that this
    /// program made can't be guessed, and its bearer does not pay for others behind the same address.
    pub fn judge(&self, peer: SocketAddr, shown: &str) -> Result<Token, Problem> {
        let made_here = shown.starts_with(MADE) && shown.len() == MADE_CHARACTERS;
        let exhausted = self.attempts.exhausted(peer.ip());
        if let Some(token) = self.tokens.with_hash(&sha256(shown)).filter(|_| made_here || !exhausted) {
            return Ok(token);
        }
        if exhausted {
            let text = format!("too many wrong tokens came from {}", peer.ip().to_canonical());
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_tokens", text)
                .next("wait a minute, then try again with the right one"));
        }
        self.attempts.wrong(peer.ip());
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "unknown_token",
            "the token shown is not one that this server knows",
        )
        .next("look for a typing error; an operator sees the names of all tokens: userdata token list"))
    }

    /// Who sends this; `None` for a stranger. A wrong token is refused.
    pub fn caller(&self, request: &Request) -> Result<Option<Caller>, Problem> {
        if !self.tokens.needed() {
            return Ok(Some(Caller { name: "local".into(), role: Role::Admin }));
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        let headers = request.headers();
        if headers.contains_key(header::AUTHORIZATION) {
            let shown = shown(headers).ok_or_else(|| {
                Problem::new(StatusCode::UNAUTHORIZED, "unknown_token", "the header Authorization holds no token")
                    .next("send Authorization: Bearer TOKEN, or the token as password (curl -u any:TOKEN)")
            })?;
            let peer = peer.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
            return self.judge(peer, &shown).map(|token| Some(token.into()));
        }
        let signed_in = self.sessions.token(headers).and_then(|hash| self.tokens.with_hash(&hash));
        let open = || {
            let original = request.method() == Method::POST && request.uri().path() == "/upload";
            let address = peer.filter(|_| original)?.ip();
            let known = self.open_to.iter().any(|network| network.contains(address));
            known.then(|| Caller { name: address.to_canonical().to_string(), role: Role::Upload })
        };
        Ok(signed_in.map(Caller::from).or_else(open))
    }
}

impl From<Token> for Caller {
    fn from(token: Token) -> Self {
        Self { name: token.name, role: token.role }
    }
}

/// The token of the header Authorization.
fn shown(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// Lets nobody through without a token, and a worker to contents alone.
pub(super) async fn needed(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    // What a server can do is no secret (tus asks for it before it sends anything).
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let allowed = context.access.caller(&request).and_then(|caller| {
        let caller = caller.ok_or_else(token_needed)?;
        let path = request.uri().path();
        let content = path.starts_with("/uploads/") && path.ends_with("/content");
        if caller.role == Role::Worker && !content {
            return Err(caller.too_small("do this: it reads contents and nothing else", "upload, read or admin"));
        }
        Ok(caller)
    });
    match allowed {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => {
            // A client that waits for 100 Continue is told before it sends anything.
            if !request.headers().contains_key(header::EXPECT) {
                context.background.spawn(uploads::drain(request.into_body().into_data_stream()));
            }
            problem.into_response()
        }
    }
}

/// Lets strangers through, and knows who is none.
pub(super) async fn if_shown(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    match context.access.caller(&request) {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
