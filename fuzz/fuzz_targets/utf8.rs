//! The streaming decoder against the standard library, cut anywhere: the same text, or refusal at the
//! same byte.
#![no_main]

use fanfare::ws::utf8::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    let mut decoder = Decoder::default();
    let mut text = String::new();
    let mut fed = 0;
    let mut refused = false;
    for step in cuts.into_iter().map(usize::from).chain([bytes.len()]) {
        let end = (fed + step).min(bytes.len());
        if decoder.push(&bytes[fed..end], &mut text).is_err() {
            refused = true;
            fed = end;
            break;
        }
        fed = end;
    }
    let whole = std::str::from_utf8(&bytes);
    // The first byte after which nothing can make the text valid.
    let bad = whole
        .err()
        .and_then(|error| Some(error.valid_up_to() + error.error_len()?));
    match (refused, whole) {
        (false, Ok(valid)) => assert!(decoder.is_complete() && text == valid),
        (false, Err(error)) => {
            assert!(error.error_len().is_none() && !decoder.is_complete());
            assert_eq!(text.as_bytes(), &bytes[..error.valid_up_to()]);
        }
        (true, _) => {
            let bad = bad.expect("only bad text is refused");
            assert!(fed >= bad.min(bytes.len()), "not before the bad byte");
        }
    }
});
