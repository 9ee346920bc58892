//! Who is let in. Whatever runs in a visitor's browser can reach a loopback address, so the page is answered by the names of this
//! machine only (a foreign site may point its own name here), and does nothing that another site has asked for.

use std::net::IpAddr;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};

use crate::admin::doors::{ANSWER_HEADERS, is_origin_of, is_own_site};

/// Lets a request through, or says why not.
pub(super) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let mut response = match refusal(&request) {
        None => next.call(request).await?.map_into_left_body(),
        Some(why) => {
            let response =
                HttpResponse::build(StatusCode::FORBIDDEN).content_type("text/plain; charset=utf-8").body(why);
            request.into_response(response).map_into_right_body()
        }
    };
    for (name, value) in ANSWER_HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}

fn refusal(request: &ServiceRequest) -> Option<&'static str> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_of_this_machine(text("host")) {
        Some("The sandbox is answered by the names of this machine only, such as localhost.")
    } else if !is_own_site(headers, reads) || !(reads || is_origin_of(text("origin"), text("host"))) {
        Some("Another site has asked for this. Open the sandbox by itself.")
    } else {
        None
    }
}

/// Whether a `Host` names this machine to itself, by whatever port.
fn is_of_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_this_machine_are_its_own() {
        for host in
            ["localhost", "localhost:5010", "LocalHost:1", "crosspage.localhost:5010", "127.0.0.1:5010", "[::1]:1"]
        {
            assert!(is_of_this_machine(host), "{host}");
        }
        for host in [
            "",
            ":5010",
            "evil.example.com:5010",
            "localhost.evil.example.com",
            "127.0.0.1.evil.example.com",
            "[::1",
            "10.0.0.1:5010",
            "0.0.0.0:5010",
            "notlocalhost",
        ] {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }
}
