//! Any bytes as a PROXY header, cut anywhere: the same as uncut, within the bounds, and as the crate `ppp` understands
//! it, but for what stands beside each rule.
//!
//! The first byte says how many of the next ones are the lengths of pieces.
#![no_main]

#[path = "../support/cut.rs"]
mod cut;

use std::net::SocketAddr;

use fanfare::proxy_header::{
    MalformedHeader, ProxyHeader, ProxyHeaderReader, V1_LEN_MAX, V2_LEN_MAX,
};
use libfuzzer_sys::fuzz_target;
use ppp::{HeaderResult, v1, v2};

/// The header and its length.
type Outcome = Result<Option<(ProxyHeader, usize)>, MalformedHeader>;

fn read(pieces: &[&[u8]]) -> Outcome {
    let mut reader = ProxyHeaderReader::default();
    let mut len = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        len += piece.len();
        let mut input = &mut piece[..];
        if let Some(header) = reader.next(&mut input)? {
            return Ok(Some((header, len - input.len())));
        }
        assert!(input.is_empty());
    }
    Ok(None)
}

/// The same by `ppp`; `None` if it takes the bytes for no header.
fn theirs(bytes: &[u8]) -> Option<(ProxyHeader, usize)> {
    let of = |source: SocketAddr| ProxyHeader::Of(source);
    match HeaderResult::parse(bytes) {
        HeaderResult::V1(header) => {
            let header = header.ok()?;
            let source = match header.addresses {
                v1::Addresses::Unknown => ProxyHeader::Own,
                v1::Addresses::Tcp4(ip) => of((ip.source_address, ip.source_port).into()),
                v1::Addresses::Tcp6(ip) => of((ip.source_address, ip.source_port).into()),
            };
            Some((source, header.header.len()))
        }
        HeaderResult::V2(header) => {
            let header = header.ok()?;
            let is_tcp =
                header.command == v2::Command::Proxy && header.protocol == v2::Protocol::Stream;
            let source = match header.addresses {
                v2::Addresses::IPv4(ip) if is_tcp => of((ip.source_address, ip.source_port).into()),
                v2::Addresses::IPv6(ip) if is_tcp => of((ip.source_address, ip.source_port).into()),
                _ => ProxyHeader::Own,
            };
            Some((source, header.len()))
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else {
        return;
    };
    let (cuts, bytes) = rest.split_at(usize::from(*count % 8).min(rest.len()));
    let ours = read(&[bytes]);
    assert_eq!(read(&cut::pieces(bytes, cuts)), ours);
    let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&bytewise), ours);

    let is_v1 = bytes.starts_with(b"P");
    let theirs = theirs(bytes);
    match ours {
        Ok(Some((header, len))) => {
            assert!(len <= if is_v1 { V1_LEN_MAX } else { V2_LEN_MAX });
            match theirs {
                Some(theirs) => assert_eq!((header, len), theirs),
                // Where the proxy tells no address, what it tells instead does not matter.
                None => assert_eq!(header, ProxyHeader::Own),
            }
            // What follows changes nothing.
            assert_eq!(read(&[bytes, b"GET /"]), ours);
        }
        Ok(None) => {
            assert!(bytes.len() < if is_v1 { V1_LEN_MAX } else { V2_LEN_MAX });
            // It takes a line feed alone for the end.
            let has_end = bytes.windows(2).any(|two| two == b"\r\n");
            assert!(theirs.is_none() || is_v1 && !has_end);
        }
        // It takes any length in version 2, and ports with a plus sign in version 1.
        Err(MalformedHeader) => {
            let may_take = |len| match is_v1 {
                true => bytes[..len].contains(&b'+'),
                false => len > V2_LEN_MAX,
            };
            assert!(theirs.is_none_or(|(_, len)| may_take(len)));
            assert_eq!(read(&[bytes, b"GET /"]), ours);
        }
    }
});
