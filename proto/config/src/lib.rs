//! How both programs read their TOML.
//!
//! [`parse`] turns a text into a program's own `Config` (serde, `deny_unknown_fields`), or into one line that says
//! what is wrong, where, and what was probably meant. [`ConfigError::at`] gives a program's own checks the same form.
//! [`Span`], [`Size`], [`Secret`] and [`listen_address`] are for values that TOML has no type for,
//! [`host_and_port`] takes an address apart, [`nearest`] finds what was probably meant, [`Watched`] tells when to read a file again. Not here: which keys there are, and their
//! defaults; those belong to each program.
//!
//! Invariant: every error is one line, and none shows a secret.
//!
//! ```text
//! agent.toml:7: unknown key `adress` in [mqtt]; did you mean `address`? (known keys: address, user, password)
//! agent.toml:3: tick: "10 parsecs" is not a duration; write for example "10s", "500ms" or "2m"
//! ```

mod error;
mod host;
mod listen;
mod locate;
mod near;
mod secret;
mod size;
mod span;
mod watched;

pub use error::ConfigError;
pub use host::host_and_port;
pub use listen::listen_address;
pub use near::nearest;
pub use secret::{Secret, SecretText};
pub use size::Size;
pub use span::Span;
pub use watched::Watched;

use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads the text of a configuration file.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))
}

