//! Receivers: each kind with what it needs, and what is refused with which words.

use super::*;

/// A receiver of the kind with these keys.
fn way(keys: &str) -> Result<Way, String> {
    policy(&format!("[[receiver]]\nname = \"one\"\n{keys}")).map(|mut policy| policy.receivers.remove(0).way)
}

#[test]
fn each_kind_has_what_it_needs_and_its_defaults() {
    let basic = Login::Basic { user: "hub".to_owned(), password: secret("P") };
    let mail = |port, tls, login| {
        let (host, from) = ("mail.example.org".to_owned(), "Hub <hub@example.org>".to_owned());
        Way::Email(Email { host, port, tls, login, from, to: vec!["crew@example.org".to_owned()] })
    };
    let of_mail = "kind = \"email\"\nhost = \"mail.example.org\"\nfrom = \"Hub <hub@example.org>\"\nto = [\"crew@example.org\"]\n";
    let ntfy =
        |url: &str, login| Way::Ntfy { url: url.to_owned(), topic: Given::Here("stage".to_owned()), login };
    let telegram = |url: &str, chat: &str, thread| Way::Telegram {
        url: url.to_owned(),
        token: secret("T"),
        chat: chat.to_owned(),
        thread,
    };
    let hook = |url, login, signed: Option<&str>| Way::Webhook { url, secret: signed.map(secret), login };
    let plain = Given::Here("https://hub.example.org/hook".to_owned());
    let managers =
        |login, stands| Way::Alertmanager { urls: vec!["http://127.0.0.1:9093".to_owned()], login, stands };
    for (keys, expected) in [
        ("kind = \"slack\"\nurl = { env = \"U\" }", Way::Slack { url: secret("U") }),
        ("kind = \"discord\"\nurl = { env = \"U\" }", Way::Discord { url: secret("U") }),
        (of_mail, mail(587, MailTls::StartTls, None)),
        (
            &format!("{of_mail}tls = \"tls\"\nuser = \"hub\"\npassword = {{ env = \"P\" }}"),
            mail(465, MailTls::Tls, Some(("hub".to_owned(), secret("P")))),
        ),
        (&format!("{of_mail}tls = \"none\"\nallow_plain = true"), mail(25, MailTls::None, None)),
        (&format!("{of_mail}port = 2525"), mail(2525, MailTls::StartTls, None)),
        (
            "kind = \"telegram\"\ntoken = { env = \"T\" }\nchat = -100123",
            telegram("https://api.telegram.org", "-100123", None),
        ),
        (
            "kind = \"telegram\"\ntoken = { env = \"T\" }\nchat = \"@crew\"\nthread = 7\nurl = \"http://127.0.0.1:81/\"",
            telegram("http://127.0.0.1:81", "@crew", Some(7)),
        ),
        (
            "kind = \"pagerduty\"\nrouting_key = { env = \"K\" }",
            Way::PagerDuty { url: "https://events.pagerduty.com".to_owned(), routing_key: secret("K") },
        ),
        ("kind = \"ntfy\"\ntopic = \"stage\"", ntfy("https://ntfy.sh", None)),
        (
            "kind = \"ntfy\"\ntopic = \"stage\"\nurl = \"https://ntfy.example.org/\"\ntoken = { env = \"T\" }",
            ntfy("https://ntfy.example.org", Some(Login::Bearer(secret("T")))),
        ),
        (
            "kind = \"ntfy\"\ntopic = { env = \"T\" }",
            Way::Ntfy {
                url: "https://ntfy.sh".to_owned(),
                topic: Given::Elsewhere(secret("T")),
                login: None,
            },
        ),
        ("kind = \"webhook\"\nurl = \"https://hub.example.org/hook\"", hook(plain.clone(), None, None)),
        (
            "kind = \"webhook\"\nurl = { env = \"U\" }\nsecret = { env = \"S\" }\nuser = \"hub\"\npassword = { env = \"P\" }",
            hook(Given::Elsewhere(secret("U")), Some(basic.clone()), Some("S")),
        ),
        (
            "kind = \"webhook\"\nurl = \"https://hub.example.org/hook\"\nbearer = { env = \"B\" }",
            hook(plain, Some(Login::Bearer(secret("B"))), None),
        ),
        ("kind = \"alertmanager\"\nurls = [\"http://127.0.0.1:9093/\"]", managers(None, 300_000)),
        (
            "kind = \"alertmanager\"\nurls = [\"http://127.0.0.1:9093\"]\nuser = \"hub\"\npassword = { env = \"P\" }\nstands = \"10m\"",
            managers(Some(basic), 600_000),
        ),
        (
            "kind = \"mqtt\"\ntopic = \"rackside/alerts\"",
            Way::Mqtt { topic: "rackside/alerts".to_owned(), retain: false },
        ),
    ] {
        assert_eq!(way(keys).as_ref(), Ok(&expected), "{keys}");
    }
}

