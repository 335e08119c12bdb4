//! What was stored before, for what is not in memory: accounts of runs and catalogs. Asked when a run or a catalog is
//! first needed, which is once for most; the core knows no database.

use rackside_history::Account;
use rackside_proto::{AgentName, Catalog, Data, Run};
use std::fmt;

/// What is on the disk.
pub trait Past: fmt::Debug + Send + Sync {
    /// What is accounted for of a run; nothing of one that was never heard of.
    fn account(&self, agent: &AgentName, run: Run) -> Result<Option<Account>, PastError>;

    /// The bytes of a catalog, as [`Catalog::encode`] writes them.
    fn catalog(&self, agent: &AgentName, run: Run, number: u32) -> Result<Option<Vec<u8>>, PastError>;
}

/// The past cannot be read: nobody knows what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastError(pub String);

impl fmt::Display for PastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PastError {}

/// Nothing was ever stored.
#[derive(Debug, Clone, Copy)]
pub struct NoPast;

impl Past for NoPast {
    fn account(&self, _: &AgentName, _: Run) -> Result<Option<Account>, PastError> {
        Ok(None)
    }

    fn catalog(&self, _: &AgentName, _: Run, _: u32) -> Result<Option<Vec<u8>>, PastError> {
        Ok(None)
    }
}

/// The bytes of a catalog, apart from what carried it.
pub(super) fn bytes_of(catalog: &Catalog<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Catalog::encode(&catalog.head, catalog.series(), &mut bytes).expect("what was decoded can be encoded");
    bytes
}

/// Does something with the catalog in `bytes`; nothing if there is none.
pub(super) fn with_catalog<T>(bytes: &[u8], what: impl FnOnce(&Catalog<'_>) -> T) -> Option<T> {
    let mut record = Vec::with_capacity(bytes.len() + 1);
    Data::encode_catalog(bytes, &mut record).expect("a Vec takes everything");
    match Data::decode(&record) {
        Ok(Data::Catalog(catalog)) => Some(what(&catalog)),
        Ok(Data::Readings(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::{Rack, catalog_in, vitals};

    #[test]
    fn a_catalogs_bytes_are_the_catalog() {
        let record = Rack::new("arena-north", "rack-1").catalog(&vitals()).1;
        let catalog = catalog_in(&record);
        let bytes = bytes_of(&catalog);
        assert!(record.ends_with(&bytes), "as it stood in its record");
        assert_eq!(with_catalog(&bytes, |again| *again == catalog), Some(true));
        assert_eq!(with_catalog(&bytes[1..], |_| ()), None);
    }
}
