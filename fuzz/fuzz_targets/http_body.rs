//! Bodies, cut anywhere: the same as uncut, and never more memory than the bound. Chunks come out as they were put
//! in; of any other bytes, httparse makes the same body.
#![no_main]

#[path = "../support/chunks.rs"]
mod chunks;
#[path = "../support/cut.rs"]
mod cut;

use fanfare::http::status::Refusal;
use fanfare::http::{BodyLength, BodyReader};
use libfuzzer_sys::fuzz_target;

/// The body, and what stands behind it.
type Outcome = Result<Option<(Vec<u8>, Vec<u8>)>, Refusal>;

fn read(length: BodyLength, max: usize, pieces: &[&[u8]]) -> Outcome {
    let mut reader = BodyReader::new(length, max)?;
    for (index, piece) in pieces.iter().enumerate() {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        let body = reader.next(&mut input)?;
        assert!(reader.buffer_len() <= max);
        if let Some(body) = body {
            assert!(body.capacity() <= max);
            let behind = pieces[index + 1..].concat();
            return Ok(Some((body, [&*input, &behind].concat())));
        }
        assert!(input.is_empty());
    }
    Ok(None)
}

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<u8>, Vec<u8>, u16)| {
    let (put_in, bytes, cuts, max) = input;
    let max = usize::from(max);
    let every_way = |length, bytes: &[u8]| {
        let whole = read(length, max, &[bytes]);
        assert_eq!(read(length, max, &cut::pieces(bytes, &cuts)), whole);
        whole
    };

    let sent = [chunks::encode(&put_in), bytes.clone()].concat();
    let expected = match put_in.concat() {
        body if body.len() > max => Err(Refusal::BodyTooLarge),
        body => Ok(Some((body, bytes.clone()))),
    };
    assert_eq!(every_way(BodyLength::Chunked, &sent), expected);

    if let Ok(Some((body, behind))) = every_way(BodyLength::Chunked, &bytes) {
        assert!(bytes.ends_with(&behind));
        assert_eq!(chunks::decode(&bytes), Some(body));
    }

    let expected = match bytes.len() {
        len if len > max => Err(Refusal::BodyTooLarge),
        _ => Ok(Some((bytes.clone(), sent.clone()))),
    };
    let length = BodyLength::Known(bytes.len() as u64);
    assert_eq!(every_way(length, &[bytes, sent].concat()), expected);
});
