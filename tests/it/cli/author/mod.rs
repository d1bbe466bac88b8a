//! What an author has beside a server: tests of a function, and projects of several functions.

mod compiled;
mod languages;
mod tested;
mod workspace;
