//! The page in a real browser: its script runs under the page's own policy, and values change without a reload.

mod client;
mod desk;
mod rack;

use client::Client;
use desk::{Desk, program};
use rack::{Rack, series, vitals};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

/// A name that would be markup.
const EVIL: &str = "<img src=x onerror=alert(1)>";

/// Passes on to `hub`, but keeps the icon back for a while: Chromium takes the document when the page with all its images is
/// loaded, and so the script has that long.
fn with_slow_icon(hub: SocketAddr) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = door.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for browser in door.incoming().map_while(Result::ok) {
            std::thread::spawn(move || pass_on(browser, hub));
        }
    });
    address
}

/// One request. The browser may hang up at any time.
fn pass_on(mut browser: TcpStream, hub: SocketAddr) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        browser.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    if head.starts_with(b"GET /static/icon.") {
        std::thread::sleep(Duration::from_secs(3));
    }
    let head = String::from_utf8(head).ok()?.replace("Connection: keep-alive", "Connection: close");
    let mut stream = TcpStream::connect(hub).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    std::io::copy(&mut stream, &mut browser).ok()?;
    Some(())
}

/// The page's document three seconds after it was asked for, and what the browser's console said.
fn document(page: SocketAddr) -> (String, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(program("chromium", "chromium"))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", directory.path().display()))
        .arg("--timeout=20000")
        .arg(format!("http://{page}/"))
        .output()
        .expect("chromium starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_page_is_live_without_a_reload() {
    let desk = Desk::start();
    let mut rack = Rack::new("arena-north", "rack-1");
    let mut client = Client::connect(desk.mqtt(), "rack").expect("it connects");
    for sent in [rack.presence(true), rack.birth(), rack.catalog(&vitals())] {
        client.send(sent).expect("sent");
    }
    client.send(rack.numbers(&[401, 125, 1024, 4096, 0])).expect("sent");
    desk.eventually("it is on the page", |desk| Some(()).filter(|()| desk.get("/").contains("40.1 °C")));
    let (document, console) = std::thread::scope(|scope| {
        let browser = scope.spawn(|| document(with_slow_icon(desk.web())));
        // Said only when the browser watches, so that the first rendering cannot have it.
        desk.eventually("the browser watches", |desk| {
            desk.metric("rackside_hub_live_watchers").filter(|count| count == "1")
        });
        let mut second = Rack::new("town-hall", "rack-2");
        second.model = EVIL;
        let of_evil =
            [&vitals()[..], &[series("rackside_probe_success", &[("probe", EVIL), ("type", "tcp")])]]
                .concat();
        let news = [
            rack.numbers(&[523, 125, 1024, 4096, 0]),
            second.birth(),
            second.catalog(&of_evil),
            second.numbers(&[611, 0, 0, 0, 0, 0]),
            rack.presence(false),
        ];
        for sent in news {
            client.send(sent).expect("sent");
        }
        browser.join().expect("the browser ends")
    });
    let parts = [
        "data-line=\"live\"",
        "52.3 °C",
        "data-rack=\"town-hall/rack-2\"",
        "61.1 °C",
        "link lost",
        "(1 not well)",
    ];
    // As text, twice: what it runs on, and the probe that fails.
    assert_eq!(document.matches("&lt;img src=x onerror=").count(), 2, "{document}");
    assert!(!document.contains("<img src=x"), "{document}");
    for part in parts {
        assert!(document.contains(part), "{part} is not in the document:\n{document}\n{console}");
    }
    assert!(!console.contains("Content Security Policy") && !console.contains("Uncaught"), "{console}");
}
