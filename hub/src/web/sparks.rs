//! The small curves of the fleet's page: the last hour of each SoC's temperature, as SVG, all of one scale.
//!
//! One query for all appliances makes them, on a thread of its own and at most once a minute, when somebody asks for the page; the page shows what there is and
//! waits for nobody. Who asks first after a start sees none, and a script asks again.

use crate::clock::{self, Now};
use crate::query::Fleetwide;
use rackside_pages::chart::sparkline;
use rackside_promql::{Answer, Limits, Query};
use rackside_proto::metric;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How far back, and from one point to the next, in milliseconds: 31 points are all that 7 em can show.
const HOUR: i64 = 3_600_000;
const STEP: i64 = 120_000;
/// From the bottom of a curve to its top: from a cold room to where a Pi is held back hard.
const CELSIUS: (f64, f64) = (20.0, 90.0);
/// They are made anew after this.
const FRESH: Duration = Duration::from_mins(1);

type Curves = HashMap<(String, String), String>;

/// The newest that there are. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparks(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    curves: Arc<Curves>,
    made: Option<Instant>,
    is_being_made: bool,
}

impl Sparks {
    /// By site and appliance. Has them made anew where they are old.
    pub(super) fn newest(&self, series: &Arc<Fleetwide>, now: Now) -> Arc<Curves> {
        let mut kept = self.lock();
        if kept.made.is_none_or(|made| now.instant.duration_since(made) >= FRESH) && !kept.is_being_made {
            kept.is_being_made = true;
            let (sparks, series) = (self.clone(), Arc::clone(series));
            tokio::task::spawn_blocking(move || {
                let curves = curves(&series, now.utc_ms as i64);
                let mut kept = sparks.lock();
                (kept.made, kept.is_being_made) = (Some(clock::now().instant), false);
                kept.curves = Arc::new(curves);
            });
        }
        Arc::clone(&kept.curves)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn curves(series: &Arc<Fleetwide>, now: i64) -> Curves {
    let query = Query::parse(metric::SOC_TEMPERATURE.name).expect("a metric's name is a query");
    // Steps on whole minutes: what was there a minute ago looks the same now.
    let end = now - now.rem_euclid(STEP);
    let outcome = query.range(&**series, end - HOUR, end, STEP, &Limits::default());
    let lines = match outcome.map(|outcome| outcome.answer) {
        Ok(Answer::Matrix(lines)) => lines,
        Ok(_) => Vec::new(),
        Err(error) => {
            log::debug!("the fleet's page goes without curves: {error}");
            Vec::new()
        }
    };
    let drawn = lines.into_iter().map(|line| {
        let mut points = vec![None; (HOUR / STEP + 1) as usize];
        for sample in &line.samples {
            if let Some(point) = points.get_mut(((sample.at - (end - HOUR)) / STEP) as usize) {
                *point = Some(sample.value);
            }
        }
        let of = |name: &str| line.labels.value(name).to_owned();
        ((of("site"), of("appliance")), sparkline(&points, CELSIUS))
    });
    drawn.collect()
}
