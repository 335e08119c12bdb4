//! How large each step of a roll-out is: `1,10%,100%`.

use crate::error::Fault;
use std::fmt;
use std::str::FromStr;

/// More steps are no care any more.
const MOST: usize = 16;

/// The stages of a roll-out; the last one is everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages(Vec<Share>);

/// How many appliances have the new configuration after a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Count(usize),
    Percent(usize),
}

impl Stages {
    /// Everybody at once.
    pub fn at_once() -> Self {
        Self(vec![Share::Percent(100)])
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of `all` are to have it after stage `number`, from 0; at least one, since a share of nobody is no test.
    pub fn after(&self, number: usize, all: usize) -> usize {
        let wanted = match self.0.get(number) {
            Some(Share::Count(count)) => *count,
            Some(Share::Percent(percent)) => (all * percent).div_ceil(100),
            None => all,
        };
        wanted.clamp(1.min(all), all)
    }
}

impl Default for Stages {
    /// One that shows whether it is any good, a tenth, everybody.
    fn default() -> Self {
        Self(vec![Share::Count(1), Share::Percent(10), Share::Percent(100)])
    }
}

impl FromStr for Stages {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault(format!("stages {text:?}: {why}; write for example 1,10%,100%"));
        let share = |word: &str| {
            let word = word.trim();
            let percent = word.strip_suffix('%');
            let number: Option<usize> = percent.unwrap_or(word).parse().ok().filter(|number| *number > 0);
            match (number, percent) {
                (Some(number), None) => Ok(Share::Count(number)),
                (Some(number @ 1..=100), Some(_)) => Ok(Share::Percent(number)),
                _ => Err(wrong("a stage is a number of appliances, or a share of them from 1% to 100%")),
            }
        };
        let shares: Vec<Share> = text.split(',').map(share).collect::<Result<_, _>>()?;
        if shares.len() > MOST {
            return Err(wrong(&format!("there are more than {MOST}")));
        }
        if shares.last() != Some(&Share::Percent(100)) {
            return Err(wrong("the last one has to be 100%; who is meant at all is said by the selection"));
        }
        let grows = |pair: &[Share]| match pair {
            [Share::Count(one), Share::Count(other)] | [Share::Percent(one), Share::Percent(other)] => {
                one < other
            }
            _ => true,
        };
        if !shares.windows(2).all(grows) {
            return Err(wrong("each one has to be larger than the one before"));
        }
        Ok(Self(shares))
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, share) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match share {
                Share::Count(count) => write!(f, "{comma}{count}")?,
                Share::Percent(percent) => write!(f, "{comma}{percent}%")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_numbers_and_shares_that_grow() {
        let stages: Stages = " 1, 10%,50%,100%".parse().expect("they are");
        assert_eq!(stages.to_string(), "1,10%,50%,100%");
        assert_eq!([0, 1, 2, 3].map(|stage| stages.after(stage, 25)), [1, 3, 13, 25]);
        assert_eq!([0, 1].map(|stage| Stages::default().after(stage, 0)), [0, 0]);
        let many: Stages = "20,10%,100%".parse().expect("they are");
        assert_eq!([0, 1, 2].map(|stage| many.after(stage, 5)), [5, 1, 5]);
        assert_eq!(Stages::default().to_string(), "1,10%,100%");
        assert_eq!(Stages::at_once().after(0, 7), 7);
    }

    #[test]
    fn what_are_none_is_told() {
        for (text, why) in [
            ("", "a stage is"),
            ("0,100%", "a stage is"),
            ("x,100%", "a stage is"),
            ("101%", "a stage is"),
            ("-1,100%", "a stage is"),
            ("1,10%", "the last one has to be 100%"),
            ("5,3,100%", "larger than"),
            ("50%,50%,100%", "larger than"),
            ("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,100%", "more than 16"),
        ] {
            let said = text.parse::<Stages>().expect_err("they are none").to_string();
            assert!(said.contains(why) && said.ends_with("write for example 1,10%,100%"), "{said}");
        }
    }
}
