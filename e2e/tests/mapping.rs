//! Fields of the destination from columns, fixed values and templates.
//! Not here: types that do not fit, which the destinations' own tests say.

use crate::harness::{Delivery, Target, World, on_both};

on_both!(fields_from_columns_values_and_templates, only_what_the_mapping_changes_is_sent_again);

const PEOPLE: &str = "id,email,first_name,city\n1,ada@example.com,ada,London\n2,grace@example.com,,New York\n";

fn world(target: &Target, fields: &str) -> World {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    deliver(&world, target, fields);
    world
}

fn deliver(world: &World, target: &Target, fields: &str) {
    let sql = "SELECT * FROM 's3://lake/people.csv'";
    world.deliver(target, Delivery { sql, table: "people", options: fields, ..Delivery::default() });
}

fn fields_from_columns_values_and_templates(target: &Target) {
    let world = world(
        target,
        "fields: {
    ID: id, mail: email, origin: { value: s3 }, version: { value: 3 }, share: { value: 1.5 }, active: { value: true },
    absent: { value: null }, greeting: { template: \"Hello {{ first_name | capitalize }} ({{ id }})\" } }",
    );
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("inserted", 2)]);
    let rows = target
        .rows("SELECT \"ID\", mail, origin, version, share, active, absent, greeting FROM people ORDER BY \"ID\"");
    let active = if target.is_postgres() { "t" } else { "1" };
    // NULL renders empty.
    let expected = [
        ["1", "ada@example.com", "s3", "3", "1.5", active, "", "Hello Ada (1)"],
        ["2", "grace@example.com", "s3", "3", "1.5", active, "", "Hello  (2)"],
    ];
    let expected = expected.map(|row| row.map(|text| (!text.is_empty()).then(|| text.to_owned())).to_vec());
    assert_eq!(rows, expected);
    // A column that is not mapped is not delivered.
    let columns = if target.is_postgres() {
        target.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'people' ORDER BY 1")
    } else {
        target.rows("SELECT name FROM pragma_table_info('people') ORDER BY 1")
    };
    let columns: Vec<String> = columns.into_iter().flatten().flatten().collect();
    let mut expected = ["ID", "absent", "active", "greeting", "mail", "origin", "share", "version"];
    expected.sort_unstable();
    let mut sorted = columns;
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    if target.is_postgres() {
        let types = target.rows(
            "SELECT DISTINCT pg_typeof(version)::text, pg_typeof(share)::text, pg_typeof(active)::text FROM people",
        );
        assert_eq!(types, [["bigint", "double precision", "boolean"].map(|name| Some(name.to_owned())).to_vec()]);
    }
    world.sync().ended(0, "unchanged");
}

fn only_what_the_mapping_changes_is_sent_again(target: &Target) {
    let world = world(target, "fields: { id: id, label: { template: \"{{ first_name }}\" } }");
    world.sync().ended(0, "succeeded");
    // Only the row with a name renders another text.
    let fields = "fields: { id: id, label: { template: \"{{ first_name | upcase }}\" } }";
    deliver(&world, target, fields);
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("unchanged", 1), ("updated", 1)]);
    assert_eq!(target.value("SELECT label FROM people WHERE id = 1"), "ADA");
}

#[test]
fn mistakes_are_told_before_anything_is_delivered() {
    let target = Target::sqlite();
    for (fields, code, words) in [
        // Each names what is there.
        ("fields: { id: id, greeting: { template: \"{{ nickname }}\" } }", "MAP-002", "first_name"),
        ("fields: { id: id, greeting: { template: \"{{ id \" } }", "MAP-002", "greeting"),
        ("fields: { id: id, mail: e_mail }", "MAP-001", "email"),
        ("fields: { mail: email }", "KEY-003", "id"),
    ] {
        let world = world(&target, fields);
        world.tapline(&["sync", "rows"]).fails(2, code).tells(&[words]);
        assert_eq!(target.tables(), Vec::<String>::new(), "{fields}");
    }
}
