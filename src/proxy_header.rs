//! The header by which a proxy says whose connection it passes on: HAProxy's PROXY protocol, version 1 (text) and
//! version 2 (binary). Bytes in, an address out; no input or output.
//!
//! It is decoded byte by byte, so that it does not matter how it is cut. What is held of it never exceeds the longest
//! header of version 1; the extensions of version 2 (TLVs) are skipped as they come.

use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest header of version 1, in bytes, with its line end (§2.1 of the protocol).
pub const V1_LEN_MAX: usize = 107;
/// The longest header of version 2 that is taken, in bytes, with its extensions: what fits into the smallest segment
/// that every host takes, as its sender sends it (§2).
pub const V2_LEN_MAX: usize = 536;

/// What version 1 begins with.
const V1_START: &[u8] = b"PROXY ";
/// What version 2 begins with (§2.2).
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// How long the part of version 2 is that every header has.
const V2_FIXED_LEN: usize = 16;
/// The addresses and ports of TCP over IPv4 and over IPv6.
const V2_IPV4_LEN: usize = 12;
const V2_IPV6_LEN: usize = 36;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The proxy's own, to see whether the server lives; or that of somebody whose address it cannot tell.
    Own,
    /// That of a client with this address.
    Of(SocketAddr),
}

/// The bytes are no header of either version, or one that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedHeader;

/// Takes the header off the front of a connection's bytes. One that has no part of it is one null pointer.
#[derive(Debug, Default)]
pub struct ProxyHeaderReader {
    unfinished: Option<Box<Unfinished>>,
}

/// The part of a header that has come.
#[derive(Debug)]
struct Unfinished {
    bytes: [u8; V1_LEN_MAX],
    len: usize,
    /// How many bytes are to be skipped before the header ends.
    skip_len: usize,
}

impl ProxyHeaderReader {
    /// Takes the header from the front of `input`.
    ///
    /// `Ok(None)`: all of `input` is consumed and more is needed. What stands behind the header stays in `input`.
    ///
    /// # Errors
    /// At the first byte that no header has in this place, or at the length of one that is too long.
    pub fn next(&mut self, input: &mut &mut [u8]) -> Result<Option<ProxyHeader>, MalformedHeader> {
        if input.is_empty() {
            return Ok(None);
        }
        let mut header = self.unfinished.take().unwrap_or_default();
        while let Some((&mut byte, rest)) = mem::take(input).split_first_mut() {
            *input = rest;
            if header.push(byte)? {
                return header.decode().ok_or(MalformedHeader).map(Some);
            }
        }
        self.unfinished = Some(header);
        Ok(None)
    }
}

impl Default for Unfinished {
    fn default() -> Self {
        Self {
            bytes: [0; V1_LEN_MAX],
            len: 0,
            skip_len: 0,
        }
    }
}

