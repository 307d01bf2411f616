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
    /// Whether pages of other sites may use it.
    is_shared: bool,
}

static ASSETS: LazyLock<[Asset; 7]> = LazyLock::new(|| {
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
            "/fanfare.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../web/fanfare.js"),
        )
        .shared(),
        Asset::new(
            "/log.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../web/log.js"),
        ),
        Asset::new(
            "/unsent.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../web/unsent.js"),
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
            is_shared: false,
        }
    }

    /// The same file, for pages of other sites too: a browser imports a module of another site only if its
    /// server says so (Fetch standard, §3.2).
    fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// The file served at `path`.
    pub fn find(path: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// The head of the answer to `request`, and the body that follows it, if one does.
    ///
    /// There are no dates of modification, so that conditions about them are ignored (RFC 9110 §13.1.3).
    pub fn answer(
        &self,
        request: &Request<'_>,
        is_kept: bool,
        date: &Date,
    ) -> (Vec<u8>, Option<&'static [u8]>) {
        let status = self.status(request);
        let mut response = Response::new(status, date)
            .keep_alive(is_kept)
            .header("ETag", &self.etag)
            .header("Cache-Control", "no-cache");
        if self.is_shared {
            response = response.header("Access-Control-Allow-Origin", "*");
        }
        let is_head = request.method == "HEAD";
        match status {
            Status::NotModified => return (response.finish(), None),
            Status::PreconditionFailed => {
                let line = "this is not the version asked for";
                return (response.finish_with_line(line, is_head), None);
            }
            _ => {}
        }
        response = response
            .header("Content-Type", self.content_type)
            .content_length(self.body.len())
            .header("X-Content-Type-Options", "nosniff")
            .header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            .header("Referrer-Policy", "no-referrer");
        (response.finish(), (!is_head).then_some(self.body))
    }

    /// Evaluates the conditions, in the order of RFC 9110 §13.2.2.
    fn status(&self, request: &Request<'_>) -> Status {
        let mut wanted = request.values("if-match").peekable();
        // The comparison is strong here and weak below (RFC 9110 §13.1.1, §13.1.2).
        if wanted.peek().is_some() && !wanted.any(|tags| names_tag(tags, &self.etag, false)) {
            return Status::PreconditionFailed;
        }
        let mut held = request.values("if-none-match");
        match held.any(|tags| names_tag(tags, &self.etag, true)) {
            true => Status::NotModified,
            false => Status::Ok,
        }
    }
}

/// Whether a list of entity tags (RFC 9110 §8.8.3) holds `etag`, or is `*`. A tag is a text in quotes, in which
/// a comma may stand; behind what is none, the list is not read on.
fn names_tag(tags: &[u8], etag: &str, takes_weak: bool) -> bool {
    let mut rest = tags.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        while let Some((b',' | b' ' | b'\t', behind)) = rest.split_first() {
            rest = behind;
        }
        let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let Some(opaque) = quoted.strip_prefix(b"\"") else {
            return false;
        };
        let Some(len) = memchr::memchr(b'"', opaque) else {
            return false;
        };
        let (tag, behind) = quoted.split_at(len + 2);
        if tag == etag.as_bytes() && (takes_weak || !is_weak) {
            return true;
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_byte_by_byte_whole_and_weakly_where_that_is_enough() {
        for tags in [
            "\"Ab\"",
            "*",
            " * ",
            "\"x\", \"Ab\"",
            "\"x,\",\"Ab\" ,",
            ", ,\"Ab\"",
            "W/\"Ab\", \"Ab\"",
        ] {
            assert!(names_tag(tags.as_bytes(), "\"Ab\"", false), "{tags}");
            assert!(names_tag(tags.as_bytes(), "\"Ab\"", true), "{tags}");
        }
        let weak = b"\"x\", W/\"Ab\"";
        assert!(names_tag(weak, "\"Ab\"", true));
        assert!(!names_tag(weak, "\"Ab\"", false));
        for tags in [
            "",
            "Ab",
            "\"ab\"",
            "w/\"Ab\"",
            "\"Ab",
            "\"Abc\"",
            "\"\"",
            "\"x, \"Ab\"",
            "*, \"x\"",
            ",",
        ] {
            assert!(!names_tag(tags.as_bytes(), "\"Ab\"", true), "{tags}");
        }
    }
}
