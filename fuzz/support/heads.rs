//! What a reader makes of the bytes of requests.

use fanfare::http::HeadReader;
use fanfare::http::status::Refusal;

/// The heads that come out of the pieces, and the refusal that ends it.
pub fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Refusal>) {
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