impl Unfinished {
    fn held(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Takes one byte. Returns whether it is the last one.
    fn push(&mut self, byte: u8) -> Result<bool, MalformedHeader> {
        if self.skip_len > 0 {
            self.skip_len -= 1;
            return Ok(self.skip_len == 0);
        }
        let place = self.bytes.get_mut(self.len).ok_or(MalformedHeader)?;
        *place = byte;
        self.len += 1;
        match self.held() {
            held if begins(held, V1_START) => is_whole_line(held),
            held if begins(held, V2_START) => self.is_whole_v2(),
            _ => Err(MalformedHeader),
        }
    }

    /// Whether version 2 is whole, all but the bytes that are to be skipped from here on.
    fn is_whole_v2(&mut self) -> Result<bool, MalformedHeader> {
        let Some((fixed, rest)) = self.held().split_first_chunk::<V2_FIXED_LEN>() else {
            return Ok(false);
        };
        let rest_len = rest.len();
        let [.., version_command, family, high, low] = *fixed;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let address_len = address_len(version_command, family).ok_or(MalformedHeader)?;
        if V2_FIXED_LEN + len > V2_LEN_MAX || len < address_len {
            return Err(MalformedHeader);
        }
        if rest_len < address_len {
            return Ok(false);
        }
        self.skip_len = len - address_len;
        Ok(self.skip_len == 0)
    }

    /// What the whole header says.
    fn decode(&self) -> Option<ProxyHeader> {
        let held = self.held();
        match held.strip_prefix(V1_START) {
            Some(line) => decode_line(line.strip_suffix(b"\r\n")?),
            None => decode_addresses(held.get(V2_FIXED_LEN..)?),
        }
    }
}

/// Whether the bytes begin with `start`, as far as they go.
fn begins(held: &[u8], start: &[u8]) -> bool {
    held.iter()
        .zip(start)
        .all(|(byte, expected)| byte == expected)
}

/// Whether a line of version 1 is whole. Its only carriage return stands before its end.
fn is_whole_line(held: &[u8]) -> Result<bool, MalformedHeader> {
    match held {
        [.., b'\r', b'\n'] => Ok(true),
        [.., b'\r', _] => Err(MalformedHeader),
        _ if held.len() == V1_LEN_MAX => Err(MalformedHeader),
        _ => Ok(false),
    }
}

/// How many bytes of addresses of version 2 are of use: none where the proxy speaks for itself, or for something that
/// is not TCP. `None` for what is not assigned (§2.2).
fn address_len(version_command: u8, family: u8) -> Option<usize> {
    match (version_command, family) {
        (0x20, _) => Some(0),
        (0x21, 0x11) => Some(V2_IPV4_LEN),
        (0x21, 0x21) => Some(V2_IPV6_LEN),
        // Datagrams, Unix sockets, and what the proxy does not know.
        (0x21, family) if family >> 4 <= 3 && family & 0x0f <= 2 => Some(0),
        _ => None,
    }
}

/// The addresses of version 2: source, destination, source port, destination port.
fn decode_addresses(bytes: &[u8]) -> Option<ProxyHeader> {
    let source: SocketAddr = match bytes.len() {
        0 => return Some(ProxyHeader::Own),
        V2_IPV4_LEN => {
            let port = bytes.get(8..)?.first_chunk()?;
            let ip = Ipv4Addr::from(*bytes.first_chunk::<4>()?);
            (ip, u16::from_be_bytes(*port)).into()
        }
        _ => {
            let port = bytes.get(32..)?.first_chunk()?;
            let ip = Ipv6Addr::from(*bytes.first_chunk::<16>()?);
            (ip, u16::from_be_bytes(*port)).into()
        }
    };
    Some(ProxyHeader::Of(source))
}

/// What a line of version 1 says behind its first word: the family, both addresses, both ports, one space between them.
fn decode_line(line: &[u8]) -> Option<ProxyHeader> {
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(ProxyHeader::Own);
    }
    let line = str::from_utf8(line).ok()?;
    let (family, addresses) = line.split_once(' ')?;
    match family {
        "TCP4" => decode_text::<Ipv4Addr>(addresses),
        "TCP6" => decode_text::<Ipv6Addr>(addresses),
        _ => None,
    }
}

fn decode_text<A: FromStr>(addresses: &str) -> Option<ProxyHeader>
where
    SocketAddr: From<(A, u16)>,
{
    let mut words = addresses.split(' ');
    let [source, destination, source_port, destination_port] =
        [words.next()?, words.next()?, words.next()?, words.next()?];
    // Nobody asks for the destination, but a header without one is none.
    let _: A = destination.parse().ok()?;
    parse_port(destination_port)?;
    let source = (source.parse::<A>().ok()?, parse_port(source_port)?);
    let is_over = words.next().is_none();
    is_over.then(|| ProxyHeader::Of(source.into()))
}

