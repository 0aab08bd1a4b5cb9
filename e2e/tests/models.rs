//! What a model may say: any SELECT, over many files, of both formats.
//! Not here: how each SQL function behaves, which the engine's own tests say.

use std::fmt::Write;

use crate::harness::{Cell, Delivery, Table, Target, World, on_both};

on_both!(
    a_join_and_group_by_over_200_000_keys_delivers_each_once,
    a_model_with_its_own_limit,
    composite_keys,
    keys_of_text,
);

const CUSTOMERS: i64 = 200_000;
/// Customers with orders; the others have none.
const BUYERS: i64 = 190_000;
const ORDERS: i64 = 400_000;

fn a_join_and_group_by_over_200_000_keys_delivers_each_once(target: &Target) {
    let world = World::new();
    let buyer = |order: i64| 1 + order * 7_919 % BUYERS;
    let cents = |order: i64| order % 1_000;
    let name = |id: i64| format!("customer {id}");
    let people = |(first, last): (i64, i64)| {
        Table::new(["id", "name"], (first..=last).map(|id| [Cell::Int(id), Cell::Text(name(id))])).parquet()
    };
    world.put("customers/1.parquet", people((1, 120_000)));
    world.put("customers/2.parquet", people((120_001, CUSTOMERS)));
    let mut orders = String::from("order_id,customer_id,cents\n");
    for order in 1..=ORDERS {
        writeln!(orders, "{order},{},{}", buyer(order), cents(order)).unwrap();
    }
    world.put("orders/orders.csv", orders);
    let sql = "SELECT c.id, c.name, count(o.order_id) AS orders, CAST(sum(o.cents) AS BIGINT) AS cents
FROM 's3://lake/customers/*.parquet' AS c
LEFT JOIN 's3://lake/orders/*.csv' AS o ON o.customer_id = c.id
GROUP BY c.id, c.name";
    world.deliver(target, Delivery { sql, table: "totals", ..Delivery::default() });
    world.sync().ended(0, "succeeded").counted(&[("read", 200_000), ("inserted", 200_000)]);

    let mut totals = vec![(0_i64, 0_i64); CUSTOMERS as usize + 1];
    let mut add = |order: i64, buyer: i64| {
        totals[buyer as usize].0 += 1;
        totals[buyer as usize].1 += cents(order);
    };
    (1..=ORDERS).for_each(|order| add(order, buyer(order)));
    // Three more orders, of two customers.
    let late = [(ORDERS + 1, 5), (ORDERS + 2, 5), (ORDERS + 3, CUSTOMERS)];
    world.put(
        "orders/late.csv",
        late.iter().fold(String::from("order_id,customer_id,cents\n"), |mut text, (order, buyer)| {
            writeln!(text, "{order},{buyer},{}", cents(*order)).unwrap();
            text
        }),
    );
    world.sync().ended(0, "succeeded").counted(&[("read", 200_000), ("unchanged", 199_998), ("updated", 2)]);
    late.into_iter().for_each(|(order, buyer)| add(order, buyer));
    let row = |id: i64| {
        let (orders, sum) = totals[id as usize];
        [Cell::Int(id), Cell::Text(name(id)), Cell::Int(orders), (orders > 0).then_some(sum).into()]
    };
    target.holds("totals", &Table::new(["id", "name", "orders", "cents"], (1..=CUSTOMERS).map(row)));
}

fn a_model_with_its_own_limit(target: &Target) {
    let world = World::new();
    let people =
        |last: i64| Table::new(["id", "name"], (1..=last).map(|id| [Cell::Int(id), format!("n{id}").as_str().into()]));
    world.put("people.csv", people(5_000).csv());
    let sql = "SELECT id, name FROM 's3://lake/people.csv' ORDER BY id DESC LIMIT 10";
    world.deliver(target, Delivery { sql, table: "latest", ..Delivery::default() });
    world.sync().ended(0, "succeeded").counted(&[("read", 10), ("inserted", 10)]);
    let latest = |first: usize, last: usize| people(last as i64).part(first - 1..last);
    target.holds("latest", &latest(4_991, 5_000));
    world.put("people.csv", people(5_004).csv());
    world.sync().ended(0, "succeeded").counted(&[("read", 10), ("unchanged", 6), ("inserted", 4)]);
    target.holds("latest", &latest(4_991, 5_004));
    // A full refresh makes the table equal to the model.
    world.sync_with(&["--full-refresh"]).ended(0, "succeeded");
    target.holds("latest", &latest(4_995, 5_004));
}

fn composite_keys(target: &Target) {
    let world = World::new();
    let stock = |rows: &[(&str, i64, i64)]| {
        Table::new(
            ["shop", "item", "pieces"],
            rows.iter().map(|(shop, item, pieces)| [(*shop).into(), (*item).into(), (*pieces).into()]),
        )
    };
    let sql = "SELECT * FROM 's3://lake/stock.csv'";
    world.deliver(target, Delivery { sql, key: "shop, item", table: "stock", ..Delivery::default() });
    // Parts that would be one text if they were only put together.
    world.put("stock.csv", stock(&[("a", 11, 1), ("a1", 1, 2), ("b", 11, 3)]).csv());
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    let changed = stock(&[("a", 11, 1), ("a1", 1, 20), ("b", 11, 3), ("b", 12, 4)]);
    world.put("stock.csv", changed.csv());
    world.sync().ended(0, "succeeded").counted(&[("read", 4), ("unchanged", 2), ("inserted", 1), ("updated", 1)]);
    target.holds("stock", &changed);
}

fn keys_of_text(target: &Target) {
    let world = World::new();
    let sql = "SELECT * FROM 's3://lake/codes.csv'";
    world.deliver(target, Delivery { sql, key: "code", table: "codes", ..Delivery::default() });
    // Case, accents, blanks and the empty text tell keys apart; leading zeros are text.
    let codes = |name: &str| {
        let keys = ["007", "7", "a", "A", "é", "e\u{301}", " a", ""];
        Table::new(["code", "name"], keys.map(|code| [Cell::Text(code.to_owned()), name.into()]))
    };
    world.put("codes.csv", codes("first").csv());
    world.sync().ended(0, "succeeded").counted(&[("read", 8), ("inserted", 8)]);
    target.holds("codes", &codes("first"));
    let mut changed = codes("first");
    changed.rows[3][1] = "second".into();
    changed.rows[7][1] = "second".into();
    world.put("codes.csv", changed.csv());
    world.sync().ended(0, "succeeded").counted(&[("read", 8), ("unchanged", 6), ("updated", 2)]);
    target.holds("codes", &changed);
}
