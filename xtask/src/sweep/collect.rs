//! The tables of a sweep, put together from its runs: `results.csv`, `results.parquet`, `curves.csv`, `activity.json`,
//! `weights.json`, `gallery.json`, `wires.json`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use tracing::warn;

use super::folder::{Folder, Kept};
use crate::record::{add_headings, csv_cells, row};
use crate::spec::{Run, Sweep};
use crate::workspace::Growing;

type Row = Map<String, Json>;

/// Writes the tables of all runs of `sweep` that are done, in the order of the sweep; returns how many. Of none, none
/// are written.
///
/// Runs are read twice, for the columns and then for what stands in them, so that no more of them is held than one group
/// of rows.
///
/// # Errors
/// When a file cannot be read or written. A run that is damaged is left out and told.
pub fn collect(folder: &Folder, sweep: &Sweep) -> Result<usize> {
    let row_of = |run: &Run, columns| row(run.part.as_ref().unwrap_or(&sweep.name), &run.id, columns);
    let (mut columns, mut done) = (Columns::default(), Vec::new());
    for run in &sweep.runs {
        let run_folder = folder.of(run);
        match run_folder.is_done() {
            Ok(true) => {
                columns.see(&row_of(run, run_folder.kept()?.columns));
                done.push(run);
            }
            Ok(false) => {}
            Err(damage) => {
                warn!("{} ({}) is left out, for it is damaged: {damage:#}", run.id, run_folder.name());
            }
        }
    }
    if done.is_empty() {
        return Ok(0);
    }
    let dir = folder.dir();
    let mut results = csv::Writer::from_writer(Growing::create(&dir.join("results.csv"))?);
    results.write_record(&columns.names)?;
    let mut typed = Parquet::new(Growing::create(&dir.join("results.parquet"))?, &columns)?;
    let mut curves = csv::Writer::from_writer(Growing::create(&dir.join("curves.csv"))?);
    let entries = |name| Entries::create(&dir.join(name));
    let (mut activities, mut histograms) = (entries("activity.json")?, entries("weights.json")?);
    let (mut galleries, mut wires) = (entries("gallery.json")?, entries("wires.json")?);
    let mut pictured = BTreeSet::new();
    for (index, run) in done.iter().enumerate() {
        let run_folder = folder.of(run);
        let Kept { columns: cells, activity, histograms: of_layers, gallery } = run_folder.kept()?;
        let row = row_of(run, cells);
        results.write_record(csv_cells(&columns.names, &row))?;
        typed.add(row)?;
        let mut curve = run_folder.curve()?;
        if index == 0 {
            curves.write_record(std::iter::once("run").chain(curve.headers()?))?;
        }
        for point in curve.records() {
            curves.write_record(std::iter::once(run.id.as_str()).chain(&point?))?;
        }
        activities.put(&run.id, &activity)?;
        if !of_layers.is_empty() {
            histograms.put(&run.id, &of_layers)?;
        }
        // Pictures are of the first seed that is done; those of thousands of seeds would say nothing more.
        if pictured.insert((run.part.as_ref(), run.settings.without("seed"))) {
            if !gallery.is_empty() {
                galleries.put(&run.id, &gallery)?;
            }
            if let Some(map) = run_folder.wires()? {
                wires.put(&run.id, &map)?;
            }
        }
    }
    results.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()?;
    curves.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()?;
    for entries in [activities, histograms, galleries, wires] {
        entries.finish()?;
    }
    typed.into_inner()?.finish()?;
    Ok(done.len())
}

/// A JSON object that is written entry by entry.
struct Entries {
    file: Growing,
    is_empty: bool,
}

impl Entries {
    fn create(path: &Path) -> Result<Self> {
        let mut file = Growing::create(path)?;
        file.write_all(b"{")?;
        Ok(Self { file, is_empty: true })
    }

    fn put(&mut self, key: &str, value: &impl Serialize) -> Result<()> {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.file.write_all(b",")?;
        }
        serde_json::to_writer(&mut self.file, key)?;
        self.file.write_all(b":")?;
        Ok(serde_json::to_writer(&mut self.file, value)?)
    }

    fn finish(mut self) -> Result<()> {
        self.file.write_all(b"}")?;
        self.file.finish()
    }
}

/// The columns of all rows, each where it comes first, and what stands in them.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    /// One for each name; nothing where all cells so far are empty.
    cells: Vec<Option<Cells>>,
}

/// The type of the cells of a column.
#[derive(Clone, Copy, PartialEq)]
enum Cells {
    Whole,
    Real,
    Flag,
    Text,
}

impl Columns {
    fn see(&mut self, row: &Row) {
        add_headings(&mut self.names, row);
        self.cells.resize(self.names.len(), None);
        for (name, cells) in self.names.iter().zip(&mut self.cells) {
            let found = row.get(name).and_then(Cells::of);
            *cells = cells.map_or(found, |cells| Some(found.map_or(cells, |found| cells.or(found))));
        }
    }
}

impl Cells {
    /// Nothing for `null`.
    fn of(cell: &Json) -> Option<Self> {
        match cell {
            Json::Null => None,
            Json::Number(number) => Some(if number.is_i64() { Self::Whole } else { Self::Real }),
            Json::Bool(_) => Some(Self::Flag),
            _ => Some(Self::Text),
        }
    }

    /// The type that holds cells of both.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            (Self::Whole | Self::Real, Self::Whole | Self::Real) => Self::Real,
            _ => Self::Text,
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

/// Rows that are held until they are written together.
const GROUP: usize = 250;

/// The same table as `results.csv`, with typed columns; `null` where nothing was measured.
struct Parquet<'a, W: Write + Send> {
    writer: SerializedFileWriter<W>,
    names: &'a [String],
    rows: Vec<Row>,
}

impl<'a, W: Write + Send> Parquet<'a, W> {
    fn new(file: W, columns: &'a Columns) -> Result<Self> {
        let fields = columns.names.iter().zip(&columns.cells).map(|(name, cells)| {
            // A number fits where nothing was measured yet.
            Ok(Arc::new(cells.unwrap_or(Cells::Real).field(name)?))
        });
        let schema =
            Type::group_type_builder("results").with_fields(fields.collect::<Result<_>>()?).build()?;
        let properties = Arc::new(WriterProperties::builder().build());
        let writer = SerializedFileWriter::new(file, Arc::new(schema), properties)?;
        Ok(Self { writer, names: &columns.names, rows: Vec::new() })
    }

    fn add(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() == GROUP { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.writer.next_row_group()?;
        for name in self.names {
            let cells = || rows.iter().map(|row| row.get(name).unwrap_or(&Json::Null));
            let present: Vec<&Json> = cells().filter(|cell| !cell.is_null()).collect();
            let levels: Vec<i16> = cells().map(|cell| i16::from(!cell.is_null())).collect();
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
        Ok(())
    }

    /// Writes what is left; the file, which is whole now.
    fn into_inner(mut self) -> Result<W> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        Ok(self.writer.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
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
        let mut columns = Columns::default();
        for row in &rows {
            columns.see(row);
        }
        let mut typed = Parquet::new(tempfile::tempfile().unwrap(), &columns).unwrap();
        // Groups of one row, as many rows make them.
        for row in rows {
            typed.add(row).unwrap();
            typed.write_group().unwrap();
        }
        let file = typed.into_inner().unwrap();
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
    }
}
