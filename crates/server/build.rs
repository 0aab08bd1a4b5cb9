//! Builds the web UI with npm where there is one; without it the server shows one plain page.
//! Not here: embedding the result (`src/ui.rs`).
//! Called by cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the UI is made of, below `web/`.
const SOURCES: [&str; 7] =
    ["src", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];

fn main() {
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let web = folder.join("../../web");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TAPLINE_SKIP_WEB");
    // A path that is not there would have this run every time.
    for source in SOURCES.iter().map(|name| web.join(name)).filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let skipped = env::var_os("TAPLINE_SKIP_WEB").is_some_and(|value| !value.is_empty() && value != "0");
    if skipped || !web.join("package.json").is_file() {
        return;
    }
    if let Err(reason) = build(&web) {
        println!("cargo::warning=the web UI is not built: {reason}");
    }
}

/// Leaves the UI in `web/dist`.
fn build(web: &Path) -> Result<(), String> {
    if !web.join("node_modules").is_dir() {
        npm(web, &["ci", "--no-audit", "--no-fund"])?;
    }
    npm(web, &["run", "build"])
}

fn npm(web: &Path, arguments: &[&str]) -> Result<(), String> {
    let shown = arguments.join(" ");
    // Its output is not passed on: what stands on stdout is read by cargo.
    let output = Command::new("npm").args(arguments).current_dir(web).stdin(Stdio::null()).output();
    let output = output.map_err(|_| "npm is not installed".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("`npm {shown}` failed: {said}"))
}
