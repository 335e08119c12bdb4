//! Who is meant: `arena-north`, `hall/rack-1`, `tag:city`, several of them with commas; everybody without any.

use crate::error::Fault;
use rackside_proto::{AgentName, Id};
use std::fmt;
use std::str::FromStr;

/// Longer is no selection that somebody has written.
const LONGEST: usize = 4096;

/// Some appliances of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Tag(String),
    Site(Id),
    Appliance(AgentName),
}

impl Selection {
    /// Whether an appliance is meant whose site has these tags.
    pub fn has(&self, name: &AgentName, tags: &[String]) -> bool {
        let is_meant = |part: &Part| match part {
            Part::Tag(tag) => tags.contains(tag),
            Part::Site(site) => *site == name.site,
            Part::Appliance(appliance) => appliance == name,
        };
        self.0.is_empty() || self.0.iter().any(is_meant)
    }
}

impl fmt::Display for Selection {
    /// As it is read; nothing for everybody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "," } else { "" })?;
            match part {
                Part::Tag(tag) => write!(f, "tag:{tag}")?,
                Part::Site(site) => write!(f, "{site}")?,
                Part::Appliance(name) => write!(f, "{name}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Selection {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.len() > LONGEST {
            return Err(Fault("the selection is longer than 4096 bytes; name tags or sites".to_owned()));
        }
        let part = |word: &str| {
            let word = word.trim();
            if let Some(tag) = word.strip_prefix("tag:").filter(|tag| !tag.is_empty()) {
                return Ok(Part::Tag(tag.to_owned()));
            }
            let found = match word.split_once('/') {
                Some((site, appliance)) => AgentName::new(site, appliance).ok().map(Part::Appliance),
                None => word.parse().ok().map(Part::Site),
            };
            found.ok_or_else(|| {
                Fault(format!(
                    "{word:?} selects nothing; write a site (arena-north), an appliance (arena-north/rack-1) or tag:NAME, or several with commas"
                ))
            })
        };
        text.split(',').map(part).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_meant_by_tag_site_or_name() {
        let rack = AgentName::new("hall", "rack-1").expect("a name");
        let tags = ["city".to_owned()];
        let has = |text: &str| text.parse::<Selection>().expect("a selection").has(&rack, &tags);
        for text in ["hall", "hall/rack-1", "tag:city", "club, hall", "club,tag:city"] {
            assert!(has(text), "{text}");
        }
        for text in ["club", "hall/rack-2", "tag:sea", "tag:hall", "city"] {
            assert!(!has(text), "{text}");
        }
        assert!(Selection::default().has(&rack, &[]));
        let shown = "club, hall/rack-1,tag:city".parse::<Selection>().expect("a selection");
        assert_eq!(shown.to_string(), "club,hall/rack-1,tag:city");
        assert_eq!(shown.to_string().parse(), Ok(shown), "and back");
        assert_eq!(Selection::default().to_string(), "");
    }

    #[test]
    fn what_is_none_is_told() {
        for text in ["", "Hall", "hall/", "tag:", "hall,,club", "a/b/c"] {
            let said = text.parse::<Selection>().expect_err("none").to_string();
            assert!(said.contains("selects nothing"), "{said}");
        }
        assert!("a,".repeat(3000).parse::<Selection>().is_err());
    }
}
