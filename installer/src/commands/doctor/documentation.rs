//! Holds `docs/troubleshooting.md` to the findings that the code makes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stopgate_core::paths::Home;

use super::files;

const PAGE: &str = include_str!("../../../../docs/troubleshooting.md");

/// Every finding's id, and whether `--fix` mends it, read off the calls in the sources of this module: an id is no type,
/// and one that only a rare cause brings forth would be missed by running them.
fn made() -> BTreeMap<String, bool> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands/doctor");
    let mut found: BTreeMap<String, bool> = BTreeMap::new();
    let inside = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    for path in inside.chain([PathBuf::from(format!("{dir}.rs"))]) {
        if path.ends_with("documentation.rs") || path.ends_with("finding.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for call in ["problem", "fixable", "notice"] {
            for rest in source.split(&format!("checkup.{call}(")).skip(1) {
                let argument = rest.trim_start();
                let Some(id) = argument.strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                    let of_the_table = argument.starts_with("id,") && path.ends_with("files.rs");
                    assert!(of_the_table, "{}: {call}({}...: name the id there", path.display(), &argument[..20]);
                    continue;
                };
                *found.entry(id.to_owned()).or_default() |= call == "fixable";
            }
        }
    }
    found.extend(files::private(&Home::at("/")).map(|(id, ..)| (id.to_owned(), true)));
    found
}

#[test]
fn the_page_has_every_finding_and_no_other() {
    let table = PAGE.split_once("| finding | what it means | what to do |\n| --- | --- | --- |\n").unwrap().1;
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let documented: BTreeMap<String, bool> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert!(cells.len() == 5 && cells[2..4].iter().all(|cell| !cell.is_empty()), "{row}");
            let id = cells[1].split('`').nth(1).unwrap();
            (id.to_owned(), cells[1].ends_with('*'))
        })
        .collect();
    let made = made();
    assert!(made.len() > 40, "the calls were not recognised: {made:?}");
    assert_eq!(documented, made, "left: docs/troubleshooting.md, right: the code; a star is what `--fix` mends");
}
