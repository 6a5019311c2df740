//! The bearer token.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use sentinel_core::types::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::problem;

/// Least time between two lines of the log about wrong tokens, since everybody can cause them.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What requests must carry, and when it was last told that one carried another.
pub(super) struct Token {
    hash: [u8; 32],
    told: Mutex<Option<Instant>>,
}

impl Token {
    pub(super) fn new(secret: &Secret) -> Self {
        Token { hash: Sha256::digest(secret.bytes()).into(), told: Mutex::default() }
    }

    /// Compares the hashes, in a time that tells nothing of either.
    fn is(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.hash.ct_eq(&given).into()
    }

    fn is_to_be_told(&self, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.is_none_or(|at| now.duration_since(at) >= TOLD_EVERY);
        if due {
            *told = Some(now);
        }
        due
    }
}

/// Lets a request pass that carries the token.
pub(super) async fn check(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let bearer = given.and_then(|value| {
        let (scheme, rest) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
    });
    if bearer.is_some_and(|given| token.is(given)) {
        return next.run(request).await;
    }
    let text = if given.is_some() {
        if token.is_to_be_told(Instant::now()) {
            tracing::warn!("HTTP: a request carries a wrong token (said once a minute at most)");
        }
        "this token is wrong"
    } else {
        "a token is needed: send `Authorization: Bearer TOKEN`"
    };
    let mut answer = problem(StatusCode::UNAUTHORIZED, text);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}