/// Keys of a receiver, and what is said of them.
const WRONG_RECEIVERS: &[(&str, &str)] = &[
    (
        "kind = \"slak\"",
        "3: receiver.kind: unknown value `slak`; did you mean `slack`? (known values: slack, email, telegram, discord, pagerduty, ntfy, webhook, alertmanager, mqtt)",
    ),
    ("kind = \"slack\"", "1: receiver.url: is missing: a receiver of kind \"slack\" needs it"),
    (
        "kind = \"slack\"\nurll = 1",
        "4: unknown key `urll` in [[receiver]]; did you mean `url`? (known keys: name, kind, url, urls, host, port, tls, user, password, bearer, from, to, token, chat, thread, routing_key, topic, retain, secret, stands, proxy, ca, allow_plain, template, send_resolved, time_zone)",
    ),
    (
        "kind = \"slack\"\nurl = { env = \"U\" }\ntopic = \"a\"",
        "5: receiver.topic: a receiver of kind \"slack\" has no such key; it takes url, proxy, ca",
    ),
    (
        "kind = \"slack\"\nurl = \"https://hooks.example.org/hunter2\"",
        "4: receiver.url: whoever knows this URL can write there, so it is a secret and does not belong in this file; write { file = \"/path/of/the/secret\" } or { env = \"NAME\" }",
    ),
    (
        "kind = \"telegram\"\ntoken = \"hunter2\"\nchat = 1",
        "4: receiver.token: a secret does not belong in this file; write { file = \"/path/of/the/secret\" } or { env = \"NAME\" }",
    ),
    (
        "kind = \"telegram\"\ntoken = { env = \"T\" }\nchat = \"crew\"",
        "5: receiver.chat: \"crew\" is no chat; write its number, for example -1001234567890, or \"@channel\"",
    ),
    (
        "kind = \"webhook\"\nurl = 5",
        "4: receiver.url: found integer `5`, expected a text, { file = \"/path\" } or { env = \"NAME\" }",
    ),
    (
        "kind = \"webhook\"\nurl = \"http://hub.example.org/\"",
        "4: receiver.url: goes over the network without encryption; write https://, or say `allow_plain = true` if that network is yours alone",
    ),
    (
        "kind = \"webhook\"\nurl = \"https://a:hunter2@example.org\"",
        "4: receiver.url: has a user name in it, where logs would show it; take it out and say `user` and `password`",
    ),
    (
        "kind = \"webhook\"\nurl = \"https://a.example.org\"\nuser = \"a\"",
        "5: receiver.user: without a `password` nobody can log in",
    ),
    (
        "kind = \"webhook\"\nurl = \"https://a.example.org\"\npassword = { env = \"P\" }",
        "5: receiver.password: whose it is is missing: give `user`",
    ),
    (
        "kind = \"webhook\"\nurl = \"https://a.example.org\"\npassword = { env = \"P\" }\nuser = \"a\"\nbearer = { env = \"B\" }",
        "7: receiver.bearer: both `user` and `bearer` are given; keep one of them",
    ),
    (
        "kind = \"ntfy\"\ntopic = \"a b\"",
        "4: receiver.topic: is no topic of ntfy: 1 to 64 of A-Z a-z 0-9 - _",
    ),
    (
        "kind = \"ntfy\"\ntopic = \"a\"\nurl = { env = \"U\" }",
        "5: receiver.url: is no secret here; write it as a text",
    ),
    (
        "kind = \"mqtt\"\ntopic = \"a/#\"",
        "4: receiver.topic: \"a/#\" is no topic to publish to; write for example \"rackside/alerts\"",
    ),
    ("kind = \"mqtt\"\ntopic = { env = \"U\" }", "4: receiver.topic: is no secret here; write it as a text"),
    ("kind = \"alertmanager\"\nurls = []", "4: receiver.urls: is empty; name one at least"),
    (
        "kind = \"alertmanager\"\nurls = [\"https://a.example.org\", \"b\"]",
        "4: receiver.urls: begins with neither https:// nor http://",
    ),
    (
        "kind = \"alertmanager\"\nurls = [\"https://a.example.org\"]\nstands = \"30s\"",
        "5: receiver.stands: \"30s\" is too short; it is told again only now and then, so write for example \"5m\"",
    ),
    (
        "kind = \"slack\"\nurl = { env = \"U\" }\ntemplate = { subject = \"a\" }",
        "5: unknown key `subject` in [receiver.template] (known keys: title, body)",
    ),
];

