//! What is shipped: the crate, its documents, the image, the package, the workflows.

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
