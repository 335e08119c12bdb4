//! Pages of a list: `?limit=50`, and `&after=` with what the page before said in `next`.
//!
//! The list goes on behind the place of that entry, also if the entry itself has gone: an entry that stays where it is comes once, whatever comes and
//! goes around it.

use crate::web::api::Form;
use crate::web::problem::Problem;
use std::fmt::Display;
use std::str::FromStr;

/// Most entries of one page.
const MOST: usize = 1000;

/// Which part of a list is asked for: all of it, if nothing is said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct Paging {
    limit: Option<usize>,
    after: Option<String>,
}

impl Paging {
    /// As the address says.
    pub(in crate::web) fn of(form: &Form) -> Result<Self, Problem> {
        let limit = match form.first("limit") {
            "" => None,
            text => match text.parse() {
                Ok(limit @ 1..=MOST) => Some(limit),
                _ => {
                    return Err(Problem::bad_request(format!(
                        "`limit` is a number from 1 to {MOST}, not {text:?}"
                    )));
                }
            },
        };
        let after = Some(form.first("after")).filter(|after| !after.is_empty()).map(str::to_owned);
        Ok(Self { limit, after })
    }

    /// That part of `all`, which is in the order of `key`; and what `after` is to be for the next one.
    pub(in crate::web) fn cut<T, K: Ord + Display + FromStr>(
        &self,
        mut all: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        if let Some(after) = &self.after {
            let wrong = |_| {
                Problem::bad_request(format!(
                    "`after` is what an answer before said in `next`, not {after:?}"
                ))
            };
            let after: K = after.parse().map_err(wrong)?;
            let begin = all.partition_point(|one| key(one) <= after);
            all.drain(..begin);
        }
        let mut next = None;
        if let Some(limit) = self.limit.filter(|limit| all.len() > *limit) {
            all.truncate(limit);
            next = all.last().map(|last| key(last).to_string());
        }
        Ok((all, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Uri;

    fn paging(query: &str) -> Result<Paging, Problem> {
        Paging::of(&Form::of_address(&format!("/api/sites?{query}").parse::<Uri>().expect("an address")))
    }

    #[test]
    fn page_after_page_is_the_whole_list() {
        let all: Vec<u64> = (1..=10).collect();
        for limit in 1..=11 {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let asked = paging(&format!("limit={limit}&after={after}")).expect("right");
                let (page, next) = asked.cut(all.clone(), |one| *one).expect("a number");
                assert!(page.len() <= limit);
                found.extend(page);
                match next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            assert_eq!(found, all);
        }
    }

    #[test]
    fn an_entry_that_has_gone_still_has_a_place() {
        let asked = paging("limit=2&after=3").expect("right");
        assert_eq!(
            asked.cut(vec![1_u64, 2, 4, 5, 6], |one| *one).expect("a number"),
            (vec![4, 5], Some("5".to_owned()))
        );
        assert_eq!(asked.cut(vec![1_u64], |one| *one).expect("a number"), (vec![], None));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for query in ["limit=0", "limit=1001", "limit=ten", "limit=-1"] {
            assert!(paging(query).is_err(), "{query}");
        }
        assert!(paging("after=x").expect("perhaps a name").cut(vec![1_u64], |one| *one).is_err());
    }
}
