//! An HTTP proxy that a venue's network wants everything to go through: a tunnel to a machine and a port (CONNECT, RFC 9110, 9.3.6).
//!
//! The proxy looks the name up, so a box behind one needs no resolver but for the proxy's own name.
//!
//! ```text
//! < CONNECT hub.example.org:443 HTTP/1.1
//! > HTTP/1.1 200 Connection established      from here on it is the hub that answers
//! ```

use crate::address::authority;
use crate::probe::http::Url;
use crate::probe::login::Login;
use crate::transport::Stream;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rackside_config::Secret;
use std::fmt;
use std::io;

/// The header by which a user is told to it.
pub(crate) const AUTHORIZATION: &str = "proxy-authorization";
/// The largest head of its answer.
const HEAD: usize = 8 * 1024;

/// A proxy, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    user: Option<String>,
    password: Option<Secret>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

impl Proxy {
    /// The one at `url`, for this user if it wants one; or the key that is wrong below `mqtt`, and why.
    pub fn new(
        url: &str,
        user: Option<String>,
        password: Option<Secret>,
    ) -> Result<Self, (&'static str, String)> {
        let parsed = Url::parse(url).ok().filter(|url| !url.is_tls() && url.target() == "/");
        let Some(parsed) = parsed else {
            let why = format!(
                "{url:?} is no address of a proxy; write for example \"http://proxy.example.org:3128\""
            );
            return Err(("proxy", why));
        };
        if password.is_some() && user.is_none() {
            return Err(("proxy_password", "needs a `proxy_user`".to_owned()));
        }
        Ok(Self { host: parsed.host().to_owned(), port: parsed.port(), user, password })
    }

    /// What is told to it of who asks, if it wants that; or why that cannot be read.
    pub(crate) fn authorization(&self) -> Result<Option<String>, String> {
        let login = Login { password: self.password.as_ref(), ..Login::user(self.user.as_deref()) };
        let value = login.authorization().map_err(|why| format!("the password for the proxy: {why}"))?;
        Ok(value.map(|(_, value)| value))
    }

