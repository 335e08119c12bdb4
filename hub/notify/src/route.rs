//! Which alerts go where: the flat list of routes.
