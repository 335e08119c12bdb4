//! Who of a team is on call at a moment.
