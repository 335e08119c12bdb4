//! The chips under `/sys/class/hwmon`, by the names that they give themselves.
//!
//! A chip is a directory `hwmon3` whose file `name` says what it is (`pwmfan`, `rpi_volt`); the number follows the order in which drivers
//! came up and means nothing.

use std::path::{Path, PathBuf};

/// Every chip: its name and its directory.
#[derive(Debug, Default)]
pub(super) struct Chips(Vec<(String, PathBuf)>);

impl Chips {
    /// Looks for them. A machine without any has none.
    pub(super) fn find(sys: &Path) -> Self {
        let entries = std::fs::read_dir(sys.join("class/hwmon")).into_iter().flatten().flatten();
        let mut chips: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.path();
                let name = std::fs::read_to_string(path.join("name")).ok()?;
                Some((name.trim().to_owned(), path))
            })
            .collect();
        chips.sort_by(|one, other| one.1.cmp(&other.1));
        Self(chips)
    }

    /// The directory of the first one of that name.
    pub(super) fn named(&self, name: &str) -> Option<&Path> {
        self.0.iter().find(|chip| chip.0 == name).map(|chip| chip.1.as_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_is_found_by_its_name_whatever_its_number() {
        let sys = tempfile::tempdir().expect("a temporary directory");
        for (number, name) in [(0, "cpu_thermal"), (7, "rpi_volt\n"), (3, "pwmfan\n")] {
            let chip = sys.path().join(format!("class/hwmon/hwmon{number}"));
            std::fs::create_dir_all(&chip).expect("a directory");
            std::fs::write(chip.join("name"), name).expect("written");
        }
        std::fs::create_dir(sys.path().join("class/hwmon/hwmon9")).expect("a chip without a name");
        let chips = Chips::find(sys.path());
        let number = |name| {
            chips.named(name).and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned())
        };
        assert_eq!(number("rpi_volt").as_deref(), Some("hwmon7"));
        assert_eq!(number("pwmfan").as_deref(), Some("hwmon3"));
        assert_eq!(number("rp1_adc"), None);
        assert!(Chips::find(Path::new("/nowhere")).named("pwmfan").is_none());
    }
}
