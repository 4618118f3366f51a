//! As much of HTTP/1.1 as the authority speaks to a judge.

use std::io::{self, BufRead, Read as _};

const MAX_HEAD_BYTES: u64 = 64 << 10;
const MAX_BODY_BYTES: u64 = 32 << 20;

/// One request, its body complete.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) path: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The next request of a connection; `None` if the client has hung up between two.
pub(super) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut budget = MAX_HEAD_BYTES;
    let Some(first) = read_line(reader, &mut budget)? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(_method), Some(path), Some(_version)) = (words.next(), words.next(), words.next()) else {
        return Err(bad("request line"));
    };
    let (mut length, mut chunked, mut headers) = (0, false, Vec::new());
    loop {
        let line = read_line(reader, &mut budget)?.ok_or_else(|| bad("head cut short"))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("header line"))?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        if name == "content-length" {
            length = value.parse().map_err(|_| bad("content-length"))?;
        } else if name == "transfer-encoding" {
            chunked = value.to_ascii_lowercase().contains("chunked");
        }
        headers.push((name, value.to_owned()));
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(reader, &mut body)?;
    } else {
        read_exactly(reader, length, &mut body)?;
    }
    Ok(Some(Request { path: path.to_owned(), headers, body }))
}

/// One line without its end; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead, budget: &mut u64) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    *budget -= reader.take(*budget).read_until(b'\n', &mut line)? as u64;
    match line.pop() {
        None if *budget > 0 => return Ok(None),
        Some(b'\n') => {}
        _ => return Err(bad("line too long or cut short")),
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| bad("line is not UTF-8"))
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut budget = MAX_HEAD_BYTES;
        let line = read_line(reader, &mut budget)?.ok_or_else(|| bad("chunk cut short"))?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
        if size > 0 {
            read_exactly(reader, size, body)?;
        }
        // The line end behind the data, or the trailers behind the last chunk.
        while read_line(reader, &mut budget)?.is_some_and(|line| size == 0 && !line.is_empty()) {}
        if size == 0 {
            return Ok(());
        }
    }
}

fn read_exactly(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if length > MAX_BODY_BYTES - body.len() as u64 {
        return Err(bad("body too large"));
    }
    if reader.take(length).read_to_end(body)? as u64 == length { Ok(()) } else { Err(bad("body cut short")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(mut wire: &[u8]) -> io::Result<Vec<String>> {
        let mut out = Vec::new();
        while let Some(request) = read_request(&mut wire)? {
            out.push(format!("{} {}", request.path, String::from_utf8(request.body).unwrap()));
        }
        Ok(out)
    }

    #[test]
    fn both_kinds_of_body_are_read_and_the_connection_goes_on() {
        let wire = b"POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n\
            POST /b?c=d HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiHEAD / HTTP/1.1\r\n\r\n";
        assert_eq!(bodies(wire).unwrap(), ["/a abc0123456789", "/b?c=d hi", "/ "]);
    }

    #[test]
    fn what_is_cut_short_or_oversized_is_an_error() {
        let long = [b"GET /".as_slice(), &vec![b'x'; 70_000]].concat();
        let cases: [&[u8]; 6] = [
            b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhi",
            b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFF\r\n",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"POST / HTTP/1.1\r\n",
            &long,
        ];
        for wire in cases {
            assert!(bodies(wire).is_err(), "{:?}", String::from_utf8_lossy(&wire[..wire.len().min(80)]));
        }
    }
}
