//! What S3 does on a bad day: a run goes on where it can, and otherwise fails without a trace.
//! Not here: each fault by itself, which the storage's own tests say.

use tapline_endpoint::{Fault, Operation};

use crate::harness::{Delivery, Format, Table, Target, World, customers, on_both};

on_both!(
    passing_faults_are_ridden_out,
    a_file_that_is_replaced_while_it_is_read_is_read_again,
    lasting_faults_fail_the_run,
);

fn world(target: &Target, format: Format) -> World {
    let world = World::new();
    let sql = format!("SELECT * FROM 's3://lake/crm/*.{}'", format.suffix());
    world.deliver(target, Delivery { sql: &sql, ..Delivery::default() });
    put(&world, format, &customers(1, 2_000));
    world
}

fn put(world: &World, format: Format, table: &Table) {
    world.put(&format!("crm/customers.{}", format.suffix()), table.file(format));
}

fn passing_faults_are_ridden_out(target: &Target) {
    for (format, table) in [(Format::Csv, "from_csv"), (Format::Parquet, "from_parquet")] {
        let world = world(target, format);
        let sql = format!("SELECT * FROM 's3://lake/crm/*.{}'", format.suffix());
        world.deliver(target, Delivery { sql: &sql, table, ..Delivery::default() });
        let faults = [
            Fault::slow_down().on(Operation::ListObjectsV2),
            Fault::slow_down().on(Operation::GetObject),
            Fault::internal_error().on(Operation::GetObject).nth(2),
            Fault::reset().on(Operation::GetObject).nth(3),
            Fault::reset_after(10).on(Operation::GetObject).nth(4),
            Fault::truncate_after(10).on(Operation::GetObject).nth(5),
        ];
        let faults = faults.map(|fault| world.endpoint.inject(fault));
        world.sync().ended(0, "succeeded").counted(&[("read", 2_000), ("inserted", 2_000)]);
        assert!(faults[0].hits() + faults[1].hits() == 2, "the faults were not met");
        target.holds(table, &customers(1, 2_000));
    }
}

fn a_file_that_is_replaced_while_it_is_read_is_read_again(target: &Target) {
    // So many that one request does not bring footer and rows together.
    const ROWS: i64 = 20_000;
    let world = world(target, Format::Parquet);
    put(&world, Format::Parquet, &customers(1, ROWS));
    world.sync().ended(0, "succeeded");
    let mut changed = customers(1, ROWS + 1);
    changed.row(7)[1] = "changed".into();
    put(&world, Format::Parquet, &changed);
    changed.row(8)[1] = "changed in the middle".into();
    // After the footer, before the rows.
    let replaced = Fault::replace_object(changed.file(Format::Parquet)).on(Operation::GetObject).nth(2);
    let replaced = world.endpoint.inject(replaced);
    let rows = ROWS.unsigned_abs();
    world.sync().ended(0, "succeeded").counted(&[
        ("read", rows + 1),
        ("unchanged", rows - 2),
        ("inserted", 1),
        ("updated", 2),
    ]);
    assert_eq!(replaced.hits(), 1);
    target.holds("customers", &changed);
}

fn lasting_faults_fail_the_run(target: &Target) {
    let world = world(target, Format::Csv);
    world.sync().ended(0, "succeeded");
    put(&world, Format::Csv, &customers(1, 3_000));
    for (fault, code) in [
        (Fault::refuse(403, "AccessDenied").on(Operation::GetObject).always(), "S3-004"),
        (Fault::expired_token().on(Operation::GetObject).always(), "S3-013"),
        // Replaced again and again.
        (Fault::rewrite_object().on(Operation::GetObject).always(), "S3-008"),
    ] {
        let fault = world.endpoint.inject(fault);
        let run = world.sync().ended(1, "failed").counted(&[]);
        assert!(fault.hits() > 0);
        assert_eq!(run.report["error"]["code"], code, "{}", run.outcome);
        target.holds("customers", &customers(1, 2_000));
        world.endpoint.clear_faults();
    }
    world.sync().ended(0, "succeeded").counted(&[("read", 3_000), ("unchanged", 2_000), ("inserted", 1_000)]);
}
