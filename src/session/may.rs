//! Who may make a request: by the host it is for, the page it comes from, and the token it shows.

use std::borrow::Cow;

use super::Context;
use crate::access::{Grant, Right};
use crate::http::route::{Role, Route};
use crate::http::status::Refusal;
use crate::http::{Request, origin};

/// What everybody is granted where no token counts.
const ALL: Grant = Grant {
    may_publish: true,
    expires: None,
};

/// Which hosts a request may be for. Those who operate the server, and probes, ask by whatever name they have for it.
pub(super) fn check_host(
    request: &Request<'_>,
    route: &Route<'_>,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let is_served = context.role == Role::Admin
        || matches!(route, Route::Health | Route::Readiness)
        || context.config.access.allows_host(request.host());
    match is_served {
        true => Ok(()),
        false => Err(Refusal::OtherHost),
    }
}

/// Which pages may use a resource: the server's own and listed ones. The page's files are for everybody.
pub(super) fn check_origin<'a>(
    request: &Request<'a>,
    route: &Route<'_>,
    context: &Context<'_>,
) -> Result<Option<&'a [u8]>, Refusal> {
    let allowed_origins = context.config.network.allowed_origins();
    match route {
        Route::WebSocket(_) | Route::Echo | Route::Events(_) | Route::Publish(_) => {
            let access = origin::check(request, allowed_origins)?;
            Ok(access.listed_origin())
        }
        // What a page of another origin may not do, its browser tells it best by itself.
        _ if request.path.starts_with("/room") => Ok(origin::find_listed(request, allowed_origins)),
        _ => Ok(None),
    }
}

/// What the token of a request allows, where tokens count: listening, publishing and the echo. The page's files are for
/// everybody, and a preflight never has a token.
pub(super) fn check_token(
    request: &Request<'_>,
    route: &Route<'_>,
    context: &Context<'_>,
) -> Result<Grant, Refusal> {
    if context.access.is_open() {
        return Ok(ALL);
    }
    let (room, right) = match *route {
        Route::WebSocket(room) | Route::Events(room) => (room, Some(Right::Listen)),
        Route::Publish(room) => (room, Some(Right::Publish)),
        Route::Echo => ("", None),
        _ => return Ok(ALL),
    };
    let token = find_token(request)?;
    let now = context.date.unix_seconds();
    context.access.check(token.as_deref(), room, right, now)
}

/// The token that a request shows: in its header (RFC 6750 §2.1), else in its query. Another scheme of authorization is
/// for somebody in between.
fn find_token<'a>(request: &Request<'a>) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
    const NAME: &str = "authorization";
    if request.values(NAME).count() > 1 {
        return Err(Refusal::BadToken);
    }
    if let Some(token) = request.only_value(NAME).and_then(bearer_token) {
        return Ok(Some(Cow::Borrowed(token)));
    }
    let token = request.query.text("token")?;
    Ok(token.map(|token| match token {
        Cow::Borrowed(token) => Cow::Borrowed(token.as_bytes()),
        Cow::Owned(token) => Cow::Owned(token.into_bytes()),
    }))
}

/// What follows the scheme, if it is this one, without regard to case (RFC 9110 §11.1).
fn bearer_token(credentials: &[u8]) -> Option<&[u8]> {
    let len = credentials.iter().position(|&byte| byte == b' ');
    let (scheme, token) = credentials.split_at(len.unwrap_or(credentials.len()));
    scheme
        .eq_ignore_ascii_case(b"bearer")
        .then(|| token.trim_ascii())
}