/// Reads `text` as a `T`. `file` is what the text is called in an error, and is not opened.
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::from_toml(text, file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        tick: Span,
        spool: Size,
        on: bool,
        mode: Mode,
        mqtt: Mqtt,
        probe: Vec<Probe>,
    }

    impl Default for Config {
        fn default() -> Self {
            Self {
                tick: Span::seconds(10),
                spool: Size::mebibytes(1),
                on: true,
                mode: Mode::Plain,
                mqtt: Mqtt::default(),
                probe: Vec::new(),
            }
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Plain,
        Metered,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Mqtt {
        address: String,
        port: u16,
        password: Option<Secret>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Probe {
        name: String,
        every: Span,
    }

    fn error(text: &str) -> String {
        parse::<Config>(text, "agent.toml").expect_err("the text is wrong").to_string()
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        let config: Config = parse("", "agent.toml").unwrap();
        assert_eq!((config.tick, config.spool, config.on), (Span::seconds(10), Size::mebibytes(1), true));
    }

    #[test]
    fn values_are_read() {
        let text = "tick = '2m'\nspool = '64 KiB'\nmode = 'metered'\n[mqtt]\naddress = 'a'\nport = 8883\n\
                    password = { env = 'PATH' }\n[[probe]]\nname = 'p'\nevery = '1h'\n";
        let config: Config = parse(text, "agent.toml").unwrap();
        assert_eq!(config.tick.get().as_secs(), 120);
        assert_eq!(config.spool.bytes(), 65_536);
        assert_eq!(config.mode, Mode::Metered);
        assert_eq!((config.mqtt.address.as_str(), config.mqtt.port), ("a", 8883));
        assert!(config.mqtt.password.unwrap().read().is_ok());
        assert_eq!((config.probe[0].name.as_str(), config.probe[0].every), ("p", Span::seconds(3600)));
    }

    #[test]
    fn an_unknown_key_names_its_table_and_the_nearest_known_one() {
        assert_eq!(
            error("tick = '1s'\n\n[mqtt]\nport = 1\n# comment\n\nadress = 'x'\n"),
            "agent.toml:7: unknown key `adress` in [mqtt]; did you mean `address`? (known keys: address, port, password)"
        );
    }

    #[test]
    fn an_unknown_key_far_from_all_known_ones_suggests_none() {
        assert_eq!(
            error("[mqtt]\ncolour = 'x'\n"),
            "agent.toml:2: unknown key `colour` in [mqtt] (known keys: address, port, password)"
        );
    }

    #[test]
    fn an_unknown_key_outside_of_tables_says_so() {
        assert_eq!(
            error("tikc = '1s'"),
            "agent.toml:1: unknown key `tikc` at the top level; did you mean `tick`? (known keys: tick, spool, on, mode, mqtt, probe)"
        );
    }

    #[test]
    fn an_unknown_table_is_an_unknown_key() {
        assert_eq!(
            error("on = false\n[mqqt]\nport = 1\n"),
            "agent.toml:2: unknown key `mqqt` at the top level; did you mean `mqtt`? (known keys: tick, spool, on, mode, mqtt, probe)"
        );
    }

    #[test]
    fn an_unknown_key_in_a_list_of_tables_names_the_list() {
        assert_eq!(
            error("[[probe]]\nname='a'\nevery='1s'\n[[probe]]\nname='b'\nevry='1s'\n"),
            "agent.toml:6: unknown key `evry` in [[probe]]; did you mean `every`? (known keys: name, every)"
        );
    }

    #[test]
    fn a_missing_key_names_its_table() {
        assert_eq!(error("[[probe]]\nname = 'a'\n"), "agent.toml:1: `every` is missing in [[probe]]");
        assert_eq!(error("probe = [{ name = 'a' }]\n"), "agent.toml:1: `every` is missing in [[probe]]");
        for text in ["\nname = 'a'\n", "name = 'a'\n"] {
            let error = parse::<Probe>(text, "p.toml").unwrap_err().to_string();
            assert_eq!(error, "p.toml: `every` is missing", "{text:?}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_says_what_was_expected() {
        assert_eq!(
            error("[mqtt]\n\nport = 'http'"),
            "agent.toml:3: mqtt.port: found string \"http\", expected a whole number from 0 to 65535"
        );
        assert_eq!(
            error("[mqtt]\nport = 70000"),
            "agent.toml:2: mqtt.port: found integer `70000`, expected a whole number from 0 to 65535"
        );
        assert_eq!(error("on = 'yes'"), "agent.toml:1: on: found string \"yes\", expected true or false");
        assert_eq!(error("mqtt = 1"), "agent.toml:1: mqtt: found integer `1`, expected a table");
        assert_eq!(error("probe = 1"), "agent.toml:1: probe: found integer `1`, expected a list");
    }

    #[test]
    fn an_unknown_word_suggests_the_nearest() {
        assert_eq!(
            error("mode = 'meterd'"),
            "agent.toml:1: mode: unknown value `meterd`; did you mean `metered`? (known values: plain, metered)"
        );
    }

    #[test]
    fn a_wrong_duration_shows_right_ones() {
        assert_eq!(
            error("\n\ntick = \"10 parsecs\""),
            "agent.toml:3: tick: \"10 parsecs\" is not a duration; write for example \"10s\", \"500ms\" or \"2m\""
        );
        assert_eq!(
            error("tick = 10"),
            "agent.toml:1: tick: 10 has no unit; write for example \"10s\", \"500ms\" or \"2m\""
        );
    }

    #[test]
    fn a_wrong_size_shows_right_ones() {
        assert_eq!(
            error("spool = '5 MB'"),
            "agent.toml:1: spool: \"5 MB\" is not a size; write for example \"64 KiB\", \"1 MiB\" or a number of bytes"
        );
        assert_eq!(
            error("spool = -1"),
            "agent.toml:1: spool: -1 is not a size; write for example \"64 KiB\", \"1 MiB\" or a number of bytes"
        );
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_shown() {
        for text in ["'hunter2'", "12345678", "true", "['hunter2']", "{ hunter2 = 'hunter2' }", "1979-05-27"]
        {
            assert_eq!(
                error(&format!("[mqtt]\npassword = {text}")),
                "agent.toml:2: mqtt.password: a secret does not belong in this file; \
                 write { file = \"/path/of/the/secret\" } or { env = \"NAME\" }"
            );
        }
        assert_eq!(
            error("[mqtt]\npassword = { file = '/a', env = 'B' }"),
            "agent.toml:2: mqtt.password: both `file` and `env` are given; keep one of them"
        );
    }

    #[test]
    fn a_broken_text_is_one_line() {
        for text in
            ["[mqtt\n", "tick = \n", "a = 'x", "= 1", "tick = '1s'\ntick = '2s'\n", "[mqtt]\n[mqtt]\n"]
        {
            let error = error(text);
            assert!(error.starts_with("agent.toml:"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        assert_eq!(error("tick = '1s'\ntick = '2s'\n"), "agent.toml:2: duplicate key `tick`");
    }

    #[test]
    fn a_programs_own_check_gets_a_line() {
        let text = "[mqtt]\nport = 1\n\n[[probe]]\nname = 'a'\n[[probe]]\nname = 'b'\n";
        let at = |key| ConfigError::at(text, "agent.toml", key, "is wrong").to_string();
        assert_eq!(at("mqtt.port"), "agent.toml:2: mqtt.port: is wrong");
        assert_eq!(at("mqtt"), "agent.toml:1: mqtt: is wrong");
        assert_eq!(at("probe.1.name"), "agent.toml:7: probe.name: is wrong");
        assert_eq!(
            at("mqtt.address"),
            "agent.toml:1: mqtt.address: is wrong",
            "left out: the line of its table"
        );
        assert_eq!(at("tick"), "agent.toml: tick: is wrong", "left out at the top level");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = read(Path::new("/nowhere/agent.toml")).unwrap_err().to_string();
        assert_eq!(error, "/nowhere/agent.toml: cannot be read: No such file or directory (os error 2)");
    }
}
