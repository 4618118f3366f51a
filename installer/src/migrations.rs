//! The numbered tables of `migrations/wiring`. Each is the table as it was from one version on; the last one is the
//! table of this program. To change the table is to add a file, so that nobody's file changes by accident.

/// Every table in order; the first has number 1.
const TABLES: [&str; 4] = [
    include_str!("../../migrations/wiring/0001_first_table.json"),
    include_str!("../../migrations/wiring/0002_permission_request.json"),
    include_str!("../../migrations/wiring/0003_config_change.json"),
    include_str!("../../migrations/wiring/0004_session_end_in_three_seconds.json"),
];

/// The number of the table of this program.
pub(crate) fn latest() -> u32 {
    u32::try_from(TABLES.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Row, rows};

    #[test]
    fn the_last_table_is_the_one_that_is_registered() {
        let last: Vec<Row> = serde_json::from_str(TABLES.last().unwrap()).unwrap();
        assert_eq!(last, rows(), "the table was changed: add a file to migrations/wiring");
    }

    #[test]
    fn every_file_is_a_table_and_in_its_place() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/wiring");
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.starts_with(char::is_numeric));
        names.sort();
        assert_eq!(names.len(), TABLES.len());
        for (index, (name, text)) in names.iter().zip(TABLES).enumerate() {
            assert!(name.starts_with(&format!("{:04}_", index + 1)), "{name}");
            let rows: Vec<Row> = serde_json::from_str(text).unwrap();
            assert!(!rows.is_empty());
        }
    }
}
