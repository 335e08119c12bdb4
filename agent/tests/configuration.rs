//! The configuration as a person meets it: the example that is shipped, and each mistake with its exact message.
//!
//! `bad/<case>.toml` goes with `bad/<case>.txt`. After a wanted change of messages run with `RACKSIDE_UPDATE=1` and look at
//! the difference.

use rackside_agent::config::Config;
use rackside_agent::probe::config::KINDS;
use rackside_config::Secret;
use std::fs;
use std::path::{Path, PathBuf};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A hub that other machines reach lets nobody in without a login.
#[test]
fn the_card_of_the_recipe_has_a_login_from_the_boot_partition() {
    let recipe = fs::read_to_string(here("../cross/README.md")).expect("the recipe");
    let (_, card) = recipe.split_once("`printf '").expect("the line that writes the card's file");
    let (card, _) = card.split_once("' >").expect("where it goes to");
    let config = Config::parse(&card.replace("\\n", "\n"), "rackside.toml").expect("a good file");
    assert_eq!(config.mqtt.user.as_deref(), Some("arena-north"));
    assert_eq!(config.mqtt.password, Some(Secret::in_file("/boot/firmware/rackside.password")));
}

#[test]
fn the_example_is_good_and_complete() {
    let text = fs::read_to_string(here("etc/agent.example.toml")).expect("the example");
    Config::parse(&text, "agent.example.toml").expect("a good file");
    // With every comment that holds a key opened it is good, too, and says the defaults.
    let opened: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let complete = Config::parse(&opened, "agent.example.toml").expect("a good file");
    let plain = Config::parse(&text, "agent.example.toml").expect("a good file");
    assert_eq!(complete.tick, plain.tick);
    assert_eq!((complete.clock, complete.level), (plain.clock, plain.level));
    assert_eq!((complete.spool.disk, complete.spool.limits), (plain.spool.disk, plain.spool.limits));
    assert_eq!(complete.spool.directory.as_deref(), Some(Path::new("/var/lib/rackside")));
    assert_eq!(complete.limits, plain.limits);
    assert_eq!(complete.mqtt.prefix, plain.mqtt.prefix);
    // Pulled down from power-on, all but the serial console's: open until the agent drives it.
    let relays: Vec<u8> = complete.panel.relays.iter().map(|relay| relay.pin).collect();
    assert!(
        !relays.is_empty() && relays.iter().all(|pin| (9..=27).contains(pin) && *pin != 14),
        "{relays:?}"
    );
    // An unknown key makes the error list those of its table: all of them must stand in the example.
    let probes: Vec<(String, String)> = KINDS
        .iter()
        .map(|kind| format!("probe.{}", kind.name))
        .map(|table| (table.clone(), format!("[[{table}]]")))
        .collect();
    let probes = probes.iter().map(|(table, from)| (table.as_str(), from.as_str()));
    let tables = [
        ("", "site ="),
        ("mqtt", "address ="),
        ("mqtt.tls", "ca ="),
        ("join", "url = \"http://hub"),
        ("config", "accept ="),
        ("spool", "disk ="),
        ("limits", "disk ="),
        ("panel", "simulated ="),
        ("tally", "pin = 17"),
        ("button", "does ="),
        ("led", "red ="),
        ("relay", "most ="),
        ("probes", "metered ="),
        ("command", "run ="),
        ("commands", "accept ="),
    ];
    for (table, from) in tables.into_iter().chain(probes) {
        let nonsense = if from.starts_with('[') {
            format!("{from}\nnonsense = 1")
        } else {
            format!("nonsense = 1\n{from}")
        };
        let wrong = opened.replacen(from, &nonsense, 1);
        assert_ne!(wrong, opened, "{from} is not in the example");
        let error = Config::parse(&wrong, "x").expect_err("an unknown key").to_string();
        let known = error.split_once("known keys: ").unwrap_or_else(|| panic!("no list of keys: {error}")).1;
        for key in known.trim_end_matches(')').split(", ") {
            let below = format!("[{table}{}{key}]", if table.is_empty() { "" } else { "." });
            let listed = format!("[{below}]");
            let lists = format!("[{}.", below.trim_end_matches(']'));
            let stands = opened.lines().any(|line| {
                line.starts_with(key) || line == below || line == listed || line.starts_with(&lists)
            });
            assert!(stands, "{key} of [{table}] is not in the example");
        }
    }
}

#[test]
fn each_mistake_has_its_message() {
    let update = std::env::var_os("RACKSIDE_UPDATE").is_some();
    let mut cases = 0;
    for entry in fs::read_dir(here("tests/bad")).expect("the cases") {
        let path = entry.expect("a case").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        cases += 1;
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a case");
        let message = match Config::parse(&text, &name) {
            Err(error) => format!("{error}\n"),
            Ok(_) => panic!("{name} was taken"),
        };
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!message.contains("hunter2"), "a secret in {message}");
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &message).expect("written");
        } else {
            let expected = fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(message, expected, "{name}; RACKSIDE_UPDATE=1 accepts the new message");
        }
    }
    assert!(cases >= 20, "{cases} cases");
}
