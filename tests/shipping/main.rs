//! What leaves the house: the crate, its documents, the image, the package, the workflows.

mod documents;
mod generated;
mod image;
mod the_crate;
mod tools;
mod workflows;
