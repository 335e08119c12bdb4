//! The templates, compiled once a thread, and the one way to make a page of them.

use crate::asset::with_lasting_names;
use serde::Serialize;
use std::sync::LazyLock;
use tinytemplate::TinyTemplate;

/// Name and text. The first three are what every page is made of.
const TEMPLATES: &[(&str, &str)] = &[
    ("head", include_str!("../templates/head.html")),
    ("top", include_str!("../templates/top.html")),
    ("foot", include_str!("../templates/foot.html")),
    ("fleet", include_str!("../templates/fleet.html")),
    ("sum", include_str!("../templates/sum.html")),
    ("group", include_str!("../templates/group.html")),
    ("row", include_str!("../templates/row.html")),
    ("site", include_str!("../templates/site.html")),
    ("login", include_str!("../templates/login.html")),
    ("settings", include_str!("../templates/settings.html")),
    ("boxes", include_str!("../templates/boxes.html")),
    ("commissioning", include_str!("../templates/commissioning.html")),
    ("managed", include_str!("../templates/managed.html")),
    ("configuration", include_str!("../templates/configuration.html")),
    ("setup", include_str!("../templates/setup.html")),
    ("appliance", include_str!("../templates/appliance.html")),
    ("maintenance", include_str!("../templates/maintenance.html")),
    ("probe", include_str!("../templates/probe.html")),
    ("missing", include_str!("../templates/missing.html")),
    ("when", include_str!("../templates/when.html")),
    ("log", include_str!("../templates/log.html")),
    ("status", include_str!("../templates/status.html")),
    ("alerts", include_str!("../templates/alerts.html")),
    ("alert", include_str!("../templates/alert.html")),
    ("stills", include_str!("../templates/stills.html")),
    ("commands", include_str!("../templates/commands.html")),
    ("command", include_str!("../templates/command.html")),
];

static TEXTS: LazyLock<Vec<(&str, String)>> =
    LazyLock::new(|| TEMPLATES.iter().map(|&(name, text)| (name, with_lasting_names(text))).collect());

thread_local! {
    /// Compiled once a thread: the engine's tables cannot be shared.
    static COMPILED: TinyTemplate<'static> = {
        let mut engine = TinyTemplate::new();
        for (name, text) in TEXTS.iter() {
            engine.add_template(name, text).expect("the templates compile: a test renders each");
        }
        engine
    };
}

/// The page `name`, of what it shows.
pub fn render<T: Serialize>(name: &str, of: &T) -> String {
    COMPILED.with(|engine| engine.render(name, of)).unwrap_or_else(|error| {
        panic!("the template {name} names fields that exist, a test renders it: {error}")
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::HOSTILE;

    /// Elements that hold nothing.
    const VOID: [&str; 6] = ["meta", "link", "img", "input", "br", "hr"];

    /// Sees that no name of [`HOSTILE`] became markup, that every element is closed in order, that nothing needs an inline script or style, and that every file it
    /// loads is there.
    pub(crate) fn assert_tame(html: &str) {
        assert!(html.contains("&lt;script&gt;alert(1)"), "nothing hostile was shown:\n{html}");
        assert!(
            !html.contains(HOSTILE) && !html.contains("<script>") && !html.contains("<img src=x"),
            "{html}"
        );
        assert!(
            !html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick="),
            "{html}"
        );
        assert!(!html.contains("href=\"javascript:"), "{html}");
        for file in html.split("\"/static/").skip(1) {
            let file = file.split('"').next().unwrap_or_default();
            assert!(crate::asset::asset(file).is_some_and(|asset| asset.lasting == file), "no file {file}");
        }
        let mut open: Vec<&str> = Vec::new();
        for tag in html.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("a tag does not end: <{tag}"));
            let name = tag.split([' ', '\n', '/']).find(|name| !name.is_empty()).unwrap_or_default();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "<{tag}> closes something else");
            } else if !tag.starts_with('!') && !tag.ends_with('/') && !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?} are not closed");
    }

    #[test]
    fn every_template_compiles() {
        let mut engine = TinyTemplate::new();
        for (name, text) in TEXTS.iter() {
            engine.add_template(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
