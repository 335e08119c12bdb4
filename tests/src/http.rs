//! Just enough HTTP to ask a server on this machine.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200, 404, 503.
    pub status: u16,
    /// The header lines as they came.
    pub head: String,
    /// The body, put together if it came in chunks; what is no text in it is replaced.
    pub body: String,
}

/// GETs `path`; `accept` is the Accept header.
pub fn get(address: SocketAddr, path: &str, accept: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::other("not an HTTP answer"))
}

/// A connection that is kept for one request after another.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(2)))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// POSTs `body`; `headers` are whole lines.
    pub fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        self.ask("POST", path, headers, body)
    }

    /// Asks in any way but HEAD, whose answers have no body; `headers` are whole lines.
    pub fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        let (address, length) = (self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        // In one piece: in two, the second would wait for the first's acknowledgement.
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&self.line()?);
        }
        let lower = head.to_ascii_lowercase();
        let mut body = Vec::new();
        if lower.contains("transfer-encoding: chunked") {
            let mut size = usize::MAX;
            while size > 0 {
                size = usize::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
                body.extend(self.exactly(size)?);
                self.line()?;
            }
        } else if let Some((_, rest)) = lower.split_once("content-length:") {
            let length = rest.lines().next().unwrap_or_default().trim();
            body = self.exactly(length.parse().map_err(io::Error::other)?)?;
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok(Answer { status: status.ok_or_else(|| io::Error::other("not an HTTP answer"))?, head, body })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { joined(body)? } else { body.to_owned() };
    Some(Answer { status, head: head.to_owned(), body })
}

fn joined(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        chunks = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let answer =
            parse("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
                .unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "abcde"));
    }

    #[test]
    fn a_body_without_chunks_is_taken_as_it_is() {
        assert_eq!(parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\nabc").unwrap().body, "abc");
        assert_eq!(parse("rubbish"), None);
    }
}
