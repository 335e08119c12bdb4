//! Hours of a day and days of a week, in a time zone.
