//! One appliance among all: whose it is, and its rack behind a lock of its own.
//!
//! Invariant: the two floors are the rack's whenever nobody holds it, so that who looks through all appliances locks none.

use crate::names::Names;
use crate::rack::Rack;
use rackside_promql::Labels;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An appliance.
#[derive(Debug)]
pub(crate) struct Appliance {
    pub(crate) site: Arc<str>,
    pub(crate) name: Arc<str>,
    /// The two as labels, which all of its series have.
    pub(crate) own: Labels,
    /// That of the rack, for whoever looks through all appliances.
    floor: AtomicI64,
    far: AtomicI64,
    rack: Mutex<Rack>,
}

/// A rack while nobody else is at it.
pub(crate) struct Held<'a> {
    rack: MutexGuard<'a, Rack>,
    appliance: &'a Appliance,
}

impl Appliance {
    /// With nothing yet; what is older than `floor` is elsewhere.
    pub(crate) fn new(names: &Names, site: &str, name: &str, floor: i64) -> Self {
        let (site, name) = (names.one(site), names.one(name));
        let own = [(names.one("site"), Arc::clone(&site)), (names.one("appliance"), Arc::clone(&name))];
        let (far, rack) = (floor.into(), Mutex::new(Rack::new(floor)));
        Self { site, name, own: Labels::new(own), floor: floor.into(), far, rack }
    }

    /// From when on all samples are here, or those of what is kept for longer.
    pub(crate) fn floor(&self, is_far: bool) -> i64 {
        if is_far { self.far.load(Ordering::Relaxed) } else { self.floor.load(Ordering::Relaxed) }
    }

    /// The rack, when nobody else is at it.
    pub(crate) fn lock(&self) -> Held<'_> {
        Held { rack: self.rack.lock().unwrap_or_else(PoisonError::into_inner), appliance: self }
    }
}

impl Deref for Held<'_> {
    type Target = Rack;

    fn deref(&self) -> &Rack {
        &self.rack
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Rack {
        &mut self.rack
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.appliance.floor.store(self.rack.floor(), Ordering::Relaxed);
        self.appliance.far.store(self.rack.far(), Ordering::Relaxed);
    }
}
