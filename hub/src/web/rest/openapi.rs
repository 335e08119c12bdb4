//! `/api/openapi.json`: what everything below `/api/` promises, as `OpenAPI` 3.1. It stands in `openapi.json` beside this file.
//!
//! Invariant: every route below `/api/` is described there by path and method, and nothing else is; a test holds the file to the router's source, and Schemathesis
//! holds a running hub to the file.

use super::tag;
use axum::http::HeaderMap;
use axum::response::Response;

const DESCRIPTION: &str = include_str!("openapi.json");

pub(in crate::web) async fn openapi(headers: HeaderMap) -> Response {
    tag::json(&headers, DESCRIPTION.to_owned(), DESCRIPTION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;
    use std::collections::BTreeSet;

    const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

    /// The routes of a router's source, each as `get /api/sites`.
    fn routes(source: &str, below: &str) -> BTreeSet<String> {
        let calls = source.split(".route(").skip(1);
        let mut routes = BTreeSet::new();
        for call in calls {
            let mut parts = call.splitn(3, '"');
            let (Some(path), Some(handlers)) = (parts.nth(1), parts.next()) else { continue };
            let handlers = handlers.split("\n        .").next().unwrap_or_default();
            for method in METHODS.iter().filter(|method| handlers.contains(&format!("{method}("))) {
                routes.insert(format!("{method} {below}{path}"));
            }
        }
        routes
    }

    #[test]
    fn what_is_served_is_described_and_nothing_else() {
        let own = routes(include_str!("../mod.rs"), "");
        let own = own.into_iter().filter(|route| route.contains(" /api/"));
        let served: BTreeSet<String> = own.chain(routes(include_str!("../api/mod.rs"), "/api/v1")).collect();
        assert!(served.contains("put /api/silences/{id}") && served.contains("post /api/v1/query"));
        let description: Json = serde_json::from_str(DESCRIPTION).expect("it is JSON");
        let mut described = BTreeSet::new();
        for (path, operations) in description["paths"].as_object().expect("paths") {
            described.extend(
                operations.as_object().expect("operations").keys().map(|method| format!("{method} {path}")),
            );
        }
        let lacking: Vec<_> = served.difference(&described).collect();
        assert!(lacking.is_empty(), "not described in rest/openapi.json: {lacking:?}");
        let beyond: Vec<_> = described.difference(&served).collect();
        assert!(beyond.is_empty(), "described, and not served: {beyond:?}");
    }

    #[test]
    fn every_path_stands_in_the_documentation() {
        let words = include_str!("../../../../docs/api.md");
        let all = routes(include_str!("../mod.rs"), "");
        let paths: BTreeSet<&str> = all.iter().filter_map(|route| route.split(' ').nth(1)).collect();
        assert!(paths.contains("/api/live") && paths.len() > 50, "{paths:?}");
        // Forms of one page are told as one.
        let told = |path: &str| {
            path.starts_with("/settings/")
                || [format!("`{path}`"), format!("{path}`"), format!("`{path}?"), format!(" {path}`")]
                    .iter()
                    .any(|written| words.contains(written.as_str()))
        };
        let lacking: Vec<_> = paths.into_iter().filter(|path| !told(path)).collect();
        assert!(lacking.is_empty(), "not in docs/api.md: {lacking:?}");
    }
}
