//! The HTTP client against servers that behave badly, and behind TLS and proxies. Every URL has a secret in it, and no error shows it.

mod world;

use rackside_receivers::send::{HttpClient, HttpError, Limits, Proxy, Reply};
use rackside_receivers::{Hidden, HttpParcel, Method};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use world::{Certified, OK, Says, Server, client, limits, until};

const SECRET: &str = "hunter2";

fn parcel(url: &str) -> HttpParcel {
    HttpParcel {
        method: Method::Post,
        url: Hidden::new(format!("{url}/{SECRET}?token={SECRET}")),
        headers: vec![
            ("Content-Type", "text/plain".to_owned()),
            ("Authorization", format!("Bearer {SECRET}")),
        ],
        body: b"hello".to_vec(),
    }
}

/// What came back within a minute.
async fn sent(client: &HttpClient, parcel: &HttpParcel) -> Result<Reply, HttpError> {
    let reply = tokio::time::timeout(world::PATIENTLY, client.send(parcel)).await.expect("it ends");
    if let Err(error) = &reply {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
    reply
}

#[tokio::test]
async fn a_request_goes_out_whole_and_the_connection_is_used_again() {
    let server = Server::start(|_, _| OK).await;
    let client = client(limits());
    for _ in 0..3 {
        let reply = sent(&client, &parcel(&server.url(""))).await.expect("an answer");
        assert_eq!((reply.status, reply.body.as_slice()), (200, b"ok".as_slice()));
    }
    let seen = server.seen();
    let head = &seen[0].head;
    assert!(head.starts_with("POST /hunter2?token=hunter2 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{head}");
    assert!(
        head.contains("authorization: Bearer hunter2\r\n") && head.contains("content-length: 5\r\n"),
        "{head}"
    );
    assert_eq!(seen[0].body, "hello");
    assert_eq!(seen.iter().map(|one| one.connection).collect::<Vec<_>>(), [0, 0, 0]);
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_made_anew() {
    let server = Server::start(|_, _| Says::AnswerAndClose(200)).await;
    let client = client(limits());
    for _ in 0..3 {
        assert_eq!(sent(&client, &parcel(&server.url(""))).await.expect("an answer").status, 200);
    }
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let inside = Server::start(|_, _| OK).await;
    let to = format!("Location: {}\r\n", inside.url("/hunter2"));
    let to: &'static str = to.leak();
    let server = Server::start(move |_, _| Says::Answer(307, to, "")).await;
    let reply = sent(&client(limits()), &parcel(&server.url(""))).await.expect("an answer");
    assert_eq!((reply.status, reply.points_to), (307, Some(format!("127.0.0.1:{}", inside.port))));
    assert_eq!(inside.seen().len(), 0);
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off_at_its_bound() {
    let server = Server::start(|_, _| Says::Endless).await;
    let reply = sent(&client(Limits { rest: world::PATIENTLY, ..limits() }), &parcel(&server.url(""))).await;
    let reply = reply.expect("an answer");
    assert_eq!((reply.status, reply.body.len()), (200, 64 << 10));
    until("the server is cut off", || server.cut.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_body_that_drips_is_not_waited_for() {
    let server = Server::start(|_, _| Says::Drips).await;
    let limits = Limits { rest: Duration::from_millis(200), ..limits() };
    let reply = sent(&client(limits), &parcel(&server.url(""))).await.expect("an answer");
    assert!(reply.status == 200 && reply.body.len() < 1_000, "{reply:?}");
    until("the server is cut off", || server.cut.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_server_that_never_answers_or_drips_its_head_is_given_up() {
    for says in [Says::Never, Says::DripsHead] {
        let server = Server::start(move |_, _| says.clone()).await;
        let limits = Limits { whole: Duration::from_secs(1), ..limits() };
        let error = sent(&client(limits), &parcel(&server.url(""))).await.expect_err("no answer");
        assert_eq!(error.to_string(), format!("127.0.0.1:{}: no answer within 1 s", server.port));
        until("the server is cut off", || server.cut.load(Ordering::SeqCst) == 1).await;
    }
}

#[tokio::test]
async fn what_hangs_up_is_a_broken_connection() {
    let server = Server::start(|_, _| Says::Hangs).await;
    let error = sent(&client(limits()), &parcel(&server.url(""))).await.expect_err("no answer").to_string();
    assert!(error.starts_with(&format!("127.0.0.1:{}: the connection broke", server.port)), "{error}");
}

#[tokio::test]
async fn what_listens_and_takes_no_connection_into_tls_is_given_up() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("https://127.0.0.1:{}", deaf.local_addr().expect("it has one").port());
    let limits = Limits { connect: Duration::from_secs(1), ..limits() };
    let error = sent(&client(limits), &parcel(&url)).await.expect_err("no connection").to_string();
    assert!(error.ends_with(": no connection within 1 s"), "{error}");
}

#[tokio::test]
async fn urls_and_headers_that_cannot_be_sent_are_final_and_not_shown() {
    let client = client(limits());
    let error = sent(&client, &parcel("nonsense:")).await.expect_err("no URL");
    assert!(matches!(error, HttpError::Url(_)), "{error}");
    let mut parcel = parcel("http://127.0.0.1:9");
    parcel.headers.push(("X-Line", format!("{SECRET}\r\nX-Other: 1")));
    let error = sent(&client, &parcel).await.expect_err("no header");
    assert!(matches!(error, HttpError::Header("X-Line")), "{error}");
    let error = sent(&client, &self::parcel("http://no-such-host.invalid")).await.expect_err("no such host");
    assert!(error.to_string().starts_with("no-such-host.invalid: the name cannot be looked up"), "{error}");
}

#[tokio::test]
async fn tls_is_verified_by_authority_and_by_name() {
    let (certified, directory) = (Certified::new(), tempfile::tempdir().expect("a directory"));
    let server = Server::start_with(Some(certified.acceptor()), |_, _| OK).await;
    let trusting = HttpClient::new(&certified.trust(directory.path()), None, limits());
    for host in ["localhost", "127.0.0.1"] {
        let reply = sent(&trusting, &parcel(&format!("https://{host}:{}", server.port))).await;
        assert_eq!(reply.expect("an answer").status, 200);
    }
    let by_address = format!("https://127.0.0.1:{}", server.port);
    let error =
        sent(&client(limits()), &parcel(&by_address)).await.expect_err("an unknown authority").to_string();
    assert!(error.contains("TLS failed") && error.contains("UnknownIssuer"), "{error}");
    let by_name = Certified::naming(&["localhost"]);
    let named = Server::start_with(Some(by_name.acceptor()), |_, _| OK).await;
    let trusting = HttpClient::new(&by_name.trust(directory.path()), None, limits());
    let error = sent(&trusting, &parcel(&format!("https://127.0.0.1:{}", named.port))).await;
    let error = error.expect_err("another name").to_string();
    assert!(error.contains("TLS failed") && error.contains("not valid for name"), "{error}");
    let elsewhere = Certified::new();
    let other = HttpClient::new(&elsewhere.trust(directory.path()), None, limits());
    let error = sent(&other, &parcel(&by_address)).await.expect_err("another authority").to_string();
    assert!(error.contains("TLS failed"), "{error}");
    assert_eq!((server.seen().len(), named.seen().len()), (2, 0));
}

#[tokio::test]
async fn a_proxy_is_used_for_both_kinds_of_urls_and_logs_in() {
    let (certified, directory) = (Certified::new(), tempfile::tempdir().expect("a directory"));
    let secure = Server::start_with(Some(certified.acceptor()), |_, _| OK).await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let proxy_port = proxy.local_addr().expect("it has one").port();
    let to = secure.port;
    let answers = tokio::spawn(async move {
        let mut heads = Vec::new();
        for round in 0..2 {
            let (mut tcp, _) = proxy.accept().await.expect("it comes");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await.expect("a head"));
            }
            heads.push(String::from_utf8(head).expect("text"));
            if round == 0 {
                tcp.write_all(b"HTTP/1.1 200 Established\r\nVia: x\r\n\r\n").await.expect("it takes it");
                tokio::spawn(world::tunnel(tcp, to));
            } else {
                tcp.read_exact(&mut [0; 5]).await.expect("the body");
                tcp.write_all(b"HTTP/1.1 204 So\r\n\r\n").await.expect("it takes it");
            }
        }
        heads
    });
    let authorization = Some(Hidden::new("Basic aHVudGVyMg=="));
    let through = Proxy { host: "127.0.0.1".to_owned(), port: proxy_port, authorization };
    let client = HttpClient::new(&certified.trust(directory.path()), Some(through), limits());
    let reply = sent(&client, &parcel(&format!("https://localhost:{to}"))).await.expect("an answer");
    assert_eq!((reply.status, secure.seen().len()), (200, 1));
    assert!(!secure.seen()[0].head.to_lowercase().contains("proxy"), "{:?}", secure.seen());
    let reply = sent(&client, &parcel("http://hooks.example.org")).await.expect("an answer");
    assert_eq!(reply.status, 204);
    let heads = answers.await.expect("two came");
    assert!(heads[0].starts_with(&format!("CONNECT localhost:{to} HTTP/1.1\r\n")), "{heads:?}");
    assert!(
        heads[1].starts_with("POST http://hooks.example.org/hunter2?token=hunter2 HTTP/1.1\r\n"),
        "{heads:?}"
    );
    let login = "proxy-authorization: basic ahvudgvymg==\r\n";
    assert!(heads.iter().all(|head| head.to_lowercase().contains(login)), "{heads:?}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let server = Server::start(|_, _| Says::Answer(407, "", "")).await;
    let proxy = Proxy { host: "127.0.0.1".to_owned(), port: server.port, authorization: None };
    let trust = rackside_receivers::send::Trust::of_the_system().expect("ca-certificates");
    let client = HttpClient::new(&trust, Some(proxy), limits());
    let error = sent(&client, &parcel("https://hooks.example.org")).await.expect_err("refused").to_string();
    assert_eq!(error, "hooks.example.org: the proxy: it answers 407 to CONNECT hooks.example.org:443");
}
