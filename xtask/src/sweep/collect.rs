//! The tables of a sweep, put together from its runs: `results.csv`, `results.parquet`, `curves.csv`, `activity.json`,
//! `weights.json`, `gallery.json`, `wires.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result};
use bitpulse_core::Activity;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::{Map, Value as Json};
use tracing::warn;

use super::folder::Folder;
use crate::gallery::Answer;
use crate::record::{Histogram, headings, row, to_csv};
use crate::spec::Sweep;
use crate::wiring::WireMap;
use crate::workspace::write_atomically;

/// Writes the tables of all runs of `sweep` that are done, in the order of the sweep; returns how many. Of none, none
/// are written.
///
/// # Errors
/// When a file cannot be read or written. A run that is damaged is left out and told.
pub fn collect(folder: &Folder, sweep: &Sweep) -> Result<usize> {
    let mut rows = Vec::new();
    let mut activities: BTreeMap<&str, Activity> = BTreeMap::new();
    let mut histograms: BTreeMap<&str, Vec<Histogram>> = BTreeMap::new();
    let mut galleries: BTreeMap<&str, Vec<Answer>> = BTreeMap::new();
    let mut wires: BTreeMap<&str, WireMap> = BTreeMap::new();
    let mut pictured = BTreeSet::new();
    let mut curves = csv::Writer::from_writer(Vec::new());
    for run in &sweep.runs {
        let run_folder = folder.of(run);
        match run_folder.is_done() {
            Ok(true) => {}
            Ok(false) => continue,
            Err(damage) => {
                warn!("{} ({}) is left out, for it is damaged: {damage:#}", run.id, run_folder.name());
                continue;
            }
        }
        let kept = run_folder.kept()?;
        let mut curve = run_folder.curve()?;
        if rows.is_empty() {
            curves.write_record(std::iter::once("run").chain(curve.headers()?))?;
        }
        for point in curve.records() {
            curves.write_record(std::iter::once(run.id.as_str()).chain(&point?))?;
        }
        rows.push(row(run.part.as_ref().unwrap_or(&sweep.name), &run.id, kept.columns));
        activities.insert(&run.id, kept.activity);
        if !kept.histograms.is_empty() {
            histograms.insert(&run.id, kept.histograms);
        }
        // Pictures are of the first seed that is done; those of thousands of seeds would fill memory and say nothing more.
        let settings: Vec<String> = run
            .settings
            .iter()
            .filter(|(key, _)| **key != "seed")
            .map(|(_, value)| value.to_string())
            .collect();
        if pictured.insert((run.part.as_ref(), settings)) {
            if !kept.gallery.is_empty() {
                galleries.insert(&run.id, kept.gallery);
            }
            if let Some(map) = run_folder.wires()? {
                wires.insert(&run.id, map);
            }
        }
    }
    if rows.is_empty() {
        return Ok(0);
    }
    let dir = folder.dir();
    write_atomically(&dir.join("results.csv"), &to_csv(&rows)?)?;
    write_atomically(&dir.join("curves.csv"), &curves.into_inner()?)?;
    write_atomically(&dir.join("activity.json"), &serde_json::to_vec(&activities)?)?;
    write_atomically(&dir.join("weights.json"), &serde_json::to_vec(&histograms)?)?;
    write_atomically(&dir.join("gallery.json"), &serde_json::to_vec(&galleries)?)?;
    write_atomically(&dir.join("wires.json"), &serde_json::to_vec(&wires)?)?;
    write_atomically(&dir.join("results.parquet"), &to_parquet(&rows).context("results.parquet")?)?;
    Ok(rows.len())
}

/// The type of a column, from its cells.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Whole,
    Real,
    Flag,
    Text,
}

