//! The tools of an author: tests of a function, and projects of several functions.

mod compiled;
mod documented;
mod languages;
mod saves;
mod tested;
mod workspace;
