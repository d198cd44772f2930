//! The doors for people: `explain` and `diagnose`, against real servers and a real HAProxy.

mod diagnose;
mod explain;
mod world;