impl Column {
    fn of(cells: &[&Json]) -> Self {
        let mut present = cells.iter().filter(|cell| !cell.is_null()).peekable();
        if present.peek().is_none() || present.clone().all(|cell| cell.is_number()) {
            if present.peek().is_some() && present.all(|cell| cell.is_i64()) {
                Self::Whole
            } else {
                Self::Real
            }
        } else if present.clone().all(|cell| cell.is_boolean()) {
            Self::Flag
        } else {
            Self::Text
        }
    }

    fn field(self, name: &str) -> parquet::errors::Result<Type> {
        let (physical, logical) = match self {
            Self::Whole => (Physical::INT64, None),
            Self::Real => (Physical::DOUBLE, None),
            Self::Flag => (Physical::BOOLEAN, None),
            Self::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(name, physical)
            .with_logical_type(logical)
            .with_repetition(Repetition::OPTIONAL)
            .build()
    }
}

/// The same table as [`to_csv`] makes, with typed columns; `null` where nothing was measured.
fn to_parquet(rows: &[Map<String, Json>]) -> Result<Vec<u8>> {
    let names = headings(rows);
    let cells: Vec<Vec<&Json>> = names
        .iter()
        .map(|name| rows.iter().map(|row| row.get(*name).unwrap_or(&Json::Null)).collect())
        .collect();
    let columns: Vec<Column> = cells.iter().map(|cells| Column::of(cells)).collect();
    let fields = names.iter().zip(&columns).map(|(name, column)| Ok(Arc::new(column.field(name)?)));
    let schema = Type::group_type_builder("results").with_fields(fields.collect::<Result<_>>()?).build()?;
    let mut file = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(&mut file, Arc::new(schema), properties)?;
    let mut group = writer.next_row_group()?;
    for cells in &cells {
        let present: Vec<&Json> = cells.iter().copied().filter(|cell| !cell.is_null()).collect();
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_null())).collect();
        let levels = Some(levels.as_slice());
        let mut column = group.next_column()?.context("there are as many columns as fields")?;
        match column.untyped() {
            ColumnWriter::Int64ColumnWriter(writer) => {
                let values: Vec<i64> = present.iter().filter_map(|cell| cell.as_i64()).collect();
                writer.write_batch(&values, levels, None)?;
            }
            ColumnWriter::DoubleColumnWriter(writer) => {
                let values: Vec<f64> = present.iter().filter_map(|cell| cell.as_f64()).collect();
                writer.write_batch(&values, levels, None)?;
            }
            ColumnWriter::BoolColumnWriter(writer) => {
                let values: Vec<bool> = present.iter().filter_map(|cell| cell.as_bool()).collect();
                writer.write_batch(&values, levels, None)?;
            }
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let text = |cell: &Json| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
                let values: Vec<ByteArray> =
                    present.iter().map(|cell| ByteArray::from(text(cell).into_bytes())).collect();
                writer.write_batch(&values, levels, None)?;
            }
            _ => unreachable!("columns are of the four types above"),
        }
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use serde_json::json;

    use super::*;

    #[test]
    fn parquet_holds_the_cells_with_their_types() {
        let rows: Vec<Map<String, Json>> = [
            json!({"run": "a", "seed": 1, "test_accuracy": 0.5, "sampled": true, "validation_accuracy": null}),
            json!({"run": "b", "seed": 2, "test_accuracy": null, "sampled": false, "validation_accuracy": null}),
        ]
        .into_iter()
        .map(|row| row.as_object().expect("an object").clone())
        .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&to_parquet(&rows).unwrap()).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let read: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().get_column_iter().map(|(_, field)| field.clone()).collect())
            .collect();
        let text = |text: &str| Field::Str(text.into());
        assert_eq!(
            read,
            [
                vec![text("a"), Field::Long(1), Field::Double(0.5), Field::Bool(true), Field::Null],
                vec![text("b"), Field::Long(2), Field::Null, Field::Bool(false), Field::Null]
            ]
        );
        assert!(!to_parquet(&[]).unwrap().is_empty());
    }
}
