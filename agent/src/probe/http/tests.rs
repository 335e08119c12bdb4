//! The client against servers on real sockets, most of them hostile.

use super::server::{Authority, Server, Talk, ok};
use super::*;
use crate::tls::Objection;
use std::io::Write as _;

fn ask(url: &str, with: impl FnOnce(&mut Request<'_>)) -> Result<Answer, FetchError> {
    ask_in(&Context::default(), url, with)
}

fn ask_in(context: &Context, url: &str, with: impl FnOnce(&mut Request<'_>)) -> Result<Answer, FetchError> {
    let url = Url::parse(url).expect("an address");
    let mut request = Request::get(&url);
    request.within = Duration::from_secs(20);
    with(&mut request);
    smol::block_on(fetch(context, request))
}

fn get(server: &Server) -> Result<Answer, FetchError> {
    ask(&server.url("/"), |_| ())
}

fn body(server: &Server) -> String {
    String::from_utf8(get(server).expect("an answer").body).expect("text")
}

fn error(server: &Server) -> String {
    get(server).expect_err("no good answer").to_string().replace(&server.url(""), "ORIGIN")
}

/// Writes the same until nobody listens any more.
fn endless(talk: &mut dyn Talk, piece: &[u8]) {
    while talk.write_all(piece).is_ok() {}
}

#[test]
fn a_page_is_asked_for_and_taken_with_its_phases() {
    let server = Server::saying("HTTP/1.1 404 Not Found\r\nX-Note: there\r\nContent-Length: 4\r\n\r\ngone");
    let answer = ask(&server.url("/a?b=c"), |request| {
        request.headers.push(("accept", "application/json".to_owned()));
    })
    .expect("an answer");
    assert_eq!((answer.status, answer.body.as_slice(), answer.is_cut), (404, &b"gone"[..], false));
    assert_eq!((answer.header("x-note"), answer.is_success(), answer.redirects), (Some("there"), false, 0));
    assert!(answer.phases.connect > Duration::ZERO && answer.phases.first_byte > Duration::ZERO);
    assert_eq!(answer.phases.tls, Duration::ZERO);
    let asked = server.asked().remove(0);
    assert!(asked.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{asked}");
    let host = format!("host: {}\r\n", server.address);
    assert!(asked.contains(&host) && asked.contains("accept: application/json\r\n"), "{asked}");
}

#[test]
fn a_body_comes_with_a_length_in_chunks_or_until_the_end() {
    assert_eq!(body(&Server::page("hello")), "hello");
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n1;x=y\r\no\r\n0\r\nA: b\r\n\r\n";
    assert_eq!(body(&Server::saying(chunked)), "hello");
    assert_eq!(body(&Server::saying("HTTP/1.0 200 OK\r\n\r\nhello")), "hello");
    assert_eq!(body(&Server::saying("HTTP/1.1 204 No Content\r\n\r\n")), "");
    assert_eq!(body(&Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world")), "hello");
}

#[test]
fn a_request_may_carry_a_body_and_ask_for_the_head_alone() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
    let head = ask(&server.url("/"), |request| request.method = Method::HEAD).expect("an answer");
    assert_eq!((head.header("content-length"), head.body.len()), (Some("99"), 0));
    let server = Server::page("");
    ask(&server.url("/"), |request| {
        request.method = Method::POST;
        request.body = b"{\"a\":1}".to_vec();
    })
    .expect("an answer");
    let asked = server.asked().remove(0);
    assert!(asked.starts_with("POST / ") && asked.ends_with("\r\n\r\n{\"a\":1}"), "{asked}");
}

#[test]
fn a_body_without_end_is_cut_off_and_the_connection_closed() {
    let (sender, ended) = std::sync::mpsc::channel();
    let server = Server::start(move |_, talk| {
        let _ = talk.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        endless(talk, &[b'x'; 4096]);
        let _ = sender.send(());
    });
    let answer = ask(&server.url("/"), |request| request.most = 100_000).expect("an answer");
    assert_eq!((answer.body.len(), answer.is_cut), (100_000, true));
    ended.recv_timeout(Duration::from_secs(20)).expect("the server notices that nobody listens");
}

#[test]
fn a_body_of_just_the_size_is_not_cut() {
    let server = Server::page("hello");
    let kept = |most| {
        let answer = ask(&server.url("/"), |request| request.most = most).expect("an answer");
        (String::from_utf8(answer.body).expect("text"), answer.is_cut)
    };
    assert_eq!(kept(5), ("hello".to_owned(), false));
    assert_eq!(kept(4), ("hell".to_owned(), true));
    assert_eq!(kept(0), (String::new(), true));
    let counted = ask(&server.url("/"), |request| request.is_kept = false).expect("an answer");
    assert_eq!((counted.length, counted.body.len(), counted.is_cut), (5, 0, false));
}

#[test]
fn a_head_without_end_is_no_answer() {
    for line in ["X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "aaaaaaaa"] {
        let server = Server::start(move |_, talk| {
            let _ = talk.write_all(b"HTTP/1.1 200 OK\r\n");
            endless(talk, line.as_bytes());
        });
        let why = error(&server);
        assert!(why.starts_with("ORIGIN: the head of the answer is larger than"), "{why}");
    }
}

#[test]
fn a_server_that_never_finishes_is_left_after_the_time() {
    let hurry = |server: &Server| {
        let within = Duration::from_millis(300);
        let error = ask(&server.url("/"), |request| request.within = within).expect_err("too slow");
        error.to_string().replace(&server.url(""), "ORIGIN")
    };
    let drip = |before: &'static [u8], drop: &'static [u8]| {
        Server::start(move |_, talk| {
            let _ = talk.write_all(before);
            while talk.write_all(drop).and_then(|()| talk.flush()).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    assert_eq!(hurry(&drip(b"HTTP/1.1 200 O", b"K")), "ORIGIN: no answer had begun after 300ms");
    let interim = drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(hurry(&interim), "ORIGIN: no answer had begun after 300ms");
    let slow = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x");
    assert_eq!(hurry(&slow), "ORIGIN: the answer had not ended after 300ms");
}

#[test]
fn what_is_no_http_is_said_so() {
    for (answer, why) in [
        ("", "it closed the connection too early"),
        ("HTTP/1.1 200 OK\r\nContent-", "it closed the connection too early"),
        ("220 mail.example ESMTP\r\n", "what came is no HTTP"),
        ("\x00\x01\x02\x03\r\n\r\n", "what came is no HTTP"),
        ("HTTP/1.1 999999 Strange\r\n\r\n", "what came is no HTTP"),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "what came is no HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "what came is no HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "what came is no HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "the answer breaks off"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "the answer breaks off"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "the answer breaks off"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            "the answer breaks off",
        ),
    ] {
        let found = error(&Server::saying(answer));
        assert!(found.starts_with(&format!("ORIGIN: {why}")), "{answer:?}: {found}");
    }
}

#[test]
fn redirects_are_followed_so_far_and_no_further() {
    let server = Server::start(|request, talk| {
        let path = request.split(' ').nth(1).expect("a path");
        let answer = match path {
            "/a/start" => {
                "HTTP/1.1 302 Found\r\nLocation: ../end?x=1\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            "/loop" => "HTTP/1.1 301 Moved\r\nLocation: /loop\r\n\r\n".to_owned(),
            "/astray" => "HTTP/1.1 301 Moved\r\nLocation: javascript:alert(1)\r\n\r\n".to_owned(),
            "/nowhere" => "HTTP/1.1 304 Not Modified\r\nLocation: /end\r\n\r\n".to_owned(),
            other => ok(other),
        };
        let _ = talk.write_all(answer.as_bytes());
    });
    let answer = ask(&server.url("/a/start"), |_| ()).expect("an answer");
    assert_eq!((answer.body.as_slice(), answer.redirects), (&b"/end?x=1"[..], 1));
    assert_eq!(answer.url.to_string(), server.url("/end?x=…"));
    server.asked();
    let error = ask(&server.url("/loop"), |request| request.redirects = 3).expect_err("a loop").to_string();
    let origin = server.url("");
    assert_eq!(error, format!("{origin} sends from one address to the next, more than 3 times"));
    assert_eq!(server.asked().len(), 4);
    let error = ask(&server.url("/astray"), |_| ()).expect_err("no address").to_string();
    let why = "it begins with neither http:// nor https://";
    assert_eq!(error, format!("{origin} sends to an address that is none: {why}"));
    let kept = ask(&server.url("/loop"), |request| request.redirects = 0).expect("an answer");
    assert_eq!(kept.status, 301);
    assert_eq!(ask(&server.url("/nowhere"), |_| ()).expect("an answer").status, 304);
}

#[test]
fn a_login_goes_to_no_other_server() {
    let other = Server::page("other");
    let location = other.url("/landing");
    let server = Server::start(move |request, talk| {
        let answer = match request.split(' ').nth(1) {
            Some("/away") => format!("HTTP/1.1 307 Away\r\nLocation: {location}\r\n\r\n"),
            Some("/here") => "HTTP/1.1 307 Here\r\nLocation: /end\r\n\r\n".to_owned(),
            _ => ok("here"),
        };
        let _ = talk.write_all(answer.as_bytes());
    });
    let login = |request: &mut Request<'_>| {
        request.headers.push(("authorization", "Bearer hunter2".to_owned()));
    };
    let error = Server::saying("nonsense\r\n\r\n");
    let shown = ask(&error.url("/?token=hunter2"), login).expect_err("no HTTP");
    assert!(!format!("{shown} {shown:?}").contains("hunter2"));
    assert_eq!(ask(&server.url("/here"), login).expect("an answer").body, b"here");
    assert!(server.asked().iter().all(|asked| asked.contains("hunter2")));
    assert_eq!(ask(&server.url("/away"), login).expect("an answer").body, b"other");
    assert!(!other.asked().concat().contains("hunter2"));
}

#[test]
fn a_form_that_was_posted_is_not_posted_again_elsewhere() {
    let server = Server::start(|request, talk| {
        let answer = match request.split(' ').nth(1) {
            Some("/303") => "HTTP/1.1 303 See\r\nLocation: /end\r\n\r\n",
            Some("/307") => "HTTP/1.1 307 See\r\nLocation: /end\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        };
        let _ = talk.write_all(answer.as_bytes());
    });
    for (path, last) in [("/303", "GET /end"), ("/307", "POST /end")] {
        ask(&server.url(path), |request| {
            request.method = Method::POST;
            request.body = b"x".to_vec();
        })
        .expect("an answer");
        let asked = server.asked().pop().expect("it was asked");
        assert!(asked.starts_with(last), "{asked}");
    }
}

#[test]
fn nobody_there_and_no_such_name_are_told_apart() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound")
    };
    let refused = ask(&format!("http://{closed}/"), |_| ()).expect_err("closed").to_string();
    assert_eq!(refused, format!("cannot reach {closed}: Connection refused (os error 111)"));
    let unknown = ask("http://no-such-host.invalid/", |_| ()).expect_err("no such host").to_string();
    assert!(unknown.starts_with("cannot find the address of no-such-host.invalid: "), "{unknown}");
}

fn known(context: &Context, year: u64) {
    context.surroundings.believe(Some((year - 1970) * 31_557_600_000 + 86_400_000));
}

fn objection(result: Result<Answer, FetchError>) -> (Objection, String) {
    match result {
        Err(FetchError::Tls(error)) => (error.objection, error.to_string()),
        other => panic!("no objection: {other:?}"),
    }
}

#[test]
fn https_is_believed_when_its_certificate_is_and_nothing_is_said_otherwise() {
    let (dir, authority) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let ca = authority.file(dir.path());
    let context = Context::default();
    known(&context, 2026);
    let page = |_: &str, talk: &mut dyn Talk| {
        let _ = talk.write_all(ok("secret").as_bytes());
    };
    let asked = |server: &Server, host: &str, trust: Trust| {
        let url = format!("https://{host}:{}/", server.address.port());
        ask_in(&context, &url, |request| request.trust = trust)
    };
    let ours = Trust::Authority(ca.clone());
    let good = Server::tls(authority.server(&["localhost"], (2025, 2030)), page);
    let answer = asked(&good, "localhost", ours.clone()).expect("an answer");
    assert_eq!((answer.body.as_slice(), answer.chain.len()), (&b"secret"[..], 2));
    assert!(answer.phases.tls > Duration::ZERO);
    good.asked();

    let (what, text) = objection(asked(&good, "localhost", Trust::System));
    assert_eq!(what, Objection::Untrusted);
    assert_eq!(text, "the certificate of localhost is not signed by an authority that this system knows");
    let (what, text) = objection(asked(&good, "127.0.0.1", ours.clone()));
    assert_eq!((what, text.as_str()), (Objection::WrongName, "the certificate is not for 127.0.0.1"));
    let expired = Server::tls(authority.server(&["localhost"], (2020, 2025)), page);
    let result = asked(&expired, "localhost", ours.clone());
    assert!(matches!(&result, Err(FetchError::Tls(error)) if error.chain.len() == 2));
    assert_eq!(objection(result).0, Objection::Expired);
    let early = Server::tls(authority.server(&["localhost"], (2028, 2030)), page);
    assert_eq!(objection(asked(&early, "localhost", ours.clone())).0, Objection::NotYetValid);
    assert_eq!((good.asked(), expired.asked(), early.asked()), (vec![], vec![], vec![]));

    assert_eq!(asked(&expired, "127.0.0.1", Trust::Anybody).expect("an answer").body, b"secret");
    let missing = Trust::Authority(dir.path().join("none.pem"));
    let own = asked(&good, "localhost", missing).expect_err("no such file");
    assert!(own.is_own(), "{own}");
    // The date is what the agent believes, and without one the certificate's own begin will do.
    known(&context, 2029);
    assert_eq!(asked(&early, "localhost", ours.clone()).expect("an answer").body, b"secret");
    let unknown = Context::default();
    let url = format!("https://localhost:{}/", early.address.port());
    let answer = ask_in(&unknown, &url, |request| request.trust = ours.clone());
    assert_eq!(answer.expect("an answer").body, b"secret");
}

#[test]
fn plain_and_tls_are_told_apart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let mut stream = listener.accept().expect("somebody comes").0;
        let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        // Closing with bytes unread would reset the connection before ours were read.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let result = ask(&format!("https://localhost:{port}/"), |_| ());
    let text = objection(result).1;
    assert_eq!(text, "localhost does not answer in TLS; is it a TLS port?");
}

#[test]
fn json_is_read_and_what_is_none_is_named_without_being_shown() {
    let json = |body: &str, most: usize| {
        let server = Server::page(body);
        let answer = ask(&server.url("/"), |request| request.most = most).expect("an answer");
        answer.json().map_err(|why| why.replace(&server.url(""), "ORIGIN"))
    };
    assert_eq!(json("{\"a\":[1]}", 99).expect("JSON")["a"][0], 1);
    let html = json(" \n<!DOCTYPE html><html>hunter2", 99);
    assert_eq!(html, Err("ORIGIN gave a page of HTML or XML instead of JSON".to_owned()));
    assert_eq!(
        json("[1,2,3]", 4),
        Err("ORIGIN gave more than the 4 bytes of JSON that are taken".to_owned())
    );
    assert_eq!(json("{\"a\":hunter2}", 99), Err("ORIGIN gave no JSON: wrong at byte 6 of line 1".to_owned()));
    let deep = json(&"[".repeat(100_000), 200_000);
    assert!(deep.is_err());
}

#[test]
fn whatever_bytes_come_back_there_is_an_end_and_no_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    let good: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for _ in 0..200 {
        let mut bytes = good.to_vec();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.u8(..)),
            }
        }
        let server = Server::saying(bytes.clone());
        match get(&server) {
            Ok(answer) => assert!(answer.body.len() <= bytes.len()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
