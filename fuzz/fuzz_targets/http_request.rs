//! Any bytes as requests, cut anywhere: the same heads as uncut, within the bounds; and what httparse
//! understands is what is understood, but for the rules that stand beside it.
#![no_main]

#[path = "../support/cut.rs"]
mod cut;
#[path = "../support/heads.rs"]
mod heads;

use fanfare::http::status::Refusal;
use fanfare::http::{HEAD_MAX, HEADERS_MAX, Request, header_storage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    let (heads, refusal) = heads::read(&cut::pieces(&bytes, &cuts));
    assert_eq!(
        (&heads, refusal),
        (&heads::read(&[&bytes]).0, heads::read(&[&bytes]).1)
    );

    for head in heads {
        assert!(head.len() <= HEAD_MAX);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut theirs = httparse::Request::new(&mut headers);
        let is_understood = theirs.parse(&head) == Ok(httparse::Status::Complete(head.len()));
        let mut storage = header_storage();
        match Request::parse(&head, &mut storage) {
            Ok(request) => {
                assert!(is_understood && theirs.method == Some(request.method));
                assert!(request.path == "*" || request.path.starts_with('/'));
                assert!(!request.path.contains('?'));
                let hosts = request.values("host").count();
                assert!(hosts == 1 || (hosts == 0 && !request.is_http_11));
                let is_coded = request.values("transfer-encoding").next().is_some();
                assert!(request.has_body() || !is_coded);
            }
            Err(Refusal::Malformed | Refusal::TooManyHeaders | Refusal::OtherVersion) => {
                assert!(!is_understood)
            }
            Err(_) => assert!(is_understood),
        }
    }
});
