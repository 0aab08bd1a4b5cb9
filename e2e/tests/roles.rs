//! Sources behind an IAM role: the policies that are printed suffice, and credentials that expire are renewed in the middle
//! of a run.
//! Not here: how each refusal reads (`checks`).

use serde_json::Value;
use tapline_endpoint::{Fault, Operation, Policy, Role, User};

use crate::harness::{Delivery, Target, World, customers};

const ROLE: &str = "arn:aws:iam::123456789012:role/lake-reader";
const EXTERNAL_ID: &str = "0b9a7c1e-5d1f-4b57-9d0e-6a4f8f1c2d3e";

/// A source below `crm` that assumes a role by a user's key.
fn source(url: &str, external_id: &str) -> String {
    format!(
        "{{ type: s3, bucket: lake, path: crm, region: us-east-1, endpoint: \"{url}\", sts_endpoint: \"{url}\", auth: {{ \
         type: iam_role, role_arn: \"{ROLE}\", external_id: \"{external_id}\", base: {{ type: iam_user, access_key_id: \
         AKIABASE, secret_access_key: secret }} }} }}"
    )
}

/// The policies that `tapline policy` prints for such a source.
fn printed_policies() -> (Policy, Policy) {
    let world = World::new();
    world.write(
        "tapline.yaml",
        &format!("version: 1\nsources: {{ lake: {} }}\n", source(world.endpoint.url(), EXTERNAL_ID)),
    );
    let user = "arn:aws:iam::123456789012:user/base";
    let printed = world.tapline(&["policy", "lake", "--principal", user, "--format", "json"]).exits(0).json();
    let policy = |name: &str| Policy::from_json(&printed[name].to_string()).unwrap();
    (policy("permission_policy"), policy("trust_policy"))
}

/// An endpoint where only the role may read, and only the user `base` may assume it.
fn world() -> World {
    let (permissions, trust) = printed_policies();
    World::with(|endpoint| {
        let base = User::new("AKIABASE", "secret").name("base");
        endpoint
            .user(base.policy(Policy::no_access().allow(&["sts:AssumeRole"], ROLE)))
            .role(Role::new(ROLE, trust).policy(permissions))
    })
}

fn requests(world: &World, operation: Operation) -> usize {
    world.endpoint.requests().iter().filter(|request| request.operation == operation).count()
}

#[test]
fn a_run_goes_on_when_its_credentials_expire() {
    let world = world();
    let target = Target::sqlite();
    for part in 0..8 {
        let rows = customers(part * 500 + 1, (part + 1) * 500);
        world.put(&format!("crm/people/{part}.csv"), rows.csv());
    }
    let sql = "SELECT * FROM 's3://lake/crm/people/*.csv'";
    let source = source(world.endpoint.url(), EXTERNAL_ID);
    world.deliver_from(&source, &target, Delivery { sql, ..Delivery::default() });
    let expired = world.endpoint.inject(Fault::expired_token().on(Operation::GetObject).nth(5));
    world.sync().ended(0, "succeeded").counted(&[("read", 4_000), ("inserted", 4_000)]);
    assert_eq!(expired.hits(), 1);
    assert_eq!(requests(&world, Operation::AssumeRole), 2);
    target.holds("customers", &customers(1, 4_000));
}

#[test]
fn the_session_is_named_after_what_uses_it() {
    let world = world();
    world.put("crm/people.csv", "id\n1\n");
    world.write(
        "tapline.yaml",
        &format!("version: 1\nsources: {{ lake: {} }}\n", source(world.endpoint.url(), EXTERNAL_ID)),
    );
    let report = world.tapline(&["check", "--format", "json"]).exits(0).json();
    let steps = report[0]["steps"].as_array().unwrap();
    let who = steps.iter().find(|step| step["name"] == "credentials").unwrap()["message"].as_str().unwrap();
    assert!(who.contains("assumed-role/lake-reader/tapline-check"), "{who}");
}

#[test]
fn the_trust_policy_names_who_asks() {
    let world = world();
    world.write(
        "tapline.yaml",
        &format!("version: 1\nsources: {{ lake: {} }}\n", source(world.endpoint.url(), EXTERNAL_ID)),
    );
    let printed = world.tapline(&["policy", "lake", "--format", "json"]).exits(0).json();
    let statement = &printed["trust_policy"]["Statement"][0];
    assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::123456789012:user/base", "{printed}");
    assert_eq!(statement["Condition"]["StringEquals"]["sts:ExternalId"], EXTERNAL_ID);
    let resources = |statement: &Value| statement["Resource"].to_string();
    let permissions = printed["permission_policy"]["Statement"].as_array().unwrap();
    assert!(permissions.iter().all(|statement| resources(statement).contains("arn:aws:s3:::lake")), "{printed}");
    assert!(!printed["permission_policy"].to_string().contains("Put"), "{printed}");
}

#[test]
fn every_cloud_of_aws_has_its_own_names() {
    let world = World::new();
    for (region, role, partition) in [
        ("cn-north-1", "arn:aws-cn:iam::123456789012:role/r", "arn:aws-cn:"),
        ("us-gov-west-1", "arn:aws-us-gov:iam::123456789012:role/r", "arn:aws-us-gov:"),
    ] {
        let source = format!(
            "{{ type: s3, bucket: lake, region: {region}, auth: {{ type: iam_role, role_arn: \"{role}\", external_id: abc }} }}"
        );
        world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
        let user = format!("{partition}iam::123456789012:user/me");
        let printed = world.tapline(&["policy", "lake", "--principal", &user, "--format", "json"]).exits(0);
        let names = printed.stdout.split('"').filter(|text| text.starts_with("arn:"));
        assert!(names.clone().count() >= 3 && names.clone().all(|name| name.starts_with(partition)), "{printed}");
    }
}

#[test]
fn a_role_without_external_id_is_offered_one() {
    let world = World::new();
    let source = source(world.endpoint.url(), EXTERNAL_ID).replace(&format!("external_id: \"{EXTERNAL_ID}\", "), "");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    let offers: Vec<String> = [&["validate"][..], &["policy", "lake"], &["query", "lake", "SELECT 1"]]
        .map(|command| {
            let outcome = world.tapline(command).exits(2);
            let (_, offer) =
                outcome.stderr.split_once("external_id: ").unwrap_or_else(|| panic!("no offer: {outcome}"));
            offer.chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').collect()
        })
        .into();
    assert!(offers.iter().all(|offer| offer.len() == 36), "{offers:?}");
    assert_ne!(offers[0], offers[1]);
}
