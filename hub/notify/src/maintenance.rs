//! Windows in which a site is worked on: once, or again and again by the calendar.
