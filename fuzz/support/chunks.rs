//! Chunked bodies, written and read in the simplest way.

/// The body in these chunks, as it is sent.
pub fn encode(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// What httparse makes of the chunks at the front of `bytes`, trailers aside.
pub fn decode(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((line_len, size))) = httparse::parse_chunk_size(bytes)
        else {
            return None;
        };
        if size == 0 {
            return Some(body);
        }
        let (data, behind) = bytes.get(line_len..)?.split_at_checked(size as usize)?;
        body.extend_from_slice(data);
        bytes = behind.strip_prefix(b"\r\n")?;
    }
}
