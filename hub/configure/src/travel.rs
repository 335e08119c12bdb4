//! What a text must not hold that goes to appliances: secrets. A retained message is on a broker's disk and read by whoever may subscribe.
//!
//! Which keys an agent knows is the agent's business, and it has the last word on every line. Here, without that knowledge, is looked at what
//! secrets look like: a key by its name with a value in place of `{ file = … }`, a user and password in an address, a private key in PEM.
//!
//! ```text
//! hall.toml:3: probe.obs.password: a secret does not travel; write { file = "/path/of/the/secret" } …
//! ```

use rackside_config::ConfigError;
use rackside_proto::limits;
use toml::Value;

/// Keys whose values are secrets, wherever they stand.
const SECRET: [&str; 8] =
    ["password", "passphrase", "secret", "token", "credentials", "private_key", "api_key", "stream_key"];
/// As every private key in PEM begins, but for its kind.
const PEM: &str = "PRIVATE KEY-----";

/// Whether a text can go to appliances: TOML, not too long, without secrets. `file` is what it is called in errors.
pub fn check(text: &str, file: &str) -> Result<(), ConfigError> {
    if text.len() > limits::CONFIGURATION {
        let message = format!(
            "has {} bytes, and a configuration for an appliance at most {}",
            text.len(),
            limits::CONFIGURATION
        );
        return Err(ConfigError::file(file, message));
    }
    let table: toml::Table = rackside_config::parse(text, file)?;
    for (key, value) in &table {
        look(key, key, value).map_err(|(path, why)| ConfigError::at(text, file, &path, why))?;
    }
    Ok(())
}

/// The first place with a secret in it, and what is said of that.
fn look(path: &str, key: &str, value: &Value) -> Result<(), (String, &'static str)> {
    let found = |why| Err((path.to_owned(), why));
    match value {
        Value::Table(table) => {
            table.iter().try_for_each(|(key, value)| look(&format!("{path}.{key}"), key, value))
        }
        _ if SECRET.contains(&key) => found(
            "a secret does not travel; put it into a file on the appliance and write { file = \"/path/of/the/secret\" }",
        ),
        Value::Array(list) => {
            list.iter().enumerate().try_for_each(|(at, value)| look(&format!("{path}.{at}"), key, value))
        }
        Value::String(text) if text.contains(PEM) => {
            found("a private key does not travel; put it into a file on the appliance")
        }
        Value::String(text) if has_login(text) => {
            found("a user and a password do not belong in an address; write them as keys of their own")
        }
        _ => Ok(()),
    }
}

/// `rtmp://me:hunter2@a.example/live`.
fn has_login(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        check(text, "hall.toml").expect_err(text).to_string()
    }

    #[test]
    fn what_names_where_a_secret_is_travels() {
        let text = "tick = \"5s\"\n[[probe.obs]]\nname = \"obs\"\npassword = { file = \"/etc/rackside/obs\" }\n\
                    [[probe.http]]\nname = \"page\"\nurl = \"https://a.example/x?user=a:b@c\"\n";
        assert_eq!(check(text, "hall.toml").map_err(|error| error.to_string()), Ok(()));
        assert!(check("", "hall.toml").is_ok(), "nothing is a configuration, too");
    }

    #[test]
    fn a_secret_is_refused_at_its_line_and_not_shown() {
        for (text, place) in [
            (
                "tick = \"5s\"\n[[probe.obs]]\nname = \"obs\"\npassword = \"hunter2\"\n",
                "hall.toml:4: probe.obs.password: ",
            ),
            ("[mqtt]\ntoken = [\"hunter2\"]\n", "hall.toml:2: mqtt.token: "),
            ("password = 12345\n", "hall.toml:1: password: "),
            ("[[probe.rtmp]]\nurl = \"rtmp://me:hunter2@a.example/live\"\n", "hall.toml:2: probe.rtmp.url: "),
            ("x = [[\"-----BEGIN EC PRIVATE KEY-----\\nhunter2\"]]\n", "hall.toml:1: x"),
        ] {
            let said = said(text);
            assert!(said.starts_with(place) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn what_is_no_toml_or_too_long_is_refused() {
        assert!(said("tick = \n").starts_with("hall.toml:1: "));
        let long = format!("# {}\n", "x".repeat(limits::CONFIGURATION - 3));
        assert!(check(&long, "hall.toml").is_ok() && long.len() == limits::CONFIGURATION);
        assert_eq!(
            said(&format!("{long} ")),
            "hall.toml: has 32769 bytes, and a configuration for an appliance at most 32768"
        );
    }
}