    /// Has it open a tunnel to `to`, host and port, on a stream to it; or says why it does not.
    pub(crate) async fn tunnel(&self, stream: &mut (impl Stream + ?Sized), to: &str) -> Result<(), String> {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some(value) = self.authorization()? {
            request += AUTHORIZATION;
            request += ": ";
            request += &value;
            request += "\r\n";
        }
        request.push_str("\r\n");
        let broke = |why: io::Error| format!("the proxy {self} breaks off: {why}");
        stream.write_all(request.as_bytes()).await.map_err(broke)?;
        stream.flush().await.map_err(broke)?;
        let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
        while !head.ends_with(b"\r\n\r\n") {
            // Nobody behind it speaks before being spoken to, so nothing comes after the head.
            if head.len() > HEAD {
                return Err(format!("the proxy {self} answers with more than {HEAD} bytes; is it a proxy?"));
            }
            match stream.read(&mut buffer).await.map_err(broke)? {
                0 => return Err(format!("the proxy {self} hangs up; is it a proxy?")),
                count => head.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
            if refusal(&head).is_some() {
                break;
            }
        }
        refusal(&head).map_or(Ok(()), |status| Err(self.refused(&status, to)))
    }

    fn refused(&self, status: &str, to: &str) -> String {
        let code = status.split(' ').nth(1).unwrap_or_default();
        match (code, &self.user) {
            ("407", None) => {
                format!("the proxy {self} wants a user: set `proxy_user` and `proxy_password` in [mqtt]")
            }
            ("407", Some(_)) => format!("the proxy {self} does not take this user and password (407)"),
            _ => format!("the proxy {self} lets nobody through to {to} ({status})"),
        }
    }
}

/// The first line of an answer that is whole and says no; nothing while it may still say yes.
fn refusal(head: &[u8]) -> Option<String> {
    let end = head.windows(2).position(|two| two == b"\r\n")?;
    let line = String::from_utf8_lossy(head.get(..end)?);
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let is_yes = words.next().is_some_and(|code| code.len() == 3 && code.starts_with('2'));
    (!is_http || !is_yes).then(|| line.chars().filter(|c| !c.is_control()).take(80).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_io::Async;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    /// What comes of a proxy that answers so, and what it was asked.
    fn tunnel(proxy: &Proxy, answer: &'static [u8]) -> (Result<(), String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let (mut asked, mut buffer) = (Vec::new(), [0; 512]);
            while !asked.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut buffer).expect("it asks");
                asked.extend_from_slice(&buffer[..count]);
            }
            // A byte at a time, as slow networks have it.
            for byte in answer {
                if stream.write_all(&[*byte]).is_err() {
                    break;
                }
            }
            String::from_utf8(asked).expect("text")
        });
        let opened = smol::block_on(async {
            let mut stream = Async::<TcpStream>::connect(address).await.expect("it listens");
            proxy.tunnel(&mut stream, "hub.example.org:443").await
        });
        (opened, answering.join().expect("it answers"))
    }

    fn proxy(user: Option<&str>) -> Proxy {
        Proxy::new("http://proxy.example.org:3128", user.map(str::to_owned), None).expect("good")
    }

    #[test]
    fn a_tunnel_is_asked_for_by_name_and_opens_with_the_head() {
        let (opened, asked) = tunnel(&proxy(None), b"HTTP/1.0 200 Connection established\r\nvia: x\r\n\r\n");
        assert_eq!(opened, Ok(()));
        assert_eq!(asked, "CONNECT hub.example.org:443 HTTP/1.1\r\nHost: hub.example.org:443\r\n\r\n");
        let (_, asked) = tunnel(&proxy(Some("rack")), b"HTTP/1.1 200 OK\r\n\r\n");
        assert!(asked.contains("proxy-authorization: Basic cmFjazo=\r\n"), "{asked}");
    }

    #[test]
    fn who_is_not_let_through_is_told_why() {
        for (user, answer, why) in [
            (None, &b"HTTP/1.1 407 Auth\r\n\r\n"[..], "wants a user: set `proxy_user`"),
            (Some("rack"), b"HTTP/1.1 407 Auth\r\n\r\n", "does not take this user and password"),
            (
                None,
                b"HTTP/1.1 403 Forbidden\r\n",
                "lets nobody through to hub.example.org:443 (HTTP/1.1 403 Forbidden)",
            ),
            (None, b"SSH-2.0-OpenSSH\r\n", "lets nobody through"),
            (None, b"HTTP/1.1 200", "hangs up; is it a proxy?"),
            (None, b"", "hangs up"),
        ] {
            let (opened, _) = tunnel(&proxy(user), answer);
            assert!(opened.as_ref().is_err_and(|told| told.contains(why)), "{opened:?}");
        }
    }

    #[test]
    fn an_endless_head_has_an_end() {
        static ENDLESS: [u8; 3 * HEAD] = {
            let mut bytes = [b'x'; 3 * HEAD];
            let head = *b"HTTP/1.1 200 OK\r\n";
            let mut at = 0;
            while at < head.len() {
                bytes[at] = head[at];
                at += 1;
            }
            bytes
        };
        let (opened, _) = tunnel(&proxy(None), &ENDLESS);
        assert!(opened.is_err_and(|told| told.contains("more than 8192 bytes")));
    }

    #[test]
    fn only_plain_addresses_are_proxies() {
        let wrong = |url: &str| Proxy::new(url, None, None).is_err();
        assert!(
            ["", "proxy:3128", "https://proxy", "http://proxy/path", "http://a b", "http://u:p@proxy"]
                .map(wrong)
                .iter()
                .all(|wrong| *wrong)
        );
        let secret = Some(Secret::in_env("X"));
        assert_eq!(Proxy::new("http://p", None, secret).expect_err("no user").0, "proxy_password");
    }
}
