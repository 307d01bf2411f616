//! The streaming decoder against the standard library, cut anywhere: the same text, or refusal of the
//! piece in which the bad byte stands.
#![no_main]

use fanfare::ws::utf8::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    // A text is bad from the first beginning on that nothing can complete.
    let valid_len = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let bad_len = (valid_len..=bytes.len()).find(|&len| {
        std::str::from_utf8(&bytes[..len]).is_err_and(|error| error.error_len().is_some())
    });

    let mut decoder = Decoder::default();
    let mut text = String::new();
    let mut fed = 0;
    for step in cuts.into_iter().map(usize::from).chain([bytes.len()]) {
        let end = (fed + step).min(bytes.len());
        let is_refused = decoder.push(&bytes[fed..end], &mut text).is_err();
        assert_eq!(is_refused, bad_len.is_some_and(|len| len <= end));
        if is_refused {
            return;
        }
        fed = end;
    }
    assert_eq!(text.as_bytes(), &bytes[..valid_len]);
    assert_eq!(decoder.is_complete(), valid_len == bytes.len());
});
