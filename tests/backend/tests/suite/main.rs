//! The service from outside: over sockets, with a real Redis, and its certificates. One program, linked once.

mod api;
mod certs;
mod common;
mod with_redis;
mod witness;
