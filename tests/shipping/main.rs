//! Tests everything that users get: the crate, its documents, the image, the packages. Also tests the
//! workflows that build them.

mod cross;
mod debian;
mod documents;
mod generated;
mod image;
mod install;
mod licences;
mod monitoring;
mod root;
mod rpm;
mod sbom;
mod supply;
#[path = "../support/mod.rs"]
mod support;
mod the_crate;
mod tools;
mod workflows;
