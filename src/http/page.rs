//! The chat page: the files of `web/`, embedded when the binary is built.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha1::{Digest, Sha1};

use super::status::Status;
use super::{Date, Request, Response};

/// What the page may load and do: its own files and its own server, nothing inline, in nobody's frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file of the page.
#[derive(Debug)]
pub struct Asset {
    path: &'static str,
    content_type: &'static str,
    /// The file's bytes.
    pub body: &'static [u8],
    etag: String,
}

static ASSETS: LazyLock<[Asset; 6]> = LazyLock::new(|| {
    [
        Asset::new(
            "/",
            "text/html; charset=utf-8",
            include_bytes!("../../web/index.html"),
        ),
        Asset::new(
            "/style.css",
            "text/css; charset=utf-8",
            include_bytes!("../../web/style.css"),
        ),
        Asset::new(
            "/chat.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../web/chat.js"),
        ),
        Asset::new(
            "/connection.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../web/connection.js"),
        ),
        Asset::new(
            "/log.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../web/log.js"),
        ),
        Asset::new(
            "/icon.svg",
            "image/svg+xml",
            include_bytes!("../../web/icon.svg"),
        ),
    ]
});

impl Asset {
    fn new(path: &'static str, content_type: &'static str, body: &'static [u8]) -> Self {
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha1::digest(body)));
        Self {
            path,
            content_type,
            body,
            etag,
        }
    }

    /// The file served at `path`.
    pub fn find(path: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// The head of the answer to `request`, and the body that follows it, if one does.
    pub fn answer(
        &self,
        request: &Request<'_>,
        is_kept: bool,
        date: &Date,
    ) -> (Vec<u8>, Option<&'static [u8]>) {
        let is_current = self.is_current(request);
        let status = if is_current {
            Status::NotModified
        } else {
            Status::Ok
        };
        let mut response = Response::new(status, date)
            .keep_alive(is_kept)
            .header("ETag", &self.etag)
            .header("Cache-Control", "no-cache");
        if is_current {
            return (response.finish(), None);
        }
        response = response
            .header("Content-Type", self.content_type)
            .header("Content-Length", self.body.len())
            .header("X-Content-Type-Options", "nosniff")
            .header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            .header("Referrer-Policy", "no-referrer");
        let body = (request.method != "HEAD").then_some(self.body);
        (response.finish(), body)
    }

    /// Whether the peer has the file already: its entity tag is among those named, of which either may be weak
    /// (RFC 9110 §13.1.2). Tags are compared with regard to case.
    fn is_current(&self, request: &Request<'_>) -> bool {
        let named = request.values("if-none-match");
        let mut tags = named.flat_map(|value| value.split(|&byte| byte == b','));
        tags.any(|tag| {
            let tag = tag.trim_ascii();
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.etag.as_bytes()
        })
    }
}
