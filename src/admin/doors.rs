//! Who is let in. Whatever runs in an operator's browser can reach a loopback address, so that alone proves nothing:
//!
//! - A page of a foreign site that points its own name at this address (DNS rebinding) gives itself away by `Host`: only the names
//!   of loopback, those of `ADMIN_HOSTS`, and plain IP addresses, which cannot be rebound, are answered.
//! - A foreign page that asks from its own origin gives itself away by `Sec-Fetch-Site`, which browsers send and pages cannot
//!   change. Without the header it could ask, but never read the answer: nothing here allows other origins.
//! - What changes something is a POST that carries the token, or whose `Origin` is our own together with a header that no form
//!   can send.
//! - With `ADMIN_TOKEN`, everything but the way to log in needs it: as a bearer token, or as the cookie that it was exchanged for.

use std::net::IpAddr;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};

use super::State;
use super::api::problem;
use super::session;

/// The header that what changes something must carry beside our own `Origin`. Its value does not matter.
pub const ORDER_HEADER: &str = "x-crosspage";

/// The header by which somebody says whom they mean: which opening of a database, as [`DatabaseUrl::owner`] tells. Whoever sends none
/// means whoever answers.
///
/// [`DatabaseUrl::owner`]: crate::store::DatabaseUrl::owner
pub const OWNER_HEADER: &str = "x-crosspage-owner";

/// What every answer says to the browser that gets it.
pub(crate) const ANSWER_HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Without any referrer, browsers send no Origin with a form either.
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Lets a request through, or says why not.
pub(super) async fn guard<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let mut response = match admit(&request, &state) {
        Ok(()) => next.call(request).await?.map_into_left_body(),
        Err(Refusal::NotLoggedIn) if wants_page(request.request()) => {
            let to_the_form = HttpResponse::SeeOther().insert_header(("location", "/login")).finish();
            request.into_response(to_the_form).map_into_right_body()
        }
        Err(refusal) => request.into_response(refusal.into_response()).map_into_right_body(),
    };
    for (name, value) in ANSWER_HEADERS {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Whether somebody with a browser wants to see a page, rather than a program an answer.
pub(super) fn wants_page(request: &HttpRequest) -> bool {
    let accepts = text(request.headers(), "accept").is_some_and(|accept| accept.contains("text/html"));
    accepts && !request.path().starts_with("/api/")
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Host,
    Method,
    ForeignSite,
    NotLoggedIn,
    ForeignOrder,
    AnotherOwner,
}

impl Refusal {
    fn into_response(self) -> HttpResponse {
        let (status, code, message) = match self {
            Self::Host => (
                StatusCode::FORBIDDEN,
                "host",
                "this name is not known here: ask by localhost or by IP address, or put the name into ADMIN_HOSTS",
            ),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method", "only GET, HEAD and POST mean something here"),
            Self::ForeignSite => {
                (StatusCode::FORBIDDEN, "origin", "a page of another site has asked for this: open it by itself")
            }
            Self::NotLoggedIn => (
                StatusCode::UNAUTHORIZED,
                "token",
                "show the ADMIN_TOKEN: `Authorization: Bearer …`, or log in with a browser",
            ),
            Self::ForeignOrder => (
                StatusCode::FORBIDDEN,
                "origin",
                "what changes something must carry the token, or our own Origin together with the header X-Crosspage",
            ),
            Self::AnotherOwner => (
                StatusCode::CONFLICT,
                "another_owner",
                "another crosspage is meant: this one has another database than the header X-Crosspage-Owner names",
            ),
        };
        let mut response = problem(status, code, message);
        if self == Self::NotLoggedIn {
            let bearer = HeaderValue::from_static("Bearer realm=\"crosspage\"");
            response.headers_mut().insert(HeaderName::from_static("www-authenticate"), bearer);
        }
        response
    }
}

fn admit(request: &ServiceRequest, state: &State) -> Result<(), Refusal> {
    let headers = request.headers();
    let host = text(headers, "host").unwrap_or_default();
    if !is_known(host, &state.hosts) {
        return Err(Refusal::Host);
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    let path = request.path();
    let shown = state.sessions.as_ref().map(|sessions| sessions.shown(headers));
    if let Some(shown) = &shown
        && !shown.is_enough()
        && !session::is_way_in(path)
    {
        return Err(Refusal::NotLoggedIn);
    }
    if headers
        .get(OWNER_HEADER)
        .is_some_and(|meant| Some(meant.as_bytes()) != state.operator.owner().map(str::as_bytes))
    {
        return Err(Refusal::AnotherOwner);
    }
    // A program that shows the token is no page in a browser.
    if shown.is_some_and(|shown| shown == session::Shown::Token) {
        return Ok(());
    }
    if !is_own_site(headers, reads) {
        return Err(Refusal::ForeignSite);
    }
    let is_own_origin = text(headers, "origin").is_some_and(|origin| is_origin_of(origin, host));
    // The forms to log in and out are plain ones, and change nothing but the visitor's own cookie.
    let is_order = headers.contains_key(ORDER_HEADER) || session::is_form(path);
    if reads || (is_own_origin && is_order) { Ok(()) } else { Err(Refusal::ForeignOrder) }
}

/// Whether we may be asked by that name.
fn is_known(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok() || names.contains(&name)
}

/// Whether the browser, if it is one, says that no other site is behind it. To follow a link to a page is always allowed.
pub(crate) fn is_own_site(headers: &HeaderMap, reads: bool) -> bool {
    match text(headers, "sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        Some(_) => {
            reads
                && text(headers, "sec-fetch-mode") == Some("navigate")
                && text(headers, "sec-fetch-dest") == Some("document")
        }
    }
}

/// Whether a page of that origin came from that host, port included.
pub(crate) fn is_origin_of(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_cannot_be_rebound_are_known() {
        let names = ["pager.example.com".to_owned()];
        for host in [
            "localhost",
            "localhost:5002",
            "LOCALHOST.:1",
            "crosspage.localhost:5002",
            "127.0.0.1:5002",
            "[::1]:5002",
            "10.1.2.3:5002",
            "Pager.Example.com",
            "pager.example.com:443",
        ] {
            assert!(is_known(host, &names), "{host}");
        }
        for host in [
            "",
            "evil.example.com:5002",
            "localhost.evil.example.com",
            "127.0.0.1.evil.example.com",
            "[::1",
            "[evil]:5002",
            "pager.example.com.evil",
            "notlocalhost",
        ] {
            let known = is_known(host, &names);
            // What is left of a bracket that never ends is an address all the same.
            assert_eq!(known, host == "[::1", "{host}");
        }
    }

    #[test]
    fn an_origin_is_ours_with_its_port() {
        for (origin, host, ours) in [
            ("http://localhost:5002", "localhost:5002", true),
            ("https://Pager.example.com", "pager.example.com", true),
            ("http://localhost:5003", "localhost:5002", false),
            ("http://localhost", "localhost:5002", false),
            ("http://localhost:5002.evil.example.com", "localhost:5002", false),
            ("null", "localhost:5002", false),
            ("localhost:5002", "localhost:5002", false),
        ] {
            assert_eq!(is_origin_of(origin, host), ours, "{origin} at {host}");
        }
    }
}
