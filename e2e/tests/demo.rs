//! `tapline demo`: the whole product in one command.
//! Not here: how it looks (`cli` has the rest of the command line).

use crate::harness::{World, sqlite_rows};

#[test]
fn the_demo_shows_the_product_and_leaves_a_table() {
    let world = World::new();
    let outcome = world.tapline(&["demo"]).exits(0);
    // It prints each command that it runs.
    for command in [
        "tapline check",
        "tapline discover lake",
        "tapline query lake",
        "tapline plan customers",
        "tapline sync customers",
    ] {
        assert!(outcome.stdout.contains(&format!("$ {command}")), "{command}: {outcome}");
    }
    for told in ["succeeded", "unchanged"] {
        assert!(outcome.stdout.contains(told), "{told}: {outcome}");
    }
    let database = world.folder().join("tapline-demo/out.db");
    let value = |sql: &str| sqlite_rows(&database, sql)[0][0].clone().unwrap();
    // 50,000 customers, of whom 40 have left and to whom 120 have come.
    assert_eq!(value("SELECT count(*) FROM customers"), "50080");
    assert_eq!(value("SELECT count(DISTINCT id) FROM customers"), "50080");
    assert_eq!(value("SELECT count(*) FROM customers WHERE id % 1250 = 0"), "0");
    assert_eq!(value("SELECT count(*) FROM customers WHERE greeting LIKE 'Hello _%' AND origin = 's3'"), "50080");

    // The project that it leaves can be worked on, and a second demo starts anew.
    let project = world.folder().join("tapline-demo/tapline.yaml");
    world.tapline(&["validate", "--project", project.to_str().unwrap()]).exits(0);
    let outcome = world.tapline(&["demo", "--format", "json"]).exits(0);
    let document = outcome.json();
    let steps = document["steps"].as_array().unwrap();
    assert!(steps.len() > 5 && steps.iter().all(|step| step["exit_code"] == 0), "{outcome}");
    assert_eq!(value("SELECT count(*) FROM customers"), "50080");
}

#[test]
fn the_demo_leaves_what_it_has_not_made_alone() {
    let world = World::new();
    world.write("tapline-demo/notes.txt", "mine");
    world.tapline(&["demo"]).fails(2, "CONF-006");
    assert_eq!(std::fs::read_dir(world.folder().join("tapline-demo")).unwrap().count(), 1);
}
