//! Logging in. A browser exchanges the token for a cookie that holds no secret: when it expires, signed with a key that is made
//! from the token. Whoever changes the token ends all sessions, and a restart ends none.

use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tracing::{info, warn};

use super::State;
use super::api::problem;
use super::doors::wants_page;
use super::pages;
use crate::clock::now;
use crate::engine::Timestamp;

const COOKIE: &str = "crosspage_session";

/// How long somebody who has logged in need not do it again.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// The paths that need no token.
pub(super) fn is_way_in(path: &str) -> bool {
    path == "/login" || path.starts_with("/assets/")
}

/// The paths that plain forms are posted to.
pub(super) fn is_form(path: &str) -> bool {
    path == "/login" || path == "/logout"
}

/// Where one logs in and out.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/login").route(web::get().to(way_in)).route(web::post().to(log_in)))
        .service(web::resource("/logout").route(web::post().to(log_out)));
}

/// What a visitor has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing that counts.
    Nothing,
    /// The token itself.
    Token,
    /// A cookie that the token was exchanged for.
    Cookie,
}

impl Shown {
    pub(super) fn is_enough(self) -> bool {
        self != Self::Nothing
    }
}

/// Who has logged in.
pub(super) struct Sessions {
    token: SecretString,
}

impl Sessions {
    pub(super) fn new(token: SecretString) -> Self {
        Self { token }
    }

    pub(super) fn shown(&self, headers: &HeaderMap) -> Shown {
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if bearer.is_some_and(|token| self.is_token(token.trim())) {
            return Shown::Token;
        }
        let cookies =
            headers.get_all("cookie").filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
        let mut sessions = cookies.filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        if sessions.any(|session| self.is_valid(session, now())) { Shown::Cookie } else { Shown::Nothing }
    }

    fn is_token(&self, text: &str) -> bool {
        text.as_bytes().ct_eq(self.token.expose_secret().as_bytes()).into()
    }

    fn session(&self, until: Timestamp) -> String {
        let until = until.as_millis().to_string();
        let signature: String =
            self.sign(&until).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{until}.{signature}")
    }

    fn is_valid(&self, session: &str, now: Timestamp) -> bool {
        let Some((until, signature)) = session.split_once('.') else { return false };
        let signed = hex(signature).is_some_and(|signature| self.sign(until).verify_slice(&signature).is_ok());
        signed && until.parse().is_ok_and(|until| now < Timestamp::from_millis(until))
    }

    fn sign(&self, until: &str) -> Hmac<Sha256> {
        // A key may have any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.token.expose_secret().as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(b"crosspage session until ");
        mac.update(until.as_bytes());
        mac
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn way_in(state: web::Data<State>) -> HttpResponse {
    match &state.sessions {
        Some(_) => pages::login(StatusCode::OK, None),
        None => HttpResponse::SeeOther().insert_header(("location", "/")).finish(),
    }
}

async fn log_in(request: HttpRequest, state: web::Data<State>, form: web::Form<Login>) -> HttpResponse {
    let Some(sessions) = &state.sessions else {
        return HttpResponse::SeeOther().insert_header(("location", "/")).finish();
    };
    let from = request.peer_addr().map(|address| address.ip().to_string());
    if !sessions.is_token(form.token.trim()) {
        warn!(from, "somebody has tried to log in with a wrong token");
        const WRONG: &str = "this is not the ADMIN_TOKEN";
        if wants_page(&request) {
            return pages::login(StatusCode::UNAUTHORIZED, Some(WRONG));
        }
        return problem(StatusCode::UNAUTHORIZED, "token", WRONG);
    }
    info!(from, "an operator has logged in");
    let session = sessions.session(now().plus(SESSION));
    // Behind a proxy that ends TLS the cookie must never travel in clear.
    let secure = request.headers().get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let age = CookieDuration::seconds(i64::try_from(SESSION.as_secs()).unwrap_or(i64::MAX));
    HttpResponse::SeeOther().insert_header(("location", "/")).cookie(cookie(session, secure, age)).finish()
}

async fn log_out() -> HttpResponse {
    let gone = cookie(String::new(), false, CookieDuration::ZERO);
    HttpResponse::SeeOther().insert_header(("location", "/login")).cookie(gone).finish()
}

fn cookie(value: String, secure: bool, age: CookieDuration) -> Cookie<'static> {
    Cookie::build(COOKIE, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(secure)
        .max_age(age)
        .finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn shown(sessions: &Sessions, name: &'static str, value: &str) -> Shown {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        sessions.shown(&headers)
    }

    #[test]
    fn a_session_lasts_until_its_time_and_is_worth_nothing_with_another_token() {
        let sessions = Sessions::new("a long random text".into());
        let (now, until) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        let session = sessions.session(until);
        assert!(sessions.is_valid(&session, now));
        assert!(!sessions.is_valid(&session, until));
        assert!(!Sessions::new("another random text".into()).is_valid(&session, now));
        let later = session.replacen("2000", "9000", 1);
        assert!(!sessions.is_valid(&later, now), "its end is signed");
        for broken in ["", ".", "2000", "2000.", "2000.zz", "2000.ä", &session[..session.len() - 2]] {
            assert!(!sessions.is_valid(broken, now), "{broken}");
        }
        assert!(!session.contains("random"));
    }

    #[test]
    fn the_token_is_shown_in_a_header_or_by_its_cookie() {
        let sessions = Sessions::new("a-long-random-text".into());
        assert_eq!(shown(&sessions, "authorization", "Bearer a-long-random-text"), Shown::Token);
        for wrong in ["Bearer a-long-random-tex", "Bearer ", "a-long-random-text", "Basic a-long-random-text"] {
            assert_eq!(shown(&sessions, "authorization", wrong), Shown::Nothing, "{wrong}");
        }
        let session = sessions.session(now().plus(SESSION));
        let cookies = format!("theme=dark; {COOKIE}=old.00; {COOKIE}={session}");
        assert_eq!(shown(&sessions, "cookie", &cookies), Shown::Cookie);
        assert_eq!(shown(&sessions, "cookie", &format!("{COOKIE}=a-long-random-text")), Shown::Nothing);
    }
}
