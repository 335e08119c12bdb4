//! Whether a directory is worth a spool: does what is written there outlive a power cut?
