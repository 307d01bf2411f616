//! Any bytes as requests, cut anywhere: the same heads as uncut, within the bounds, and nothing is
//! understood that httparse does not understand.
#![no_main]

use fanfare::http::{HEAD_MAX, HEADERS_MAX, HeadReader, Request, header_storage};
use fanfare::status::Refusal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    let mut pieces = Vec::new();
    let mut rest = &bytes[..];
    for cut in cuts {
        let (piece, behind) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    let (heads, refusal) = read(&pieces);
    assert_eq!((&heads, &refusal), (&read(&[&bytes]).0, &read(&[&bytes]).1));

    for head in heads {
        assert!(head.len() <= HEAD_MAX);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut theirs = httparse::Request::new(&mut headers);
        let parsed = theirs.parse(&head);
        let mut storage = header_storage();
        if let Ok(request) = Request::parse(&head, &mut storage) {
            assert_eq!(parsed, Ok(httparse::Status::Complete(head.len())));
            assert_eq!(theirs.method, Some(request.method));
            assert!(request.path == "*" || request.path.starts_with('/'));
            assert!(!request.path.contains('?'));
            let hosts = request.values("host").count();
            assert!(hosts == 1 || (hosts == 0 && !request.is_http_11));
            assert!(request.values("transfer-encoding").next().is_none());
        }
    }
});

fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Refusal>) {
    let mut reader = HeadReader::default();
    let mut heads = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            match reader.next(&mut input) {
                Ok(Some(head)) => heads.push(head.into_owned()),
                Ok(None) => break,
                Err(refusal) => return (heads, Some(refusal)),
            }
        }
    }
    (heads, None)
}
