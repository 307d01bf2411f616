//! The live server under attack, while a healthy pair keeps chatting: each of its messages arrives, in
//! order, the server lives, and what the attack cost is given back.
//!
//! `cargo test --test attacks -- --nocapture` prints what each attack did to the pair and to memory.

#![allow(
    clippy::print_stderr,
    reason = "the measured effect of each attack is shown"
)]

mod asking;
#[path = "../common/mod.rs"]
mod common;
mod crowds;
mod deflate;
mod frames;
mod machine;
mod mutations;
mod process;
mod publications;
#[path = "../common/random.rs"]
mod random;
mod readers;
mod requests;
mod rooms;
mod scene;
mod scrapes;
mod smuggling;