/// A port in decimal, without zeros in front.
fn parse_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && !has_zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the pieces; the header and what is left behind it, or `None` if more is needed.
    fn read<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<(ProxyHeader, Vec<u8>)>, MalformedHeader> {
        let mut reader = ProxyHeaderReader::default();
        let mut pieces = pieces.into_iter();
        while let Some(piece) = pieces.next() {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            if let Some(header) = reader.next(&mut input)? {
                let behind = pieces.flatten().copied();
                return Ok(Some((
                    header,
                    input.iter().copied().chain(behind).collect(),
                )));
            }
            assert!(input.is_empty(), "a reader that needs more has taken all");
        }
        Ok(None)
    }

    fn read_every_way(bytes: &[u8]) -> Result<Option<(ProxyHeader, Vec<u8>)>, MalformedHeader> {
        let whole = read([bytes]);
        assert_eq!(read(bytes.chunks(1)), whole, "byte by byte: {bytes:?}");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read([head, tail]), whole, "cut at {cut}: {bytes:?}");
        }
        whole
    }

    fn of(addr: &str) -> ProxyHeader {
        ProxyHeader::Of(addr.parse().expect("an address"))
    }

    /// A header of version 2 with these addresses and extensions.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).expect("a short header");
        [V2_START, &[command, family], &len.to_be_bytes(), rest].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0x1f, 0x90, 0, 80];

    fn ipv6() -> Vec<u8> {
        let source = "2001:db8::1".parse::<Ipv6Addr>().expect("an address");
        [&source.octets()[..], &[0xff; 16], &[0x1f, 0x90, 0, 80]].concat()
    }

    #[test]
    fn a_line_names_the_client() {
        let longest = "f".repeat(4);
        let longest = [&*longest; 8].join(":");
        for (line, header) in [
            ("TCP4 192.0.2.1 192.0.2.2 8080 80", of("192.0.2.1:8080")),
            ("TCP4 0.0.0.0 0.0.0.0 0 0", of("0.0.0.0:0")),
            (
                "TCP4 255.255.255.255 255.255.255.255 65535 65535",
                of("255.255.255.255:65535"),
            ),
            ("TCP6 2001:db8::1 ::1 8080 80", of("[2001:db8::1]:8080")),
            (
                "TCP6 ::ffff:192.0.2.1 ::1 8080 80",
                of("[::ffff:192.0.2.1]:8080"),
            ),
            (
                &format!("TCP6 {longest} {longest} 65535 65535"),
                of(&format!("[{longest}]:65535")),
            ),
            ("UNKNOWN", ProxyHeader::Own),
            ("UNKNOWN ", ProxyHeader::Own),
            (
                &format!("UNKNOWN {longest} {longest} 65535 65535"),
                ProxyHeader::Own,
            ),
            ("UNKNOWN \0\u{ff}\n anything", ProxyHeader::Own),
        ] {
            let bytes = format!("PROXY {line}\r\nGET /").into_bytes();
            let expected = Ok(Some((header, b"GET /".to_vec())));
            assert_eq!(read_every_way(&bytes), expected, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_as_it_is_written_is_malformed() {
        for line in [
            "",
            "TCP4",
            "TCP4 ",
            "TCP4 192.0.2.1 192.0.2.2 8080",
            "TCP4 192.0.2.1 192.0.2.2 8080 80 ",
            "TCP4 192.0.2.1 192.0.2.2 8080 80 1",
            "TCP4  192.0.2.1 192.0.2.2 8080 80",
            " TCP4 192.0.2.1 192.0.2.2 8080 80",
            "TCP4 192.0.2.1 192.0.2.2 08080 80",
            "TCP4 192.0.2.1 192.0.2.2 +8080 80",
            "TCP4 192.0.2.1 192.0.2.2 -1 80",
            "TCP4 192.0.2.1 192.0.2.2 65536 80",
            "TCP4 192.0.2.1 192.0.2.2 8080 65536",
            "TCP4 192.0.2.1 192.0.2.2 8080 ",
            "TCP4 192.0.2.256 192.0.2.2 8080 80",
            "TCP4 192.0.2.1 192.0.2 8080 80",
            "TCP4 192.0.02.1 192.0.2.2 8080 80",
            "TCP4 ::1 ::1 8080 80",
            "TCP6 192.0.2.1 192.0.2.2 8080 80",
            "TCP6 ::1%1 ::1 8080 80",
            "TCP6 [::1] ::1 8080 80",
            "TCP5 192.0.2.1 192.0.2.2 8080 80",
            "tcp4 192.0.2.1 192.0.2.2 8080 80",
            "UNKNOWNS",
            "UNIX a b",
            "TCP4 192.0.2.1 192.0.2.2 8080 80\n",
            "TCP4 192.0.2.1 192.0.2.2 8080 80\r",
            "UNKNOWN \r ",
        ] {
            let bytes = format!("PROXY {line}\r\n").into_bytes();
            assert_eq!(read_every_way(&bytes), Err(MalformedHeader), "{line:?}");
        }
    }

    #[test]
    fn a_line_may_reach_its_bound_and_not_pass_it() {
        let sized = |len: usize| {
            let begin = "PROXY UNKNOWN ";
            format!("{begin}{}\r\n", "x".repeat(len - begin.len() - 2)).into_bytes()
        };
        let at = sized(V1_LEN_MAX);
        assert_eq!(read_every_way(&at), Ok(Some((ProxyHeader::Own, vec![]))));
        assert_eq!(read_every_way(&sized(V1_LEN_MAX + 1)), Err(MalformedHeader));
    }

    #[test]
    fn a_binary_header_names_the_client() {
        let extended = |rest: &[u8]| [rest, &[4, 0, 3, 1, 2, 3]].concat();
        for (command, family, rest, header) in [
            (0x21, 0x11, IPV4.to_vec(), of("192.0.2.1:8080")),
            (0x21, 0x11, extended(&IPV4), of("192.0.2.1:8080")),
            (0x21, 0x21, ipv6(), of("[2001:db8::1]:8080")),
            (0x21, 0x21, extended(&ipv6()), of("[2001:db8::1]:8080")),
            (0x20, 0x00, vec![], ProxyHeader::Own),
            (0x20, 0x11, IPV4.to_vec(), ProxyHeader::Own),
            (0x20, 0xff, extended(&[]), ProxyHeader::Own),
            (0x21, 0x00, vec![], ProxyHeader::Own),
            (0x21, 0x00, extended(&[]), ProxyHeader::Own),
            (0x21, 0x12, IPV4.to_vec(), ProxyHeader::Own),
            (0x21, 0x22, ipv6(), ProxyHeader::Own),
            (0x21, 0x31, vec![b'/'; 216], ProxyHeader::Own),
            (0x21, 0x32, vec![], ProxyHeader::Own),
        ] {
            let bytes = [v2(command, family, &rest), b"GET /".to_vec()].concat();
            let expected = Ok(Some((header, b"GET /".to_vec())));
            assert_eq!(read_every_way(&bytes), expected, "{command:x} {family:x}");
        }
    }

    #[test]
    fn a_binary_header_that_is_not_as_it_is_written_is_malformed() {
        for (command, family, rest) in [
            (0x11, 0x11, IPV4.to_vec()),
            (0x31, 0x11, IPV4.to_vec()),
            (0x22, 0x11, IPV4.to_vec()),
            (0x21, 0x41, IPV4.to_vec()),
            (0x21, 0x13, IPV4.to_vec()),
            (0x21, 0x11, IPV4[..11].to_vec()),
            (0x21, 0x21, ipv6()[..35].to_vec()),
            (0x21, 0x21, vec![]),
        ] {
            let bytes = v2(command, family, &rest);
            let read = read_every_way(&bytes);
            assert_eq!(read, Err(MalformedHeader), "{command:x} {family:x}");
        }
    }

    #[test]
    fn a_binary_header_may_reach_its_bound_and_not_pass_it() {
        let sized = |len: usize| {
            let extensions = vec![7; len - V2_FIXED_LEN - IPV4.len()];
            v2(0x21, 0x11, &[&IPV4[..], &extensions].concat())
        };
        let header = of("192.0.2.1:8080");
        assert_eq!(
            read_every_way(&sized(V2_LEN_MAX)),
            Ok(Some((header, vec![])))
        );
        let mut over = sized(V2_LEN_MAX + 1);
        // It is refused as soon as its length is known.
        over.truncate(V2_FIXED_LEN);
        assert_eq!(read_every_way(&over), Err(MalformedHeader));
        let longest = [V2_START, &[0x21, 0x11, 0xff, 0xff]].concat();
        assert_eq!(read_every_way(&longest), Err(MalformedHeader));
    }

    #[test]
    fn what_cannot_become_a_header_is_malformed_at_its_first_wrong_byte() {
        for bytes in [
            &b"G"[..],
            b"PROXI",
            b"p",
            b"\n",
            b"\r\n\r\n\0\r\nQUIT\r",
            b"\0",
            b"PROXY\t",
        ] {
            assert_eq!(read_every_way(bytes), Err(MalformedHeader), "{bytes:?}");
            let (_, before) = bytes.split_last().expect("there is a byte");
            assert_eq!(read_every_way(before), Ok(None), "{before:?}");
        }
    }

    #[test]
    fn a_reader_holds_memory_only_inside_a_header() {
        let mut reader = ProxyHeaderReader::default();
        assert_eq!(size_of_val(&reader), size_of::<usize>());
        assert_eq!(reader.next(&mut &mut b"PROXY UNK".to_vec()[..]), Ok(None));
        assert!(reader.unfinished.is_some());
        assert_eq!(size_of::<Unfinished>(), 128, "config's table says so");
        let header = reader.next(&mut &mut b"NOWN\r\n".to_vec()[..]);
        assert_eq!(header, Ok(Some(ProxyHeader::Own)));
        assert!(reader.unfinished.is_none());
    }
}
