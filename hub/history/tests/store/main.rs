//! The history on disk, as its users see it: what goes in comes out, once, whatever happens in between.

mod age;
mod commits;
mod crashes;
mod dates;
mod files;
mod fixture;
mod full;
mod log;
mod model;
mod rack;
mod views;
