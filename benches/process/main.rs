//! What crosspage can do as a whole: the release binary between the two simulated vendors, under load.
//!
//! `cargo bench --bench process` measures everything; a name after `--` measures that alone, `--test` only looks whether it
//! all runs. The load comes from one thread of this program, and the vendors are threads of it too: they share the
//! processors with what they measure.

mod ceiling;
mod crosspage;
mod load;
mod relay;
mod scenes;
mod table;
mod vendors;
mod webhooks;

use std::env;

use scenes::{Scale, Scene};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, secret] = arguments.as_slice()
        && flag == ceiling::ARGUMENT
    {
        return ceiling::serve(secret);
    }
    // cargo says `--bench` only when it is asked for figures.
    let is_short = arguments.iter().any(|a| a == "--test") || !arguments.iter().any(|a| a == "--bench");
    let scale = if is_short { Scale::SHORT } else { Scale::FULL };
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |scene: &Scene| names.is_empty() || names.iter().any(|name| scene.name.contains(name.as_str()));
    for scene in scenes::ALL.iter().filter(|scene| wanted(scene)) {
        (scene.play)(&scale);
    }
}
