//! Which right a request needs: one table, by method and path. Pure.
//!
//! What needs a right comes out of a budget; see `admit`.
//!
//! Invariant: what is not named here can be read by whoever may see, and changed by whoever may act; nothing is public by being forgotten.
//!
//! ```text
//! GET /status          everybody            POST /api/silences     act
//! GET /sites/hall      see                  POST /api/users        manage
//! ```

use axum::http::Method;
use rackside_access::Right;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// A right.
    Right(Right),
    /// A right, or the signed link of a message about this alert.
    RightOrLink(Right),
}

/// Whether it changes nothing by its method.
pub(super) fn only_reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether it changes something. A query of Prometheus's API is a POST as often as not.
pub(super) fn changes(method: &Method, path: &str) -> bool {
    !only_reads(method) && !path.starts_with("/api/v1/")
}

/// What it needs.
pub(super) fn needed(method: &Method, path: &str) -> Need {
    let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let usual = if changes(method, path) { Right::Act } else { Right::See };
    match words[..] {
        ["static" | "setup", _]
        | ["health", "liveness" | "readiness"]
        | ["status" | "login" | "logout" | "join" | "mqtt"]
        | ["login", "provider" | "back"]
        | ["status", "feed"]
        | ["api", "status"] => Need::Nothing,
        // Lines of a log are for operators.
        ["sites", _, _, "commands", ..] | ["api", "sites", _, _, "commands", ..] => Need::Right(Right::Act),
        ["metrics"] => Need::Right(Right::Metrics),
        ["settings"] | ["settings", "password"] => Need::Right(Right::See),
        ["api", "users" | "tokens" | "identities" | "fleet", ..]
        | ["api", "receivers", _, "test"]
        | ["settings", ..] => Need::Right(Right::Manage),
        ["alerts", _] => Need::RightOrLink(usual),
        _ => Need::Right(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Need::Nothing;
    use Right::{Act, Manage, Metrics, See};

    #[test]
    fn every_path_needs_what_the_table_says() {
        let right = Need::Right;
        for (method, path, need) in [
            ("GET", "/", right(See)),
            ("GET", "/status", Nothing),
            ("GET", "/status/feed", Nothing),
            ("GET", "/api/status", Nothing),
            ("POST", "/status/incidents", right(Act)),
            ("GET", "/static/base.css", Nothing),
            ("GET", "/static", right(See)),
            ("GET", "/health/liveness", Nothing),
            ("GET", "/health/readiness", Nothing),
            ("GET", "/health/detailed", right(See)),
            ("GET", "/login", Nothing),
            ("POST", "/login", Nothing),
            ("GET", "/login/provider", Nothing),
            ("GET", "/login/back", Nothing),
            ("GET", "/login/x", right(See)),
            ("POST", "/logout", Nothing),
            ("POST", "/setup/6f1c", Nothing),
            ("POST", "/join", Nothing),
            ("POST", "/join/more", right(Act)),
            ("GET", "/mqtt", Nothing),
            ("GET", "/mqtt/more", right(See)),
            ("GET", "/setup", right(See)),
            ("GET", "/metrics", right(Metrics)),
            ("GET", "/sites/hall/rack-1", right(See)),
            ("POST", "/sites/hall/on-air", right(Act)),
            ("POST", "/sites/hall/rack-1/commands", right(Act)),
            ("GET", "/sites/hall/rack-1/commands/7", right(Act)),
            ("GET", "/api/sites/hall/rack-1/commands", right(Act)),
            ("GET", "/api/sites/hall/rack-1/commands/7", right(Act)),
            ("POST", "/api/sites/hall/rack-1/commands", right(Act)),
            ("GET", "/alerts", right(See)),
            ("GET", "/alerts/274019e265251482", Need::RightOrLink(See)),
            ("POST", "/alerts/274019e265251482", Need::RightOrLink(Act)),
            ("GET", "/alerts/274019e265251482/chart.svg", right(See)),
            ("GET", "/api/live", right(See)),
            ("GET", "/api/v1/query", right(See)),
            ("POST", "/api/v1/query", right(See)),
            ("GET", "/settings/fleet", right(Manage)),
            ("POST", "/settings/fleet/roll-out", right(Manage)),
            ("GET", "/api/fleet/configuration", right(Manage)),
            ("POST", "/api/fleet/configuration/back", right(Manage)),
            ("GET", "/api/silences", right(See)),
            ("POST", "/api/sites/hall/on_air", right(Act)),
            ("DELETE", "/api/sites/hall/on_air", right(Act)),
            ("GET", "/maintenance", right(See)),
            ("POST", "/maintenance", right(Act)),
            ("POST", "/maintenance/3", right(Act)),
            ("GET", "/api/maintenance", right(See)),
            ("POST", "/api/maintenance", right(Act)),
            ("DELETE", "/api/maintenance/3", right(Act)),
            ("GET", "/api/incidents", right(See)),
            ("POST", "/api/incidents", right(Act)),
            ("POST", "/api/alerts/274019e265251482/mute", right(Act)),
            ("GET", "/api/alerts/274019e265251482/around", right(See)),
            ("GET", "/api/me", right(See)),
            ("POST", "/api/silences", right(Act)),
            ("DELETE", "/api/silences/3", right(Act)),
            ("GET", "/api/users", right(Manage)),
            ("PUT", "/api/users/desk", right(Manage)),
            ("GET", "/api/tokens", right(Manage)),
            ("GET", "/api/identities", right(Manage)),
            ("POST", "/api/identities/hall/rack-1/retire", right(Manage)),
            ("GET", "/settings/boxes", right(Manage)),
            ("POST", "/settings/boxes/card", right(Manage)),
            ("GET", "/api/receivers", right(See)),
            ("POST", "/api/receivers/crew/test", right(Manage)),
            ("GET", "/settings", right(See)),
            ("POST", "/settings/password", right(See)),
            ("POST", "/settings/users/desk", right(Manage)),
            ("GET", "/nothing/here", right(See)),
            ("BREW", "/nothing/here", right(Act)),
            ("GET", "/status/", right(See)),
            ("GET", "//status", Nothing),
        ] {
            let method: Method = method.parse().expect("a method");
            assert_eq!(needed(&method, path), need, "{method} {path}");
        }
    }
}
