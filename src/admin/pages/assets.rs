//! What pages are made of beside HTML. It is compiled in, so that the dashboard works wherever crosspage does.

use actix_web::{HttpResponse, web};

const ASSETS: [(&str, &str, &str); 4] = [
    ("crosspage.css", "text/css; charset=utf-8", include_str!("../../assets/crosspage.css")),
    ("dashboard.css", "text/css; charset=utf-8", include_str!("../../assets/dashboard.css")),
    ("dashboard.js", "text/javascript; charset=utf-8", include_str!("../../assets/dashboard.js")),
    ("crosspage.svg", "image/svg+xml", include_str!("../../assets/crosspage.svg")),
];

pub(super) async fn asset(name: web::Path<String>) -> HttpResponse {
    match ASSETS.iter().find(|(known, ..)| *known == name.as_str()) {
        Some((_, kind, content)) => HttpResponse::Ok().content_type(*kind).body(*content),
        None => super::nothing_here(),
    }
}