#[test]
fn what_a_kind_lacks_or_does_not_know_is_named() {
    for (keys, why) in WRONG_RECEIVERS {
        assert_eq!(said(&format!("[[receiver]]\nname = \"one\"\n{keys}")), *why, "{keys}");
    }
    assert_eq!(
        said("[[receiver]]\nname = \"team:a\"\nkind = \"slack\"\nurl = { env = \"U\" }"),
        "2: receiver.name: begins with `team:`, which stands for a team"
    );
    assert_eq!(said("[[receiver]]\nname = \" \"\nkind = \"slack\""), "2: receiver.name: is empty");
    assert_eq!(
        said(&format!("{CREW}{CREW}")),
        "6: receiver.name: there is a [[receiver]] \"crew\" already, further up"
    );
}

#[test]
fn mail_that_nobody_would_get_or_everybody_could_read_is_refused() {
    let mail = "kind = \"email\"\nhost = \"mail.example.org\"\nfrom = \"hub@example.org\"\n";
    for (keys, why) in [
        ("to = []", "6: receiver.to: is empty; name one at least"),
        (
            "to = [\"crew\"]",
            "6: receiver.to: \"crew\" is no address; write for example \"Crew <crew@example.org>\"",
        ),
        (
            "to = [\"a@b\\r\\nBcc: c@d\"]",
            "6: receiver.to: \"a@b\\r\\nBcc: c@d\" is no address; write for example \"Crew <crew@example.org>\"",
        ),
        (
            "to = [\"a@example.org\"]\ntls = \"none\"",
            "7: receiver.tls: mail would go over the network without encryption; write \"starttls\" or \"tls\", or say `allow_plain = true` if that network is yours alone",
        ),
        ("to = [\"a@example.org\"]\nport = 0", "7: receiver.port: is from 1 to 65535"),
    ] {
        assert_eq!(said(&format!("[[receiver]]\nname = \"one\"\n{mail}{keys}")), why, "{keys}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let text = "[notify]\ndead_man = { url = \"https://a.example.org/hunter2\" }\n[[receiver]]\nname = \"one\"\nkind = \"ntfy\"\n\
                topic = \"hunter2\"\n[[receiver]]\nname = \"two\"\nkind = \"webhook\"\nurl = \"https://a.example.org/hunter2\"\n";
    let tables: Tables = rackside_config::parse(text, "hub.toml").expect("it is right");
    let shown = format!("{tables:?} {:?}", right(text));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_hubs_own_topics_are_its_own() {
    for (topic, is_own) in [
        ("rackside/alerts", false),
        ("rackside/1", true),
        ("rackside/1/arena-north/rack-1/ack", true),
        ("rackside/json/arena-north/rack-1/data", true),
        ("rackside/10/a", false),
        ("racksides/1/a", false),
        ("rackside", false),
        ("a/rackside/1/b", false),
    ] {
        let policy =
            right(&format!("{CREW}[[receiver]]\nname = \"one\"\nkind = \"mqtt\"\ntopic = \"{topic}\""));
        let why = policy.stays_off("rackside").err();
        assert_eq!(
            why.as_ref().map(|(key, _)| key.as_str()),
            is_own.then_some("receiver.1.topic"),
            "{topic}"
        );
    }
}
