//! Mail through a real server: with STARTTLS, TLS and logins, refused for ever and for now. The server is aiosmtpd; Debian's package is
//! python3-aiosmtpd.

mod world;

use rackside_receivers::send::{Carrier, MailError, MailServer, Mailer, Security, Trust};
use rackside_receivers::worker::Post;
use rackside_receivers::{Attachment, Hidden, MailParcel, Outcome, Way};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use world::{Certified, Watch, couriers, opened, outgoing, until};

/// The server, while it is held.
struct Smtp {
    port: u16,
    mails: Arc<Mutex<Vec<serde_json::Value>>>,
    certified: Certified,
    directory: tempfile::TempDir,
    _child: Child,
    _stdin: ChildStdin,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/smtp.py");

impl Smtp {
    async fn start(security: Security, login: &[&str]) -> Self {
        let (certified, directory) = (Certified::new(), tempfile::tempdir().expect("a directory"));
        let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
        std::fs::write(&chain, &certified.chain).expect("it is written");
        std::fs::write(&key, &certified.key).expect("it is written");
        let mode = match security {
            Security::None => "none",
            Security::StartTls => "starttls",
            Security::Tls => "tls",
        };
        // The package serves the system's Python, which need not be the first one in PATH.
        let mut child = Command::new("/usr/bin/python3")
            .args([Path::new(SCRIPT), Path::new(mode), &chain, &key])
            .args(login)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 runs");
        let stdin = child.stdin.take().expect("it is piped");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.next_line().await.expect("text").expect("a port; is python3-aiosmtpd installed?");
        let port = port.parse().expect("a number");
        let mails: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
        let all = Arc::clone(&mails);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                all.lock().expect("nobody panicked").push(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Self { port, mails, certified, directory, _child: child, _stdin: stdin }
    }

    fn mails(&self) -> Vec<serde_json::Value> {
        self.mails.lock().expect("nobody panicked").clone()
    }

    fn server(&self, security: Security) -> MailServer {
        MailServer {
            host: "localhost".to_owned(),
            port: Some(self.port),
            security,
            login: None,
            within: world::PATIENTLY,
        }
    }

    fn mailer(&self, server: MailServer) -> Mailer {
        Mailer::new(server, &self.certified.trust(self.directory.path())).expect("it can be used")
    }
}

fn mail(to: &[&str]) -> MailParcel {
    MailParcel {
        from: "Rackside <hub@example.org>".to_owned(),
        to: to.iter().map(|&to| to.to_owned()).collect(),
        subject: "Hall 1: encoder stopped · Würzburg".to_owned(),
        text: "since 03:12".to_owned(),
        html: "<p>since 03:12 <img src=\"cid:chart\"></p>".to_owned(),
        attachments: vec![Attachment {
            content_id: "chart".to_owned(),
            file_name: "chart.png".to_owned(),
            content_type: "image/png",
            bytes: b"\x89PNG".to_vec(),
        }],
        message_id: "rackside.7@example.org".to_owned(),
        references: "rackside.group.1@example.org".to_owned(),
    }
}

fn login(password: &str) -> (String, Hidden) {
    ("hub".to_owned(), Hidden::new(password))
}

#[tokio::test]
async fn mail_goes_over_starttls_and_tls_with_a_login_and_is_what_was_meant() {
    for security in [Security::StartTls, Security::Tls] {
        let smtp = Smtp::start(security, &["hub", "hunter2"]).await;
        let mailer = smtp.mailer(MailServer { login: Some(login("hunter2")), ..smtp.server(security) });
        for _ in 0..2 {
            let outcome =
                mailer.send(&mail(&["crew@example.org", "Desk <desk@example.org>"]), world::NOW).await;
            assert_eq!(outcome, Outcome::Delivered, "{security:?}");
        }
        until("both are there", || smtp.mails().len() == 2).await;
        let got = &smtp.mails()[0];
        assert_eq!((got["tls"].as_bool(), got["login"].as_bool()), (Some(true), Some(true)), "{got}");
        assert_eq!(got["from"], "hub@example.org");
        assert_eq!(got["to"], serde_json::json!(["crew@example.org", "desk@example.org"]));
        let content = got["content"].as_str().expect("text").replace("\r\n", "\n");
        for line in [
            "Message-ID: <rackside.7@example.org>\n",
            "In-Reply-To: <rackside.group.1@example.org>\n",
            "References: <rackside.group.1@example.org>\n",
            "Date: Fri, 20 Nov 2026 05:24:56 +0000\n",
            "Auto-Submitted: auto-generated\n",
            "Content-ID: <chart>\n",
            "Content-Type: image/png\n",
            "filename=\"chart.png\"",
            "Subject: Hall 1: encoder stopped =?utf-8?b?",
        ] {
            assert!(content.contains(line), "{line} is not in\n{content}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_final_and_not_shown() {
    let smtp = Smtp::start(Security::StartTls, &["hub", "hunter2"]).await;
    let mailer = smtp.mailer(MailServer { login: Some(login("hunter3")), ..smtp.server(Security::StartTls) });
    let Outcome::Final { why, disable: false } = mailer.send(&mail(&["crew@example.org"]), world::NOW).await
    else {
        panic!("it is final")
    };
    assert!(why.starts_with("localhost: ") && why.contains("535") && !why.contains("hunter"), "{why}");
    assert!(!format!("{mailer:?}").contains("hunter"), "{mailer:?}");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_or_has_no_tls_gets_nothing() {
    for security in [Security::StartTls, Security::Tls] {
        let smtp = Smtp::start(security, &[]).await;
        let trust = Trust::of_the_system().expect("ca-certificates");
        let mailer = Mailer::new(smtp.server(security), &trust).expect("it can be used");
        let outcome = mailer.send(&mail(&["crew@example.org"]), world::NOW).await;
        assert!(matches!(&outcome, Outcome::Retry { why, .. } if why.contains("certificate")), "{outcome:?}");
        assert_eq!(smtp.mails().len(), 0);
    }
    let plain = Smtp::start(Security::None, &[]).await;
    let mailer =
        plain.mailer(MailServer { login: Some(login("hunter2")), ..plain.server(Security::StartTls) });
    let outcome = mailer.send(&mail(&["crew@example.org"]), world::NOW).await;
    assert!(!matches!(outcome, Outcome::Delivered), "{outcome:?}");
    assert_eq!(plain.mails().len(), 0);
    let naked = MailServer { login: Some(login("hunter2")), ..plain.server(Security::None) };
    let refused = Mailer::new(naked, &Trust::of_the_system().expect("ca-certificates"));
    assert!(matches!(refused, Err(MailError::LoginInTheClear)), "{refused:?}");
}

#[tokio::test]
async fn an_address_that_is_gone_costs_the_others_nothing() {
    let smtp = Smtp::start(Security::None, &[]).await;
    let mailer = smtp.mailer(smtp.server(Security::None));
    let outcome = mailer.send(&mail(&["gone@example.org", "crew@example.org"]), world::NOW).await;
    assert_eq!(outcome, Outcome::Delivered);
    until("it is there", || smtp.mails().len() == 1).await;
    assert_eq!(smtp.mails()[0]["to"], serde_json::json!(["crew@example.org"]));
    let outcome = mailer.send(&mail(&["gone@example.org"]), world::NOW).await;
    assert!(
        matches!(&outcome, Outcome::Final { why, .. } if why == "localhost: permanent error (550): 5.1.1 no such user"),
        "{outcome:?}"
    );
    let outcome = mailer.send(&mail(&["not an address"]), world::NOW).await;
    assert!(
        matches!(&outcome, Outcome::Final { why, .. } if why.contains("is no mail address")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_address_that_is_put_off_gets_its_mail_later_and_the_others_theirs_once() {
    let smtp = Smtp::start(Security::None, &[]).await;
    let mailer = smtp.mailer(smtp.server(Security::None));
    let parcel = mail(&["crew@example.org", "later@example.org", "gone@example.org", "desk@example.org"]);
    let outcome = mailer.send(&parcel, world::NOW).await;
    assert!(
        matches!(&outcome, Outcome::Stumbles { why, .. } if why.contains("451") && why.contains("later@example.org")),
        "{outcome:?}"
    );
    assert_eq!(mailer.send(&parcel, world::NOW).await, Outcome::Delivered);
    until("all are there", || smtp.mails().len() == 3).await;
    let to: Vec<String> = smtp.mails().iter().map(|mail| mail["to"].to_string()).collect();
    assert_eq!(to, ["crew", "desk", "later"].map(|name| format!("[\"{name}@example.org\"]")));
    // Another mail knows nothing of that one.
    let next = MailParcel { message_id: "rackside.8@example.org".to_owned(), ..mail(&["crew@example.org"]) };
    assert_eq!(mailer.send(&next, world::NOW).await, Outcome::Delivered);
}

#[tokio::test]
async fn a_server_that_takes_its_time_with_each_of_many_is_given_it() {
    let slow =
        ["slow1", "slow2", "slow3", "slow4", "slow5", "slow6"].map(|name| format!("{name}@example.org"));
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    let sent = async |to: Vec<&str>, mails: usize| {
        let smtp = Smtp::start(Security::None, &[]).await;
        let within = Duration::from_secs(5);
        let mailer = smtp.mailer(MailServer { within, ..smtp.server(Security::None) });
        assert_eq!(mailer.send(&mail(&to), world::NOW).await, Outcome::Delivered, "{to:?}");
        until("all are there", || smtp.mails().len() == mails).await;
    };
    let with_gone: Vec<&str> = ["gone@example.org"].into_iter().chain(slow.iter().copied()).collect();
    tokio::join!(sent(slow, 1), sent(with_gone, 6));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_for_now() {
    let smtp = Smtp::start(Security::None, &[]).await;
    let mailer = smtp.mailer(MailServer { within: Duration::from_secs(1), ..smtp.server(Security::None) });
    let outcome = mailer.send(&mail(&["stuck@example.org"]), world::NOW).await;
    assert!(matches!(&outcome, Outcome::Retry { .. }), "{outcome:?}");
}

#[tokio::test]
async fn mail_that_is_put_off_comes_later_and_once() {
    let smtp = Smtp::start(Security::None, &[]).await;
    let (directory, watch) = (tempfile::tempdir().expect("a directory"), Watch::new());
    let outbox = opened(directory.path());
    let couriers = couriers(&outbox, &watch);
    let way = Way::Email { from: "hub@example.org".to_owned(), to: vec!["later@example.org".to_owned()] };
    let carrier = Ok(Carrier::Mail(smtp.mailer(smtp.server(Security::None))));
    couriers.set(vec![Post { receiver: world::receiver("crew", way), carrier }]).await;
    outbox.commit(b"", &outgoing("crew", 1..=2), watch.now());
    until("both are there", || smtp.mails().len() == 2).await;
    until("both are marked", || couriers.status()[0].delivered == 2).await;
    let status = &couriers.status()[0];
    assert_eq!((status.retries, status.recovered), (2, true));
    let why = &status.last_error.as_ref().expect("it was put off").why;
    assert!(why.contains("451") && why.contains("come back later"), "{why}");
    couriers.stop().await;
}
